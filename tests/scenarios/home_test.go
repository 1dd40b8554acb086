package scenarios_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/runtime/process"
	"openflow/site/partner"
	"openflow/site/upkeep"
	"openflow/tests/env"
)

// Every release has left a home in tests/testdata/homes (`make home-fixture`). This version starts on a copy of each: it
// shows the job that had ended, ends the one that ran and the one that waited, and runs a new one.
func TestHomesOfEveryRelease(t *testing.T) {
	files, err := filepath.Glob("../testdata/homes/*.tar.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no homes of released versions")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".tar.gz"), func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "home")
			unpack(t, file, home)
			user := startOn(t, home)

			jobs := map[string]openflow.JobID{}
			var list struct {
				Data []struct {
					JobID  string `json:"job_id"`
					Notes  string `json:"description"`
					Status string `json:"status"`
				} `json:"data"`
			}
			user.OK(user.Get("/v2/job/list/query", "limit", "10", "page", "1"), &list)
			for _, j := range list.Data {
				jobs[j.Notes] = openflow.JobID(j.JobID)
			}
			require.Len(t, jobs, 3, "%v", list)
			user.WaitFor(jobs["done"], openflow.JobSuccess)
			require.Equal(t, map[string]string{"a guest 9999": "success", "b guest 9999": "success"}, user.TaskStatuses(jobs["done"]))
			user.WaitFor(jobs["running"], openflow.JobSuccess)
			user.WaitFor(jobs["waiting"], openflow.JobSuccess)
			user.WaitFor(user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("new", nil))), openflow.JobSuccess)
		})
	}
}

// startOn runs a node of this version on a home until the test ends.
func startOn(t *testing.T, home string) *env.Client {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", env.Ports(t, 1)[0])
	limits := partner.DefaultLimits()
	limits.Cores = 4
	n, err := node.Start(t.Context(), node.Config{
		Party: "9999", Home: home, Listen: listen, Interconnection: "127.0.0.1:0", Base: "127.0.0.1:0", Runtime: process.Opener{},
		Components: env.NewWitness(t, t.TempDir()).Program, Durability: node.DurableProcess, Limits: limits, Timing: env.Timing(),
		Retention: upkeep.Retention{Workflows: time.Hour, Jobs: 200 * 365 * 24 * time.Hour, Logs: 200 * 365 * 24 * time.Hour, Messages: time.Hour, Unstarted: time.Hour},
		Version:   "test", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), env.Patience)
		defer cancel()
		require.NoError(t, n.Close(ctx))
		env.EndTasks(t, home)
	})
	return &env.Client{TB: t, URL: "http://" + listen}
}

func unpack(t *testing.T, file, home string) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		path := filepath.Join(home, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o700))
			continue
		}
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, os.FileMode(h.Mode)))
	}
}
