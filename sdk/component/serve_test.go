//go:build linux

package component_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/residence"
	"openflow/sdk/component"
)

// In a resident container, the test's own program serves, and is each run.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == "serve" || os.Args[1] == "run") {
		lodgers().Main()
	}
	os.Exit(m.Run())
}

func lodgers() component.Program {
	return component.Program{Provider: "acme", Version: "1.2.0", Components: []component.Component{{
		Name: "lodger", Roles: []openflow.Role{openflow.RoleGuest}, Resident: 3, Parameters: struct {
			Do string `json:"do"`
		}{},
		Run: func(ctx context.Context, t *component.Task) error {
			var p struct {
				Do string `json:"do"`
			}
			if err := t.Parameters(&p); err != nil {
				return err
			}
			switch p.Do {
			case "fail":
				return errors.New("it did not work")
			case "crash":
				os.Exit(9)
			case "hang":
				fmt.Println("ready")
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
	}}}
}

// reports are what runs have told their node, by their credentials.
type reports struct {
	mu   sync.Mutex
	told map[string]string
}

func (r *reports) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var body struct {
		ID     string `json:"execution_id"`
		Status string `json:"status"`
	}
	_ = json.NewDecoder(q.Body).Decode(&body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[q.Header.Get("Authorization")] = body.ID + " " + body.Status
	_, _ = io.WriteString(w, `{"code":0,"message":"success","data":null}`)
}

func TestResidentContainer(t *testing.T) {
	node := &reports{told: map[string]string{}}
	at := httptest.NewServer(node)
	t.Cleanup(at.Close)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "serve")
	cmd.Env = []string{residence.Address + "=127.0.0.1:0", residence.Key + "=k"}
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	log := bufio.NewScanner(said)
	require.True(t, log.Scan())
	base := regexp.MustCompile(`at=(\S+) `).FindStringSubmatch(log.Text())
	require.NotNil(t, base, log.Text())
	call := func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+base[1]+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer k")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	begin := func(id, do string) int {
		host, port, _ := strings.Cut(strings.TrimPrefix(at.URL, "http://"), ":")
		config, err := json.Marshal(map[string]any{
			"job_id": "j", "task_name": "t", "party_task_id": id, "component": "lodger", "role": "guest", "party_id": "9999",
			"parameters": map[string]string{"do": do}, "mlmd": map[string]any{"metadata": map[string]string{"host": host, "port": port}},
		})
		require.NoError(t, err)
		body, err := json.Marshal(residence.Begin{Environment: map[string]string{"CONFIG": string(config), "OPENFLOW_CREDENTIAL": "of-" + id}})
		require.NoError(t, err)
		status, _ := call("PUT", "/v1/runs/"+id, string(body))
		return status
	}
	end := func(id string) (one residence.Run) {
		status, body := call("GET", "/v1/runs/"+id+"?wait=60", "")
		require.Equal(t, http.StatusOK, status)
		require.NoError(t, json.Unmarshal([]byte(body), &one))
		require.Equal(t, residence.Ended, one.State)
		return one
	}

	require.Equal(t, http.StatusCreated, begin("waits", "hang"))
	for id, code := range map[string]int{"succeed": component.ExitSuccess, "fail": component.ExitFailed, "crash": 9} {
		require.Equal(t, http.StatusCreated, begin(id, id))
		require.Equal(t, code, end(id).ExitCode)
	}
	require.Equal(t, map[string]string{"Bearer of-succeed": "succeed success", "Bearer of-fail": "fail failed"}, node.told, "each with its own credential")
	_, text := call("GET", "/v1/runs/fail/log?stream=stderr", "")
	require.Contains(t, text, "it did not work")
	require.Equal(t, http.StatusCreated, begin("second", "hang"))
	require.Equal(t, http.StatusCreated, begin("third", "hang"))
	require.Equal(t, http.StatusServiceUnavailable, begin("fourth", "hang"), "three at once")
	status, _ := call("POST", "/v1/runs/second/stop", `{"grace":60000}`)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, component.ExitCanceled, end("second").ExitCode)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	go func() {
		for log.Scan() { // to its end: Wait closes it
		}
		ended <- cmd.Wait()
	}()
	var exit *exec.ExitError
	require.ErrorAs(t, <-ended, &exit)
	require.Equal(t, component.ExitCanceled, exit.ExitCode(), "its runs have ended, and so has it")
}

func TestServingIsRefused(t *testing.T) {
	resident := component.Component{Name: "a", Resident: 1}
	for name, tc := range map[string]struct {
		of           component.Component
		address, key string
		says         string
	}{
		"no component is resident": {component.Component{Name: "a"}, "127.0.0.1:0", "k", "no component of this program is resident"},
		"no secret":                {resident, "127.0.0.1:0", "", "is empty"},
		"no address":               {resident, "", "k", "is empty"},
		"an address of nobody":     {resident, "127.0.0.1", "k", "cannot listen"},
	} {
		t.Run(name, func(t *testing.T) {
			told := func(name string) string {
				return map[string]string{residence.Address: tc.address, residence.Key: tc.key}[name]
			}
			var stdout, stderr bytes.Buffer
			code := component.Command(t.Context(), []string{"serve"}, told, &stdout, &stderr, tc.of)
			require.Equal(t, component.ExitUsage, code)
			require.Contains(t, stderr.String(), tc.says)
		})
	}
}

func TestAResidentComponentSaysSo(t *testing.T) {
	text, err := lodgers().Describe("lodger")
	require.NoError(t, err)
	doc, err := description.Parse(text)
	require.NoError(t, err)
	record, err := doc.Record(fate.Form{})
	require.NoError(t, err)
	require.Empty(t, record.Warnings)
	require.Equal(t, openflow.WayResident, record.Way)
	require.Equal(t, 3, record.Runs)

	for _, runs := range []int{-1, openflow.MostRuns + 1} {
		p := lodgers()
		p.Components[0].Resident = runs
		_, err := p.Describe("lodger")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	}
}
