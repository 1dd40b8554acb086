package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
	"openflow/store/messages/redis"
	"openflow/store/objects/folder"
	"openflow/store/redisdb/redistest"
)

const (
	patience = 3 * time.Minute
	large    = redis.DefaultInlineBytes + 1
)

type outcome struct {
	m   messages.Message
	err error
}

// goPop pops on another goroutine, and returns once the server knows of it.
func goPop(t *testing.T, place string, s *redis.Store, c messages.Channel) <-chan outcome {
	t.Helper()
	out := make(chan outcome, 1)
	go func() {
		m, _, err := s.Pop(t.Context(), c, "", time.Hour)
		out <- outcome{m, err}
	}()
	client := clientOf(t, place)
	require.Eventually(t, func() bool {
		return client.HExists(t.Context(), prefix+"{"+c.Session+"}:state", "waiting/"+c.Topic).Val()
	}, patience, time.Millisecond)
	return out
}

// await demands an answer.
func await[T any](t *testing.T, out <-chan T) T {
	t.Helper()
	select {
	case o := <-out:
		return o
	case <-time.After(patience):
		require.FailNow(t, "not woken")
		var none T
		return none
	}
}

func clientOf(t *testing.T, place string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(strings.Fields(place)[0])
	require.NoError(t, err)
	client := goredis.NewClient(o)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestReplicasWakeEachOther(t *testing.T) {
	redis.OnlyWoken(t)
	place := newPlace(t)
	tight := redis.Options{Options: messages.Options{SessionBytes: 2 << 20, MessageBytes: large}}
	one, other := open(t, place, tight), open(t, place, tight)
	for _, size := range []int{1, large} {
		out := goPop(t, place, one, channel)
		require.NoError(t, other.Push(t.Context(), channel, messages.Message{Payload: make([]byte, size)}, 0))
		o := await(t, out)
		require.NoError(t, o.err)
		require.Len(t, o.m.Payload, size)
	}
	for name, end := range map[string]func(messages.Channel) error{
		"release": func(c messages.Channel) error { return other.Release(t.Context(), c.Session, c.Topic) },
		"close":   func(c messages.Channel) error { return other.CloseSession(t.Context(), c.Session, time.Minute) },
	} {
		c := messages.Channel{Session: name, Topic: "t"}
		out := goPop(t, place, one, c)
		require.NoError(t, end(c))
		require.ErrorIs(t, await(t, out).err, messages.ErrReleased, name)
	}
	require.NoError(t, one.Push(t.Context(), channel, messages.Message{ID: "a", Payload: make([]byte, large)}, 0))
	out := make(chan outcome, 1)
	go func() {
		m := messages.Message{ID: "b", Payload: make([]byte, large)}
		out <- outcome{err: one.Push(t.Context(), channel, m, time.Hour)}
	}()
	client := clientOf(t, place)
	require.Eventually(t, func() bool {
		return client.HExists(t.Context(), prefix+"{s}:state", "full").Val()
	}, patience, time.Millisecond)
	_, _, err := other.Pop(t.Context(), channel, "", 0)
	require.NoError(t, err)
	require.NoError(t, await(t, out).err, "room made at one replica lets a push at the other go on")
}

// A nonce is used once at all replicas together.
func TestReplicasShareNonces(t *testing.T) {
	place := newPlace(t)
	one, other := open(t, place, redis.Options{}), open(t, place, redis.Options{})
	for i, s := range []*redis.Store{one, other, one} {
		fresh, err := s.UseNonce(t.Context(), "10000", "n", time.Now().Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, i == 0, fresh)
	}
}

// Nothing that was acknowledged is lost or doubled when the server is killed again and again under traffic, and a reader
// that is blocked meanwhile goes on by itself.
func TestServerKilledUnderTraffic(t *testing.T) {
	place := newPlace(t)
	s, server := open(t, place, redis.Options{}), servers[place]
	const total = 3000
	sent := make(chan error, 1)
	progress := make(chan int, total)
	go func() {
		for i := range total {
			m := messages.Message{ID: fmt.Sprint(i), Source: "9999", Payload: make([]byte, i%7000)}
			if err := persist(t.Context(), func() error { return s.Push(t.Context(), channel, m, patience) }); err != nil {
				sent <- err
				return
			}
			progress <- i
		}
		sent <- nil
	}()
	received := make(chan outcome, total)
	go func() {
		for ack, i := int64(0), 0; i < total; i++ {
			var m messages.Message
			err := persist(t.Context(), func() error {
				var ok bool
				var err error
				if m, ok, err = s.Next(t.Context(), channel, "", ack, patience); err == nil && !ok {
					err = openflow.Errorf(openflow.CodeNotFound, "nothing came after %d", ack)
				}
				return err
			})
			ack = m.Sequence
			received <- outcome{m, err}
		}
	}()
	kills := 0
	for i := range total {
		o := <-received
		require.NoError(t, o.err)
		require.Equal(t, fmt.Sprint(i), o.m.ID)
		require.Len(t, o.m.Payload, i%7000)
		if i%500 == 250 {
			server.Kill(t)
			server.Restart(t)
			kills++
		}
	}
	require.NoError(t, <-sent)
	require.Equal(t, total, len(progress))
	require.Equal(t, 6, kills)
}

// persist repeats a call that finds no server, as the callers of a node do.
func persist(ctx context.Context, call func() error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if err = call(); openflow.CodeOf(err) != openflow.CodeUnavailable {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func TestServerGone(t *testing.T) {
	place := newPlace(t)
	s := open(t, place, redis.Options{})
	servers[place].Kill(t)
	err := s.Push(t.Context(), channel, messages.Message{}, time.Hour)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "check that Redis runs")
	_, err = s.UseNonce(t.Context(), "9999", "n", time.Now().Add(time.Minute))
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	_, err = redis.Open(t.Context(), redis.Options{URL: strings.Fields(place)[0], Prefix: prefix})
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}

// A server whose memory is full refuses pushes, and serves whatever makes room.
func TestServerFull(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
	s, err := redis.Open(t.Context(), redis.Options{URL: server.URL(), Prefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	stored := 0
	for err == nil {
		require.Less(t, stored, 100)
		err = s.Push(t.Context(), channel, messages.Message{ID: fmt.Sprint(stored), Payload: make([]byte, 500<<10)}, 0)
		stored++
	}
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.ErrorContains(t, err, "raise maxmemory")
	require.NotErrorIs(t, err, messages.ErrFull, "the session has room")
	for i := range stored - 1 {
		m, ok, err := s.Pop(t.Context(), channel, "", 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, fmt.Sprint(i), m.ID)
	}
	require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: fmt.Sprint(stored)}, 0))
}

// bodies are the files of the objects at a place.
func bodies(t *testing.T, place string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(strings.Fields(place)[1], "sha256", "*", "*"))
	require.NoError(t, err)
	return paths
}

func TestBodiesGoWithTheirMessages(t *testing.T) {
	for name, drop := range map[string]func(*redis.Store) error{
		"pop":     func(s *redis.Store) error { _, _, err := s.Pop(t.Context(), channel, "", 0); return err },
		"next":    func(s *redis.Store) error { _, _, err := s.Next(t.Context(), channel, "", 1, 0); return err },
		"topic":   func(s *redis.Store) error { return s.Release(t.Context(), channel.Session, channel.Topic) },
		"session": func(s *redis.Store) error { return s.Release(t.Context(), channel.Session, "") },
		"close":   func(s *redis.Store) error { return s.CloseSession(t.Context(), channel.Session, time.Minute) },
		"sweep": func(s *redis.Store) error {
			_, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			place := newPlace(t)
			s := open(t, place, redis.Options{})
			payload := make([]byte, large)
			// Equal payloads have bodies of their own; a repeat, and what is put back again, leaves none.
			for _, id := range []string{"a", "a"} {
				require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: id, Payload: payload}, 0))
			}
			other := messages.Channel{Session: "other"}
			require.NoError(t, s.Push(t.Context(), other, messages.Message{Payload: payload}, 0))
			require.Len(t, bodies(t, place), 2)
			m, _, err := s.Pop(t.Context(), channel, "", 0)
			require.NoError(t, err)
			for range 2 {
				require.NoError(t, s.Unpop(t.Context(), channel, m))
			}
			require.Len(t, bodies(t, place), 2)
			require.NoError(t, drop(s))
			if name == "sweep" { // takes the other session too
				require.Empty(t, bodies(t, place))
				return
			}
			require.Len(t, bodies(t, place), 1)
			m, ok, err := s.Pop(t.Context(), other, "", 0)
			require.NoError(t, err)
			require.True(t, ok)
			require.Len(t, m.Payload, large)
		})
	}
}

// A payload that the object store has lost is reported, and the message stays: whoever repairs the store has it all.
func TestDamagedBody(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, large-1) },
	} {
		t.Run(name, func(t *testing.T) {
			place := newPlace(t)
			s := open(t, place, redis.Options{})
			require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: "a", Payload: make([]byte, large)}, 0))
			path := bodies(t, place)[0]
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, damage(path))
			for range 2 {
				_, ok, err := s.Pop(t.Context(), channel, "", time.Hour)
				require.False(t, ok)
				require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err), "%v", err)
				_, ok, err = s.Next(t.Context(), channel, "", 0, time.Hour)
				require.False(t, ok)
				require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err), "%v", err)
			}
			require.NoError(t, os.WriteFile(path, whole, 0o600))
			m, ok, err := s.Pop(t.Context(), channel, "", 0)
			require.NoError(t, err)
			require.True(t, ok)
			require.Len(t, m.Payload, large)
		})
	}
}

// Sweep removes a body that no message refers to once its push cannot be on the way any more, and no other.
func TestSweepOfBodies(t *testing.T) {
	place := newPlace(t)
	live := func(string) bool { return true }
	s := open(t, place, redis.Options{Options: messages.Options{Live: live}})
	for topic := range 3 {
		c := messages.Channel{Session: "s", Topic: fmt.Sprint(topic)}
		require.NoError(t, s.Push(t.Context(), c, messages.Message{Payload: make([]byte, large)}, 0))
	}
	kept := bodies(t, place)
	store, err := folder.Open(strings.Fields(place)[1])
	require.NoError(t, err)
	_, err = store.Put(t.Context(), strings.NewReader("of a push that a kill has ended"))
	require.NoError(t, err)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {2 * time.Hour, 1}, {100 * time.Hour, 0}} {
		removed, err := s.Sweep(t.Context(), time.Now().Add(step.after), time.Minute)
		require.NoError(t, err)
		require.Equal(t, step.want, removed, "after %s", step.after)
	}
	require.Equal(t, kept, bodies(t, place))
}

// Whatever a node that is gone for good has left goes by itself.
func TestEverythingExpires(t *testing.T) {
	place := newPlace(t)
	s := open(t, place, redis.Options{Expiry: time.Hour})
	for i := range 3 {
		require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: fmt.Sprint(i)}, 0))
	}
	_, _, err := s.Next(t.Context(), channel, "", 1, 0)
	require.NoError(t, err)
	require.NoError(t, s.Push(t.Context(), messages.Channel{Session: "full} {x", Topic: "t"}, messages.Message{}, 0))
	require.NoError(t, s.Release(t.Context(), channel.Session, ""))
	require.NoError(t, s.CloseSession(t.Context(), "closed", time.Minute))
	_, err = s.UseNonce(t.Context(), "9999", "n", time.Now().Add(time.Minute))
	require.NoError(t, err)
	client := clientOf(t, place)
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 8, "state and seen, state, index and bodies, a quarantine, a nonce, what sessions take together: %q", keys)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, prefix), key)
		left, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, time.Hour, key)
	}
}

// Nodes with prefixes of their own share a server without seeing each other, also when one's prefix begins the other's.
func TestNodesShareAServer(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range []string{"of:1:", "of:1:1:", "of:[1]*:"} {
		s, err := redis.Open(t.Context(), redis.Options{URL: server.URL(), Prefix: p})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		m, ok, err := s.Pop(t.Context(), channel, "", 0)
		require.NoError(t, err)
		require.False(t, ok, "%s sees %v", p, m)
		require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: p}, 0))
		removed, err := s.Sweep(t.Context(), time.Now(), time.Hour)
		require.NoError(t, err)
		require.Zero(t, removed)
	}
}

// Without a place for bodies every payload is in Redis.
func TestWithoutBodies(t *testing.T) {
	server := redistest.Start(t)
	s, err := redis.Open(t.Context(), redis.Options{URL: server.URL(), Prefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: "a", Payload: payload}, 0))
	server.Kill(t)
	server.Restart(t)
	m, ok, err := s.Pop(t.Context(), channel, "", patience)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, bytes.Equal(payload, m.Payload))
}

func TestOpenRefuses(t *testing.T) {
	server := redistest.Start(t)
	for name, o := range map[string]redis.Options{
		"no prefix":             {URL: server.URL()},
		"no URL":                {Prefix: prefix},
		"message above session": {URL: server.URL(), Prefix: prefix, Options: messages.Options{SessionBytes: 1 << 10, MessageBytes: 1 << 10}},
	} {
		_, err := redis.Open(t.Context(), o)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}
