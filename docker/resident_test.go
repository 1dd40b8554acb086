package docker

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/residence"
	"openflow/runtime/driver"
	"openflow/tests/images"
)

// acme is an archive of a vendor's image whose component stay is resident.
func acme(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "acme")
	build := exec.Command("go", "build", "-o", program, "openflow/tests/env/acme")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	return images.Of(t, program)
}

// lodge starts a resident container of an archive, in 256 MiB, and says how it is called.
func lodge(t *testing.T, h driver.Host, archive string) (call func(method, path, body string) (int, string)) {
	img, err := h.LoadArchive(t.Context(), archive)
	require.NoError(t, err)
	s := driver.Spec{
		Name: "openflow-test-" + h.(*host).options.Node, Image: img.ID, Command: []string{residence.Argument},
		Env:    []string{residence.Address + "=0.0.0.0:7070", residence.Key + "=secret"},
		Limits: driver.Limits{CPUs: 2, MemoryBytes: 256 << 20, PIDs: 256, DiskBytes: 16 << 20},
	}
	_, err = h.Confine(t.Context(), 4711)
	require.NoError(t, err)
	_, err = h.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, h.Start(t.Context(), s.Name))
	at, err := h.(driver.Residence).Reach(t.Context(), s.Name, 7070)
	require.NoError(t, err)
	call = func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer secret")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	require.Eventually(t, func() bool {
		code, _ := call("GET", "/v1/ready", "")
		return code == http.StatusOK
	}, 3*time.Minute, 50*time.Millisecond)
	return call
}

// The container's memory is that of all its runs. Of them the kernel ends the one that takes too much, and neither another nor the
// server.
func TestARunWithoutMemoryEndsAlone(t *testing.T) {
	h := opened(t)
	call := lodge(t, h, acme(t))
	begin := func(id string, parameters map[string]any) {
		config, err := json.Marshal(map[string]any{
			"job_id": "j", "task_name": "t", "party_task_id": id, "component": "stay", "role": "guest", "party_id": "9999",
			"parameters": parameters, "mlmd": map[string]any{"metadata": map[string]string{"host": "192.0.2.1", "port": "1"}},
		})
		require.NoError(t, err)
		body, err := json.Marshal(residence.Begin{Environment: map[string]string{"CONFIG": string(config), "OPENFLOW_CREDENTIAL": "of-" + id}})
		require.NoError(t, err)
		code, text := call("PUT", "/v1/runs/"+id, string(body))
		require.Equal(t, http.StatusCreated, code, text)
	}
	look := func(path string) (one residence.Run) {
		code, text := call("GET", path, "")
		require.Equal(t, http.StatusOK, code, text)
		require.NoError(t, json.Unmarshal([]byte(text), &one))
		return one
	}
	begin("waits", map[string]any{"word": "a", "while": "/proc/self/status", "take": 16})
	begin("takes", map[string]any{"word": "a", "take": 1024})
	one := look("/v1/runs/takes?wait=60")
	require.Equal(t, residence.Ended, one.State)
	require.Equal(t, 137, one.ExitCode, "the kernel has ended it")
	beside := look("/v1/runs/waits")
	_, log := call("GET", "/v1/runs/waits/log?stream=stderr", "")
	require.Equal(t, residence.Running, beside.State, "%+v: %s", beside, log)
	code, _ := call("GET", "/v1/live", "")
	require.Equal(t, http.StatusOK, code)

	code, _ = call("POST", "/v1/runs/waits/stop", `{"grace":60000}`)
	require.Equal(t, http.StatusAccepted, code)
	_, log = call("GET", "/v1/runs/waits/log?stream=stderr", "")
	require.Equal(t, 143, look("/v1/runs/waits?wait=60").ExitCode, log)
}
