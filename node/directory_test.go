package node

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/catalogue"
	"openflow/sdk/partner"
	"openflow/sdk/wire"
	"openflow/trust"
)

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// A peer is asked once how it wants to be called, its record keeps the answer, and after a while it is asked again.
func TestDialectOfAPeer(t *testing.T) {
	var asked int
	var answer wire.Envelope
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	key, err := trust.LoadOrCreateKey(home)
	require.NoError(t, err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := json.Marshal(answer) // texts can be encoded
		trust.Signer{Party: "10000", Key: key}.SignAnswer(w.Header(), r.Header, http.StatusOK, body)
		_, _ = w.Write(body) // the test sees what a caller that has gone misses
	}))
	t.Cleanup(srv.Close)
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	record := func() openflow.SiteRecord {
		s, err := rows.Site(t.Context(), "10000")
		require.NoError(t, err)
		return s
	}
	start := func() *directory { // a node's directory after a start
		return &directory{self: "9999", sites: rows, signer: unsigned{}, http: partner.NewHTTP(), learnt: map[openflow.PartyID]time.Time{}}
	}
	folded := func(d *directory) bool {
		p, err := d.Partner(t.Context(), "10000")
		require.NoError(t, err)
		_, is := p.(*partner.Client)
		return is
	}
	require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: srv.URL, Keys: []string{key.Public().String()}}))

	d := start()
	answer = wire.Failure(openflow.Errorf(openflow.CodeUnauthorized, "who are you"))
	_, err = d.Partner(t.Context(), "10000")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "nothing is guessed")
	require.Empty(t, record().Dialect)

	answer = wire.Envelope{Code: wire.ServerException, Message: "<NotFound '404: Not Found'>"}
	for range 3 {
		require.False(t, folded(d))
	}
	require.Equal(t, openflow.DialectFATEFlow, record().Dialect)
	require.Equal(t, 2, asked)

	answer = wire.Envelope{Data: json.RawMessage(`{"caller":"9999"}`)}
	require.False(t, folded(start()), "it knows the question and takes no folded calls")
	answer = wire.Envelope{Data: json.RawMessage(`{"caller":"9999","folds":true}`)}
	require.False(t, folded(d), "for an hour the record is believed")
	d.learnt["10000"] = time.Now().Add(-time.Second)
	require.True(t, folded(d))
	require.Equal(t, openflow.DialectFolded, record().Dialect)

	srv.Close()
	require.True(t, folded(start()), "what it said last holds while it cannot be asked")
	moved := openflow.SiteRecord{Party: "10000", URL: "http://127.0.0.1:1", Keys: record().Keys}
	require.NoError(t, sites{self: "9999", catalogue: rows}.AddSite(t.Context(), moved))
	require.Empty(t, record().Dialect, "at another address may be a node of another kind")
}
