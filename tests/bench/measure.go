package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/node/fleet"
	"openflow/runtime/driver"
	"openflow/temporal/loopback"
)

// measureFloor builds and runs the yardstick; nil where its source is not at hand.
func measureFloor(ctx context.Context, o options, dir string) (*chains, error) {
	if _, err := os.Stat(filepath.Join(o.floor, "main.go")); err != nil {
		fmt.Println("no floor at", o.floor, "- ratios are left out")
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for name, pkg := range map[string]string{"floor": ".", "noop": "./noop"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), pkg)
		cmd.Dir, cmd.Env = o.floor, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod -buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("floor: %w: %s", err, out)
		}
	}
	var f floorSubject
	for range 2 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "floor"), "-port", fmt.Sprint(port),
			"-file", filepath.Join(dir, fmt.Sprint(port, ".db")), "-program", filepath.Join(dir, "noop"))
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		defer func() { _ = errors.Join(cmd.Process.Kill(), cmd.Wait()) }() // the yardstick keeps nothing
		if _, err := out.Read(make([]byte, 16)); err != nil {              // "ready"
			return nil, err
		}
		f.nodes = append(f.nodes, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	c, err := measure(ctx, f, o.runs, true)
	if err != nil {
		return nil, fmt.Errorf("the floor: %w", err)
	}
	return &c, nil
}

// freePort is a port that was free a moment ago.
func freePort() (int, error) {
	ports, err := loopback.FreePorts(1, nil)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// figures are those of a pair of nodes.
type figures struct {
	chains
	IdleMB         float64 `json:"idle_mb"`
	IdleCPU        float64 `json:"idle_cpu_percent"`
	AfterMB        float64 `json:"after_burst_mb"`
	ExitToVisible  float64 `json:"exit_to_visible_ms"`
	KillToFollowed float64 `json:"kill_to_followed_s"`
	Containers20   float64 `json:"containers_20_s,omitempty"`
}

// idleFor is how long nodes are watched before their first job.
const idleFor = 10 * time.Second

func measureNodes(ctx context.Context, o options, dir string, runtime driver.Opener) (*figures, error) {
	p, err := startPair(ctx, o, dir, runtime)
	if err != nil {
		return nil, err
	}
	var f figures
	err = f.of(ctx, o, p)
	return &f, errors.Join(err, p.Stop())
}

func (f *figures) of(ctx context.Context, o options, p *fleet.Fleet) error {
	if err := f.idle(ctx, p); err != nil {
		return err
	}
	var err error
	if f.chains, err = measure(ctx, nodeSubject{p.Nodes[0].Client()}, o.runs, true); err != nil {
		return fmt.Errorf("openflow: %w", err)
	}
	if f.AfterMB, _, err = usage(p.Nodes[0].PID()); err != nil {
		return err
	}
	if f.ExitToVisible, err = exitToVisible(ctx, p, o.runs); err != nil {
		return err
	}
	f.KillToFollowed, err = killToFollowed(ctx, p)
	return err
}

func (f *figures) idle(ctx context.Context, p *fleet.Fleet) error {
	pid := p.Nodes[1].PID()
	_, before, err := usage(pid)
	if err != nil {
		return err
	}
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		return ctx.Err()
	}
	mb, after, err := usage(pid)
	f.IdleMB, f.IdleCPU = mb, (after-before)/idleFor.Seconds()*100
	return err
}

// exitToVisible is the time from the exit of the last program of a job to the job's end being visible at both parties,
// median, in milliseconds.
func exitToVisible(ctx context.Context, p *fleet.Fleet, runs int) (float64, error) {
	var times []time.Duration
	for range runs {
		d, err := exitOnce(ctx, p)
		if err != nil {
			return 0, err
		}
		times = append(times, d)
	}
	return float64(middle(times).Microseconds()) / 1000, nil
}

func exitOnce(ctx context.Context, p *fleet.Fleet) (time.Duration, error) {
	dag, err := noops(1, openflow.Parameters{"sleep_ms": 300})
	if err != nil {
		return 0, err
	}
	made, err := p.Nodes[0].Client().Submit(ctx, dag, "")
	if err != nil {
		return 0, err
	}
	pids, err := programs(ctx, string(made.ID), 2)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		for alive(pid) {
			if err := pause(ctx, time.Millisecond); err != nil {
				return 0, err
			}
		}
	}
	begun := time.Now()
	for _, n := range p.Nodes {
		for {
			rows, err := n.Client().Job(ctx, made.ID)
			if err != nil {
				return 0, err
			}
			if rows[0].Status == string(openflow.JobSuccess) {
				break
			}
			if err := pause(ctx, time.Millisecond); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(begun), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// programs finds the processes of a job's tasks by the configuration in their environment.
func programs(ctx context.Context, job string, n int) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var pids []int
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			var pid int
			if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
				continue
			}
			exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
			if err != nil || filepath.Base(filepath.Dir(exe)) != "programs" { // of the home: a run is started with a copy
				continue
			}
			env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
			if err == nil && strings.Contains(string(env), job) {
				pids = append(pids, pid)
			}
		}
		if len(pids) >= n {
			return pids, nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// taskSleep is how long the task of killToFollowed works.
const taskSleep = 500 * time.Millisecond

// killToFollowed kills the scheduler's node with −9 in the middle of a task, and measures from the start of the next
// process until it has adopted the task, taken its result and ended the job.
func killToFollowed(ctx context.Context, p *fleet.Fleet) (float64, error) {
	var times []time.Duration
	for range 3 {
		dag, err := noops(1, openflow.Parameters{"sleep_ms": taskSleep.Milliseconds()})
		if err != nil {
			return 0, err
		}
		made, err := p.Nodes[0].Client().Submit(ctx, dag, "")
		if err != nil {
			return 0, err
		}
		if _, err := programs(ctx, string(made.ID), 2); err != nil {
			return 0, err
		}
		if err := p.Nodes[0].Kill(); err != nil {
			return 0, err
		}
		if err := pause(ctx, taskSleep); err != nil { // its program has ended its work and offers the result to nobody
			return 0, err
		}
		begun := time.Now()
		if err := p.StartNode(p.Nodes[0]); err != nil {
			return 0, err
		}
		if err := p.Nodes[0].Ready(ctx); err != nil {
			return 0, err
		}
		for {
			rows, err := p.Nodes[0].Client().Job(ctx, made.ID)
			if err == nil && openflow.JobStatus(rows[0].Status).Terminal() {
				break
			}
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return 0, err
			}
		}
		times = append(times, time.Since(begun))
	}
	return middle(times).Seconds(), nil
}

// measureDocker runs chains in containers, and the same number of bare containers in the same run.
func measureDocker(ctx context.Context, o options, dir string) (*figures, error) {
	bare, err := bareContainers(ctx, o)
	if openflow.CodeOf(err) == openflow.CodeUnavailable {
		fmt.Println("no Docker daemon - chains in containers are left out")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := startPair(ctx, o, dir, docker.Opener{})
	if err != nil {
		return nil, err
	}
	f := figures{Containers20: bare}
	f.chains, err = measure(ctx, nodeSubject{p.Nodes[0].Client()}, 3, false)
	return &f, errors.Join(err, p.Stop(), p.RemoveContainers(ctx))
}

// bareContainers is the time from create to exit known of 20 containers, two at a time.
func bareContainers(ctx context.Context, o options) (float64, error) {
	rt, err := engine.New(ctx, engine.Options{Network: "openflow-bench", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(rt.RemoveNetwork(ctx), rt.Close()) }() // a leftover network harms nobody
	program, err := os.ReadFile(filepath.Join(o.bin, "openflow-components"))
	if err != nil {
		return 0, err
	}
	img, err := image.Build(program, image.Options{})
	if err != nil {
		return 0, err
	}
	if _, err := rt.LoadImage(ctx, strings.NewReader(string(img.Tar))); err != nil {
		return 0, err
	}
	begun := time.Now()
	for i := range 10 {
		var two errgroup.Group
		for j := range 2 {
			two.Go(func() error { return oneContainer(ctx, rt, img.ID, fmt.Sprintf("openflow-bench-%d-%d", i, j)) })
		}
		if err := two.Wait(); err != nil {
			return 0, err
		}
	}
	return time.Since(begun).Seconds(), nil
}

func oneContainer(ctx context.Context, rt driver.Runtime, id, name string) error {
	spec := driver.Spec{Name: name, Image: id, Command: []string{"list"}, Labels: map[string]string{"openflow.bench": "1"}}
	if _, err := rt.Ensure(ctx, spec); err != nil {
		return err
	}
	if err := rt.Start(ctx, name); err != nil {
		return err
	}
	if _, err := rt.Wait(ctx, name); err != nil {
		return err
	}
	return rt.Remove(ctx, name)
}
