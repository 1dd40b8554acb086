package images_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// resident is the server of the component in Python, as a process of this machine.
type resident struct {
	base string
	pid  int
	node *httptest.Server // which takes whatever a run says
}

// nobody lets a command run as a container does: as the user nobody, where the test may do that.
func nobody(cmd *exec.Cmd) *exec.Cmd {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return cmd
}

func serve(t *testing.T) resident {
	t.Helper()
	dir, err := os.MkdirTemp("", "python-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	text, err := os.ReadFile(filepath.Join("python", "component.py"))
	require.NoError(t, err)
	program := filepath.Join(dir, "component.py")
	require.NoError(t, os.WriteFile(program, text, 0o644))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	cmd := nobody(exec.Command("/usr/bin/python3", "-I", "-B", program, "serve"))
	cmd.Env, cmd.Stderr = []string{"OPENFLOW_SERVE=" + address, "OPENFLOW_SERVE_KEY=k", "TMPDIR=" + dir}, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.Error(t, cmd.Wait())
		require.Equal(t, 143, cmd.ProcessState.ExitCode())
	})
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"code":0}`) }))
	t.Cleanup(node.Close)
	r := resident{base: "http://" + address + "/v1", pid: cmd.Process.Pid, node: node}
	require.Eventually(t, func() bool {
		answer, err := http.Get(r.base + "/live")
		if err == nil {
			err = answer.Body.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return r
}

func (r resident) call(t *testing.T, method, path, body string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.base+path, strings.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer k")
	answer, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Less(t, answer.StatusCode, 300, "%s %s: %s", method, path, text)
	return string(text)
}

// run starts a run with these parameters beside its word.
func (r resident) run(t *testing.T, id, parameters string) {
	t.Helper()
	host, port, err := net.SplitHostPort(r.node.Listener.Addr().String())
	require.NoError(t, err)
	config := fmt.Sprintf(`{"party_task_id":"x","component":"murmur","role":"guest","party_id":"9999","parameters":{"word":"W"%s},"mlmd":{"metadata":{"host":"%s","port":%s}}}`,
		parameters, host, port)
	body, err := json.Marshal(map[string]any{"environment": map[string]string{"CONFIG": config, "OPENFLOW_CREDENTIAL": "of-" + id}})
	require.NoError(t, err)
	r.call(t, "PUT", "/runs/"+id, string(body))
}

func (r resident) end(t *testing.T, id string) (code int) {
	t.Helper()
	var one struct {
		State string
		Code  int `json:"exit_code"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.call(t, "GET", "/runs/"+id+"?wait=60", "")), &one))
	require.Equal(t, "ended", one.State)
	return one.Code
}

// children are the processes whose parent is the server.
func (r resident) children(t *testing.T) (list []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.pid, r.pid))
	require.NoError(t, err)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.pid))
	require.NoError(t, err)
	for _, path := range threads {
		more, err := os.ReadFile(path)
		if err == nil {
			text = append(append(text, ' '), more...)
		}
	}
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		require.NoError(t, err)
		list = append(list, pid)
	}
	return list
}

// What runs beside the server, as a run that was taken over does, reads neither the secret nor what another run was told, not even
// while that one begins.
func TestSecretsOfThePythonImageAreNotRead(t *testing.T) {
	r := serve(t)
	r.run(t, "other", `,"forever":true`)
	others := r.children(t)
	require.NotEmpty(t, others)
	for _, pid := range append(others, r.pid) {
		for _, file := range []string{"environ", "mem", "maps", "fd"} {
			what := fmt.Sprintf("/proc/%d/%s", pid, file)
			out, err := nobody(exec.Command("ls", "-L", what+"/")).CombinedOutput()
			if file != "fd" {
				out, err = nobody(exec.Command("head", "-c", "1", what)).CombinedOutput()
			}
			require.Error(t, err, what)
			require.Contains(t, string(out), "Permission denied", what)
		}
	}
	r.call(t, "POST", "/runs/other/stop", `{"grace":20000}`)
	require.Equal(t, 143, r.end(t, "other"))
}

// What a run leaves behind ends with it, also where it has left its group. Another run goes on.
func TestWhatARunOfThePythonImageLeaves(t *testing.T) {
	r := serve(t)
	r.run(t, "other", `,"forever":true`)
	r.run(t, "leaves", `,"leave":true`)
	require.Zero(t, r.end(t, "leaves"))
	said := regexp.MustCompile(`left (\d+)`).FindStringSubmatch(r.call(t, "GET", "/runs/leaves/log?stream=stdout", ""))
	require.Len(t, said, 2)
	pid, err := strconv.Atoi(said[1])
	require.NoError(t, err)
	require.True(t, errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), "it goes on")
	require.Contains(t, r.call(t, "GET", "/runs/other", ""), `"running"`)
	r.run(t, "crashes", `,"crash":true`)
	require.Equal(t, 137, r.end(t, "crashes"))
	r.call(t, "POST", "/runs/other/stop", `{"grace":20000}`)
	require.Equal(t, 143, r.end(t, "other"))
}
