package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/sdk"
	"openflow/trust"
)

// pair is two nodes as processes of their own.
type pair struct {
	homes, urls []string
	args        [][]string
	procs       []*exec.Cmd
	bin         string
}

var partyIDs = []openflow.PartyID{"9999", "10000"}

func startPair(ctx context.Context, bin, dir, runtime string) (*pair, error) {
	p := &pair{bin: bin}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	var keys []string
	for i, id := range partyIDs {
		home := filepath.Join(dir, string(id))
		if err := os.MkdirAll(home, 0o700); err != nil {
			return nil, err
		}
		k, err := trust.LoadOrCreateKey(home)
		if err != nil {
			return nil, err
		}
		p.homes, keys = append(p.homes, home), append(keys, k.Public().String())
		p.urls = append(p.urls, fmt.Sprintf("http://127.0.0.1:%d", ports[i]))
	}
	for i, id := range partyIDs {
		o := 1 - i
		p.args = append(p.args, []string{
			"server", "--party", string(id), "--listen", strings.TrimPrefix(p.urls[i], "http://"), "--home", p.homes[i],
			"--runtime", runtime, "--durability", "process", "--grant-all", "--log-level", "error",
			"--peer", fmt.Sprintf("%s=%s,%s", partyIDs[o], p.urls[o], keys[o]),
		})
		p.procs = append(p.procs, nil)
		if err := p.start(i); err != nil {
			return nil, errors.Join(err, p.stop())
		}
	}
	for i := range partyIDs {
		if err := p.ready(ctx, i); err != nil {
			return nil, errors.Join(err, p.stop())
		}
	}
	return p, nil
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // it only held the port
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (p *pair) start(i int) error {
	cmd := exec.Command(filepath.Join(p.bin, "openflow"), p.args[i]...)
	log, err := os.OpenFile(p.homes[i]+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	p.procs[i] = cmd
	return cmd.Start()
}

func (p *pair) client(i int) *sdk.Client { return &sdk.Client{URL: p.urls[i], HTTP: web} }

func (p *pair) ready(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.client(i).Ready(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("node %s is not ready; see %s.log", partyIDs[i], p.homes[i])
		}
	}
	return nil
}

func (p *pair) stop() error {
	for _, c := range p.procs {
		if c != nil && c.Process != nil {
			_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	var errs []error
	for _, c := range p.procs {
		if c == nil || c.Process == nil {
			continue
		}
		if err := c.Wait(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
