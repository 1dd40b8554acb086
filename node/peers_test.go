package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// A node starts with the records that it has, whatever its --peer says, and tells what differs. Nobody comes back by it who was
// removed. The audit has each change of the peer.
func TestRecordsOutliveTheStart(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	key := e.Key(t, "10000").Public().String()
	url := e.SecureURL("10000")
	post := func(what string, body map[string]any) {
		t.Helper()
		body["party_id"] = "10000"
		user := e.As(t, "9999")
		user.OK(user.Post("/openflow/v1/user/site/"+what, body), nil)
	}
	record := func() (s struct {
		URL  string   `json:"url"`
		Keys []string `json:"keys"`
	}) {
		t.Helper()
		var list []struct {
			URL  string   `json:"url"`
			Keys []string `json:"keys"`
		}
		user := e.As(t, "9999")
		user.OK(user.Get("/openflow/v1/user/site/list"), &list)
		if len(list) > 0 {
			s = list[0]
		}
		return s
	}
	restarted := func(warns ...string) {
		t.Helper()
		e.Restart(t, "9999")
		n := e.Node(t, "9999")
		told := strings.Join(n.Warnings(), "\n")
		i := slices.IndexFunc(n.Examine(t.Context()), func(f openflow.Finding) bool { return f.Check == "--peer 10000" })
		require.NotEqual(t, -1, i)
		found := n.Examine(t.Context())[i]
		if len(warns) == 0 {
			require.NotContains(t, told, "--peer 10000")
			require.Equal(t, openflow.VerdictOK, found.Verdict, "%+v", found)
			return
		}
		require.Equal(t, openflow.VerdictWarn, found.Verdict, "%+v", found)
		for _, text := range warns {
			require.Contains(t, told, text)
			require.Contains(t, found.Detail+found.Remedy, text)
			require.Contains(t, e.Log("9999"), "--peer 10000 names")
		}
	}
	restarted()

	other := e.Key(t, "9999").Public().String()
	post("rotate", map[string]any{"key": other, "final": true})
	post("add", map[string]any{"url": "https://127.0.0.1:1", "key": other})
	restarted("the key "+key+", and its record has "+other, "the address "+url+", and its record has https://127.0.0.1:1",
		"openflow site rotate 10000 --key "+key, "openflow site add 10000 --url "+url)
	require.Equal(t, []string{other}, record().Keys)
	require.Equal(t, "https://127.0.0.1:1", record().URL)

	post("remove", map[string]any{})
	restarted("was removed on 20", "openflow site add 10000 --url "+url+" --key "+key)
	require.Empty(t, record().URL, "nobody is a peer")
	restarted("was removed on 20")

	post("add", map[string]any{"url": url, "key": key})
	restarted()
	require.Equal(t, []string{key}, record().Keys)

	var page wire.AuditPage
	user := e.As(t, "9999")
	user.OK(user.Get("/openflow/v1/user/audit/list"), &page)
	var rows []string
	for _, a := range slices.Backward(page.Events) {
		if strings.HasPrefix(a.Action, "site/") {
			rows = append(rows, fmt.Sprintf("%s: %s", a.Action, a.Detail))
		}
	}
	require.Len(t, rows, 5, "%s", strings.Join(rows, "\n"))
	for i, row := range []struct{ action, change string }{
		{"site/add", "address: none → " + url},
		{"site/rotate", "keys: " + key + " → " + other},
		{"site/add", "address: " + url + " → https://127.0.0.1:1"},
		{"site/remove", "address: https://127.0.0.1:1 → none"},
		{"site/add", "keys: none → " + key},
	} {
		require.True(t, strings.HasPrefix(rows[i], row.action+": "), rows[i])
		require.Contains(t, rows[i], row.change)
	}
}

// A handshake that fails because of a key shows as that, whoever's record is wrong, with what the two operators compare.
func TestDoctorOnAKeyThatIsNotTheRecords(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	ours, theirs := e.Key(t, "9999").Public(), e.Key(t, "10000").Public()
	rotate := func(at, peer, key string) {
		u := e.As(t, at)
		u.OK(u.Post("/openflow/v1/user/site/rotate", map[string]any{"party_id": peer, "key": key, "final": true}), nil)
	}
	finds := func(says ...string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "doctor and the check of the site tell the key", func() (bool, string) {
			checks := map[string]openflow.Finding{}
			for _, f := range e.Node(t, "9999").Examine(t.Context()) {
				checks[f.Check] = f
			}
			keys, reach := checks["keys 10000"], checks["reach 10000"]
			user := e.As(t, "9999")
			asked := user.Get("/openflow/v1/user/site/check", "party_id", "10000")
			ok := keys.Verdict == openflow.VerdictFail && reach.Verdict == openflow.VerdictWarn && !strings.Contains(reach.Remedy, "firewall")
			for _, text := range says {
				ok = ok && strings.Contains(keys.Detail, text) && asked.Error != nil && strings.Contains(asked.Error.Message, text)
			}
			return ok && strings.Contains(keys.Remedy, "openflow site key"), fmt.Sprintf("%+v %+v %+v", keys, reach, asked.Error)
		})
	}
	rotate("9999", "10000", ours.String())
	finds("shows a certificate of key "+theirs.Named(), "its record here ("+ours.Named()+")")
	rotate("10000", "9999", theirs.String())
	rotate("9999", "10000", theirs.String()) // which opens new connections
	finds("does not accept the key " + ours.Named())
}
