// Package node puts one site together: key and home folder, catalogue, objects, messages, embedded Temporal, container
// runtime, worker, the three API layers, and the upkeep that lets it be left alone.
//
// It only wires: it builds what other packages decide and do, starts it in order, and stops it in reverse. Start reading at
// [Start].
package node
