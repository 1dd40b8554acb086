package fateflow

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// A scheduler that asks sees a run running before it sees how that has failed. One that hears of the end by a report is told at once.
func TestAFailureIsToldByTheSecondAnswer(t *testing.T) {
	waiting := openflow.TaskStanding{PartyStatus: openflow.TaskWaiting, Polled: true}
	accepted := waiting
	accepted.Accepted = true
	of := func(s openflow.TaskStatus, polled bool) openflow.TaskStanding {
		return openflow.TaskStanding{PartyStatus: s, Accepted: true, Polled: polled}
	}
	for name, c := range map[string]struct {
		asked []openflow.TaskStanding
		want  []openflow.TaskStatus
	}{
		"failed at once": {
			[]openflow.TaskStanding{waiting, of(openflow.TaskFailed, true), of(openflow.TaskFailed, true)},
			[]openflow.TaskStatus{openflow.TaskWaiting, openflow.TaskRunning, openflow.TaskFailed},
		},
		"seen running": {
			[]openflow.TaskStanding{accepted, of(openflow.TaskCanceled, true)}, []openflow.TaskStatus{openflow.TaskRunning, openflow.TaskCanceled},
		},
		"success":  {[]openflow.TaskStanding{of(openflow.TaskSuccess, true)}, []openflow.TaskStatus{openflow.TaskSuccess}},
		"reported": {[]openflow.TaskStanding{of(openflow.TaskFailed, false)}, []openflow.TaskStatus{openflow.TaskFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShown()
			for i, at := range c.asked {
				require.Equal(t, c.want[i], s.status(at))
			}
		})
	}
	s := newShown()
	for i := range 2*manyShown + 1 {
		at := of(openflow.TaskFailed, true)
		at.Key.Version = i
		s.status(at)
		require.LessOrEqual(t, len(s.runs), manyShown)
	}
}

// A submission whose caller has gone away is found by its repeat. The same words of a caller that waits are another job.
func TestARepeatedSubmission(t *testing.T) {
	s := newSubmissions()
	made := 0
	begun, goOn := make(chan struct{}, 9), make(chan struct{})
	submit := func(context.Context) (openflow.Submitted, error) {
		made++
		id := openflow.JobID(rune('0' + made))
		begun <- struct{}{}
		<-goOn
		return openflow.Submitted{ID: id}, nil
	}
	impatient, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.do(impatient, "8888", []byte("a job"), submit)
		gone <- err
	}()
	<-begun
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	again := make(chan openflow.Submitted)
	go func() {
		answer, err := s.do(t.Context(), "8888", []byte("a job"), submit)
		require.NoError(t, err)
		again <- answer
	}()
	close(goOn)
	require.Equal(t, openflow.JobID("1"), (<-again).ID)
	for i, c := range []struct {
		caller openflow.PartyID
		text   string
	}{{"8888", "a job"}, {"8889", "a job"}, {"8888", "another job"}} {
		answer, err := s.do(t.Context(), c.caller, []byte(c.text), submit)
		require.NoError(t, err)
		require.Equal(t, openflow.JobID(rune('2'+i)), answer.ID, "the first one has had its answer")
	}
	require.Empty(t, s.under)
}

// What FATE-Flow refuses is quoted as its words, in one line and in bounds; what it does not have is not found.
func TestWordsOfARefusal(t *testing.T) {
	long := make([]byte, 10_000)
	for i := range long {
		long[i] = 'x'
	}
	for _, c := range []struct {
		said wire.Envelope
		code openflow.Code
		want string
	}{
		{wire.Envelope{Code: 1002, Message: "Create job failed: detail[1 validation error\nstage\n  none]"}, openflow.CodeRejected, `its node says "Create job failed: detail[1 validation error stage none]" (1002)`},
		{wire.Envelope{Code: 1002, Message: "Traceback (most recent call last):\n  File x\nException: no provider"}, openflow.CodeRejected, `its node says "Exception: no provider" (1002)`},
		{wire.Envelope{Code: 6000, Message: "IndexError('list index out of range')"}, openflow.CodeNotFound, `its node says "IndexError('list index out of range')" (6000)`},
		{wire.Envelope{Code: 6000, Message: "Exception('can not found the Job record to update')"}, openflow.CodeNotFound, ""},
		{wire.Envelope{Code: 6000}, openflow.CodeInternal, `its node says "nothing" (6000)`},
		{wire.Envelope{Code: 6000, Message: string(long)}, openflow.CodeInternal, ""},
	} {
		err := quoted(c.said)
		require.Equal(t, c.code, openflow.CodeOf(err))
		told := openflow.ForPartners(err)
		require.Contains(t, told.Public, c.want)
		require.Less(t, len(told.Public), 2200)
	}
	require.NoError(t, quoted(wire.Envelope{}))
}
