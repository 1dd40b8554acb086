package scenarios_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/site/policy"
	"openflow/tests/env"
)

// A party that brings data refuses a job whose arbiter is another data party, unless its own policy allows that; the
// submitter reads which setting of whom it is. The arbiter's institution itself is not exposed.
func TestCommonArbiterIsRefused(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	shared := env.DAG(env.Parties("guest 9999", "host 10000", "arbiter 10000"), env.Noop("a", nil))
	for _, submitter := range []string{"9999", "10000"} {
		refused := e.As(t, submitter).TrySubmit(shared)
		require.NotZero(t, refused.Code)
		for _, part := range []string{"party 9999", "host 10000 is the arbiter as well", "coordinated_lr: {allow_common_arbiter: true}", "policy.yaml", "FATE's examples"} {
			require.Contains(t, refused.Message, part)
		}
	}
	require.NotContains(t, e.As(t, "10000").TrySubmit(shared).Message, "operator of party 10000")
	// The other way round, it is the host that refuses.
	refused := e.As(t, "9999").TrySubmit(env.DAG(env.Parties("guest 9999", "host 10000", "arbiter 9999"), env.Noop("a", nil)))
	require.Contains(t, refused.Message, "operator of party 10000")
}

// The policy of a site reaches the runs of its pool, whose machines have no policy file, and holds whoever submits.
func TestPolicyOfAPool(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Pooled(), env.Policy("10000", "psi:\n  min_intersection: 1000\n"))
	e.StartWorker(t, "9999", "m1")
	e.StartWorker(t, "10000", "m1")
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	upload(t, guest, host, 100, 60)
	id := guest.Submit(intersection())
	guest.WaitFor(id, openflow.JobFailed)
	host.WaitFor(id, openflow.JobFailed)
	host.Settled(id)
	task := env.Key("psi_0", openflow.Party{Role: openflow.RoleHost, ID: "10000"})
	log := host.TaskLog(env.Run(id, "host", "10000", string(task.Task)))
	require.Contains(t, log, "fewer than the 1000 that this site's policy wants")
}

// What is in force is what the node has read at its start; a file that it cannot read keeps it from starting, and loses
// nothing.
func TestPolicyOfANode(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Policy("", "coordinated_lr:\n  score_memory: 90d\n"))
	n := e.Node(t, "9999")
	file := filepath.Join(n.Home(), "policy.yaml")
	client := &sdk.Client{URL: n.URL()}
	inForce := func() sdk.SitePolicy {
		p, err := client.Policy(t.Context())
		require.NoError(t, err)
		return p
	}
	require.Equal(t, file, inForce().File)
	require.Contains(t, policy.Format(inForce().Policy), "score_memory: 90d\n")
	finding := func() openflow.Finding {
		for _, f := range n.Examine(t.Context()) {
			if f.Check == "policy" {
				return f
			}
		}
		t.Fatal("the doctor does not look at the policy")
		return openflow.Finding{}
	}
	require.Equal(t, openflow.VerdictOK, finding().Verdict)

	require.NoError(t, os.WriteFile(file, []byte("psi:\n  min_intersection: 5\n"), 0o600))
	require.Contains(t, policy.Format(inForce().Policy), "score_memory: 90d\n")
	require.Equal(t, openflow.VerdictWarn, finding().Verdict)
	require.NoError(t, os.WriteFile(file, []byte("psi:\n  min_intersect: 5\n"), 0o600))
	require.Equal(t, openflow.VerdictFail, finding().Verdict)
	require.Contains(t, finding().Detail, `line 2: there is no key "psi.min_intersect"`)

	e.Stop(t, "9999")
	err := e.TryStart(t.Context(), "9999")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, `line 2: there is no key "psi.min_intersect"`)
	require.NoError(t, os.Chmod(file, 0o620))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(e.TryStart(t.Context(), "9999")))
	require.NoError(t, os.Remove(file))
	require.NoError(t, e.TryStart(t.Context(), "9999"))
}
