package node

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// unknownMemory stands in for the memory of a machine that does not tell: no job asks for as much.
const unknownMemory = 1 << 50

// machineMemory is the memory of this machine in bytes.
func machineMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return unknownMemory
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
	return unknownMemory
}

// machineGPUs counts the NVIDIA devices of this machine.
func machineGPUs() int {
	devices, err := filepath.Glob("/dev/nvidia[0-9]*")
	if err != nil {
		return 0
	}
	return len(devices)
}
