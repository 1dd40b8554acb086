package storetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/store/messages"
)

// The victim's environment: where its store is, and the number of its first message.
const (
	placeVariable = "OPENFLOW_STORETEST_PLACE"
	firstVariable = "OPENFLOW_STORETEST_FIRST"
)

var victims = messages.Channel{Session: "victim", Topic: "topic"}

// Main is the body of TestMain: it runs the tests, or, in a process that a kill test has started, the victim.
func Main(m *testing.M, h Harness) {
	if place := os.Getenv(placeVariable); place != "" {
		fmt.Fprintln(os.Stderr, victim(context.Background(), h, place, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// victim pushes, pops and claims until it is killed. It reports what was acknowledged, a line each, after the fact.
func victim(ctx context.Context, h Harness, place string, report io.Writer) error {
	first, err := strconv.Atoi(os.Getenv(firstVariable))
	if err != nil {
		return err
	}
	s, err := h.Open(ctx, place, messages.Options{})
	if err != nil {
		return err
	}
	for i := first; ; i++ {
		if _, err := s.UseNonce(ctx, "9999", strconv.Itoa(i), time.Now().Add(time.Hour)); err != nil {
			return err
		}
		if err := s.Push(ctx, victims, victimMessage(i), 0); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(report, "pushed", i); err != nil {
			return err
		}
		if i%3 != 0 {
			continue
		}
		m, ok, err := s.Pop(ctx, victims, "", 0)
		if err != nil || !ok {
			return fmt.Errorf("pop: ok %v: %w", ok, err)
		}
		if _, err := fmt.Fprintln(report, "popped", m.ID); err != nil {
			return err
		}
	}
}

// victimMessage alternates between what stores keep differently.
func victimMessage(i int) messages.Message {
	size := 100
	if i%4 == 3 {
		size = 100 << 10
	}
	return messages.Message{ID: strconv.Itoa(i), Source: "9999", Payload: random(size + i%7)}
}

// testKill kills a process at random moments and checks each time that what it has acknowledged is there, once.
func testKill(t *testing.T, s *subject) {
	place := s.New(t)
	state := survivors{}
	for range 6 {
		pushed, popped := runVictim(t, place, state.next, 20+rand.IntN(150))
		if s.Crash != nil { // a server that the victim used, which outlives it, falls too
			place = s.Crash(t, place)
		}
		store, err := s.Harness.Open(t.Context(), place, messages.Options{})
		require.NoError(t, err)
		state.check(t, store, pushed, popped)
		require.NoError(t, store.Close())
	}
}

// runVictim returns the numbers of the messages whose push and pop the victim has reported before it was killed, after
// about that many lines.
func runVictim(t *testing.T, place string, first, lines int) (pushed, popped int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), placeVariable+"="+place, firstVariable+"="+strconv.Itoa(first))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	pushed, popped = first-1, -1
	// What it wrote before it died is still to be read afterwards.
	for scan := bufio.NewScanner(out); scan.Scan(); lines-- {
		if lines == 0 {
			require.NoError(t, cmd.Process.Kill()) // SIGKILL
		}
		var what string
		var n int
		_, err := fmt.Sscan(scan.Text(), &what, &n)
		require.NoError(t, err)
		if what == "pushed" {
			pushed = n
		} else {
			popped = n
		}
	}
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit), "it never ends by itself")
	require.Empty(t, stderr.String(), "it ended before it was killed")
	return pushed, popped
}

// survivors follows what must be in the victims' queue: the messages from head to next-1.
type survivors struct{ head, next int }

func (v *survivors) check(t *testing.T, s messages.Store, pushed, popped int) {
	t.Helper()
	got := popAll(t, s, victims)
	require.NotEmpty(t, got)
	first, err := strconv.Atoi(got[0].ID)
	require.NoError(t, err)
	// One pop, and one push, can have happened without the victim living to tell.
	v.head = max(v.head, popped+1)
	require.Contains(t, []int{v.head, v.head + 1}, first)
	require.Contains(t, []int{pushed - first + 1, pushed - first + 2}, len(got))
	for i, m := range got {
		want := victimMessage(first + i)
		require.Equal(t, want.ID, m.ID)
		require.True(t, bytes.Equal(want.Payload, m.Payload), "payload of %s", m.ID)
	}
	v.head, v.next = first, first+len(got)
	for i := range v.next {
		require.NoError(t, s.Push(t.Context(), victims, victimMessage(i), 0), "a late repeat")
		fresh, err := s.UseNonce(t.Context(), "9999", strconv.Itoa(i), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.False(t, fresh, "nonce %d", i)
	}
	require.Empty(t, popAll(t, s, victims), "the repeats came to nothing")
	for _, m := range got {
		require.NoError(t, s.Unpop(t.Context(), victims, m))
	}
}
