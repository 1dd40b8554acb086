//go:build !linux

// Package processes starts the runs of a resident container as processes of their own. Containers are Linux.
package processes

import (
	"io"
	"runtime"

	"openflow"
	"openflow/residence"
)

// Family is the processes of one server.
type Family struct{}

// Serve refuses.
func Serve(string, ...string) (*Family, error) { return nil, refusal() }

// Start refuses.
func (*Family) Start(string, map[string]string, io.Writer, io.Writer) (residence.Process, error) {
	return nil, refusal()
}

// Settle does nothing.
func Settle() error { return nil }

func refusal() error {
	return openflow.Errorf(openflow.CodeUnimplemented, "resident containers do not work on %s", runtime.GOOS)
}
