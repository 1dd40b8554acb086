package partner_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
)

// What a run stores or sends, and what is refused each time, is the run's reason and its job's within 15 s, until it is
// taken or nobody repeats it.
func TestWhatIsRefusedIsTheReason(t *testing.T) {
	key := openflow.Errorf(openflow.CodeUnauthorized, "party 9999 shows a certificate of key x").WithHint("openflow site rotate 9999")
	for name, tc := range map[string]struct {
		what openflow.Passage
		err  error
		want string // part of the reason; empty: none
	}{
		"a partner has no room":         {openflow.ToParty("9999"), openflow.AtParty("9999", openflow.Errorf(openflow.CodeExhausted, "its disk is full")), "its messages to party 9999 are refused since 2000-01-01T00:00:10Z (exhausted): party 9999 says “its disk is full”"},
		"this site has none for others": {openflow.FromParty("9999"), openflow.Errorf(openflow.CodeExhausted, "3 MiB left"), "the messages of party 9999 are refused since 2000-01-01T00:00:10Z (exhausted): 3 MiB left"},
		"nor for its own":               {openflow.WhatItStores, openflow.Errorf(openflow.CodeExhausted, "3 MiB left"), "its outputs are refused since "},
		"the store is away":             {openflow.WhatItStores, openflow.Errorf(openflow.CodeUnavailable, "no bucket"), "(unavailable): no bucket"},
		"a key does not fit":            {openflow.ToParty("9999"), openflow.AtParty("10000", key), "(unauthorized): party 9999 shows a certificate of key x (openflow site rotate 9999)"},
		"it does not know the session":  {openflow.ToParty("9999"), openflow.AtParty("9999", openflow.Errorf(openflow.CodePermission, "no session")), "(permission): party 9999 says “no session”"},
		"the message itself is refused": {openflow.ToParty("9999"), openflow.Errorf(openflow.CodeInvalid, "no payload"), ""},
		"there is no more for the run":  {openflow.WhatItStores, openflow.Errorf(openflow.CodeSpent, "1 GiB of 1 GiB"), ""},
		"the program has gone":          {openflow.WhatItStores, openflow.Errorf(openflow.CodeCanceled, "gone"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, begun, func(r *running, _ *line, w *partner.Watch, log *bytes.Buffer) {
				session := r.tasks[1].Key.SessionID()
				told := func(task int) string {
					r.mu.Lock()
					defer r.mu.Unlock()
					return r.tasks[task].Reason
				}
				repeat := func(times int) {
					for range times {
						w.Hindered(session, tc.what, tc.err)
						pass(2 * time.Second)
					}
				}
				pass(10 * time.Second)
				before := r.reason()
				w.Hindered(session, tc.what, tc.err)
				pass(5 * time.Second)
				require.Empty(t, told(1), "once says nothing")
				w.Hindered(session, tc.what, nil)
				pass(5 * time.Second)

				repeat(6) // 12 s
				if tc.want == "" {
					require.Empty(t, told(1))
					require.Equal(t, before, r.reason())
					return
				}
				want := strings.ReplaceAll(tc.want, "00:00:10Z", "00:00:20Z")
				require.Contains(t, told(1), want)
				require.Contains(t, r.reason(), "waiting for task b: "+told(1))
				require.Empty(t, told(0), "it has ended")
				require.Empty(t, told(2), "it has another session")
				require.Equal(t, 1, strings.Count(log.String(), "a run is held up"), "%s", log)
				w.Hindered(session, tc.what, nil)
				pass(5 * time.Second)
				require.Empty(t, told(1))
				require.Equal(t, before, r.reason())

				repeat(6)
				require.Contains(t, told(1), tc.want[:20])
				pass(2 * time.Minute)
				require.Empty(t, told(1), "nobody repeats it")
			})
		})
	}
}

// A machine that is silent stays the reason of its run, whatever is refused beside.
func TestAnotherReasonStays(t *testing.T) {
	watching(t, begun, func(r *running, _ *line, w *partner.Watch, _ *bytes.Buffer) {
		r.mu.Lock()
		r.tasks[1].Reason = "machine m has been silent"
		r.mu.Unlock()
		for range 5 {
			w.Hindered(r.tasks[1].Key.SessionID(), openflow.WhatItStores, openflow.Errorf(openflow.CodeExhausted, "full"))
			pass(3 * time.Second)
		}
		require.Equal(t, "waiting for task b: machine m has been silent", r.reason())
	})
}

// A disk that is nearly full is the reason of jobs at its own party and at others, each with the words for its own users.
func TestDiskIsNearlyFull(t *testing.T) {
	watching(t, begun, func(r *running, l *line, _ *partner.Watch, _ *bytes.Buffer) {
		r.mu.Lock()
		r.short = openflow.Errorf(openflow.CodeExhausted, "the disk of home /h has 31 MiB left")
		r.mu.Unlock()
		pass(10 * time.Second)
		const why = "its node has no room, and takes no messages, outputs or tasks until there is (exhausted)"
		require.Contains(t, r.reason(), "waiting for party 10000 (host): since ")
		require.Contains(t, r.reason(), why+": the disk of home /h has 31 MiB left")
		require.Contains(t, r.scheduled[0].Reason, why)
		require.NotContains(t, r.scheduled[0].Reason, "/h", "it is told to others")
		require.Zero(t, l.asked["10000"], "nobody asks itself")
		require.Zero(t, r.spared, "there is room for a reason")

		there := openflow.Errorf(openflow.CodeExhausted, "its disk is nearly full")
		there.Party, there.Err = "9999", openflow.ErrNoRoom
		r.mu.Lock()
		r.short = nil
		r.mu.Unlock()
		l.set(func(l *line) { l.wrong["9999"] = there })
		pass(10 * time.Second)
		require.Contains(t, r.reason(), "waiting for party 9999 (guest): since ")
		require.Contains(t, r.reason(), why+": party 9999 says “its disk is nearly full”")
		require.NotContains(t, r.reason(), "party 10000 (host): since")
	})
}

// On a full disk the reason itself has no room. Once a part of the reserve is given up for it; the rest is for commands.
func TestReasonHasNoRoom(t *testing.T) {
	watching(t, begun, func(r *running, _ *line, _ *partner.Watch, _ *bytes.Buffer) {
		set := func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.err = err
		}
		set(openflow.Errorf(openflow.CodeExhausted, "no space left"))
		pass(time.Minute)
		require.Equal(t, 1, r.spared)
		set(openflow.Errorf(openflow.CodeUnavailable, "busy"))
		pass(10 * time.Second)
		set(openflow.Errorf(openflow.CodeExhausted, "no space left"))
		pass(10 * time.Second)
		require.Equal(t, 1, r.spared)
		set(nil)
		pass(10 * time.Second)
		set(openflow.Errorf(openflow.CodeExhausted, "no space left"))
		pass(10 * time.Second)
		require.Equal(t, 2, r.spared, "the disk had room in between")
	})
}
