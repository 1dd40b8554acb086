package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"

	"openflow"
)

// machines are the processors of ELF files by GOARCH.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// CheckStatic refuses a program that could not run in an image which holds nothing else: a script, one that needs shared
// libraries, or one for another processor than this machine's. Errors: CodeInvalid.
func CheckStatic(program []byte) error {
	if err := standsOnItsOwn(program); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "no image can be made of the program: %w", err).
			WithHint("build it as one static program for Linux on this machine's processor; in Go: CGO_ENABLED=0")
	}
	return nil
}

func standsOnItsOwn(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return errors.New("it is not a Linux program (ELF)")
	}
	if want, known := machines[runtime.GOARCH]; known && f.Machine != want {
		return fmt.Errorf("it is for the processor %v, and this machine is %s", f.Machine, runtime.GOARCH)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it needs shared libraries")
		}
	}
	return nil
}
