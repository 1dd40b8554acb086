package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/moby/moby/client"

	"openflow"
	"openflow/docker"
	"openflow/node/fleet"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/runtime/process"
	"openflow/sdk"
)

// residents are what one more no-op task of two parties costs in each way, in milliseconds.
type residents struct {
	Process  float64 `json:"process_ms"`
	Own      float64 `json:"container_per_task_ms"`
	Resident float64 `json:"resident_ms"`
	Started  int     `json:"containers_started"` // while the tasks in resident containers ran
	Tasks    int     `json:"tasks"`              // that ran meanwhile, over both parties
}

// measureResidents runs chains of one component in three ways: as processes, in containers of their own, and in a container that
// stays. nil: there is no Docker daemon.
func measureResidents(ctx context.Context, o options, dir string) (*residents, error) {
	api, err := client.New(client.WithHostFromEnv())
	if err != nil {
		return nil, err
	}
	defer func() { _ = api.Close() }() // it has nothing open
	if _, err := api.Ping(ctx, client.PingOptions{}); err != nil {
		fmt.Println("no Docker daemon - resident containers are left out")
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "acme")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "openflow/tests/env/acme")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("acme: %w: %s", err, out)
	}
	var r residents
	trusting := o
	trusting.flags = append(append([]string{}, o.flags...), "--trust-provider", "acme")
	err = staying(ctx, trusting, dir+"-process", program, process.Opener{}, func(n *fleet.Fleet) (err error) {
		r.Process, err = share(ctx, stayingSubject{nodeSubject{n.Nodes[0].Client()}, openflow.WayTask}, o.runs)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = staying(ctx, o, dir+"-docker", program, docker.Opener{}, func(n *fleet.Fleet) (err error) {
		s := nodeSubject{n.Nodes[0].Client()}
		if err := warmUp(ctx, stayingSubject{s, openflow.WayResident}); err != nil { // which starts the containers
			return err
		}
		begun := time.Now()
		if r.Resident, err = share(ctx, stayingSubject{s, openflow.WayResident}, o.runs); err != nil {
			return err
		}
		r.Tasks = 2 * (5*2 + o.runs*11)
		if r.Started, err = started(ctx, api, begun); err != nil {
			return err
		}
		r.Own, err = share(ctx, stayingSubject{s, openflow.WayTask}, min(o.runs, 3))
		return err
	})
	return &r, err
}

// staying runs a pair of nodes that both have the program.
func staying(ctx context.Context, o options, dir, program string, runtime driver.Opener, do func(*fleet.Fleet) error) error {
	p, err := startPair(ctx, o, dir, runtime)
	if err != nil {
		return err
	}
	for _, n := range p.Nodes {
		if _, e := n.Client().RegisterProvider(ctx, sdk.Registration{Name: "acme", Place: program}); e != nil {
			err = errors.Join(err, e)
		}
	}
	if err == nil {
		err = do(p)
	}
	err = errors.Join(err, p.Stop())
	if runtime.Kind() == docker.Name {
		err = errors.Join(err, p.RemoveContainers(ctx))
	}
	return err
}

// share is what one more task of a chain costs, in milliseconds.
func share(ctx context.Context, s subject, runs int) (float64, error) {
	if err := warmUp(ctx, s); err != nil {
		return 0, err
	}
	one, err := medianChain(ctx, s, 1, runs)
	if err != nil {
		return 0, err
	}
	ten, err := medianChain(ctx, s, 10, runs)
	return (ten - one) / 9 * 1000, err
}

// started counts the containers of nodes that have been started since a moment.
func started(ctx context.Context, api *client.Client, since time.Time) (n int, err error) {
	stream := api.Events(ctx, client.EventsListOptions{
		Since: since.Format(time.RFC3339Nano), Until: time.Now().Format(time.RFC3339Nano),
		Filters: make(client.Filters).Add("type", "container").Add("event", "start").Add("label", launch.LabelNode),
	})
	for {
		select {
		case <-stream.Messages:
			n++
		case err := <-stream.Err: // the end of the list
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
	}
}

// stayingSubject is openflow with tasks whose container may serve others too.
type stayingSubject struct {
	nodeSubject
	way openflow.Way
}

func (s stayingSubject) submit(ctx context.Context, _ string, tasks int) (string, error) {
	dag, err := noops(tasks, openflow.Parameters{"word": "x"})
	if err != nil {
		return "", err
	}
	for i := range dag.Tasks {
		dag.Tasks[i].Component, dag.Tasks[i].Conf.Way = "stay", s.way
	}
	made, err := s.client.Submit(ctx, dag, "")
	return string(made.ID), err
}

// lines are the rows of the table.
func (r *residents) lines() []line {
	if r == nil {
		return nil
	}
	more := func(ms float64) string {
		return fmt.Sprintf("%+.0f ms to the %.0f ms of a process", ms-r.Process, r.Process)
	}
	return []line{
		{"no-op task in a resident container, ms", "–", "–", fmt.Sprintf("%.0f", r.Resident), more(r.Resident), "+ 30 ms"},
		{"no-op task in a container of its own, ms", "–", "–", fmt.Sprintf("%.0f", r.Own), more(r.Own), "–"},
		{fmt.Sprintf("containers started for %d tasks that share two", r.Tasks), "–", "–", fmt.Sprint(r.Started), "–", "0"},
	}
}
