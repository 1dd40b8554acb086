package peers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestPace(t *testing.T) {
	var told []string
	now, said, reads := time.Unix(0, 0), map[openflow.PartyID]openflow.Quota{}, 0
	p := &Pace{
		Rule: openflow.Quota{Calls: 2, Bytes: 600}, Now: func() time.Time { return now },
		Quota: func(_ context.Context, peer openflow.PartyID) (openflow.Quota, error) {
			reads++
			return said[peer], nil
		},
		Refused: func(_ context.Context, peer openflow.PartyID, why error) {
			told = append(told, string(peer)+" "+why.Error())
		},
	}
	call := func(peer openflow.PartyID, bytes int64) openflow.Code {
		return openflow.CodeOf(p.Call(t.Context(), peer, bytes))
	}
	for range 20 { // what is ten seconds' worth may come at once
		require.Empty(t, call("9999", 0))
	}
	for range 1000 {
		require.Equal(t, openflow.CodeExhausted, call("9999", 0))
	}
	require.Equal(t, 1, reads, "a refusal reads nothing")
	require.Len(t, told, 1, "and one in a minute is told")
	require.Contains(t, told[0], "9999 party 9999 calls this site more often than its 2 calls a second")
	require.Empty(t, call("10000", 0), "another peer has its own")
	require.NoError(t, p.Message(t.Context(), "9999", 100), "messages count by their bytes")
	now = now.Add(time.Second)
	require.Empty(t, call("9999", 0))
	require.Empty(t, call("9999", 0))
	require.Equal(t, openflow.CodeExhausted, call("9999", 0))

	require.NoError(t, p.Message(t.Context(), "9999", 5000), "one that is larger than the rest is taken, and those after it wait")
	err := p.Message(t.Context(), "9999", 1)
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.ErrorContains(t, err, "party 9999 sends this site more than its 600B a minute")
	require.Contains(t, openflow.PublicText(err), "its operator can allow more")
	now = now.Add(8 * time.Minute)
	require.NoError(t, p.Message(t.Context(), "9999", 1))

	said["9999"] = openflow.Quota{Calls: 100}
	now = now.Add(reread)
	for range 20 {
		require.Empty(t, call("9999", 0))
	}
	require.Empty(t, call("9999", 0), "its operator has allowed more")
	now = now.Add(-time.Hour)
	require.Empty(t, call("9999", 0), "a clock that is set back takes nothing away")
}
