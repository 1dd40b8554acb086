package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the node finds of one peer is shown, and what it finds of others is not: neither of another ID that begins alike.
func TestSiteCheck(t *testing.T) {
	_, url := newFake(t, map[string]string{
		"GET /openflow/v1/user/site/list": `[{"party_id":"1000","url":"https://a"},{"party_id":"10000","url":"https://b"}]`,
		"GET /openflow/v1/user/server/doctor": `[{"name":"reach 1000","status":"ok","detail":"answers"},{"name":"reach 10000","status":"FAIL","detail":"is away","remedy":"wait"},` +
			`{"name":"unsigned from 127.0.0.1","status":"warn","detail":"every user speaks as party 1000"},{"name":"disk","status":"FAIL","detail":"1000 MiB-free"}]`,
	})
	got := run(t, "site", "check", "10000", "--node", url)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stdout, "is away")
	require.NotContains(t, got.stdout, "answers")

	_, url = newFake(t, map[string]string{
		"GET /openflow/v1/user/site/list":     `[{"party_id":"1000","url":"https://a"}]`,
		"GET /openflow/v1/user/server/doctor": `[{"name":"reach 1000","status":"ok","detail":"answers"},{"name":"unsigned from ::1","status":"warn","detail":"every user speaks as party 1000"},{"name":"reach 10000","status":"FAIL","detail":"is away"}]`,
	})
	got = run(t, "site", "check", "1000", "--node", url)
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stdout, "every user speaks")
	require.NotContains(t, got.stdout, "away")

	got = run(t, "site", "check", "7", "--node", url)
	require.NotZero(t, got.code)
	require.Contains(t, got.stderr, "party 7 is no peer of this node")
}
