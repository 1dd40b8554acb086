//go:build !linux

package process

import (
	"context"
	"runtime"

	"openflow"
	"openflow/runtime/driver"
)

// supervised is a runtime that nobody can open here.
type supervised struct{ driver.Runtime }

// Kind implements driver.Runtime.
func (*supervised) Kind() string { return Name }

// Trim implements driver.Host.
func (*supervised) Trim(context.Context) error { return nil }

// open reports CodeUnimplemented: processes are supervised with means that only Linux has.
func open(string) (*supervised, error) {
	return nil, openflow.Errorf(openflow.CodeUnimplemented, "the process runtime does not work on %s", runtime.GOOS).
		WithHint("use the docker runtime")
}
