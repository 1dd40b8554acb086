package fake

import (
	"context"
	"fmt"
	"path/filepath"

	"openflow"
	"openflow/runtime/driver"
)

// Name is the kind of this runtime.
const Name = "fake"

// Opener implements driver.Opener. By default its containers are on this machine, as processes are.
type Opener struct {
	// Containers are those of all Hosts that it opens; nil: none, and every plan is the zero Plan.
	Containers *Runtime
	// Cluster makes them containers of no machine: they have no gateway, and any replica may follow them.
	Cluster bool
	// Ahead has containers made before their time.
	Ahead bool
	// Resources are what containers share; the zero value: this machine.
	Resources openflow.Resources
	// Exposed says that it isolates nothing, as processes do.
	Exposed bool
	// Single has it give each run a container of its own: it has no resident ones.
	Single bool
	// Away is why it cannot be used here; nil: it can.
	Away error
}

var _ driver.Opener = Opener{}

// Kind implements driver.Opener.
func (Opener) Kind() string { return Name }

// Traits implements driver.Opener.
func (o Opener) Traits() driver.Traits {
	if o.Cluster {
		return driver.Traits{Device: "k8s", Followers: driver.AnyReplica, Ahead: o.Ahead, Isolates: !o.Exposed}
	}
	return driver.Traits{Device: "local", Followers: driver.ThisMachine, Ahead: o.Ahead, Isolates: !o.Exposed}
}

// Open implements driver.Opener.
func (o Opener) Open(_ context.Context, with driver.Options) (driver.Host, error) {
	if o.Away != nil {
		return nil, o.Away
	}
	if o.Containers == nil {
		o.Containers = New(nil)
	}
	h := host{&Runtime{o.Containers.m, with.Node}, o}
	if o.Single {
		return struct{ driver.Host }{h}, nil
	}
	return h, nil
}

// Probe implements driver.Opener.
func (o Opener) Probe(context.Context) (string, error) {
	return "every task is a function of a test", o.Away
}

// Vacate implements driver.Opener.
func (o Opener) Vacate(_ context.Context, of driver.Options) ([]string, error) {
	if o.Containers == nil || o.Cluster || o.Away != nil {
		return nil, o.Away
	}
	n := o.Containers.m.discard(of.Node)
	if n == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("%d containers", n)}, nil
}

// VacateGone implements driver.Opener: memory does not outlive its node.
func (Opener) VacateGone(context.Context, driver.Options) ([]string, error) { return nil, nil }

// discard ends and removes the containers of a node, and counts them.
func (m *machine) discard(node string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, c := range m.containers {
		if c.node != node {
			continue
		}
		n++
		delete(m.containers, name)
		select {
		case <-c.killed:
		default:
			close(c.killed)
		}
		c.change(func(*driver.Status) {})
	}
	return n
}

var _ driver.Residence = host{}

// host implements driver.Host, and driver.Residence.
type host struct {
	*Runtime
	opener Opener
}

// Gateway implements driver.Host.
func (h host) Gateway(context.Context) (driver.Gateway, error) {
	if h.opener.Cluster {
		return driver.Gateway{}, nil
	}
	return driver.Gateway{Listen: "127.0.0.1", Host: "127.0.0.1"}, nil
}

// Bring implements driver.Host: plans say what runs.
func (host) Bring(_ context.Context, program string) (string, error) { return program, nil }

// Ask implements driver.Host. A program that is a file is run; plans play every other one.
func (h host) Ask(ctx context.Context, q driver.Question) (driver.Answer, error) {
	if filepath.IsAbs(q.Image) {
		return driver.AskHere(ctx, q)
	}
	spec := driver.Spec{Image: q.Image, Command: q.Command}
	plan := h.m.plan(spec)
	if plan.Run == nil {
		return driver.Answer{ExitCode: plan.ExitCode}, nil
	}
	return hear(ctx, q, plan.Run, spec)
}

// hear runs a program to its end, or to the moment when it has said too much.
func hear(ctx context.Context, q driver.Question, run Program, spec driver.Spec) (driver.Answer, error) {
	limited, enough := context.WithCancel(ctx)
	defer enough()
	heard, ended := driver.NewHearing(q, enough), make(chan int, 1)
	go func() { ended <- run(limited, spec, &heard.Text, &heard.Complaint) }()
	select {
	case code := <-ended:
		return heard.Answer(code), nil
	case <-ctx.Done():
		return driver.Answer{}, ctx.Err()
	}
}

// Confine implements driver.Host.
func (host) Confine(context.Context, int) ([]string, error) { return nil, nil }

// Resources implements driver.Host.
func (h host) Resources(context.Context) (openflow.Resources, error) { return h.opener.Resources, nil }

// Examine implements driver.Host.
func (host) Examine(context.Context) []openflow.Finding {
	return []openflow.Finding{{Check: "runtime", Verdict: openflow.VerdictOK, Detail: "containers are in memory"}}
}

// Trim implements driver.Host.
func (host) Trim(context.Context) error { return nil }

// Close implements driver.Host.
func (host) Close() error { return nil }
