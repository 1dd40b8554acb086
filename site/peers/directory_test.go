package peers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/partner"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// A peer is asked how it wants to be called until it has said so, and only a signed answer counts. That it is a FATE-Flow node
// is the operator's word.
func TestDialectOfAPeer(t *testing.T) {
	var asked int
	var answer wire.Envelope
	signed := true
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	key, err := trust.LoadOrCreateKey(home)
	require.NoError(t, err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := json.Marshal(answer) // texts can be encoded
		if signed {
			trust.Signer{Party: "10000", Key: key}.SignAnswer(w.Header(), r.Header, http.StatusOK, body)
		}
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
	d := &Directory{Self: "9999", Records: rows, Signer: unsigned{}, HTTP: partner.NewHTTP()}
	batched := func() bool {
		p, err := d.Partner(t.Context(), "10000")
		require.NoError(t, err)
		_, is := p.(*partner.Client)
		return is
	}
	register := Register{Self: "9999", Records: rows}
	peer := openflow.SiteRecord{Party: "10000", URL: srv.URL, Keys: []string{key.Public().String()}}
	require.NoError(t, register.AddSite(t.Context(), peer))

	answer = wire.Failure(openflow.Errorf(openflow.CodeUnauthorized, "who are you"))
	_, err = d.Partner(t.Context(), "10000")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "nothing is guessed")
	answer, signed = wire.Envelope{Code: wire.ServerException, Message: "<NotFound '404: Not Found'>"}, false
	_, err = d.Partner(t.Context(), "10000")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "anybody can say so")
	answer, signed = wire.Envelope{Data: json.RawMessage(`{"caller":"9999"}`)}, true
	require.False(t, batched(), "a node of ours before batched calls")
	require.Empty(t, record().Dialect)

	answer = wire.Envelope{Data: json.RawMessage(`{"caller":"9999","batches":true}`)}
	require.True(t, batched())
	require.Equal(t, openflow.DialectNative, record().Dialect)
	before := asked
	answer, signed = wire.Envelope{Code: wire.ServerException, Message: "<NotFound '404: Not Found'>"}, false
	require.True(t, batched(), "it is not asked again")
	require.Equal(t, before, asked)

	peer.Dialect = openflow.DialectFATEFlow
	require.NoError(t, register.AddSite(t.Context(), peer), "the operator says what it is")
	require.False(t, batched())
	require.Equal(t, before, asked)
	peer.Dialect = ""
	require.NoError(t, register.AddSite(t.Context(), peer))
	require.Equal(t, openflow.DialectFATEFlow, record().Dialect, "a start with the same peers forgets nothing")
	peer.Dialect = "latin"
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(register.AddSite(t.Context(), peer)))
	peer.Dialect, peer.URL = "", "http://127.0.0.1:1"
	require.NoError(t, register.AddSite(t.Context(), peer))
	require.Empty(t, record().Dialect, "at another address may be a node of another kind")
}

// A genuine FATE-Flow node is sent the session's name that it knows; a node of ours the one that names the scheduler.
func TestSessionAsAPeerKnowsIt(t *testing.T) {
	var heard string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard = r.Header.Get(ptp.HeaderSessionID)
	}))
	t.Cleanup(srv.Close)
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	d := &Directory{Self: "9999", Records: rows, Signer: unsigned{}, HTTP: partner.NewHTTP()}
	for dialect, want := range map[openflow.Dialect]string{
		openflow.DialectNative: "1_psi_0_0@10000", openflow.DialectFATEFlow: "1_psi_0_0",
	} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: srv.URL, Dialect: dialect}))
		heard = ""
		_ = d.PushTo(t.Context(), "10000", partner.Outgoing{Session: "1_psi_0_0@10000", Topic: "t"}) // the answer is none
		require.Equal(t, want, heard, dialect)
	}
}
