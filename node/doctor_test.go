package node_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdkclient "go.temporal.io/sdk/client"

	"openflow"
	"openflow/node"
	"openflow/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }

// Faults are injected one by one into two nodes that are well, and each shows in the check that names it.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Cores(runtime.NumCPU()), env.Party("10000"), env.Proxied(), env.Strict())
	user, n := e.As(t, "9999"), e.Node(t, "9999")
	user.OK(user.Post("/v2/permission/resource/grant", map[string]string{"party_id": "10000", "component": "*"}), nil)
	finds := func(check string, want openflow.Verdict, says string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, fmt.Sprintf("check %s is %v and says %q", check, want, says), func() (bool, string) {
			for _, f := range n.Examine(t.Context()) {
				if f.Check == check {
					return f.Verdict == want && strings.Contains(f.Detail, says), fmt.Sprintf("%+v", f)
				}
			}
			return false, "no such check"
		})
	}

	env.WaitUntil(t, env.Patience, "a node is well soon after its start", func() (bool, string) {
		for _, f := range n.Examine(t.Context()) {
			want := openflow.VerdictOK
			if f.Check == "isolation" { // the process runtime
				want = openflow.VerdictWarn
			}
			if f.Verdict != want {
				return false, f.Check + ": " + f.Detail
			}
		}
		return true, ""
	})

	back := e.Link(t, "10000", "9999")
	back.Inject(env.Every(env.Lost))
	finds("reach 10000", openflow.VerdictOK, "answers")
	finds("reached by 10000", openflow.VerdictFail, "does not reach this node")
	back.Inject(env.Every(env.None))
	finds("reached by 10000", openflow.VerdictOK, "calls back")

	user.OK(user.Post("/v2/permission/resource/delete", map[string]string{"party_id": "10000", "component": "*"}), nil)
	finds("grants 10000", openflow.VerdictWarn, "may use nothing")

	right, wrong := e.Key(t, "10000").Public().String(), e.Key(t, "9999").Public().String()
	rotate := func(at, peer, key string) {
		u := e.As(t, at)
		u.OK(u.Post("/openflow/v1/user/site/rotate", map[string]any{"party_id": peer, "key": key, "final": true}), nil)
	}
	rotate("9999", "10000", wrong)
	finds("keys 10000", openflow.VerdictFail, "is not the one in its record here")
	rotate("9999", "10000", right)
	rotate("10000", "9999", right)
	finds("keys 10000", openflow.VerdictFail, "does not verify")
	finds("reach 10000", openflow.VerdictOK, "answers")
	rotate("10000", "9999", wrong)
	finds("keys 10000", openflow.VerdictOK, "signature")

	n.SetFree(func(string) (uint64, error) { return 1 << 20, nil })
	finds("disk", openflow.VerdictFail, "1 MiB")
	n.SetFree(func(string) (uint64, error) { return 1 << 40, nil })

	key := filepath.Join(e.Home("9999"), "node.key")
	require.NoError(t, os.Chmod(key, 0o644))
	finds("own key", openflow.VerdictFail, "0644")
	require.NoError(t, os.Chmod(key, 0o600))

	stored := filepath.Join(e.Home("9999"), "objects")
	require.NoError(t, os.Rename(stored, stored+".away"))
	require.NoError(t, os.WriteFile(stored, nil, 0o600))
	finds("store objects", openflow.VerdictFail, stored)
	finds("store catalogue", openflow.VerdictOK, "catalogue.db answers")
	require.NoError(t, os.Remove(stored))
	require.NoError(t, os.Rename(stored+".away", stored))
	finds("store objects", openflow.VerdictOK, "answers")

	_, err := n.Client().ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: "of-another-version", TaskQueue: node.Queue}, "Unknown")
	require.NoError(t, err)
	finds("workflows", openflow.VerdictFail, "of-another-version")
	require.NoError(t, n.Client().TerminateWorkflow(t.Context(), "of-another-version", "", "test"))

	e.Stop(t, "10000")
	finds("reach 10000", openflow.VerdictFail, "does not answer")
	finds("clock 10000", openflow.VerdictWarn, "not known")

	resp, body := user.Do(get(t, user.URL+"/openflow/v1/user/server/doctor"))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, string(body), `"name":"reach 10000","status":"FAIL"`)
}

// A site that leaves its tasks to a pool is not well before a worker is there.
func TestDoctorLooksForWorkers(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Pooled(), env.Cores(2))
	finds := func(want openflow.Verdict, says string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the check of workers says: "+says, func() (bool, string) {
			for _, f := range e.Node(t, "9999").Examine(t.Context()) {
				if f.Check == "workers" {
					return f.Verdict == want && strings.Contains(f.Detail, says), f.Detail
				}
			}
			return false, "no check"
		})
	}
	finds(openflow.VerdictFail, "none is alive")
	e.StartWorker(t, "9999", "m1", "gpu")
	finds(openflow.VerdictWarn, "jobs share 2 cores")
	e.StartWorker(t, "9999", "m2")
	finds(openflow.VerdictOK, "2 machines with 2 cores")
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return r
}
