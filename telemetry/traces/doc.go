// Package traces follows a job across sites: one OpenTelemetry trace from its submission through the workflows of every
// party and their signed calls into the containers.
//
// The trace's context travels in the headers of workflows and activities, in the W3C header traceparent of calls between
// nodes, in the environment variable TRACEPARENT of containers, and from there back to the base layer. A span tells what
// was called, at which party, for how long and with which error code; it holds no parameters, data or texts of errors.
// Start reading at [New]; a nil *Traces is tracing switched off, which costs nothing.
package traces
