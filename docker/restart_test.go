package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine/enginetest"
	"openflow/runtime/driver"
	"openflow/runtime/resident"
	"openflow/sdk/httpclient"
)

// A daemon that restarts without live-restore takes a resident container along, and its runs with it. They say so, whoever waited.
// The next run is served by another container, and the one that has ended does not stay.
func TestResidentContainersOutliveNoDaemon(t *testing.T) {
	archive := acme(t)
	d := enginetest.New(t)
	t.Setenv("DOCKER_HOST", d.Host())
	machine := opened(t)
	h, err := resident.Over(machine, resident.Options{
		Node: machine.(*host).options.Node, Folder: filepath.Join(t.TempDir(), "resident"), Log: slog.New(slog.DiscardHandler),
		HTTP: func(meet func(context.Context, net.Conn) error) *http.Client {
			return httpclient.New(httpclient.Options{Meet: meet})
		},
		Times: resident.Times{Look: 100 * time.Millisecond, Live: 100 * time.Millisecond},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	_, err = h.Confine(t.Context(), 4711)
	require.NoError(t, err)
	img, err := h.LoadArchive(t.Context(), archive)
	require.NoError(t, err)

	begin := func(name string) {
		config, err := json.Marshal(map[string]any{
			"job_id": "j", "task_name": "t", "party_task_id": name, "component": "stay", "role": "guest", "party_id": "9999",
			"parameters": map[string]any{"word": "a", "while": "/proc/self/status"},
			"mlmd":       map[string]any{"metadata": map[string]string{"host": "192.0.2.1", "port": "1"}},
		})
		require.NoError(t, err)
		limits := driver.Limits{CPUs: 2, MemoryBytes: 256 << 20, PIDs: 256, DiskBytes: 16 << 20}
		_, err = h.Ensure(t.Context(), driver.Spec{
			Name: name, Image: img.ID, Command: []string{"run"}, Env: []string{"CONFIG=" + string(config), "OPENFLOW_CREDENTIAL=of-" + name}, Limits: limits,
			Resident: &driver.Residency{
				Group: "stay", Component: "stay", Provider: openflow.ProviderRef{Name: "acme", Version: "1.0.0"}, Image: img.ID,
				Limits: limits, Runs: 4, Most: 1, Idle: time.Hour,
			},
		})
		require.NoError(t, err)
		require.NoError(t, h.Start(t.Context(), name))
	}
	// serving is the container that serves, once a run has begun in it. One that it was not told of yet would get its own.
	serving := func(name string) string {
		require.Eventually(t, func() bool {
			var said bytes.Buffer
			require.NoError(t, h.Logs(t.Context(), name, &said, io.Discard))
			return strings.Contains(said.String(), "waits")
		}, 3*time.Minute, 20*time.Millisecond)
		st, err := h.Inspect(t.Context(), name)
		require.NoError(t, err)
		require.True(t, st.Resident)
		list := h.Serving()
		require.Len(t, list, 1)
		return list[0].Container
	}
	begin("one")
	before := serving("one")
	ended := make(chan driver.Status, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	go func() {
		st, err := h.Wait(ctx, "one")
		if err != nil {
			slog.Error("wait", "err", err)
		}
		ended <- st
	}()
	d.Stop()
	d.Start()
	st := <-ended
	require.True(t, st.Interrupted, "%+v", st)
	require.True(t, st.Resident)
	require.NoError(t, h.Remove(t.Context(), "one"))

	begin("two")
	require.NotEqual(t, before, serving("two"))
	require.NoError(t, h.Stop(ctx, "two", time.Minute))
	st, err = h.Wait(ctx, "two")
	require.NoError(t, err)
	require.Equal(t, 143, st.ExitCode)
	require.False(t, st.Interrupted)
	require.Eventually(t, func() bool {
		list, err := machine.List(t.Context(), map[string]string{driver.LabelResident: machine.(*host).options.Node})
		return err == nil && len(list) == 1 && list[0].Name != before
	}, 3*time.Minute, 20*time.Millisecond)
}
