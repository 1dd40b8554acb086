package resident

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// run is the record of a run. Its file is there from Ensure to Remove.
type run struct {
	Token     string    `json:"token"` // tells it from others of its name
	Spec      spec      `json:"spec"`  // its environment goes once a container has it
	Residency residency `json:"residency"`
	Created   time.Time `json:"created"`
	Container string    `json:"container,omitzero"` // that serves it; empty: it was not started
	Alone     bool      `json:"alone,omitzero"`     // it is to get a container of its own
	Started   time.Time `json:"started,omitzero"`
	Offered   bool      `json:"offered,omitzero"`   // its container may have heard of it
	Delivered bool      `json:"delivered,omitzero"` // its container has said that it runs
	Stopped   bool      `json:"stopped,omitzero"`   // somebody wants its end
	Ended     *ended    `json:"ended,omitempty"`
}

// ended is how a run has ended.
type ended struct {
	ExitCode    int       `json:"exit_code"`
	Interrupted bool      `json:"interrupted,omitzero"`
	Reason      string    `json:"reason,omitzero"`
	Finished    time.Time `json:"finished"`
}

// container is the record of a resident container. Its file is there before the container, and goes after it.
type container struct {
	Name      string    `json:"name"`
	Key       string    `json:"key"` // the secret of the node's calls
	Residency residency `json:"residency"`
	Created   time.Time `json:"created"`
	Used      time.Time `json:"used"`               // when it last had a run
	Draining  bool      `json:"draining,omitzero"`  // it gets no more runs
	Condemned string    `json:"condemned,omitzero"` // why it is being removed with the runs that it has
}

// residency is a driver.Residency.
type residency struct {
	Group     string            `json:"group"`
	Component string            `json:"component"`
	Provider  string            `json:"provider"`
	Version   string            `json:"version"`
	Labels    map[string]string `json:"labels,omitempty"`
	Image     string            `json:"image"`
	Limits    limits            `json:"limits,omitzero"`
	Grants    grants            `json:"grants,omitzero"`
	Runs      int               `json:"runs"`
	Most      int               `json:"most"`
	Idle      time.Duration     `json:"idle_ns"`
}

// spec is a driver.Spec, less its Resident.
type spec struct {
	Name    string            `json:"name,omitzero"`
	Labels  map[string]string `json:"labels,omitempty"`
	Made    string            `json:"made,omitzero"`
	Image   string            `json:"image"`
	Command []string          `json:"command,omitempty"`
	Env     []string          `json:"env,omitempty"`
	Limits  limits            `json:"limits,omitzero"`
	Grants  grants            `json:"grants,omitzero"`
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

// grants is a driver.Grants.
type grants struct {
	Capabilities []string         `json:"capabilities,omitempty"`
	Mounts       []openflow.Mount `json:"mounts,omitempty"`
	Networks     []string         `json:"networks,omitempty"`
}

func specOf(s driver.Spec) spec {
	return spec{Name: s.Name, Labels: s.Labels, Made: s.Made, Image: s.Image, Command: s.Command, Env: s.Env, Limits: limits(s.Limits), Grants: grants(s.Grants)}
}

func (s spec) decode() driver.Spec {
	return driver.Spec{Name: s.Name, Labels: s.Labels, Made: s.Made, Image: s.Image, Command: s.Command, Env: s.Env, Limits: driver.Limits(s.Limits), Grants: driver.Grants(s.Grants)}
}

func residencyOf(r driver.Residency) residency {
	return residency{
		Group: r.Group, Component: r.Component, Provider: r.Provider.Name, Version: r.Provider.Version, Labels: r.Labels, Image: r.Image,
		Limits: limits(r.Limits), Grants: grants(r.Grants), Runs: r.Runs, Most: r.Most, Idle: r.Idle,
	}
}

// of is the provider.
func (r residency) of() openflow.ProviderRef {
	return openflow.ProviderRef{Name: r.Provider, Version: r.Version}
}

// shown names the component for people.
func (r residency) shown() string { return r.Component + " of provider " + r.of().String() }

// same reports whether two are of one component, in whatever group.
func (r residency) same(o residency) bool { return r.Component == o.Component && r.of() == o.of() }

// id is what the container knows the run by: readable, and never used again, also where the name is.
func (r run) id() string {
	name := r.Spec.Name
	if len(name) > 80 {
		name = name[:80]
	}
	return name + "-" + r.Token
}

// state is the place of the run in its life.
func (r run) state() driver.State {
	switch {
	case r.Ended != nil:
		return driver.StateExited
	case r.Container == "" && !r.Alone:
		return driver.StateCreated
	}
	return driver.StateRunning
}

// status is one look at the run.
func (r run) status() driver.Status {
	st := driver.Status{
		Name: r.Spec.Name, Labels: r.Spec.Labels, Made: r.Spec.Made, State: r.state(), Resident: true, Created: r.Created, Started: r.Started,
	}
	if e := r.Ended; e != nil {
		st.ExitCode, st.Interrupted, st.Reason, st.Finished = e.ExitCode, e.Interrupted, e.Reason, e.Finished
	}
	return st
}

// folder is where the records are.
type folder struct{ path string }

const (
	runs       = "runs"
	containers = "containers"
	suffix     = ".json"
)

// make makes the folder. What a process has left that ended while it wrote a record goes: it may be what a run is told.
func (f folder) make() error {
	for _, sub := range []string{runs, containers} {
		if err := os.MkdirAll(filepath.Join(f.path, sub), 0o700); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "the folder of resident containers: %w", err)
		}
	}
	return f.locked(func() error {
		for _, sub := range []string{runs, containers} {
			if err := sweep(filepath.Join(f.path, sub)); err != nil {
				return openflow.Errorf(openflow.CodeInternal, "the folder of resident containers: %w", err)
			}
		}
		return nil
	})
}

// sweep removes what is no record, and was to become one. It is called with the records locked: nobody writes.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.Contains(e.Name(), suffix+".") && !strings.HasSuffix(e.Name(), suffix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// locked keeps every other change of records out meanwhile, also another process's. It is held for a few small files.
func (f folder) locked(do func() error) error {
	file, err := os.OpenFile(filepath.Join(f.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the folder of resident containers: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		err = do()
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // a child between its fork and its exec may have the file too
	}
	return errors.Join(err, file.Close())
}

func (f folder) file(kind, name string) string { return filepath.Join(f.path, kind, name+suffix) }

// run reads the record of a run. A name that nothing can have has none.
func (f folder) run(name string) (r run, ok bool, err error) {
	if driver.ValidateName(name) != nil {
		return r, false, nil
	}
	ok, err = read(f.file(runs, name), &r)
	return r, ok, err
}

func (f folder) container(name string) (c container, ok bool, err error) {
	ok, err = read(f.file(containers, name), &c)
	return c, ok, err
}

func (f folder) keepRun(r run) error             { return write(f.file(runs, r.Spec.Name), r) }
func (f folder) keepContainer(c container) error { return write(f.file(containers, c.Name), c) }

func (f folder) forget(kind, name string) error {
	err := os.Remove(f.file(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f folder) runs() ([]run, error) { return all(f.run, filepath.Join(f.path, runs)) }
func (f folder) containers() ([]container, error) {
	return all(f.container, filepath.Join(f.path, containers))
}

// all reads every record of a folder, by name.
func all[T any](one func(name string) (T, bool, error), dir string) ([]T, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, openflow.Errorf(openflow.CodeInternal, "the folder of resident containers: %w", err)
	}
	var list []T
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), suffix)
		if !is {
			continue
		}
		record, ok, err := one(name)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, record)
		}
	}
	return list, nil
}

// read reads a record. One that a power failure has cut is none: what it was of has ended with the machine.
func read(path string, into any) (ok bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) {
		return false, nil
	}
	if err != nil {
		return false, openflow.Errorf(openflow.CodeInternal, "the record of a resident container: %w", err)
	}
	return json.Unmarshal(data, into) == nil, nil
}

// write puts a record in its place at once.
func write(path string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	fresh := path + "." + rand.Text()
	if err = os.WriteFile(fresh, data, 0o600); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // it may not be there
		return openflow.Errorf(openflow.CodeInternal, "the record of a resident container: %w", err)
	}
	return nil
}
