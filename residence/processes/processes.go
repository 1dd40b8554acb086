//go:build linux

// Package processes starts the runs of a resident container as processes of their own, so that none ends or hears another.
//
// Each is the same program again, in a process group and with a folder for temporary files. When it has ended, all that it has
// started ends too, also what has left its group. Every run is the reaper of its own descendants, and the server that of all
// runs. So what has the server as its parent and is no run was left by one that has ended.
//
// All have one user. So a process hides what it was told from the others: it is not dumpable (prctl(2)). That is reset when a program
// is executed, unless nobody may read the program. So each run is executed from a copy of which that is true.
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

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/residence"
)

// marker tells a process that it is a run of a resident container.
const marker = "OPENFLOW_RESIDENT_RUN"

// ownScore is what this process is worth to the kernel where memory runs out, and firstToDie the least that one can be worth.
const (
	ownScore   = "/proc/self/oom_score_adj"
	firstToDie = "1000"
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
	sealed  *os.File // the program, for nobody to read; nil: this system has no such files
	score   *os.File // ownScore, to be written; nil: it cannot be

	mu    sync.Mutex
	live  map[int]bool // runs that have started and are not waited for yet
	worth []byte       // what is in score
}

// Serve makes this process the server of a program's runs. Each is the program with these arguments; it has the variables of
// this process but for those that are the server's. Nothing that a run starts can read the server's secret from its
// memory or environment. Errors: CodeUnavailable.
func Serve(program string, args ...string) (*Family, error) {
	f := &Family{program: program, args: args, live: map[int]bool{}}
	f.open()
	if err := errors.Join(prctl(unix.PR_SET_CHILD_SUBREAPER, 1), prctl(unix.PR_SET_DUMPABLE, 0)); err != nil {
		return nil, openflow.Errorf(openflow.CodeUnavailable, "this system keeps runs not apart: %w", err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); name != residence.Address && name != residence.Key {
			f.base = append(f.base, entry)
		}
	}
	return f, nil
}

// open opens what a process that is not dumpable cannot. Where the system has not, runs go without it.
func (f *Family) open() {
	f.sealed, _ = seal(f.program)
	f.score, _ = os.OpenFile(ownScore, os.O_RDWR, 0)
	if f.score != nil {
		f.worth, _ = io.ReadAll(f.score)
	}
}

// seal copies a program into memory, for everybody to execute and nobody to read. The file that is returned is not open for writing:
// the kernel executes none that is.
func seal(program string) (_ *os.File, err error) {
	from, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	to := os.NewFile(uintptr(fd), "program")
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, from); err != nil {
		return nil, err
	}
	sealed, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return nil, err
	}
	if err := to.Chmod(0o111); err != nil {
		return nil, errors.Join(err, sealed.Close())
	}
	return sealed, nil
}

// Settle is called first of all by a program that may be a run of a server. Elsewhere it does nothing. Other runs cannot
// read what it was told from then on. An error says what of that this system does not let it do.
func Settle() error {
	if os.Getenv(marker) == "" {
		return nil
	}
	return errors.Join(os.Unsetenv(marker), prctl(unix.PR_SET_CHILD_SUBREAPER, 1), prctl(unix.PR_SET_DUMPABLE, 0))
}

func prctl(option int, value uintptr) error { return unix.Prctl(option, value, 0, 0, 0) }

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
	if f.sealed != nil {
		c.cmd.Path = "/proc/self/fd/" + strconv.Itoa(int(f.sealed.Fd())) // which the kernel opens before it closes it
	}
	c.cmd.Env = append(slices.Clone(f.base), "TMPDIR="+folder)
	for name, value := range environment {
		c.cmd.Env = append(c.cmd.Env, name+"="+value)
	}
	c.cmd.Env = append(c.cmd.Env, marker+"=1")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	theirs, err := c.connect(stdout, stderr)
	if err == nil {
		err = f.start(c.cmd)
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

// start starts a run. Where memory runs out, the kernel ends it before the server: it has inherited what it is worth.
func (f *Family) start(cmd *exec.Cmd) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.worth) > 0 {
		_, _ = f.score.WriteAt([]byte(firstToDie), 0)
		defer func() { _, _ = f.score.WriteAt(f.worth, 0) }()
	}
	err := cmd.Start()
	if err == nil {
		f.live[cmd.Process.Pid] = true
	}
	return err
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
