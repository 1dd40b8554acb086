//go:build linux

package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/runtime/driver"
)

// The files of a container's folder.
const (
	specFile   = "spec.json" // record; there from the beginning and never changed; its bytes are the locks of lock.go
	workDir    = "work"      // the program's working directory
	stdoutFile = "stdout"
	stderrFile = "stderr"
	pidFile    = "pid"    // the supervisor's, which is its session's and group's too; written by it before the program runs
	exitFile   = "exit"   // the program's exit code, written by the supervisor
	killedFile = "killed" // somebody is about to kill the supervisor too, which then writes no exit code; why, unless it is Stop
)

const (
	exitKilled   = 128 + int(unix.SIGKILL)
	exitTooLarge = 128 + int(unix.SIGXFSZ)
	exitUnknown  = -1
)

// errDamaged marks a folder whose record cannot be read.
var errDamaged = errors.New("the record of the container is damaged")

// folder is one container on disk. All it knows is read from there, every time.
type folder struct{ name, path string }

// record is what creation fixes, as the folder keeps it.
type record struct {
	Spec    specification `json:"spec"`
	Created time.Time     `json:"created"`
}

// specification is a driver.Spec.
type specification struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Made    string            `json:"made,omitempty"`
	Image   string            `json:"image"`
	Command []string          `json:"command,omitempty"`
	Env     []string          `json:"env,omitempty"`
	Limits  limits            `json:"limits,omitzero"`
	Grants  grants            `json:"grants,omitzero"`
}

// grants is a driver.Grants, of which this runtime gives nothing: it isolates nothing.
type grants struct {
	Capabilities []string         `json:"capabilities,omitempty"`
	Mounts       []openflow.Mount `json:"mounts,omitempty"`
	Networks     []string         `json:"networks,omitempty"`
}

// limits is a driver.Limits.
type limits struct {
	CPUs        float64  `json:"cpus,omitzero"`
	MemoryBytes int64    `json:"memory_bytes,omitzero"`
	PIDs        int64    `json:"pids,omitzero"`
	DiskBytes   int64    `json:"disk_bytes,omitzero"`
	LogBytes    int64    `json:"log_bytes,omitzero"`
	GPUs        []string `json:"gpus,omitempty"`
}

func specificationOf(s driver.Spec) specification {
	return specification{Name: s.Name, Labels: s.Labels, Made: s.Made, Image: s.Image, Command: s.Command, Env: s.Env, Limits: limits(s.Limits), Grants: grants(s.Grants)}
}

func (s specification) decode() driver.Spec {
	return driver.Spec{Name: s.Name, Labels: s.Labels, Made: s.Made, Image: s.Image, Command: s.Command, Env: s.Env, Limits: driver.Limits(s.Limits), Grants: driver.Grants(s.Grants)}
}

func (f folder) file(name string) string { return filepath.Join(f.path, name) }

// mostRecord bounds what is read of a small file of a folder, in bytes. The environment of a program is the largest part.
const mostRecord = 16 << 20

// open opens a file of the folder for reading. A program that runs could put something else in its place, so a link or a pipe
// is an error, and neither followed nor waited for.
func (f folder) open(name string) (*os.File, error) {
	in, err := os.OpenFile(f.file(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.file(name))
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// read reads a small file of the folder.
func (f folder) read(name string) ([]byte, error) {
	in, err := f.open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, mostRecord))
	return data, errors.Join(err, in.Close())
}

// prepare fills an empty folder.
func (f folder) prepare(spec driver.Spec) error {
	data, err := json.Marshal(record{Spec: specificationOf(spec), Created: time.Now()})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(f.file(specFile), data, 0o600),
		os.Mkdir(f.file(workDir), 0o700))
}

// record reads the spec; CodeNotFound without one, errDamaged when it makes no sense.
func (f folder) record() (record, error) {
	data, err := f.read(specFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(f.path); statErr == nil {
			return record{}, f.damaged(err)
		}
		return record{}, driver.NotFound(f.name)
	}
	if err != nil {
		return record{}, failed(f.name, err)
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return record{}, f.damaged(err)
	}
	if rec.Spec.Name != f.name {
		return record{}, f.damaged(errors.New("it is the record of another container"))
	}
	return rec, nil
}

func (f folder) damaged(cause error) error {
	return openflow.Errorf(openflow.CodeInternal, "container %q: %w: %v", f.name, errDamaged, cause)
}

// adopt reports the status when the container is one that spec may take for its own.
func (f folder) adopt(spec driver.Spec) (driver.Status, error) {
	rec, err := f.record()
	if err != nil {
		return driver.Status{}, err
	}
	if !driver.Carries(rec.Spec.Labels, spec.Labels) {
		return driver.Status{}, driver.Conflict(spec.Name)
	}
	return f.status()
}

// status reads how the container stands. The order of the looks matters: the pid file is written while the supervisor's
// lock is held. So a pid file seen first and the lock seen free after that mean that the supervisor has ended. The exit
// code read last is then final.
func (f folder) status() (driver.Status, error) {
	rec, err := f.record()
	if err != nil {
		return driver.Status{}, err
	}
	st := driver.Status{Name: f.name, Labels: rec.Spec.Labels, Made: rec.Spec.Made, State: driver.StateCreated, Created: rec.Created}
	started, err := f.modified(pidFile)
	if err != nil {
		return driver.Status{}, err
	}
	running, err := f.held(supervisorLock)
	if err != nil {
		return driver.Status{}, err
	}
	st.Started = started
	switch {
	case running:
		st.State = driver.StateRunning
		return st, nil
	case started.IsZero():
		return st, nil
	}
	st.State = driver.StateExited
	st, err = f.outcome(st)
	if limit := rec.Spec.Limits.DiskBytes; limit > 0 && st.ExitCode == exitTooLarge {
		st.OverDisk, st.Reason = true, fmt.Sprintf("one of its files would hold more than the %d bytes that the task may write", limit)
	}
	return st, err
}

// outcome completes the status of a container whose supervisor has ended.
func (f folder) outcome(st driver.Status) (driver.Status, error) {
	text, err := f.read(exitFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return driver.Status{}, failed(f.name, err)
	}
	end := exitFile
	if code, ok := parseExit(string(text)); ok {
		st.ExitCode, st.Reason = code, reason(code)
	} else if err := f.orphaned(&st, &end, err == nil && len(text) == 0); err != nil {
		return driver.Status{}, err
	}
	finished, err := f.modified(end)
	st.Finished = finished
	return st, err
}

// orphaned completes the status when the supervisor ended without writing an exit code. A program that it left behind
// is killed first, so that "lost" means gone: the caller may run the task again. began tells that the file for the exit
// code is there and empty, which is what a full disk leaves.
func (f folder) orphaned(st *driver.Status, end *string, began bool) error {
	*end = killedFile
	killed, err := f.modified(killedFile)
	if err != nil {
		return err
	}
	if !killed.IsZero() {
		st.ExitCode, st.Reason = exitKilled, reason(exitKilled)
		why, err := f.read(killedFile)
		if err == nil && len(why) > 0 {
			st.OverDisk, st.Reason = true, string(why)
		}
		return ignoreGone(f.name, err)
	}
	*end = pidFile
	st.ExitCode, st.Lost = exitUnknown, true
	st.Reason = "the supervisor of the process was killed before it could record the exit code"
	if began || f.full() {
		st.Full, st.Reason = true, "the exit code could not be written: the disk is full, or was"
	}
	left, err := f.held(programLock)
	if err != nil || !left {
		return err
	}
	pid, ok, err := f.pid()
	if err != nil || !ok {
		return err
	}
	return f.signalGroup(pid, unix.SIGKILL)
}

func ignoreGone(name string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed(name, err)
}

// full tells whether the disk that has the folder takes nothing more.
func (f folder) full() bool {
	var disk unix.Statfs_t
	return unix.Statfs(f.path, &disk) == nil && disk.Blocks > 0 && disk.Bavail == 0
}

// parseExit reads an exit code as the shell writes it. Anything else, such as the nothing that a full disk leaves, is
// none.
func parseExit(text string) (int, bool) {
	digits, ok := strings.CutSuffix(text, "\n")
	if !ok {
		return 0, false
	}
	code, err := strconv.ParseUint(digits, 10, 8)
	return int(code), err == nil
}

// reason explains an exit code that a shell uses for signals; a program may return such a number by itself.
func reason(code int) string {
	if name := unix.SignalName(unix.Signal(code - 128)); code > 128 && name != "" {
		return "ended by " + name
	}
	return ""
}

// pid returns the supervisor's process ID once it has written it.
func (f folder) pid() (pid int, ok bool, err error) {
	text, err := f.read(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, failed(f.name, err)
	}
	digits, complete := strings.CutSuffix(string(text), "\n")
	pid, err = strconv.Atoi(digits)
	return pid, complete && err == nil && pid > 1, nil
}

// modified is the time of a file's last change, zero without the file.
func (f folder) modified(file string) (time.Time, error) {
	info, err := os.Stat(f.file(file))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, failed(f.name, err)
	}
	return info.ModTime(), nil
}
