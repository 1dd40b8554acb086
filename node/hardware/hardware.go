// Package hardware says what this machine has.
package hardware

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// UnknownMemory stands in for the memory of a machine that does not tell: no job asks for as much.
const UnknownMemory = 1 << 50

// CPUs is the number of cores that this process may use.
func CPUs() int { return runtime.NumCPU() }

// Name is what people call this machine; empty where it does not tell, and its ID must do.
func Name() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// Memory is the memory of this machine in bytes.
func Memory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return UnknownMemory
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) >= 2 && words[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(words[1], 10, 64); err == nil && kib > 0 {
				return kib << 10
			}
		}
	}
	return UnknownMemory
}

// GPUs counts the NVIDIA devices of this machine.
func GPUs() int {
	devices, err := filepath.Glob("/dev/nvidia[0-9]*")
	if err != nil {
		return 0
	}
	return len(devices)
}
