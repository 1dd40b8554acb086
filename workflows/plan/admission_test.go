package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

func TestAdmit(t *testing.T) {
	granted := func(p openflow.Party) plan.ReserveAnswer { return plan.ReserveAnswer{Party: p} }
	refused := func(p openflow.Party, c openflow.Code, text string) plan.ReserveAnswer {
		return plan.ReserveAnswer{Party: p, Code: c, Text: text}
	}
	third := openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
	for name, tc := range map[string]struct {
		answers []plan.ReserveAnswer
		want    plan.Verdict
	}{
		"all grant": {[]plan.ReserveAnswer{granted(guest), granted(host)}, plan.Verdict{Granted: true}},
		"one is busy": {
			[]plan.ReserveAnswer{granted(guest), refused(host, openflow.CodeExhausted, "2 of 4 cores free"), granted(third)},
			plan.Verdict{Return: []openflow.Party{guest, third}, Wait: "waiting for party 10000 (host): 2 of 4 cores free", Called: true},
		},
		"one does not answer": {
			[]plan.ReserveAnswer{refused(guest, openflow.CodeUnavailable, "no answer"), granted(host)},
			plan.Verdict{Return: []openflow.Party{host}, Wait: "waiting for party 9999 (guest): no answer"},
		},
		"two are busy, the first is told": {
			[]plan.ReserveAnswer{refused(guest, openflow.CodeExhausted, "one"), refused(host, openflow.CodeExhausted, "two")},
			plan.Verdict{Wait: "waiting for party 9999 (guest): one", Called: true},
		},
		"one is busy, one does not answer": {
			[]plan.ReserveAnswer{refused(guest, openflow.CodeExhausted, "one"), refused(host, openflow.CodeUnavailable, "two")},
			plan.Verdict{Wait: "waiting for party 9999 (guest): one"},
		},
		"one does not answer, one is busy": {
			[]plan.ReserveAnswer{refused(guest, openflow.CodeUnavailable, "one"), refused(host, openflow.CodeExhausted, "two")},
			plan.Verdict{Wait: "waiting for party 9999 (guest): one"},
		},
		"more than there is": {
			[]plan.ReserveAnswer{granted(guest), refused(host, openflow.CodeInvalid, "wants 9 of 4 cores")},
			plan.Verdict{Return: []openflow.Party{guest}, Fail: "refused by party 10000 (host): wants 9 of 4 cores"},
		},
		"never, and busy elsewhere": {
			[]plan.ReserveAnswer{refused(guest, openflow.CodeExhausted, "busy"), refused(host, openflow.CodeInvalid, "never")},
			plan.Verdict{Wait: "waiting for party 9999 (guest): busy", Called: true, Fail: "refused by party 10000 (host): never"},
		},
		"refusal without words": {
			[]plan.ReserveAnswer{granted(guest), refused(host, openflow.CodeRejected, "")},
			plan.Verdict{Return: []openflow.Party{guest}, Fail: "refused by party 10000 (host): rejected"},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, cmp.Diff(tc.want, plan.Admit(tc.answers))) })
	}
}

func TestInOrder(t *testing.T) {
	arbiter := openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
	parties := []openflow.Party{guest, host, arbiter}
	require.Equal(t, []openflow.Party{arbiter, host, guest}, plan.InOrder(parties))
	require.Equal(t, guest, parties[0], "the argument stays as it is")
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Who hears of a wait, and when. The record hears at the first, second, fourth, eighth … refusal. The parties hear from the
// second on, or when the first wait lasts. They hear again when half an hour is over.
func TestNewsOfAWait(t *testing.T) {
	busy, away := plan.Verdict{Wait: "busy", Called: true}, plan.Verdict{Wait: "away"}
	for name, tc := range map[string]struct {
		before  int           // refusals
		told    time.Duration // after which the parties heard last; 0: they have not
		now     time.Duration
		refused plan.Verdict
		want    plan.Wait
	}{
		"the first, of a party that calls":      {0, 0, 0, busy, plan.Wait{Record: true, Lasting: true}},
		"the first, of one that does not call":  {0, 0, 0, away, plan.Wait{Record: true}},
		"the second":                            {1, time.Second, time.Minute, busy, plan.Wait{Record: true, Tell: true}},
		"the third":                             {2, time.Second, time.Minute, busy, plan.Wait{}},
		"the third, when nobody has heard":      {2, 0, time.Minute, busy, plan.Wait{Tell: true}},
		"the fourth":                            {3, time.Second, time.Minute, away, plan.Wait{Record: true, Tell: true}},
		"the fifth":                             {4, time.Second, 30 * time.Minute, away, plan.Wait{}},
		"the fifth, after half an hour":         {4, time.Second, 31 * time.Minute, away, plan.Wait{Tell: true}},
		"the hundredth, just after they heard":  {99, 5 * time.Hour, 5*time.Hour + time.Minute, busy, plan.Wait{}},
		"the hundredth, long after they heard":  {99, 5 * time.Hour, 6 * time.Hour, busy, plan.Wait{Tell: true}},
		"the one hundred and twenty-eighth one": {127, 5 * time.Hour, 5*time.Hour + time.Minute, busy, plan.Wait{Record: true, Tell: true}},
	} {
		t.Run(name, func(t *testing.T) {
			q := plan.NewQueue("J", noon)
			require.False(t, q.InOrder(), "the first time all at once")
			for range tc.before {
				q.Refused(tc.refused, noon)
				require.True(t, q.InOrder())
			}
			if tc.told > 0 {
				q.Told(noon.Add(tc.told))
			}
			got := q.Refused(tc.refused, noon.Add(tc.now))
			if tc.refused.Called {
				require.GreaterOrEqual(t, got.Pause, 10*time.Minute, "its call cuts the pause short")
				require.Less(t, got.Pause, 12*time.Minute)
			} else {
				require.Equal(t, plan.Pause(tc.now), got.Pause)
			}
			got.Pause = 0
			require.Equal(t, tc.want, got)
		})
	}
}

// Jobs that began together do not ask together.
func TestPausesOfTwoJobsDiffer(t *testing.T) {
	pause := func(id openflow.JobID) time.Duration {
		return plan.NewQueue(id, noon).Refused(plan.Verdict{Wait: "busy", Called: true}, noon).Pause
	}
	require.NotEqual(t, pause("J1"), pause("J2"))
	require.Equal(t, pause("J1"), pause("J1"))
}
