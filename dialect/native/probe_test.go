package native_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
)

// prober is what party 10000 finds when it calls back, and whether it has room itself.
type prober struct{ err, full error }

func (p *prober) Probe(context.Context, openflow.PartyID) error { return p.err }

func TestProbeWorksBothWays(t *testing.T) {
	p := newPair(t)
	both := func() error {
		seen, err := p.client.Examine(t.Context(), true)
		require.NoError(t, err)
		return seen.CallBack
	}
	require.NoError(t, both())
	p.prober.err = openflow.Errorf(openflow.CodeUnavailable, "the node does not answer at http://x")
	require.NoError(t, p.client.Probe(t.Context()))
	err := both()
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "at party 10000: it answers, and does not reach this node: the node does not answer at http://x")
}

// A peer that takes nothing new for lack of room says so to whom asks how it is, in words for others. It answers all the same.
func TestProbeTellsThatThereIsNoRoom(t *testing.T) {
	p := newPair(t)
	p.prober.full = openflow.Errorf(openflow.CodeExhausted, "the disk of home /h has 31 MiB left").WithPublic("its disk is nearly full")
	seen, err := p.client.Examine(t.Context(), false)
	require.NoError(t, err)
	require.ErrorIs(t, seen.NoRoom, openflow.ErrNoRoom)
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(seen.NoRoom))
	require.EqualError(t, seen.NoRoom, "at party 10000: its disk is nearly full")
	require.NoError(t, p.client.Probe(t.Context()), "it is reached")
	p.prober.full = nil
	seen, err = p.client.Examine(t.Context(), false)
	require.NoError(t, err)
	require.NoError(t, seen.NoRoom)
}

func TestProbeTellsWhoIsThere(t *testing.T) {
	p := newPair(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"openflow":1,"data":{"caller":"somebody"}}`)
	}))
	defer srv.Close()
	p.client.URL, p.client.Verifier = srv.URL, nil // whoever it is signs nothing
	err := p.client.Probe(t.Context())
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.ErrorContains(t, err, `takes party 9999 for "somebody"`)
}

// What a peer shows of itself is seen also when it refuses, so that a skewed clock is told from a wrong key.
func TestExamine(t *testing.T) {
	p := newPair(t)
	seen, err := p.client.Examine(t.Context(), true)
	require.NoError(t, err)
	require.Less(t, seen.Clock.Abs(), time.Minute)
	seen.Clock = 0
	require.Equal(t, dialect.Seen{Answered: true, Timed: true, Version: "v7", Caller: "9999"}, seen)

	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, `{"openflow":1,"error":{"code":"unauthorized","message":"more than 1m0s apart"}}`)
	}))
	defer late.Close()
	p.client.URL = late.URL
	seen, err = p.client.Examine(t.Context(), true)
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.True(t, seen.Answered && seen.Timed)
	require.InDelta(t, -300, seen.Clock.Seconds(), 3)

	p.client.URL = "http://127.0.0.1:1"
	seen, err = p.client.Examine(t.Context(), true)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.Equal(t, dialect.Seen{}, seen)
}
