package doctor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/doctor"
)

func TestListeners(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	const good, doubtful, bad = openflow.VerdictOK, openflow.VerdictWarn, openflow.VerdictFail
	for name, tc := range map[string]struct {
		l    doctor.Listener
		want openflow.Verdict
		says string
	}{
		"without TLS, of this machine":    {doctor.Listener{Plain: true}, good, "of this machine"},
		"without TLS, of others":          {doctor.Listener{Plain: true, Beyond: true}, doubtful, "can be read on the way"},
		"the node's key":                  {doctor.Listener{Beyond: true}, good, "node's key"},
		"its own certificate":             {doctor.Listener{Own: true, Names: []string{"localhost", "h"}, Ends: in(60)}, good, "of its own making for localhost, h, until 2030-03-02"},
		"an operator's":                   {doctor.Listener{Ends: in(31)}, good, "operator"},
		"ends soon":                       {doctor.Listener{Ends: in(29)}, doubtful, "2030-01-30"},
		"ends now":                        {doctor.Listener{Ends: now}, bad, "ended on 2030-01-01"},
		"has ended":                       {doctor.Listener{Own: true, Ends: in(-3)}, bad, "2029-12-29"},
		"files that cannot be read again": {doctor.Listener{Ends: in(90), Err: errors.New("no such file")}, doubtful, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.l.Of, tc.l.Address = "users", "127.0.0.1:9380"
			got := tc.l.Examine(now)
			require.Equal(t, "listener of users", got.Check)
			require.Equal(t, tc.want, got.Verdict)
			require.Contains(t, got.Detail, tc.says)
			require.Equal(t, tc.want == good, got.Remedy == "")
		})
	}
	require.Equal(t, good, doctor.Authorities(in(31), now, nil).Verdict)
	require.Equal(t, doubtful, doctor.Authorities(in(29), now, nil).Verdict)
	require.Equal(t, bad, doctor.Authorities(in(-1), now, nil).Verdict)
	require.Equal(t, doubtful, doctor.Authorities(in(90), now, errors.New("gone")).Verdict)
	require.Equal(t, good, doctor.Services(nil).Verdict)
	plain := doctor.Services([]string{"redis://h:6379", "Temporal at h:7233"})
	require.Equal(t, doubtful, plain.Verdict)
	require.Contains(t, plain.Detail, "redis://h:6379, Temporal at h:7233")
}
