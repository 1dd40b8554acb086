package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolicyCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(file, []byte("psi:\n  min_intersection: 50\n"), 0o600))
	r := run(t, "policy", "check", file)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "  min_intersection: 50\n")
	require.Contains(t, r.stdout, "  score_memory: 30d\n", "defaults are printed, too")
	require.Empty(t, r.stderr)

	folder := t.TempDir()
	require.NoError(t, os.WriteFile(file, []byte("images:\n  vulnerabilities: "+folder+"\n"), 0o600))
	r = run(t, "policy", "check", file)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "warning: the folder of vulnerabilities, "+folder+", has no record, no file that ends in .json: nothing of a provider is registered or run")
	require.Contains(t, r.stdout, folder)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a.json"), nil, 0o600))
	require.Empty(t, run(t, "policy", "check", file).stderr)

	require.NoError(t, os.WriteFile(file, []byte("psi:\n  min_rows: 50\n"), 0o600))
	r = run(t, "policy", "check", file)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `line 2: there is no key "psi.min_rows"`)
	require.Equal(t, 1, run(t, "policy", "check", file+"x").code)
}

func TestPolicyShow(t *testing.T) {
	_, url := newFake(t, map[string]string{"GET /openflow/v1/user/site/policy": `{"file":"/h/policy.yaml","policy":{"psi":{"max_partner_ids":7,"min_intersection":3},
		"coordinated_lr":{"rows_per_column":10,"allow_common_arbiter":true,"score_memory":129600000000000}}}`})
	r := run(t, "policy", "show", "--node", url)
	require.Zero(t, r.code, r.stderr)
	for _, part := range []string{"/h/policy.yaml", "  max_partner_ids: 7\n", "  allow_common_arbiter: true\n", "  score_memory: 36h0m0s\n"} {
		require.Contains(t, r.stdout, part)
	}
}

func TestScores(t *testing.T) {
	f, url := newFake(t, map[string]string{
		"GET /openflow/v1/user/site/scores?party_id=9999": `[{"party_id":"9999","object":"ab","tables":[{"namespace":"demo","name":"credit"}],"columns":20,"vectors":19,"limit":40,"raised":40,"frees_time":1}]`,
		"GET /openflow/v1/user/site/scores":               `[{"party_id":"9999","object":"ab","tables":[],"columns":20,"vectors":19,"limit":19,"raised":0}]`,
		"POST /openflow/v1/user/site/scores/raise":        "null", "POST /openflow/v1/user/site/scores/reset": "null",
	})
	r := run(t, "scores", "list", "9999", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "demo/credit")
	require.Contains(t, run(t, "scores", "list", "--node", url).stdout, "ab ")
	require.Zero(t, run(t, "scores", "raise", "9999", "demo/credit", "--to", "40", "--node", url).code)
	require.JSONEq(t, `{"party_id":"9999","namespace":"demo","name":"credit","to":40}`, f.got("POST /openflow/v1/user/site/scores/raise"))
	digest := strings.Repeat("ab", 32)
	require.Zero(t, run(t, "scores", "reset", "9999", digest, "--node", url).code)
	require.JSONEq(t, `{"party_id":"9999","object":"`+digest+`"}`, f.got("POST /openflow/v1/user/site/scores/reset"))
	for _, wrong := range [][]string{
		{"scores", "raise", "9999", "demo/credit"}, {"scores", "raise", "9999", "credit", "--to", "4"}, {"scores", "reset", "9999"},
		{"scores", "raise", "9999", "demo/credit", "--to", "-1"}, {"scores", "list", "a", "b"},
	} {
		require.Equal(t, 2, run(t, append(wrong, "--node", url)...).code, wrong)
	}
}
