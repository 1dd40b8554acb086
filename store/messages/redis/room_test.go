package redis_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
	"openflow/store/messages/redis"
)

// waiting begins a push that has no room, and returns once the server has refused it.
func waiting(t *testing.T, place string, s *redis.Store, c messages.Channel, m messages.Message) <-chan outcome {
	t.Helper()
	before := scripts(t, place)
	out := make(chan outcome, 1)
	go func() { out <- outcome{err: s.Push(t.Context(), c, m, patience)} }()
	require.Eventually(t, func() bool { return scripts(t, place) > before && s.Waiting() > 0 }, patience, 1e6)
	return out
}

var calls = regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`)

// scripts counts the scripts that the server has run.
func scripts(t *testing.T, place string) int {
	t.Helper()
	info, err := clientOf(t, place).Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	found := calls.FindStringSubmatch(info)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

// Room goes to those who have waited longest, to as many as it is enough for, and nobody else asks for it. One that needs more
// holds up nobody.
func TestRoomIsGivenInTurn(t *testing.T) {
	redis.OnlyWoken(t)
	const size, least, room, waiters = 8 << 10, 7 << 10, 10, 12
	whole := room*messages.Cost(messages.Message{Source: "9999", Payload: make([]byte, size)}) + messages.TopicMark(messages.Channel{Session: "job-0", Topic: "t"})
	place := newPlace(t)
	s := open(t, place, redis.Options{Options: messages.Options{
		Job:          func(session string) string { return strings.SplitN(session, "-", 2)[0] },
		SessionBytes: 1 << 20, MessageBytes: 4 * size, JobBytes: whole,
	}})
	of := func(n int) messages.Channel { return messages.Channel{Session: fmt.Sprint("job-", n), Topic: "t"} }
	message := func(bytes int) messages.Message {
		return messages.Message{Source: "9999", Payload: make([]byte, bytes)}
	}
	full := of(0)
	for range room {
		require.NoError(t, s.Push(t.Context(), full, message(size), 0))
	}
	large := waiting(t, place, s, of(1), message(4*size))
	left, leave := context.WithCancel(t.Context())
	gone := make(chan outcome, 1)
	before := s.Waiting()
	go func() { gone <- outcome{err: s.Push(left, of(2), message(least), patience)} }()
	require.Eventually(t, func() bool { return s.Waiting() > before }, patience, 1e6)
	var outs []<-chan outcome
	for i := range waiters {
		before := s.Waiting()
		out := waiting(t, place, s, of(10+i), message(least))
		require.Eventually(t, func() bool { return s.Waiting() > before }, patience, 1e6)
		outs = append(outs, out)
	}
	leave()
	require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(await(t, gone).err))
	begun := scripts(t, place)
	for i := range 5 {
		_, ok, err := s.Pop(t.Context(), full, "", 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, await(t, outs[i]).err, "the one that has waited longest")
		for _, later := range outs[i+1:] {
			select {
			case o := <-later:
				require.Fail(t, "out of turn", "%v", o.err)
			default:
			}
		}
	}
	require.LessOrEqual(t, scripts(t, place)-begun, 5*4, "not as many as wait")
	require.NoError(t, s.CloseSession(t.Context(), full.Session, 1))
	require.NoError(t, await(t, large).err, "there is room for it by now")
	require.NoError(t, s.CloseSession(t.Context(), of(1).Session, 1))
	// There is room for several at a time by now, and who of them comes first depends on the machine.
	ended := make(chan int, waiters)
	for i, out := range outs[5:] {
		go func() {
			o := <-out
			assert.NoError(t, o.err)
			ended <- 10 + 5 + i
		}()
	}
	for range outs[5:] {
		require.NoError(t, s.CloseSession(t.Context(), of(await(t, ended)).Session, 1))
	}
	require.Zero(t, s.Waiting())
}

// A message for which there is room, but not for its ID and its topic too, is no reason to ask again and again.
func TestRoomForTheMessageAlone(t *testing.T) {
	redis.OnlyWoken(t)
	first, second := messages.Channel{Session: "job-0", Topic: "t"}, messages.Channel{Session: "job-1", Topic: "t"}
	m := messages.Message{Source: "9999", ID: strings.Repeat("i", 200), Payload: make([]byte, 1<<10)}
	kept := messages.IDMark(m) + messages.TopicMark(first)
	place := newPlace(t)
	s := open(t, place, redis.Options{Options: messages.Options{
		Job:          func(session string) string { return strings.SplitN(session, "-", 2)[0] },
		SessionBytes: 1 << 20, MessageBytes: 1 << 10, JobBytes: 2*messages.Cost(m) + kept,
	}})
	require.NoError(t, s.Push(t.Context(), first, m, 0))
	before := scripts(t, place)
	require.ErrorIs(t, s.Push(t.Context(), second, m, 300*time.Millisecond), messages.ErrFull)
	require.LessOrEqual(t, scripts(t, place)-before, 4)
}
