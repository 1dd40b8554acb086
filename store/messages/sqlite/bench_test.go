package sqlite_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow/store/messages"
	"openflow/store/messages/sqlite"
	"openflow/store/messages/storetest"
)

var channel = messages.Channel{Session: "s", Topic: "guest-9999~host-10000~x"}

func open(tb testing.TB, o sqlite.Options) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), tb.TempDir(), o)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

func BenchmarkRoundTrip(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) messages.Store { return open(b, sqlite.Options{}) })
}

// BenchmarkHandOver is the round trip to a reader that is blocked when the push comes.
func BenchmarkHandOver(b *testing.B) {
	s := open(b, sqlite.Options{})
	back := messages.Channel{Session: "s", Topic: "back"}
	payload := make([]byte, 1<<10)
	go func() {
		for {
			m, ok, err := s.Pop(b.Context(), channel, "", time.Minute)
			if err != nil || !ok || s.Push(b.Context(), back, m, time.Second) != nil {
				return
			}
		}
	}()
	for b.Loop() {
		require.NoError(b, s.Push(b.Context(), channel, messages.Message{ID: uuid.NewString(), Payload: payload}, 0))
		_, ok, err := s.Pop(b.Context(), back, "", time.Minute)
		require.NoError(b, err)
		require.True(b, ok)
	}
}

func BenchmarkClaimNonce(b *testing.B) {
	s := open(b, sqlite.Options{})
	until := time.Now().Add(time.Minute)
	for b.Loop() {
		fresh, err := s.UseNonce(b.Context(), "9999", uuid.NewString(), until)
		require.NoError(b, err)
		require.True(b, fresh)
	}
}

func BenchmarkClaimNonceParallel(b *testing.B) {
	s := open(b, sqlite.Options{})
	until := time.Now().Add(time.Minute)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := s.UseNonce(b.Context(), "9999", strconv.Itoa(i)+uuid.NewString(), until); err != nil {
				b.Error(err)
			}
		}
	})
}
