package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

const stopRoute = "POST /v2/job/stop"

func TestStopSaysHowFarItIs(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"everywhere": {`{"status":"canceled","reason":"stopped by party 9999"}`, "job j1 is canceled: nothing of it runs at any party\n"},
		"not everywhere": {
			`{"status":"canceled","reason":"r","stopping":[{"role":"host","party_id":"10000"}]}`,
			"job j1 is canceled; host 10000 has not confirmed yet that it has stopped, and is asked until it does\n",
		},
		"not yet":         {`{}`, "job j1 is being stopped; follow it with: openflow job watch j1\n"},
		"an older node":   {`null`, "job j1 is being stopped; follow it with: openflow job watch j1\n"},
		"ended otherwise": {`{"status":"success"}`, "job j1 is success: nothing of it runs at any party\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := newFake(t, map[string]string{stopRoute: tc.answer})
			got := run(t, "job", "stop", "j1", "--node", url)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, tc.want, got.stdout)
		})
	}
}

func TestStopDocument(t *testing.T) {
	_, url := newFake(t, map[string]string{stopRoute: `{"status":"canceled","reason":"r","stopping":[{"role":"host","party_id":"10000"}]}`})
	got := run(t, "job", "stop", "j1", "--node", url, "-o", "json")
	require.JSONEq(t, `{"job_id":"j1","status":"canceled","reason":"r","stopping":["host 10000"]}`, got.stdout)
}

func TestStopWaits(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		answer := map[string]any{"status": "canceled", "stopping": []map[string]string{{"role": "host", "party_id": "10000"}}}
		if asked > 1 {
			delete(answer, "stopping")
		}
		b, err := json.Marshal(map[string]any{"code": 0, "message": "success", "data": answer})
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b) // a caller that has gone is its own business
	}))
	t.Cleanup(srv.Close)
	got := run(t, "job", "stop", "j1", "--wait", "--node", srv.URL)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "nothing of it runs at any party")
	require.Equal(t, 2, asked)
}

func TestStopHere(t *testing.T) {
	const route = "POST /openflow/v1/user/job/stop-here"
	f, url := newFake(t, map[string]string{route: `{"status":"canceled","reason":"r","stopping":[{"role":"host","party_id":"10000"}]}`})
	got := run(t, "job", "stop", "j1", "--here", "--scheduler", "9999", "--node", url)
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "job j1 is canceled at this site, and what it held here is given back\n", got.stdout)
	require.JSONEq(t, `{"job_id":"j1","scheduler_party_id":"9999"}`, f.got(route))
	got = run(t, "job", "stop", "j1", "--here", "--wait", "--node", url)
	require.NotZero(t, got.code)
	require.Contains(t, got.stderr, "--wait and --here exclude each other")
}

func TestLimitOfAPeer(t *testing.T) {
	const route = "POST /openflow/v1/user/site/limit"
	f, url := newFake(t, map[string]string{route: `null`})
	got := run(t, "site", "limit", "10000", "--jobs", "5", "--memory", "2GiB", "--bytes", "1MiB", "--node", url)
	require.Zero(t, got.code, got.stderr)
	require.JSONEq(t, `{"party_id":"10000","limits":{"jobs":5,"memory":2147483648,"bytes":1048576}}`, f.got(route))
	for _, wrong := range [][]string{{"--memory", "much"}, {"--jobs", "-1"}} {
		got = run(t, append([]string{"site", "limit", "10000", "--node", url}, wrong...)...)
		require.NotZero(t, got.code, wrong)
	}
}
