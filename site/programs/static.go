package programs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
)

// machines are the processors of ELF files by GOARCH.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkStatic refuses a program that could not run in an image which holds nothing else: a script, one that needs shared
// libraries, or one for another processor.
func checkStatic(program []byte) error {
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
