// Package node puts one site together: key and home folder, catalogue, objects, messages, embedded Temporal, container
// runtime, worker, the three API layers, and the upkeep that lets it be left alone.
//
// Nothing is decided here that belongs to a layer; the package only connects, starts in order, and stops in reverse.
// Start reading at [Start].
package node
