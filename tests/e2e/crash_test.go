package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/credit"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

var pair = env.Parties("guest 9999", "host 10000")

// chain is a job of a task that lasts and one that follows.
func chain(ms int) *openflow.DAG {
	return env.DAG(pair, env.Noop("a", env.Sleep(ms)), env.Noop("b", nil, "a"))
}

// held submits a job of a task that lasts until it is released and one that follows, and waits until it runs.
func held(t *testing.T, list map[string]*site) (id openflow.JobID, release func()) {
	t.Helper()
	var lasting openflow.Parameters
	var releases []func()
	for _, s := range list {
		p, release := s.ground.hold(t, "a")
		lasting, releases = p, append(releases, release)
	}
	id = list["9999"].as(t).Submit(env.DAG(pair, env.Noop("a", lasting), env.Noop("b", nil, "a")))
	for _, s := range list {
		s.begun(t, id, 1)
	}
	return id, func() {
		for _, release := range releases {
			release()
		}
	}
}

// killsMidTask kills the scheduler, the partner and both in the middle of a task, and starts them again.
func killsMidTask(t *testing.T, list map[string]*site) {
	for name, killed := range map[string][]string{"scheduler": {"9999"}, "partner": {"10000"}, "both": {"9999", "10000"}} {
		t.Run("kill -9 of "+name, func(t *testing.T) {
			id, release := held(t, list)
			for _, party := range killed {
				list[party].kill(t)
				require.NotEmpty(t, list[party].ground.containers(t), "the program outlives the node")
			}
			for _, party := range killed {
				t.Logf("party %s is ready %s after its start", party, list[party].start(t).Round(time.Millisecond))
			}
			release()
			for _, s := range list {
				s.as(t).WaitFor(id, openflow.JobSuccess)
				s.oneStartEach(t, s.as(t).Tasks(id))
			}
			nothingLeft(t, list)
		})
	}
}

// submitAgain repeats a submission as a user does to whom the node says that a partner was away: the first one may have met
// the node that was killed, and ends with that.
func submitAgain(t *testing.T, s *site, dag *openflow.DAG, key string) (id openflow.JobID) {
	t.Helper()
	env.WaitUntil(t, env.Patience, "the submission "+key+" is accepted", func() (bool, string) {
		answer := s.as(t).TrySubmit(dag, wire.IdempotencyHeader, key)
		if answer.Code != wire.Success {
			require.NotNil(t, answer.Error, answer.Message)
			require.Equal(t, string(openflow.CodeUnavailable), answer.Error.Code, answer.Message)
		}
		id = openflow.JobID(answer.JobID)
		return answer.Code == wire.Success, answer.Message
	})
	return id
}

// A node that is killed in the middle of a task, and started again on its home, takes the running program up: no second
// one is started, and the job succeeds.
func TestKillNode(t *testing.T) {
	list := sites(t, "process", "9999", "10000")
	for _, s := range list {
		s.start(t)
	}
	killsMidTask(t, list)

	// The moments around submission, start and end of tasks are short, so they are met by trying many.
	three := func() *openflow.DAG {
		return env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b"))
	}
	poll := three()
	poll.Conf.SyncType = openflow.Poll
	failing := three()
	failing.PartyTasks = []openflow.PartyTasks{
		env.At(pair[1], "b", openflow.Parameters{"fail": true}), env.At(pair[0], "b", env.Sleep(300_000)),
	}
	jobs := map[string]struct {
		dag  *openflow.DAG
		stop bool
		want openflow.JobStatus
	}{
		"of a job":                     {dag: three(), want: openflow.JobSuccess},
		"of a job whose parties asked": {dag: poll, want: openflow.JobSuccess},
		"of a job that fails":          {dag: failing, want: openflow.JobFailed},
		"of a stop":                    {dag: chain(300_000), stop: true, want: openflow.JobCanceled},
	}
	for name, c := range jobs {
		t.Run("at any moment "+name, func(t *testing.T) {
			for i := range rounds(t, 4) {
				victim := list[[]string{"9999", "10000"}[i%2]]
				id := list["9999"].as(t).Submit(c.dag)
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					if c.stop {
						pause(t, time.Duration(rand.IntN(200))*time.Millisecond)
						list["9999"].as(t).StopOnce(id) // answered or not
					}
				}()
				pause(t, time.Duration(rand.IntN(400))*time.Millisecond)
				victim.kill(t)
				victim.start(t)
				<-stopped
				if c.stop {
					list["9999"].as(t).StopJob(id)
				}
				for _, s := range list {
					s.as(t).WaitFor(id, c.want)
					s.as(t).Settled(id)
					s.startedOnce(t, s.as(t).Tasks(id))
				}
			}
			nothingLeft(t, list)
		})
	}

	// A user whose submission breaks off repeats it under the same key, and there is one job.
	t.Run("while a job is submitted", func(t *testing.T) {
		for i := range rounds(t, 6) {
			victim := list[[]string{"9999", "10000"}[i%2]]
			key := fmt.Sprintf("once-%d", i)
			dag := env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a"))
			dag.Conf.Scheduler = openflow.PartyID([]string{"9999", "10000"}[i/2%2])
			first := make(chan struct{})
			go func() {
				defer close(first)
				list["9999"].as(t).SubmitOnce(dag, key) // answered or not
			}()
			pause(t, time.Duration(rand.IntN(80))*time.Millisecond)
			victim.kill(t)
			victim.start(t)
			<-first
			id := submitAgain(t, list["9999"], dag, key)
			require.Equal(t, id, list["9999"].as(t).Submit(dag, wire.IdempotencyHeader, key))
			for _, s := range list {
				s.as(t).WaitFor(id, openflow.JobSuccess)
				s.oneStartEach(t, s.as(t).Tasks(id))
			}
		}
		nothingLeft(t, list)
	})

	// More jobs than there are cores for: some run, some wait, some are just being made when the nodes die.
	t.Run("with many jobs", func(t *testing.T) {
		const jobs, kills = 24, 4
		ids := make(chan openflow.JobID, jobs)
		go func() {
			defer close(ids)
			for i := range jobs {
				key := fmt.Sprintf("many-%d", i)
				dag := env.DAG(pair, env.Noop("a", env.Sleep(100)), env.Noop("b", nil, "a"))
				for begun := time.Now(); time.Since(begun) < env.Patience; pause(t, 200*time.Millisecond) { // as users repeat what was not answered
					if id, ok := list["9999"].as(t).SubmitOnce(dag, key); ok {
						ids <- id
						break
					}
				}
			}
		}()
		for i := range kills {
			pause(t, time.Duration(500+rand.IntN(1000))*time.Millisecond)
			victim := list[[]string{"9999", "10000"}[i%2]]
			victim.kill(t)
			victim.start(t)
		}
		seen := map[openflow.JobID]bool{}
		for id := range ids {
			require.False(t, seen[id], "a job for each submission")
			seen[id] = true
			for _, s := range list {
				s.as(t).WaitFor(id, openflow.JobSuccess)
				s.oneStartEach(t, s.as(t).Tasks(id))
			}
		}
		require.Len(t, seen, jobs)
		nothingLeft(t, list)
	})

	t.Run("told to end, and started again", func(t *testing.T) {
		id, release := held(t, list)
		for _, s := range list {
			s.term(t)
			require.Len(t, s.ground.containers(t), 1, "the program outlives the node")
		}
		for _, s := range list {
			s.start(t)
		}
		release()
		for _, s := range list {
			s.as(t).WaitFor(id, openflow.JobSuccess)
			s.oneStartEach(t, s.as(t).Tasks(id))
		}
		nothingLeft(t, list)
	})
}

// rounds is how often something random is tried: n times, or as OPENFLOW_TEST_ROUNDS says.
func rounds(t *testing.T, n int) int {
	t.Helper()
	if v := os.Getenv("OPENFLOW_TEST_ROUNDS"); v != "" {
		var err error
		n, err = strconv.Atoi(v)
		require.NoError(t, err)
	}
	return n
}

// pause lets time pass where the moment itself is the fault that is injected.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func nothingLeft(t *testing.T, list map[string]*site) {
	t.Helper()
	for _, s := range list {
		env.WaitUntil(t, env.Patience, "no container is left at "+s.party, func() (bool, string) {
			left := s.ground.containers(t)
			return len(left) == 0, fmt.Sprintf("%+v", left)
		})
	}
}

// A program that dies is a failed task with a reason, at once and at every party.
func TestKillProgram(t *testing.T) {
	list := sites(t, "process", "9999", "10000")
	for _, s := range list {
		s.start(t)
	}
	victims := map[string]struct {
		kill   func(t *testing.T, home, container string)
		reason string
	}{
		"the program": {
			func(t *testing.T, home, container string) { env.KillProgram(t, home, container) },
			`task "a" failed at party 10000 (host): component noop failed (rejected): the program ended with exit code 137`,
		},
		"its supervisor": {
			func(t *testing.T, home, container string) {
				require.NoError(t, syscall.Kill(env.Supervisor(t, home, container), syscall.SIGKILL))
			},
			`task "a" failed at party 10000 (host): component noop failed (unavailable): the machine lost the program before its end was recorded`,
		},
	}
	for name, v := range victims {
		t.Run(name, func(t *testing.T) {
			id := list["9999"].as(t).Submit(chain(300_000))
			for _, s := range list {
				s.as(t).WaitForTask(id, "a", openflow.TaskRunning)
			}
			tasks := env.Tasks(t, list["10000"].home)
			require.Len(t, tasks, 1)
			v.kill(t, list["10000"].home, tasks[0].Name)
			for _, s := range list {
				rows := s.as(t).WaitFor(id, openflow.JobFailed)
				require.Contains(t, rows[0].Reason, v.reason)
			}
			nothingLeft(t, list)
		})
	}
}

const (
	guestMeta = `{"match_id_name":"id","sample_id_name":"id","label_name":"y","label_type":"int32","dtype":"float64","delimiter":","}`
	hostMeta  = `{"match_id_name":"id","sample_id_name":"id","dtype":"float64","delimiter":","}`
)

// upload puts the credit data into the nodes of guest and host.
func upload(t *testing.T, guest, host *env.Client, rows, shared int) {
	t.Helper()
	g, h, err := credit.Generate(7, rows, rows, shared)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = g.WriteTo(&b)
	require.NoError(t, err)
	guest.OK(guest.Upload("credit", "guest", guestMeta, &b), nil)
	b.Reset()
	_, err = h.WriteTo(&b)
	require.NoError(t, err)
	host.OK(host.Upload("credit", "host", hostMeta, &b), nil)
}

// intersection reads both tables and intersects them: a job whose programs exchange many messages.
func intersection() *openflow.DAG {
	d := env.DAG(pair,
		openflow.Task{Name: "reader_0", Component: "reader"},
		openflow.Task{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{{
			Kind: openflow.InputData, Key: "input_data",
			Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "reader_0", OutputKey: "output_data"}},
		}}})
	d.PartyTasks = []openflow.PartyTasks{
		env.At(pair[0], "reader_0", openflow.Parameters{"namespace": "credit", "name": "guest"}),
		env.At(pair[1], "reader_0", openflow.Parameters{"namespace": "credit", "name": "host"}),
	}
	return d
}

// While two programs exchange messages, their nodes are killed over and over, in turn. The programs notice nothing but
// silence, every message arrives once, and the result is the right one.
func TestKillNodesWhileProgramsTalk(t *testing.T) {
	const rows, shared = 20_000, 13_000
	list := sites(t, "process", "9999", "10000")
	for _, s := range list {
		s.start(t)
	}
	upload(t, list["9999"].as(t), list["10000"].as(t), rows, shared)
	id := list["9999"].as(t).Submit(intersection())
	for _, s := range list {
		s.as(t).WaitForTask(id, "psi_0", openflow.TaskRunning)
	}
	kills := 0
	for i := 0; i < 60 && !ended(t, list, id); i++ { // on a slow machine little is done between two kills
		victim := list[[]string{"9999", "10000"}[i%2]]
		pause(t, time.Duration(150+(i*217)%500)*time.Millisecond)
		victim.kill(t)
		kills++
		victim.start(t)
	}
	t.Logf("%d kills", kills)
	require.GreaterOrEqual(t, kills, 3, "the job was long enough to be disturbed")
	for _, s := range list {
		s.as(t).WaitFor(id, openflow.JobSuccess)
		s.oneStartEach(t, s.as(t).Tasks(id))
	}
	for i, s := range []*site{list["9999"], list["10000"]} {
		user := s.as(t)
		run := env.Run(id, string(pair[i].Role), s.party, "psi_0")
		files := user.Archive("/v2/output/data/download", run...)
		require.Equal(t, shared+1, bytes.Count(files["output_data/0.csv"], []byte("\n")), "rows of %s", s.party)
		var summary struct {
			Count int `json:"intersect_count"`
		}
		require.NoError(t, json.Unmarshal(user.Metrics(run)["summary"], &summary))
		require.Equal(t, shared, summary.Count)
	}
	nothingLeft(t, list)
}

// ended tells that a party takes the job for ended.
func ended(t *testing.T, list map[string]*site, id openflow.JobID) bool {
	for _, s := range list {
		for _, r := range s.as(t).Jobs(id) {
			if env.Ended(r.Status) {
				return true
			}
		}
	}
	return false
}
