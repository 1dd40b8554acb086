package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"openflow"
	"openflow/runtime/driver"
)

// New returns a Runtime whose containers live below dir, which is created if missing and readable by its owner only:
// specs hold credentials. Two Runtimes on one folder, also in two processes, share its containers.
//
// Spec.Image is the absolute path of an executable, Spec.Command its arguments. The program sees exactly Spec.Env, PATH
// (the node's, unless Spec.Env has one), the two variables that say which GPUs it may use, and what /bin/sh adds of its
// own (PWD). Its working directory is an empty folder, removed with the container; stdin is empty.
func New(dir string) (driver.Runtime, error) {
	rt, err := open(dir)
	if err != nil {
		return nil, err
	}
	return rt, nil
}

// Name is the kind of this runtime.
const Name = "process"

// Opener implements driver.Opener. Containers of a home are in its folder tasks.
type Opener struct{}

var _ driver.Opener = Opener{}

// Kind implements driver.Opener.
func (Opener) Kind() string { return Name }

// Traits implements driver.Opener.
func (Opener) Traits() driver.Traits {
	return driver.Traits{Device: "local", Followers: driver.ThisMachine}
}

// Open implements driver.Opener.
func (Opener) Open(_ context.Context, o driver.Options) (driver.Host, error) {
	rt, err := open(folderOf(o))
	if err != nil {
		return nil, err
	}
	return host{rt, driver.NoImages{Runtime: Name}}, nil
}

func folderOf(o driver.Options) string { return filepath.Join(o.Home, "tasks") }

// Probe implements driver.Opener: wherever the program itself runs, its processes do.
func (Opener) Probe(context.Context) (string, error) {
	return "every task is a process of this user; it isolates nothing", nil
}

// Vacate implements driver.Opener. Programs run outside of the home, though what is kept of them is in it.
func (Opener) Vacate(ctx context.Context, o driver.Options) ([]string, error) {
	if _, err := os.Stat(folderOf(o)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	rt, err := open(folderOf(o))
	if err != nil {
		return nil, err
	}
	list, err := rt.List(ctx, nil)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	for _, c := range list {
		if err := rt.Stop(ctx, c.Name, 0); err != nil {
			return nil, err
		}
		if err := rt.Remove(ctx, c.Name); err != nil {
			return nil, err
		}
	}
	return []string{fmt.Sprintf("%d programs", len(list))}, nil
}

// VacateGone implements driver.Opener. With its home, all that is known of a program is gone.
func (Opener) VacateGone(context.Context, driver.Options) ([]string, error) { return nil, nil }

// host implements driver.Host: a machine and its user, as they are.
type host struct {
	*supervised
	driver.NoImages
}

// Gateway implements driver.Host.
func (host) Gateway(context.Context) (driver.Gateway, error) {
	return driver.Gateway{Listen: "127.0.0.1", Host: "127.0.0.1"}, nil
}

// Bring implements driver.Host: the program is there.
func (host) Bring(_ context.Context, program string) (string, error) { return program, nil }

// Ask implements driver.Host: as this user, with this machine's files and network.
func (host) Ask(ctx context.Context, q driver.Question) (driver.Answer, error) {
	return driver.AskHere(ctx, q)
}

// Confine implements driver.Host: it limits nothing, and says so.
func (host) Confine(context.Context, int) ([]string, error) {
	return []string{"the process runtime isolates nothing: tasks run as this user, with this machine's files and network"}, nil
}

// Resources implements driver.Host.
func (host) Resources(context.Context) (openflow.Resources, error) { return openflow.Resources{}, nil }

// Examine implements driver.Host.
func (host) Examine(context.Context) []openflow.Finding {
	return []openflow.Finding{{
		Check: "isolation", Verdict: openflow.VerdictWarn,
		Detail: "the process runtime isolates nothing: tasks run as the node's user",
		Remedy: "use --runtime docker for algorithms and partners that are not trusted",
	}}
}

// Close implements driver.Host.
func (host) Close() error { return nil }
