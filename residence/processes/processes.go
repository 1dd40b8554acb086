//go:build linux

// Package processes starts the runs of a resident container as processes of their own, so that none ends or hears another.
//
// Each is the same program again, in a process group and with a folder for temporary files. When it has ended, or is made to,
// all that it has started ends too, also what has left its group: every run is the reaper of its own descendants, and the
// server that of all runs. So what has the server as its parent and is no run was left by one that has ended.
package processes

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"openflow"
	"openflow/residence"
)

// marker tells a process that it is a run of a resident container, and what it is worth to the kernel: it dies before the server.
const marker = "OPENFLOW_RESIDENT_RUN"

// The numbers of prctl (linux/prctl.h), and the most of oom_score_adj.
const (
	setDumpable       = 4
	setChildSubreaper = 36
	firstToDie        = "1000"
)

const (
	sweeps    = 100             // rounds in which what a run has left is ended: it may start more meanwhile
	lastWords = 5 * time.Second // for what a run has written to be read, when nothing of it is left
)

// Family is the processes of one server.
type Family struct {
	program string
	args    []string
	base    []string // variables of every run

	mu   sync.Mutex
	live map[int]bool // runs that have started and are not waited for yet
}

// Serve makes this process the server of a program's runs. Each is the program with these arguments; it has the variables of
// this process but for those that are the server's. Nothing that a run starts can read the server's secret from its
// memory or environment. Errors: CodeUnavailable.
func Serve(program string, args ...string) (*Family, error) {
	if err := errors.Join(prctl(setChildSubreaper, 1), prctl(setDumpable, 0)); err != nil {
		return nil, openflow.Errorf(openflow.CodeUnavailable, "this system keeps runs not apart: %w", err)
	}
	f := &Family{program: program, args: args, live: map[int]bool{}}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); name != residence.Address && name != residence.Key {
			f.base = append(f.base, entry)
		}
	}
	return f, nil
}

// Settle is called first of all by a program that may be a run of a server. Elsewhere it does nothing. Other runs cannot
// read what it was told from then on. An error says what of that this system does not let it do.
func Settle() error {
	if os.Getenv(marker) == "" {
		return nil
	}
	return errors.Join(
		os.Unsetenv(marker), prctl(setChildSubreaper, 1),
		os.WriteFile("/proc/self/oom_score_adj", []byte(firstToDie), 0), // while the kernel still lets it
		prctl(setDumpable, 0),
	)
}

func prctl(option, value uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, value, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// child implements residence.Process.
type child struct {
	f      *Family
	cmd    *exec.Cmd
	folder string
	pipes  []*os.File
	copied sync.WaitGroup

	mu    sync.Mutex
	ended bool // its number may be another's by now
}

// Start implements residence.Starter.
func (f *Family) Start(_ string, environment map[string]string, stdout, stderr io.Writer) (residence.Process, error) {
	folder, err := os.MkdirTemp("", "run-")
	if err != nil {
		return nil, err
	}
	c := &child{f: f, cmd: exec.Command(f.program, f.args...), folder: folder}
	c.cmd.Env = append(slices.Clone(f.base), "TMPDIR="+folder)
	for name, value := range environment {
		c.cmd.Env = append(c.cmd.Env, name+"="+value)
	}
	c.cmd.Env = append(c.cmd.Env, marker+"=1")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	theirs, err := c.connect(stdout, stderr)
	if err == nil {
		f.mu.Lock()
		if err = c.cmd.Start(); err == nil {
			f.live[c.cmd.Process.Pid] = true
		}
		f.mu.Unlock()
	}
	for _, end := range theirs {
		err = errors.Join(err, end.Close())
	}
	if err != nil && c.cmd.Process == nil {
		c.copied.Wait()
		return nil, errors.Join(err, c.clear())
	}
	return c, nil
}

// connect lets the writers hear the outputs of a process. The ends are the process's.
func (c *child) connect(to ...io.Writer) (theirs []*os.File, err error) {
	for _, w := range to {
		ours, end, err := os.Pipe()
		if err != nil {
			return theirs, err
		}
		c.pipes, theirs = append(c.pipes, ours), append(theirs, end)
		c.copied.Go(func() { _, _ = io.Copy(w, ours) }) // the end of the pipe is the end of the output
	}
	c.cmd.Stdout, c.cmd.Stderr = theirs[0], theirs[1]
	return theirs, nil
}

// Wait implements residence.Process.
func (c *child) Wait() int {
	_ = c.cmd.Wait() // its state says all
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.f.sweep(c.cmd.Process.Pid)
	heard := make(chan struct{})
	go func() { c.copied.Wait(); close(heard) }()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-heard:
	case <-timer.C: // something holds it that nobody could end
	}
	_ = c.clear() // what stays goes with the container
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return c.cmd.ProcessState.ExitCode()
}

// clear closes the pipes, which ends who reads them, and removes the folder.
func (c *child) clear() (err error) {
	for _, p := range c.pipes {
		err = errors.Join(err, p.Close())
	}
	return errors.Join(err, os.RemoveAll(c.folder))
}

// Ask implements residence.Process.
func (c *child) Ask() { c.signal(syscall.SIGTERM) }

// Kill implements residence.Process. What has left the group ends with the sweep.
func (c *child) Kill() { c.signal(syscall.SIGKILL) }

func (c *child) signal(s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = syscall.Kill(-c.cmd.Process.Pid, s) // it may have ended
	}
}

// sweep ends what runs have left that have ended, and reaps it.
func (f *Family) sweep(ended int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, ended)
	for range sweeps {
		left := children()
		left = slices.DeleteFunc(left, func(pid int) bool { return f.live[pid] })
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // a dead one is only reaped
		}
		for _, pid := range left {
			_, _ = syscall.Wait4(pid, nil, 0, nil) // what is interrupted is left to the next round
		}
	}
}

// children are the processes whose parent is this one.
func children() (list []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	self := os.Getpid()
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// Behind the name, which may have anything in it: state and parent.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		if parent, _ := strconv.Atoi(string(fields[1])); parent == self {
			list = append(list, pid)
		}
	}
	return list
}
