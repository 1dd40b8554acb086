package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"openflow"
	"openflow/node/fleet"
	"openflow/runtime/process"
	"openflow/sdk"
	"openflow/site/trust"
)

// measurePool kills the only worker of a pool with −9 while its task works. It measures from the start of the worker's
// next process until that has adopted the task, has taken its result, and the job has ended: in seconds, median of
// three.
func measurePool(ctx context.Context, o options, dir string) (float64, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	o.flags = []string{"--no-tasks", "--listen-workers", at}
	f, err := startFleet(ctx, o, dir, process.Opener{}, "9999")
	if err != nil {
		return 0, err
	}
	w := worker{options: o, site: "https://" + at, token: filepath.Join(dir, "worker.token"), home: filepath.Join(dir, "worker")}
	seconds := 0.0
	if err = handOut(f.Nodes[0].Home, w.token); err == nil {
		seconds, err = w.adoptions(ctx, f)
	}
	return seconds, errors.Join(err, w.kill(), f.Stop())
}

// handOut writes the worker token of the node with that home as its operator would give it away.
func handOut(home, file string) error {
	_, token, err := trust.LoadOrCreateWorkerToken(home)
	if err != nil {
		return err
	}
	key, err := trust.LoadOrCreateKey(home)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(trust.HandOut(token, key.Public())), 0o600)
}

// worker is a machine of the pool: a process on this one.
type worker struct {
	options
	site, token, home string

	process *exec.Cmd
}

func (w *worker) start(ctx context.Context) error {
	w.process = exec.CommandContext(ctx, filepath.Join(w.bin, "openflow"), "worker", "--site", w.site, "--token-file", w.token,
		"--home", w.home, "--runtime", process.Name, "--components", filepath.Join(w.bin, "openflow-components"), "--log-level", "error")
	return w.process.Start()
}

func (w *worker) kill() error {
	if w.process == nil {
		return nil
	}
	err := w.process.Process.Kill()
	_ = w.process.Wait() // it says that it was killed
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (w *worker) adoptions(ctx context.Context, f *fleet.Fleet) (float64, error) {
	client := f.Nodes[0].Client()
	if err := w.start(ctx); err != nil {
		return 0, err
	}
	var times []time.Duration
	for range 3 {
		dag, err := noopsAt([]openflow.Party{sdk.Guest("9999")}, 1, openflow.Parameters{"sleep_ms": taskSleep.Milliseconds()})
		if err != nil {
			return 0, err
		}
		made, err := client.Submit(ctx, dag, "")
		if err != nil {
			return 0, err
		}
		if _, err := programs(ctx, string(made.ID), 1); err != nil {
			return 0, err
		}
		if err := w.kill(); err != nil {
			return 0, err
		}
		if err := pause(ctx, taskSleep); err != nil { // its program has ended its work, and nobody has noticed
			return 0, err
		}
		begun := time.Now()
		if err := w.start(ctx); err != nil {
			return 0, err
		}
		end, err := client.Watch(ctx, made.ID, func(sdk.Snapshot) {})
		if err != nil {
			return 0, err
		}
		if end.Status() != openflow.JobSuccess {
			return 0, fmt.Errorf("job %s is %s: %s", made.ID, end.Status(), end.Reason())
		}
		times = append(times, time.Since(begun))
	}
	return middle(times).Seconds(), nil
}
