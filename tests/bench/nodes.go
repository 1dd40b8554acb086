package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"openflow"
	"openflow/node/fleet"
	"openflow/runtime/driver"
)

// startPair starts two nodes, 9999 and 10000, that grant each other everything.
func startPair(ctx context.Context, o options, dir string, runtime driver.Opener) (*fleet.Fleet, error) {
	return startFleet(ctx, o, dir, runtime, "9999", "10000")
}

func startFleet(ctx context.Context, o options, dir string, runtime driver.Opener, parties ...openflow.PartyID) (*fleet.Fleet, error) {
	if o.components == "" {
		o.components = filepath.Join(o.bin, "openflow-components")
	}
	f, err := fleet.New(dir, fleet.Options{
		Binary: filepath.Join(o.bin, "openflow"), Components: o.components, Runtime: runtime,
		LogLevel: "error", Plain: o.plain, Flags: append([]string{"--grant-all", "--cores", "32"}, o.flags...),
	}, parties...)
	if err != nil {
		return nil, err
	}
	err = f.Start()
	if err == nil {
		err = f.Ready(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// usage reads what a process uses: resident memory in MB, and CPU time in seconds so far.
func usage(pid int) (mb, cpu float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			if err != nil {
				return 0, 0, err
			}
			mb = float64(n) / 1024
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, i := range []int{11, 12} { // utime and stime, counted from the state
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return 0, 0, err
		}
		cpu += float64(n) / 100 // USER_HZ is 100 on every Linux that Go runs on
	}
	return mb, cpu, nil
}
