package users_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/store/catalogue"
)

// The operator sees what was told, raises and resets it by the name of a table or by its content, and leaves an audit
// row.
func TestScores(t *testing.T) {
	ctx := t.Context()
	rows, err := catalogue.Open(ctx, catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	name := openflow.TableName{Namespace: "demo", Name: "credit"}
	require.NoError(t, rows.SaveTable(ctx, openflow.TableRecord{Name: name, Object: "content", DataType: "table"}))
	site := application.SitePolicy{File: "policy.yaml", Policy: openflow.DefaultSitePolicy()}
	spend := func(job openflow.JobID, table string, vectors int) error {
		host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
		return rows.SpendScores(ctx, openflow.ScoreSpend{
			Run: openflow.TaskKey{Scheduler: "9999", Job: job, Task: "lr_0", Party: host}, To: "9999", Tables: []string{table}, Columns: 5, Vectors: vectors,
		}, site.Policy.CoordinatedLR.ScoreMemory)
	}
	require.NoError(t, spend("1", "content", 4))
	require.NoError(t, spend("2", "gone", 3))

	log := slog.New(slog.DiscardHandler)
	router := server.Handler(log, dialect.Mounts(native.Dialect{}.Application(&application.Site{
		Catalogue: rows, Policy: func() application.SitePolicy { return site }, Log: log,
		Access: application.Access{Owner: func(*http.Request) (int, bool) { return 0, true }},
	})))
	call := func(method, path, body string) wire.Envelope {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:9380"
		r.Header.Set(wire.UserHeader, "ann")
		router.ServeHTTP(w, r)
		var e wire.Envelope
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), "%s", w.Body)
		return e
	}
	list := func() (accounts []wire.ScoreAccount) {
		e := call(http.MethodGet, "/openflow/v1/user/site/scores?party_id=9999", "")
		require.NoError(t, e.Err())
		require.NoError(t, json.Unmarshal(e.Data, &accounts))
		return accounts
	}
	require.Len(t, list(), 2)
	require.Equal(t, []wire.ScoredTable{{Namespace: "demo", Name: "credit"}}, list()[0].Tables)
	require.Equal(t, 4, list()[0].Vectors)

	require.Error(t, spend("3", "content", 2))
	require.NoError(t, call(http.MethodPost, "/openflow/v1/user/site/scores/raise", `{"party_id":"9999","namespace":"demo","name":"credit","to":6}`).Err())
	require.NoError(t, spend("3", "content", 2))
	require.NoError(t, call(http.MethodPost, "/openflow/v1/user/site/scores/reset", `{"party_id":"9999","namespace":"demo","name":"credit"}`).Err())
	require.NoError(t, call(http.MethodPost, "/openflow/v1/user/site/scores/reset", `{"party_id":"9999","object":"gone"}`).Err())
	require.Empty(t, list())
	for _, wrong := range []string{
		`{"party_id":"9999","object":"gone"}`, `{"party_id":"9999","namespace":"demo","name":"other"}`, `{"namespace":"demo","name":"credit"}`,
		`{"party_id":"a b","namespace":"demo","name":"credit"}`, `{"party_id":"9999","namespace":"demo","name":"credit"}`,
	} {
		require.Error(t, call(http.MethodPost, "/openflow/v1/user/site/scores/reset", wrong).Err(), wrong)
	}
	require.Error(t, call(http.MethodPost, "/openflow/v1/user/site/scores/raise", `{"party_id":"9999","namespace":"demo","name":"credit","to":-1}`).Err())

	events, _, err := rows.Audit(ctx, catalogue.AuditFilter{Actor: "user ann"})
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Equal(t, "scores/raise", events[2].Action)
	require.Equal(t, "9999 demo/credit content 6", events[2].Subject)

	var shown application.SitePolicy
	require.NoError(t, json.Unmarshal(call(http.MethodGet, "/openflow/v1/user/site/policy", "").Data, &shown))
	require.Equal(t, site, shown)
}
