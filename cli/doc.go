// Package cli is the command line of openflow, except for the commands that run a node in this process. Those are given
// to [NewRoot] by cmd/openflow, so that this package, and its tests, link no server.
//
// Commands read flags, call the node with package sdk, and print: a table for people or, with -o json, one JSON document
// and nothing else on standard output. Progress and warnings go to standard error. What ends a command with which exit
// code is decided in root.go only. One file per group of commands; start reading at [NewRoot].
package cli
