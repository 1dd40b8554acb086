package fake_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
)

// reside starts a resident container.
func reside(t *testing.T, plan func(driver.Spec) fake.Plan) (h driver.Residence, containers *fake.Runtime, base string) {
	containers = fake.New(plan)
	opened, err := fake.Opener{Containers: containers}.Open(t.Context(), driver.Options{})
	require.NoError(t, err)
	s := spec("c")
	s.Command, s.Env = []string{"serve"}, []string{"OPENFLOW_SERVE=0.0.0.0:80", "OPENFLOW_SERVE_KEY=k"}
	_, err = opened.Ensure(t.Context(), s)
	require.NoError(t, err)
	h, ok := opened.(driver.Residence)
	require.True(t, ok)
	_, err = h.Reach(t.Context(), "c", 80)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "it does not run")
	_, err = h.Reach(t.Context(), "other", 80)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.NoError(t, opened.Start(t.Context(), "c"))
	t.Cleanup(func() { containers.Kill("c") })
	at, err := h.Reach(t.Context(), "c", 80)
	require.NoError(t, err)
	return h, containers, "http://" + at
}

func call(t *testing.T, method, url, body string) (int, string) {
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer k")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode, string(text)
}

func TestRunsOfAResidentContainer(t *testing.T) {
	_, containers, base := reside(t, func(s driver.Spec) fake.Plan {
		switch s.Name {
		case "fails":
			return fake.Plan{ExitCode: 3}
		case "hangs":
			return fake.Plan{Hold: make(chan struct{})}
		case "dies":
			return fake.Plan{OOM: true}
		}
		return fake.Plan{Run: func(_ context.Context, s driver.Spec, stdout, _ io.Writer) int {
			_, _ = io.WriteString(stdout, s.Image+" "+strings.Join(s.Command, " ")+" "+strings.Join(s.Env, " "))
			return 0
		}}
	})
	for name, code := range map[string]int{"works": 0, "fails": 3, "dies": 137} {
		status, body := call(t, "PUT", base+"/v1/runs/"+name, `{"environment":{"B":"2","A":"1"}}`)
		require.Equal(t, http.StatusCreated, status, body)
		status, body = call(t, "GET", base+"/v1/runs/"+name+"?wait=60", "")
		require.Equal(t, http.StatusOK, status, body)
		var one residence.Run
		require.NoError(t, json.Unmarshal([]byte(body), &one))
		require.Equal(t, residence.Ended, one.State)
		require.Equal(t, code, one.ExitCode, name)
		require.Equal(t, 1, containers.Runs(name))
	}
	_, body := call(t, "GET", base+"/v1/runs/works/log?stream=stdout", "")
	require.Equal(t, "x run A=1 B=2", body)

	status, _ := call(t, "PUT", base+"/v1/runs/hangs", "{}")
	require.Equal(t, http.StatusCreated, status)
	containers.Kill("c")
	st, err := containers.Wait(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, 137, st.ExitCode)
	status, _ = call(t, "GET", base+"/v1/live", "")
	require.Zero(t, status, "it is gone")
}

func TestAResidentContainerIsAskedToEnd(t *testing.T) {
	_, containers, base := reside(t, func(s driver.Spec) fake.Plan {
		if s.Name == "hangs" {
			return fake.Plan{Hold: make(chan struct{})}
		}
		return fake.Plan{}
	})
	status, _ := call(t, "PUT", base+"/v1/runs/hangs", "{}")
	require.Equal(t, http.StatusCreated, status)
	require.NoError(t, containers.Stop(t.Context(), "c", time.Minute))
	st, err := containers.Wait(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, 143, st.ExitCode)
}

func TestFailuresOfAResidentContainer(t *testing.T) {
	h, _, base := reside(t, planned(fake.Plan{
		Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/live" {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				usual.ServeHTTP(w, r)
			})
		},
		Execute: func(_ context.Context, s driver.Spec, stdout, _ io.Writer) int {
			_, _ = io.WriteString(stdout, strings.Join(s.Command, " "))
			return 4
		},
	}))
	status, _ := call(t, "GET", base+"/v1/live", "")
	require.Equal(t, http.StatusInternalServerError, status)
	status, _ = call(t, "GET", base+"/v1/ready", "")
	require.Equal(t, http.StatusOK, status)
	answer, err := h.Execute(t.Context(), "c", []string{"is", "well"}, 100)
	require.NoError(t, err)
	require.Equal(t, driver.Answer{Text: []byte("is well"), ExitCode: 4}, answer)
	answer, err = h.Execute(t.Context(), "c", []string{"is", "well"}, 3)
	require.NoError(t, err)
	require.True(t, answer.TooMuch)
	_, err = h.Execute(t.Context(), "other", nil, 3)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestNotEveryRuntimeHasResidentContainers(t *testing.T) {
	opened, err := fake.Opener{Single: true}.Open(t.Context(), driver.Options{})
	require.NoError(t, err)
	_, can := opened.(driver.Residence)
	require.False(t, can)
}
