// Package componenttest runs a component for all parties of a task in one process, against one in-memory node that
// serves what the kit asks for: inputs, outputs, models, metrics, status and messages between the parties.
//
// It is for tests of algorithms and of the kit. One node stands for the nodes of all parties, so it shows nothing about
// the traffic between nodes; it can lose replies, refuse requests and restart, to show that an algorithm does not notice.
//
// Start at [Case] and [Run]. A test that needs to act while a task runs uses [NewNode] and [Node.Start].
package componenttest
