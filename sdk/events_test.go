package sdk_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func follow(t *testing.T, c *sdk.Client, id openflow.JobID, after string) *sdk.EventStream {
	t.Helper()
	stream, err := c.Events(t.Context(), id, after)
	require.NoError(t, err)
	t.Cleanup(func() { _ = stream.Close() }) // it was only read from
	return stream
}

func nextEvent(t *testing.T, s *sdk.EventStream) sdk.Event {
	t.Helper()
	e, err := s.Next()
	require.NoError(t, err)
	return e
}

func text(e sdk.Event) string { return e.Kind + " " + e.TaskName + " " + e.Status + " " + e.Reason }

func TestEventsOfAJob(t *testing.T) {
	s, c := start(t, "")
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	s.become(openflow.JobWaiting, "no cores")

	stream := follow(t, c, made.ID, "")
	first := nextEvent(t, stream)
	require.Equal(t, "job  waiting no cores", text(first), "begins with how it stands")
	require.Empty(t, first.ID)
	require.Equal(t, []string{string(made.ID), "guest", "9999"}, []string{first.JobID, first.Role, first.PartyID})

	s.tell(openflow.Event{Scheduler: "9999", Job: "of another", Party: guest, Status: "running"})
	s.become(openflow.JobRunning, "")
	percent := 50
	s.tell(openflow.Event{Scheduler: "9999", Job: made.ID, Party: guest, Task: "psi_0", Version: 1, Status: "failed", Reason: "exit code 1"})
	s.tell(openflow.Event{Scheduler: "9999", Job: made.ID, Party: guest, Progress: &percent})
	running := nextEvent(t, stream)
	require.Equal(t, "job  running ", text(running))
	require.NotEmpty(t, running.ID)
	require.WithinDuration(t, time.Now(), time.UnixMilli(*running.Time), time.Minute)
	task := nextEvent(t, stream)
	require.Equal(t, "task psi_0 failed exit code 1", text(task))
	require.Equal(t, 1, task.TaskVersion)
	require.Equal(t, 50, *nextEvent(t, stream).Progress)

	// Whoever comes back misses nothing, and sees nothing twice.
	again := follow(t, c, made.ID, running.ID)
	require.Equal(t, task, nextEvent(t, again))

	s.become(openflow.JobTimeout, "too slow")
	end := nextEvent(t, stream)
	require.Equal(t, "job  failed too slow", text(end), "the status is that of a job's row")
	_, err = stream.Next()
	require.ErrorIs(t, err, io.EOF)

	// The job has ended: a new stream tells how and ends; one that knows already just ends.
	late := follow(t, c, made.ID, "")
	require.Equal(t, "job  failed too slow", text(nextEvent(t, late)))
	_, err = late.Next()
	require.ErrorIs(t, err, io.EOF)
	_, err = follow(t, c, made.ID, end.ID).Next()
	require.ErrorIs(t, err, io.EOF)
}

func TestEventsThatWereMissed(t *testing.T) {
	s, c := start(t, "")
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	s.become(openflow.JobWaiting, "")
	stream := follow(t, c, made.ID, "")
	nextEvent(t, stream)
	s.become(openflow.JobRunning, "")
	known := nextEvent(t, stream)
	for i := range 100 { // more than the store keeps
		s.tell(openflow.Event{Scheduler: "9999", Job: openflow.JobID(fmt.Sprint("other", i)), Party: guest, Status: "running"})
	}
	again := follow(t, c, made.ID, known.ID)
	require.Equal(t, wire.EventMissed, nextEvent(t, again).Kind)
	require.Equal(t, "job  running ", text(nextEvent(t, again)), "and how it stands now")
	s.become(openflow.JobSuccess, "")
	require.Equal(t, "job  success ", text(nextEvent(t, again)))
}

func TestEventsOfAllJobs(t *testing.T) {
	s, c := start(t, "")
	c.User = "ann"
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	hers := follow(t, c, "", "")
	everybodys := follow(t, &sdk.Client{URL: c.URL}, "", "")
	s.tell(openflow.Event{Scheduler: "9999", Job: "foreign", Party: guest, Status: "running"})
	s.become(openflow.JobWaiting, "")
	require.Equal(t, string(made.ID), nextEvent(t, hers).JobID, "jobs of other users are not shown")
	require.Equal(t, "foreign", nextEvent(t, everybodys).JobID)
	require.Equal(t, string(made.ID), nextEvent(t, everybodys).JobID)
}

func TestEventsRefused(t *testing.T) {
	s, c := start(t, "secret")
	_, err := c.Events(t.Context(), "nope", "")
	requireCode(t, openflow.CodeNotFound, err)
	_, err = c.Events(t.Context(), "", "yesterday")
	requireCode(t, openflow.CodeInvalid, err)
	_, err = c.Events(t.Context(), "../x", "")
	requireCode(t, openflow.CodeInvalid, err)
	_, err = (&sdk.Client{URL: c.URL}).Events(t.Context(), "", "")
	requireCode(t, openflow.CodeUnauthorized, err)
	c.User = "ann"
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	_, err = (&sdk.Client{URL: c.URL, Token: "secret", User: "bob"}).Events(t.Context(), made.ID, "")
	requireCode(t, openflow.CodeNotFound, err)

	ctx, cancel := context.WithCancel(t.Context())
	stream, err := c.Events(ctx, "", "")
	require.NoError(t, err)
	cancel()
	_, err = stream.Next()
	requireCode(t, openflow.CodeCanceled, err)
	require.NoError(t, stream.Close())

	// A node that stops ends its streams, which can go on at the next one.
	stream = follow(t, c, "", "")
	require.NoError(t, s.events.Close())
	_, err = stream.Next()
	requireCode(t, openflow.CodeUnavailable, err)
}

// A change reaches a watcher when the node tells it: once it does, the watcher asks for nothing else for ten seconds.
func TestWatchIsTold(t *testing.T) {
	sdk.OnlyTold(t)
	var status atomic.Value
	status.Store("waiting")
	told := make(chan string)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openflow/v1/user/job/events" {
			_, _ = fmt.Fprintf(w, `{"code":0,"data":[{"job_id":"j","status":%q}]}`, status.Load())
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for next := range told {
			status.Store(next)
			_, _ = fmt.Fprintf(w, ": comment\n\nid: 1-1\nevent: job\ndata: {\"job_id\":\"j\",\ndata: \"status\":%q}\n\n", next)
			_ = http.NewResponseController(w).Flush()
		}
	})
	seen := make(chan string, 100)
	end := make(chan error, 1)
	go func() {
		_, err := c.Watch(t.Context(), "j", func(now sdk.Snapshot) { seen <- string(now.Status()) })
		end <- err
	}()
	require.Equal(t, "waiting", <-seen)
	for _, next := range []string{"running", "waiting", "running", "waiting", "running", "success"} {
		told <- next
		require.Equal(t, next, <-seen)
	}
	require.NoError(t, <-end)
	close(told)
}
