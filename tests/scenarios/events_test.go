package scenarios_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// changesOf reads a job's events to its end, opening the stream anew after every third event.
func changesOf(ctx context.Context, c *sdk.Client, id openflow.JobID) (changes []sdk.Event, err error) {
	for after := ""; ; {
		stream, err := c.Events(ctx, id, after)
		if err != nil {
			return changes, err
		}
		for n := 0; n < 3; {
			e, err := stream.Next()
			switch {
			case errors.Is(err, io.EOF):
				return changes, stream.Close()
			case err != nil:
				return changes, errors.Join(err, stream.Close())
			case e.Kind == wire.EventMissed:
				return changes, errors.Join(errors.New("events were missed"), stream.Close())
			case e.ID != "": // not how the job stands
				after = e.ID
				changes = append(changes, e)
				n++
			}
		}
		if err := stream.Close(); err != nil {
			return changes, err
		}
	}
}

// Who follows a job at any party sees each of its changes once and in order, however often the connection breaks.
func TestEvents(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	both := env.Parties("guest 9999", "host 10000")
	clients := map[string]*sdk.Client{}
	all := map[string]*sdk.EventStream{}
	for _, party := range e.Parties {
		clients[party] = &sdk.Client{URL: e.Node(t, party).URL()}
		stream, err := clients[party].Events(t.Context(), "", "")
		require.NoError(t, err)
		defer func() { _ = stream.Close() }() // it was only read from
		all[party] = stream
	}
	id := e.As(t, "9999").Submit(env.DAG(both, env.Noop("a", env.Sleep(2000)), env.Noop("b", nil, "a")))
	changes := map[string][]sdk.Event{}
	var mu sync.Mutex
	var following errgroup.Group
	for party, c := range clients {
		following.Go(func() error {
			found, err := changesOf(t.Context(), c, id)
			mu.Lock()
			defer mu.Unlock()
			changes[party] = found
			return err
		})
	}
	require.NoError(t, following.Wait())
	for _, p := range both {
		party := string(p.ID)
		followed := changes[party]
		require.NotEmpty(t, followed)
		// From the first event that the follower has, all that anybody saw.
		var seen []sdk.Event
		jobs, tasks := []string{}, map[string][]string{}
		for len(seen) == 0 || seen[len(seen)-1].ID != followed[len(followed)-1].ID {
			change, err := all[party].Next()
			require.NoError(t, err)
			require.Equal(t, string(id), change.JobID)
			require.Equal(t, []string{string(p.Role), party}, []string{change.Role, change.PartyID})
			if change.ID == followed[0].ID || len(seen) > 0 {
				seen = append(seen, change)
			}
			switch {
			case change.Kind == wire.EventTask && change.Status != "":
				tasks[change.TaskName] = append(tasks[change.TaskName], change.Status)
			case change.Status != "":
				jobs = append(jobs, change.Status)
			}
		}
		require.Equal(t, seen, followed)
		require.Equal(t, []string{"running", "success"}, jobs[len(jobs)-2:])
		require.Equal(t, map[string][]string{"a": {"running", "success"}, "b": {"running", "success"}}, tasks)
	}

	// A node that stops does not wait for who listens; one that has started again says what was missed.
	last := changes["9999"][len(changes["9999"])-1].ID
	e.Stop(t, "9999") // which fails when it waits until its time is up
	for {
		_, err := all["9999"].Next()
		if err != nil {
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
			break
		}
	}
	e.Start(t, "9999")
	again, err := clients["9999"].Events(t.Context(), id, last)
	require.NoError(t, err)
	defer func() { _ = again.Close() }() // it was only read from
	missed, err := again.Next()
	require.NoError(t, err)
	require.Equal(t, wire.EventMissed, missed.Kind)
	now, err := again.Next()
	require.NoError(t, err)
	require.Equal(t, "success", now.Status)
	_, err = again.Next()
	require.ErrorIs(t, err, io.EOF)
}
