package scenarios_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/tests/env"
)

// Messages between two nodes get lost before or after they were heard, come twice or come late, and the job is none the
// wiser: it succeeds, and every program has been started once.
func TestMessagesGoWrong(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Proxied())
	there, back := e.Link(t, "9999", "10000"), e.Link(t, "10000", "9999")
	calls := map[string]struct {
		on      *env.Proxy
		path    string
		dialect openflow.Dialect
	}{
		"job create":  {there, "/openflow/v1/node/job/open", native.Name},
		"task start":  {there, "/openflow/v1/node/task/start", native.Name},
		"job stop":    {there, "/openflow/v1/node/job/stop", native.Name},
		"task report": {back, "/openflow/v1/node/scheduled/report", native.Name},

		"job create alone":    {there, "/v2/partner/job/create", fateflow.Name},
		"job status alone":    {there, "/v2/partner/job/status/update", fateflow.Name},
		"job apply alone":     {there, "/v2/partner/job/resource/apply", fateflow.Name},
		"job start alone":     {there, "/v2/partner/job/start", fateflow.Name},
		"task apply alone":    {there, "/v2/partner/task/resource/apply", fateflow.Name},
		"task running alone":  {there, "/v2/partner/task/status/update", fateflow.Name},
		"task start alone":    {there, "/v2/partner/task/start", fateflow.Name},
		"task stop alone":     {there, "/v2/partner/task/stop", fateflow.Name},
		"job progress alone":  {there, "/v2/partner/job/update", fateflow.Name},
		"job stop alone":      {there, "/v2/partner/job/stop", fateflow.Name},
		"task report to this": {back, "/v2/scheduler/task/report", fateflow.Name},
	}
	faults := map[string]env.Fault{"never heard": env.Lost, "answer lost": env.Unanswered, "heard twice": env.Twice, "answered by a gateway": env.Garbled}
	for call, c := range calls {
		for name, fault := range faults {
			t.Run(call+" "+name, func(t *testing.T) {
				before := c.on.Faults(fault)
				c.on.Inject(env.First(1, c.path, fault))
				defer c.on.Inject(nil)
				e.Speak(t, c.dialect, "9999", "10000")
				guest, host := e.As(t, "9999"), e.As(t, "10000")
				id := guest.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
				guest.WaitFor(id, openflow.JobSuccess)
				host.WaitFor(id, openflow.JobSuccess)
				env.WaitUntil(t, env.Patience, "the fault has happened, if only after the parties have ended", func() (bool, string) {
					n := c.on.Faults(fault) - before
					return n == 1, fmt.Sprint(n)
				})
				for i, party := range e.Parties {
					e.OneStartEach(t, party, id, env.Key("a", pair[i]), env.Key("b", pair[i]))
				}
				e.NoContainers(t)
				e.NoCoresHeld(t)
			})
		}
	}

	e.Speak(t, native.Name, "9999", "10000")
	t.Run("submission forwarded to the scheduler, answer lost", func(t *testing.T) {
		there.Inject(env.First(1, "/openflow/v1/node/scheduled/create", env.Unanswered))
		defer there.Inject(nil)
		guest := e.As(t, "9999")
		d := env.DAG(pair, env.Noop("a", nil))
		d.Conf.Scheduler = "10000"
		first := guest.TrySubmit(d, "Idempotency-Key", "once-only")
		if first.Code != 0 { // the user is told, and repeats
			require.Contains(t, first.Message, "party 10000")
			first = guest.TrySubmit(d, "Idempotency-Key", "once-only")
		}
		guest.OK(first, nil)
		id := openflow.JobID(first.JobID)
		guest.WaitFor(id, openflow.JobSuccess)
		e.OneStartEach(t, "9999", id, env.Key("a", pair[0]))
		e.OneStartEach(t, "10000", id, env.Key("a", pair[1]))
	})

	t.Run("a partner that hears late", func(t *testing.T) {
		there.Delay = 700 * time.Millisecond
		there.Inject(func(path string, _ int) env.Fault {
			if strings.HasSuffix(path, "/start") {
				return env.Slow
			}
			return env.None
		})
		defer there.Inject(nil)
		guest := e.As(t, "9999")
		id := guest.Submit(env.DAG(pair, env.Noop("a", nil)))
		guest.WaitFor(id, openflow.JobSuccess)
		e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	})

	t.Run("a partner that answers later than anybody waits", func(t *testing.T) {
		there.Delay = 4 * time.Second // beyond the first, short try of a call
		there.Inject(env.First(1, "/openflow/v1/node/task/start", env.Slow))
		defer there.Inject(nil)
		guest := e.As(t, "9999")
		id := guest.Submit(env.DAG(pair, env.Noop("a", nil)))
		guest.WaitFor(id, openflow.JobSuccess)
		e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
		e.OneStartEach(t, "10000", id, env.Key("a", pair[1]))
	})

	t.Run("messages of programs", func(t *testing.T) {
		upload(t, e.As(t, "9999"), e.As(t, "10000"), 3000, 2000)
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				for _, link := range []*env.Proxy{there, back} {
					link.Inject(func(path string, nth int) env.Fault {
						if strings.HasPrefix(path, "/v1/interconn/") && nth%2 == 1 {
							return fault
						}
						return env.None
					})
					defer link.Inject(nil)
				}
				before := there.Faults(fault) + back.Faults(fault)
				guest, host := e.As(t, "9999"), e.As(t, "10000")
				id := guest.Submit(intersection())
				guest.WaitFor(id, openflow.JobSuccess)
				host.WaitFor(id, openflow.JobSuccess)
				require.GreaterOrEqual(t, there.Faults(fault)+back.Faults(fault)-before, 2, "the faults have happened")
				for i, party := range e.Parties {
					run := env.Run(id, string(pair[i].Role), party, "psi_0")
					require.JSONEq(t, `{"intersect_count":2000}`, string(e.As(t, party).Metrics(run)["intersect_id_count"]))
				}
			})
		}
	})

	t.Run("every report is lost: the scheduler asks", func(t *testing.T) {
		back.Inject(env.Every(env.Lost))
		defer back.Inject(nil)
		guest := e.As(t, "9999")
		id := guest.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
		guest.WaitFor(id, openflow.JobSuccess)
		require.NotEmpty(t, there.Seen("/openflow/v1/node/task/ask"))
	})

	t.Run("half of everything goes wrong", func(t *testing.T) {
		seed := rand.Uint64() // what follows depends on timing as well, so a constant would repeat nothing
		t.Logf("seed %d", seed)
		for i, link := range []*env.Proxy{there, back} {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			link.Delay = 300 * time.Millisecond
			link.Inject(func(string, int) env.Fault {
				return []env.Fault{env.None, env.None, env.None, env.None, env.Lost, env.Unanswered, env.Twice, env.Slow}[r.IntN(8)]
			})
			defer link.Inject(nil)
		}
		guest, host := e.As(t, "9999"), e.As(t, "10000")
		var ids []openflow.JobID
		for i := 0; len(ids) < 4; i++ {
			require.Less(t, i, 40, "submissions that fail honestly")
			answer := guest.TrySubmit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
			if answer.Code == 0 {
				ids = append(ids, openflow.JobID(answer.JobID))
			}
		}
		for _, id := range ids {
			guest.WaitFor(id, openflow.JobSuccess)
			host.WaitFor(id, openflow.JobSuccess)
			for i, party := range e.Parties {
				e.OneStartEach(t, party, id, env.Key("a", pair[i]), env.Key("b", pair[i]))
			}
		}
		there.Inject(nil)
		back.Inject(nil)
		e.NoContainers(t)
		e.NoCoresHeld(t)
	})
}
