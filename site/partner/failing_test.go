package partner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Failed implements partner.Components.
func (components) Failed(context.Context) ([]openflow.ComponentRecord, error) { return nil, nil }

// fails is a site on which components have failed.
type fails struct {
	components
	list []openflow.ComponentRecord
}

func (f fails) Failed(context.Context) ([]openflow.ComponentRecord, error) { return f.list, nil }

// failed is a component of the provider that serves all tasks of these tests.
func failed(name, version string) fails {
	return fails{list: []openflow.ComponentRecord{{
		Name: name, Provider: openflow.ProviderRef{Name: "openflow", Version: version},
		Standing: openflow.ComponentStanding{State: openflow.ComponentFailed, Reason: "its disk is /dev/secret", Since: time.Unix(1_700_000_000, 0)},
	}}}
}

const why = `waiting for component "lr" of provider openflow:1, which has failed here since 2023-11-14T22:13:20Z: its disk is /dev/secret`

// A job that waits for its resources gets none while a component of it has failed. Its task says why, other parties hear less, and
// both are over when the component works.
func TestJobWaitsForItsComponent(t *testing.T) {
	s, k := newSite(t), jobKey("1", host)
	s.Components = failed("lr", "1")
	r, err := s.OpenJob(t.Context(), openflow.JobOrder{Key: k, DAG: dag()})
	require.NoError(t, err)
	require.False(t, r.Held)
	require.Equal(t, openflow.CodeUnavailable, r.Short.Code, "who asks again, does so without being called")
	require.Equal(t, `component "lr" does not work there, and the job waits for it; openflow component show tells the users of that party why`, openflow.PublicText(r.Err()))
	reasons := func() (texts []string) {
		tasks, err := s.catalogue.TasksOfJob(t.Context(), k)
		require.NoError(t, err)
		for _, task := range tasks {
			texts = append(texts, task.Reason)
		}
		return texts
	}
	require.ElementsMatch(t, []string{"", why}, reasons())
	use, err := s.catalogue.CapacityUse(t.Context())
	require.NoError(t, err)
	require.Zero(t, use)
	r, err = s.Reserve(t.Context(), k)
	require.NoError(t, err)
	require.False(t, r.Held)

	s.Components = failed("lr", "2") // of another version
	require.NoError(t, s.reserves(t.Context(), k))
	require.ElementsMatch(t, []string{"", ""}, reasons())
	require.True(t, s.job("1").ResourceInUse)

	s.Components = failed("lr", "1")
	require.NoError(t, s.reserves(t.Context(), k), "what it holds it keeps: this is a repeat")
}

// A task whose component fails after its job has begun waits, and starts when it is asked for again.
func TestTaskWaitsForItsComponent(t *testing.T) {
	s, k := newSite(t), taskKey("1", "lr_0", host)
	s.running("1", dag())
	s.Components = failed("lr", "1")
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "reader_0", host)}), "another component works")
	err := s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k})
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "%v: which a scheduler waits for", err)
	require.NotContains(t, openflow.PublicText(err), "secret")
	require.Equal(t, why, s.task(k).Reason)
	require.Equal(t, openflow.TaskWaiting, s.task(k).PartyStatus)
	require.Len(t, s.engine.started, 1)

	s.Components = components{}
	s.runs(taskKey("1", "reader_0", host))
	_, err = s.catalogue.FinishTask(t.Context(), taskKey("1", "reader_0", host), openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}))
	require.Equal(t, k, s.engine.started[len(s.engine.started)-1].Key)
	s.Components = failed("lr", "1")
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}), "what has been accepted goes on")
}

// A job that is run again does not need what has done its part.
func TestRerunNeedsWhatIsLeft(t *testing.T) {
	s, k := newSite(t), jobKey("1", host)
	s.running("1", dag())
	reader := taskKey("1", "reader_0", host)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: reader}))
	s.runs(reader)
	_, err := s.catalogue.FinishTask(t.Context(), reader, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	require.NoError(t, s.StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobFailed, Reason: "x"}))
	s.Components = failed("reader", "1")
	require.NoError(t, s.reserves(t.Context(), k))
	require.NoError(t, s.StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobFailed, Reason: "x"}))
	s.Components = failed("lr", "1")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(s.reserves(t.Context(), k)))
}
