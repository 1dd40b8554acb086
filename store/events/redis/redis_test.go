package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/events"
	"openflow/store/events/redis"
	"openflow/store/events/storetest"
	"openflow/store/redisdb/redistest"
)

func open(t *testing.T, url string) events.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{URL: url, Prefix: "openflow:9999:", Keep: storetest.Keep})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		New:    func(t *testing.T) string { return redistest.Start(t).URL() },
		Open:   open,
		Shared: true,
	})
}

// A subscriber bridges the death of the server by asking again, and misses nothing.
func TestServerKilled(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL())
	sub, err := s.Subscribe(t.Context(), "")
	require.NoError(t, err)
	require.NoError(t, s.Publish(t.Context(), openflow.Event{Job: "a"}))
	server.Kill(t)
	_, err = s.Subscribe(t.Context(), "")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	server.Restart(t)
	require.NoError(t, s.Publish(t.Context(), openflow.Event{Job: "b"}))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, want := range []openflow.JobID{"a", "b"} {
		e, err := sub.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, want, e.Job)
	}
}
