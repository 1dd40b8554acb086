package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow/store/messages"
	"openflow/store/messages/redis"
	"openflow/store/messages/storetest"
	"openflow/store/objects/folder"
	"openflow/store/redisdb/redistest"
)

const prefix = "openflow:9999:"

var channel = messages.Channel{Session: "s", Topic: "guest-9999~host-10000~x"}

// servers are the running servers by the place of their store.
var servers = map[string]*redistest.Server{}

// A place is the URL of a server of its own and the folder of the bodies.
func newPlace(tb testing.TB) string {
	tb.Helper()
	server := redistest.Start(tb)
	place := server.URL() + " " + tb.TempDir()
	servers[place] = server
	return place
}

func openPlace(ctx context.Context, place string, o redis.Options) (*redis.Store, error) {
	url, dir, _ := strings.Cut(place, " ")
	bodies, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	o.URL, o.Prefix, o.Bodies = url, prefix, bodies
	return redis.Open(ctx, o)
}

var harness = storetest.Harness{
	New: func(t *testing.T) string { return newPlace(t) },
	Open: func(ctx context.Context, place string, o messages.Options) (messages.Store, error) {
		return openPlace(ctx, place, redis.Options{Options: o})
	},
	// What is to be survived is not only the end of the node but also that of the server.
	Crash: func(t *testing.T, place string) string {
		servers[place].Kill(t)
		servers[place].Restart(t)
		return place
	},
}

func TestMain(m *testing.M) { storetest.Main(m, harness) }

func TestConformance(t *testing.T) { storetest.Run(t, harness) }

func open(tb testing.TB, place string, o redis.Options) *redis.Store {
	tb.Helper()
	s, err := openPlace(tb.Context(), place, o)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// The server syncs every second, as most do; bodies are in a folder, synced at every message.
func BenchmarkRoundTrip(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) messages.Store {
		server := redistest.Start(b, "--appendfsync", "everysec")
		return open(b, server.URL()+" "+b.TempDir(), redis.Options{})
	})
}

func BenchmarkHandOver(b *testing.B) {
	place := newPlace(b)
	one, other := open(b, place, redis.Options{}), open(b, place, redis.Options{})
	back := messages.Channel{Session: channel.Session, Topic: "back"}
	go func() {
		for {
			m, ok, err := other.Pop(b.Context(), channel, "", time.Minute)
			if err != nil || !ok || other.Push(b.Context(), back, m, time.Second) != nil {
				return
			}
		}
	}()
	for b.Loop() {
		require.NoError(b, one.Push(b.Context(), channel, messages.Message{ID: uuid.NewString(), Payload: make([]byte, 1<<10)}, 0))
		_, ok, err := one.Pop(b.Context(), back, "", time.Minute)
		require.NoError(b, err)
		require.True(b, ok)
	}
}

func BenchmarkClaimNonce(b *testing.B) {
	s := open(b, newPlace(b), redis.Options{})
	until := time.Now().Add(time.Minute)
	for b.Loop() {
		fresh, err := s.UseNonce(b.Context(), "9999", uuid.NewString(), until)
		require.NoError(b, err)
		require.True(b, fresh)
	}
}
