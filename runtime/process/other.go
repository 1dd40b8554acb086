//go:build !linux

package process

import (
	"runtime"

	"openflow"
	"openflow/runtime/driver"
)

// New reports CodeUnimplemented: processes are supervised with means that only Linux has.
func New(string) (driver.Runtime, error) {
	return nil, openflow.Errorf(openflow.CodeUnimplemented, "the process runtime does not work on %s", runtime.GOOS).
		WithHint("use the docker runtime")
}
