package scenarios_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
	"openflow/tests/fatesite"
)

// sources gives each stand-in an address of its own: a source is one peer's.
var sources atomic.Int32

// fateSite is a stand-in of a FATE-Flow site that knows the nodes of e, and they know it.
func fateSite(t *testing.T, e *env.Env, o fatesite.Options) *fatesite.Site {
	t.Helper()
	n := sources.Add(1)
	o.Party, o.Source = fmt.Sprint(8800+n), fmt.Sprintf("127.0.1.%d", n)
	if o.Round == 0 {
		o.Round = 400 * time.Millisecond
	}
	s := fatesite.New(t, o)
	for _, id := range e.Parties {
		s.Reach(id, e.PeersURL(id))
		user := e.As(t, id)
		user.OK(user.Post("/openflow/v1/user/site/add", map[string]any{
			"party_id": s.Party, "url": s.URL, "dialect": "fate-flow", "unsigned_from": []string{o.Source},
		}), nil)
	}
	return s
}

// told is a story of a job of two tasks in a row, "a" and "b", at a node of ours and at a site of FATE-Flow.
type told struct {
	retries int
	fate    map[string]fatesite.Run // how the runs go there
	ours    map[string]int          // milliseconds that those here take; negative: they fail
	job     func(*openflow.DAG)     // what is special in the document
	before  func(s *played)         // what somebody does before the job is submitted
	hand    func(s *played)         // what somebody does while "a" runs
	ends    openflow.JobStatus
	reason  string // a part of ours
	starts  int    // processes of "a" there; 0: one, negative: none
	round   time.Duration
	by      string // who submits; empty: a user of ours
}

// played is a story that is under way.
type played struct {
	*testing.T
	env  *env.Env
	user *env.Client
	fate *fatesite.Site
	id   openflow.JobID
}

// until waits for a state of the site.
func (p *played) until(what string, holds func() (bool, string)) {
	p.Helper()
	env.WaitUntil(p, env.Patience, what, holds)
}

func (p *played) runsThere(task string) {
	p.until("task "+task+" runs there", func() (bool, string) {
		_, own, _ := p.fate.Task(string(p.id), task)
		return own == "running", own
	})
}

// stories are told with each scheduler, in push and in pull.
var stories = map[string]told{
	"success": {ends: openflow.JobSuccess},
	"failure there": {
		fate: map[string]fatesite.Run{"b": {Status: "failed", Seen: true}}, ends: openflow.JobFailed,
	},
	"failure there at once": {
		fate: map[string]fatesite.Run{"a": {Status: "failed"}}, ours: map[string]int{"a": 300_000}, ends: openflow.JobFailed,
	},
	"failure here": {
		fate: map[string]fatesite.Run{"b": {Stuck: true}}, ours: map[string]int{"b": -1}, ends: openflow.JobFailed,
	},
	"no start there": {
		fate: map[string]fatesite.Run{"b": {Refuse: true}}, ours: map[string]int{"b": 300_000}, ends: openflow.JobFailed,
	},
	"stop here": {
		round: 2 * time.Second, // within one, as in the original, the runs here have ended and said so
		fate:  map[string]fatesite.Run{"a": {Stuck: true}}, ours: map[string]int{"a": 300_000}, ends: openflow.JobCanceled,
		hand: func(p *played) {
			p.runsThere("a")
			p.user.StopJob(p.id)
		},
	},
	"stop there": {
		fate: map[string]fatesite.Run{"a": {Stuck: true}}, ours: map[string]int{"a": 300_000}, ends: openflow.JobCanceled,
		hand: func(p *played) {
			p.runsThere("a")
			require.NoError(p, p.fate.StopJob(string(p.id)))
		},
	},
	"auto retries": {
		retries: 1, fate: map[string]fatesite.Run{"a": {Status: "failed", Seen: true, After: time.Second}}, ends: openflow.JobSuccess, starts: 2,
		hand: func(p *played) {
			p.runsThere("a")
			p.fate.Will("a", fatesite.Run{})
		},
	},
	"the site restarts": {
		fate: map[string]fatesite.Run{"a": {Stuck: true}}, ends: openflow.JobSuccess,
		hand: func(p *played) {
			p.runsThere("a")
			p.fate.Stop()
			p.fate.Start()
			p.fate.Finish(string(p.id), "a", "success")
		},
	},
	"rerun": {
		fate: map[string]fatesite.Run{"b": {Status: "failed", Seen: true}}, ends: openflow.JobSuccess,
		hand: func(p *played) {
			p.ended(openflow.JobFailed)
			p.fate.Will("b", fatesite.Run{})
			p.until("it is run again", func() (bool, string) {
				answer := p.user.Post("/v2/job/rerun", map[string]string{"job_id": string(p.id)})
				return answer.Code == wire.Success, answer.Message
			})
		},
	},
	"a run here takes too long": {
		ours: map[string]int{"b": 300_000}, ends: openflow.JobFailed, reason: `task "b" timeout at`,
		job: func(d *openflow.DAG) { d.Tasks[1].Conf.Timeout = time.Second },
	},
	"a run there takes too long": {
		fate: map[string]fatesite.Run{"b": {Stuck: true}}, ends: openflow.JobFailed,
		job: func(d *openflow.DAG) { d.Tasks[1].Conf.Timeout = time.Second },
	},
	"the site is busy": {
		ends:   openflow.JobSuccess,
		before: func(p *played) { p.fate.Take(p.fate.Cores) },
		hand: func(p *played) {
			p.until("the site was asked and had no cores", func() (bool, string) {
				calls := strings.Join(p.fate.Calls(false), ", ")
				return strings.Contains(calls, "partner/job/resource/apply"), calls
			})
			p.fate.Take(-p.fate.Cores)
		},
	},
	"more cores than the site has": {
		ends: openflow.JobFailed, starts: -1, job: func(d *openflow.DAG) { many := 64; d.Conf.Cores = &many },
	},
	"submitted there": {by: "theirs", ends: openflow.JobSuccess},
	"submitted there, stopped there": {
		by: "theirs", fate: map[string]fatesite.Run{"a": {Stuck: true}}, ends: openflow.JobCanceled, ours: map[string]int{"a": 300_000},
		hand: func(p *played) {
			p.runsThere("a")
			require.NoError(p, p.fate.StopJob(string(p.id)))
		},
	},
	"submitted there, run again": {
		by: "theirs", fate: map[string]fatesite.Run{"b": {Status: "failed", Seen: true}}, ends: openflow.JobSuccess,
		hand: func(p *played) {
			p.ended(openflow.JobFailed)
			p.fate.Will("b", fatesite.Run{})
			p.until("it is run again", func() (bool, string) {
				err := p.fate.Rerun(string(p.id))
				return err == nil, fmt.Sprint(err)
			})
		},
	},
	"answers come late": {
		fate: map[string]fatesite.Run{"a": {Slow: 3500 * time.Millisecond}}, ends: openflow.JobSuccess,
	},
}

// Every story ends, the same at both sides, and neither holds a core of it afterwards: whoever schedules, and whether runs report or
// are asked.
func TestStoriesWithFATE(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Cores(400))
	for name, story := range stories {
		for _, mode := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
			for _, scheduler := range []string{"ours", "theirs"} {
				t.Run(fmt.Sprintf("%s/%s/%s schedule", name, mode, scheduler), func(t *testing.T) {
					if name == "failure there at once" && mode == openflow.Poll && scheduler == "theirs" {
						t.Skip("FATE-Flow itself loses a failure of its own that comes before its first question (fate-flow-api §2.5.7)")
					}
					t.Parallel()
					story.play(t, e, mode, scheduler == "ours")
				})
			}
		}
	}
}

func (s told) play(t *testing.T, e *env.Env, mode openflow.SyncType, ours bool) {
	p := &played{T: t, env: e, user: e.As(t, "9999"), fate: fateSite(t, e, fatesite.Options{Round: s.round})}
	for task, run := range s.fate {
		p.fate.Will(task, run)
	}
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host := openflow.Party{Role: openflow.RoleHost, ID: openflow.PartyID(p.fate.Party)}
	parameters := func(task string) openflow.Parameters {
		switch ms := s.ours[task]; {
		case ms < 0:
			return openflow.Parameters{"fail": "as it was told"}
		case ms > 0:
			return env.Sleep(ms)
		}
		return nil
	}
	d := env.DAG([]openflow.Party{guest, host}, env.Noop("a", nil), env.Noop("b", nil, "a"))
	d.PartyTasks = []openflow.PartyTasks{{Site: "guest_9999", Parties: []openflow.Party{guest}, Tasks: map[openflow.TaskName]openflow.TaskOverride{
		"a": {Parameters: parameters("a")}, "b": {Parameters: parameters("b")},
	}}}
	d.Conf.SyncType, d.Conf.AutoRetries = mode, s.retries
	if !ours {
		d.Conf.Scheduler = openflow.PartyID(p.fate.Party)
	}
	if s.job != nil {
		s.job(d)
	}
	if s.before != nil {
		s.before(p)
	}
	p.id = p.submit(d, s.by)
	if s.hand != nil {
		s.hand(p)
	}
	p.agreed(s)
}

// submit hands the job to its scheduler, by a user of ours or as one of the site does it.
func (p *played) submit(d *openflow.DAG, by string) openflow.JobID {
	p.Helper()
	if by == "" {
		return p.user.Submit(d)
	}
	if d.Conf.Scheduler == "" {
		d.Conf.Scheduler = "9999"
	}
	text, err := wire.EncodeDocument(d)
	require.NoError(p, err)
	var document struct {
		DAG map[string]any `json:"dag"`
	}
	require.NoError(p, json.Unmarshal(text, &document))
	id, refusal := p.fate.Submit(document.DAG)
	require.NoError(p, refusal)
	return openflow.JobID(id)
}

// ended waits until both sides say that the job has ended so, and returns the reason of ours.
func (p *played) ended(want openflow.JobStatus) (reason string) {
	p.Helper()
	p.until("the job is "+string(want)+" at both sides", func() (bool, string) { // FATE-Flow calls it failed before it tries again, or cancels it
		rows := p.user.Jobs(p.id)
		at, _ := p.fate.Job(string(p.id))
		scheduled := p.fate.Scheduled(string(p.id))
		if len(rows) == 0 {
			return false, "there is no such job here"
		}
		reason = rows[0].Reason
		return rows[0].Status == string(want) && at.Status == string(want) && (scheduled == "" || scheduled == string(want) || want == openflow.JobFailed && scheduled == "timeout"), fmt.Sprintf(
			"%s %q, there %+v, scheduled there %q\ncalled for: %s\nhas called: %s", rows[0].Status, reason, at, scheduled,
			strings.Join(p.fate.Calls(false), ", "), strings.Join(p.fate.Calls(true), ", "))
	})
	return reason
}

// agreed waits until both sides say how the job has ended, and hold nothing of it.
func (p *played) agreed(s told) {
	p.Helper()
	reason := p.ended(s.ends)
	if s.ends != openflow.JobSuccess {
		require.NotEmpty(p, reason)
	}
	require.Contains(p, reason, s.reason)
	p.until("nothing of it is held", func() (bool, string) {
		_, a, _ := p.fate.Task(string(p.id), "a")
		_, b, _ := p.fate.Task(string(p.id), "b")
		here := p.user.TaskStatuses(p.id)
		leaked := p.fate.Leaked()
		runs := a == "running" || b == "running" || slices.Contains(slices.Collect(maps.Values(here)), "running")
		return !runs && len(leaked) == 0 && p.fate.Free() == p.fate.Cores, fmt.Sprintf("there a %s, b %s, %d free, leaked %v; here %v\ncalled for: %s\nhas called: %s",
			a, b, p.fate.Free(), leaked, here, strings.Join(p.fate.Calls(false), ", "), strings.Join(p.fate.Calls(true), ", "))
	})
	_, _, starts := p.fate.Task(string(p.id), "a")
	require.Equal(p, max(cmp.Or(s.starts, 1), 0), starts, "processes of a")
}

// A site that refuses a job says why, and its words are marked as its own. Nothing of the job is left at either side.
func TestAJobThatASiteOfFATERefuses(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	user := e.As(t, "9999")
	for _, ours := range []bool{true, false} {
		fate := fateSite(t, e, fatesite.Options{})
		fate.Will("b", fatesite.Run{Status: "no provider"})
		d := env.DAG(env.Parties("guest 9999", "host "+fate.Party), env.Noop("a", nil), env.Noop("b", nil, "a"))
		if !ours {
			d.Conf.Scheduler = openflow.PartyID(fate.Party)
		}
		answer := user.TrySubmit(d)
		require.NotZero(t, answer.Code)
		require.Contains(t, answer.Message, "its node says")
		require.Contains(t, answer.Message, "Not found provider")
		require.Empty(t, fate.Leaked())
		require.Equal(t, fate.Cores, fate.Free())
	}
	e.NoCoresHeld(t)
}

// Two sites of FATE-Flow and one of ours: each of the three schedules.
func TestTwoSitesOfFATE(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	user := e.As(t, "9999")
	one, other := fateSite(t, e, fatesite.Options{}), fateSite(t, e, fatesite.Options{})
	one.Reach(other.Party, other.URL)
	other.Reach(one.Party, one.URL)
	for _, scheduler := range []string{"9999", one.Party} {
		for _, mode := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
			d := env.DAG(env.Parties("guest 9999", "host "+one.Party, "arbiter "+other.Party), env.Noop("a", nil), env.Noop("b", nil, "a"))
			d.Conf.Scheduler, d.Conf.SyncType = openflow.PartyID(scheduler), mode
			id := user.Submit(d)
			user.WaitFor(id, openflow.JobSuccess)
			for _, s := range []*fatesite.Site{one, other} {
				env.WaitUntil(t, env.Patience, "the site "+s.Party+" has heard of the end", func() (bool, string) {
					at, _ := s.Job(string(id))
					return at.Status == "success" && s.Free() == s.Cores && len(s.Leaked()) == 0, fmt.Sprintf("%+v, leaked %v", at, s.Leaked())
				})
			}
		}
	}
	e.NoCoresHeld(t)
}
