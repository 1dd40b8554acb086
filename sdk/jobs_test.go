package sdk_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func TestSubmitAndObserve(t *testing.T) {
	s, c := start(t, "")
	ctx := t.Context()
	c.User = "ann"
	dag := sampleDAG(t)
	made, err := c.Submit(ctx, dag, "key-1")
	require.NoError(t, err)
	require.Equal(t, openflow.Submitted{ID: s.next, ModelID: "m", ModelVersion: "0", Warnings: []string{"mind the arbiter"}}, made)
	require.Equal(t, "key-1", s.seen.IdempotencyKey)
	require.Equal(t, "ann", s.seen.UserName)
	if diff := cmp.Diff(dag.Tasks, s.seen.DAG.Tasks); diff != "" {
		t.Fatal("the node got other tasks than were submitted:", diff)
	}

	rows, err := c.Job(ctx, made.ID)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.NotEmpty(t, rows[0].DAG)
	tasks, err := c.Tasks(ctx, made.ID)
	require.NoError(t, err)
	require.Len(t, tasks, 2)

	list, err := c.List(ctx, sdk.JobFilter{Statuses: []openflow.JobStatus{openflow.JobReady}, Limit: 5})
	require.NoError(t, err)
	require.Equal(t, 1, list.Count)
	require.Equal(t, []string{"10000"}, list.Jobs[0].Partners)
	require.Empty(t, list.Jobs[0].DAG)
	list, err = c.List(ctx, sdk.JobFilter{Statuses: []openflow.JobStatus{openflow.JobFailed, openflow.JobSuccess}})
	require.NoError(t, err)
	require.Zero(t, list.Count)

	var log strings.Builder
	require.NoError(t, c.Logs(ctx, s.task("psi_0"), &log))
	require.Equal(t, "log of psi_0\n", log.String())
	requireCode(t, openflow.CodeNotFound, c.Logs(ctx, s.task("nope"), &log))

	stopped, err := c.Stop(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: "stopped"}, stopped)
	rows, err = c.Job(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, "canceled", rows[0].Status)
	_, err = c.Stop(ctx, "nope")
	requireCode(t, openflow.CodeNotFound, err)

	stopped, err = c.StopHere(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: "stopped here", Stopping: []openflow.Party{guest}}, stopped)
	_, err = c.StopHere(ctx, "nope")
	requireCode(t, openflow.CodeNotFound, err)
}

func TestWatchTellsChangesAndReturnsTheEnd(t *testing.T) {
	s, c := start(t, "")
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	// Each change that is told brings about the next one, so nothing depends on time.
	next := map[openflow.JobStatus]openflow.JobStatus{
		openflow.JobWaiting: openflow.JobRunning, openflow.JobRunning: openflow.JobFailed,
	}
	at := openflow.JobWaiting
	s.become(at, "no cores")
	var told []string
	end, err := c.Watch(t.Context(), made.ID, func(now sdk.Snapshot) {
		told = append(told, string(now.Status())+" "+now.Reason())
		if !now.Done() {
			at = next[at]
			s.become(at, string(at))
		}
	})
	require.NoError(t, err)
	require.Equal(t, []string{"waiting no cores", "running running", "failed failed"}, told)
	require.Equal(t, openflow.JobFailed, end.Status())
}

func TestWatchOfNoJobEndsAtOnce(t *testing.T) {
	_, c := start(t, "")
	_, err := c.Watch(t.Context(), "nope", nil)
	requireCode(t, openflow.CodeNotFound, err)
}

func TestWatchBridgesARestartButNotAnAbsentNode(t *testing.T) {
	const running, success = `{"code":0,"data":[{"job_id":"j","status":"running"}]}`, `{"code":0,"data":[{"job_id":"j","status":"success"}]}`
	var n atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openflow/v1/user/job/events" { // of a node that does not tell
			_, _ = w.Write([]byte(`{"code":6001,"message":"no route"}`))
			return
		}
		if r.URL.Query().Get("fields") != "short" {
			t.Error("watching asks for whole rows")
		}
		switch n.Add(1) {
		case 1:
			_, _ = w.Write([]byte(running))
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(success))
		}
	})
	end, err := c.Watch(t.Context(), "j", nil)
	require.NoError(t, err)
	require.Equal(t, openflow.JobSuccess, end.Status())

	absent := &sdk.Client{URL: "http://127.0.0.1:1"}
	_, err = absent.Watch(t.Context(), "j", nil)
	requireCode(t, openflow.CodeUnavailable, err)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	s, c := start(t, "")
	made, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.NoError(t, err)
	s.become(openflow.JobWaiting, "")
	ctx, cancel := context.WithCancel(t.Context())
	_, err = c.Watch(ctx, made.ID, func(sdk.Snapshot) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}

func TestSnapshotOfSeveralRoles(t *testing.T) {
	cases := map[string]struct {
		statuses []string
		want     openflow.JobStatus
		done     bool
	}{
		"one role":             {[]string{"success"}, openflow.JobSuccess, true},
		"one is not done":      {[]string{"success", "running"}, openflow.JobRunning, false},
		"failure is not hid":   {[]string{"success", "failed"}, openflow.JobFailed, true},
		"running before error": {[]string{"failed", "running"}, openflow.JobRunning, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var s sdk.Snapshot
			for _, st := range c.statuses {
				s.Rows = append(s.Rows, wire.JobRow{Status: st})
			}
			require.Equal(t, c.want, s.Status())
			require.Equal(t, c.done, s.Done())
		})
	}
}
