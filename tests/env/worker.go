package env

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/node"
	"openflow/runtime/driver"
	"openflow/runtime/process"
	"openflow/site/trust"
)

// WorkerHome is the folder of a machine of the party's pool.
func (e *Env) WorkerHome(id, machine string) string {
	return filepath.Join(e.dir, "worker-"+id+"-"+machine)
}

// StartWorker starts the worker of a machine of a party's pool, with one core, and ends it with the test. Starts counts
// its programs among those of the party.
func (e *Env) StartWorker(t testing.TB, id, machine string, labels ...string) *node.Worker {
	t.Helper()
	return e.StartWorkerOf(t, process.Opener{}, id, machine, labels...)
}

// StartWorkerOf starts one with that runtime.
func (e *Env) StartWorkerOf(t testing.TB, runtime driver.Opener, id, machine string, labels ...string) *node.Worker {
	t.Helper()
	_, token, err := trust.LoadOrCreateWorkerToken(e.Home(id))
	require.NoError(t, err)
	home := e.WorkerHome(id, machine)
	c := node.WorkerConfig{
		Site: "https://" + e.configs[id].Workers, Token: trust.HandOut(token, e.Key(t, id).Public()), Home: home, Labels: labels, Runtime: runtime, Dialects: e.configs[id].Dialects,
		Components: e.witness[id].Program, Trusted: e.set.trusted, Cores: 1, Version: "test",
		Log: slog.New(slog.NewTextHandler(e.log, nil)).With("worker", machine),
	}
	if e.set.spans != nil {
		c.Spans = e.set.spans(id)
	}
	w, err := node.StartWorker(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		if err := w.Close(ctx); err != nil {
			t.Errorf("close worker %s: %v", machine, err)
		}
		EndTasks(t, home)
	})
	return w
}
