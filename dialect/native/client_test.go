package native_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/peer"
	"openflow/sdk/wire/ptp"
	"openflow/site/trust"
	"openflow/store/messages"
)

func TestEveryMethodIsInTheTable(t *testing.T) {
	table := methods(t)
	for _, service := range []struct {
		prefix string
		of     reflect.Type
	}{{"", reflect.TypeFor[openflow.PartnerService]()}, {"Scheduler.", reflect.TypeFor[openflow.SchedulerService]()}} {
		for i := range service.of.NumMethod() {
			name := service.prefix + service.of.Method(i).Name
			found := false
			for key := range table {
				found = found || key == name || strings.HasPrefix(key, name+",")
			}
			require.True(t, found, "%s has no case", name)
		}
	}
}

func TestArgumentsArriveWhole(t *testing.T) {
	p := newPair(t)
	p.backend.task = openflow.TaskRecord{PartyStatus: openflow.TaskRunning}
	for name, m := range methods(t) {
		t.Run(name, func(t *testing.T) {
			p.backend.got = nil
			require.NoError(t, m.call(p.client))
			require.Empty(t, cmp.Diff(m.want, p.backend.got))
		})
	}
}

func TestErrorsArriveWhole(t *testing.T) {
	p := newPair(t)
	for name, m := range methods(t) {
		for _, code := range []openflow.Code{
			openflow.CodeInvalid, openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict,
			openflow.CodeRejected, openflow.CodeExhausted, openflow.CodeUnavailable, openflow.CodeCanceled, openflow.CodeDeadline,
			openflow.CodeUnimplemented, openflow.CodeInternal,
		} {
			sent := &openflow.Error{Code: code, Subject: openflow.AboutResource, Message: "2 of 4 cores", Hint: "wait"}
			p.backend.err = sent
			var got *openflow.Error
			require.ErrorAs(t, m.call(p.client), &got, "%s %s", name, code)
			want := *sent
			want.Party = "10000"
			if code == openflow.CodeInternal {
				want.Message, want.Hint = "only its own site knows why (internal)", "its operator finds that in the log of its node"
			}
			require.Empty(t, cmp.Diff(&want, got, cmpopts.IgnoreFields(openflow.Error{}, "Err")), "%s %s", name, code)
		}
	}
	p.backend.err = openflow.AtParty("777", openflow.Errorf(openflow.CodeRejected, "no"))
	_, err := p.client.Scheduler().CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(t)})
	require.ErrorContains(t, err, "at party 777", "the party where it happened, not the one that tells it")
}

// What a database, a file system or a network has said at a node stays there.
func TestForeignWordsStayAtTheirNode(t *testing.T) {
	p := newPair(t)
	for name, m := range methods(t) {
		for _, sent := range []error{
			openflow.Errorf(openflow.CodeNotFound, "open /home/ann/rows: %w", fs.ErrNotExist).WithHint("look into /home/ann"),
			openflow.Errorf(openflow.CodeExhausted, "catalogue: %w", openflow.Errorf(openflow.CodeExhausted, "%w", io.ErrShortWrite)),
			openflow.Errorf(openflow.CodeInternal, "a defect in /home/ann"),
			io.ErrUnexpectedEOF,
		} {
			p.backend.err = sent
			err := m.call(p.client)
			require.Equal(t, openflow.CodeOf(sent), openflow.CodeOf(err), "%s %v", name, sent)
			require.ErrorContains(t, err, "only its own site knows why")
			require.NotContains(t, err.Error(), "/home/ann")
			require.NotContains(t, err.Error(), "short write")
		}
		p.backend.err = openflow.Errorf(openflow.CodeInternal, "open /home/ann: %w", fs.ErrPermission).WithPublic("no disk")
		require.ErrorContains(t, m.call(p.client), "no disk", "what is marked is told")
	}
}

func TestAnswers(t *testing.T) {
	p := newPair(t)
	p.backend.created = openflow.Submitted{ID: "7", ModelID: "m", ModelVersion: "0"}
	got, err := p.client.Scheduler().CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(t)})
	require.NoError(t, err)
	require.Equal(t, p.backend.created, got)

	p.backend.task = openflow.TaskRecord{Status: openflow.TaskRunning, PartyStatus: openflow.TaskFailed, ErrorReport: "line 1\nline 2", Reason: "line 1",
		Cause: openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}}
	at, err := p.client.AskTask(t.Context(), taskK)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskStanding{Key: taskK, Status: openflow.TaskRunning, PartyStatus: openflow.TaskFailed, Cause: p.backend.task.Cause}, at)
	require.NoError(t, p.client.Probe(t.Context()))
}

// Unknown routes and panics are answered in the dialect's own envelope.
func TestUnknownRoutesAndPanics(t *testing.T) {
	p := newPair(t)
	answer := func(path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, p.client.Signer.Sign(r, "10000", []byte(body)))
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, answer("/openflow/v1/node/nothing", "{}"), `{"openflow":1,"error":{"code":"unimplemented","message":"no route POST /openflow/v1/node/nothing`)
	p.backend.panics = true
	require.Contains(t, answer("/openflow/v1/node/job/release", `{"job_id":"1","role":"host","party_id":"10000"}`), `{"openflow":1,"error":{"code":"internal"`)
}

// A participant speaks for itself: what it refuses is never said to be another party's refusal.
func TestParticipantBlamesNobodyElse(t *testing.T) {
	p := newPair(t)
	p.client.Verifier = nil
	p.backend.err = &openflow.Error{Code: openflow.CodeRejected, Party: "777", Message: "no", Mistakes: []openflow.Mistake{
		{Code: openflow.CodeRejected, Party: "777", Path: "dag", Message: "no"}, {Code: openflow.CodeInvalid, Message: "everybody's"},
	}}
	for name, m := range methods(t) {
		var got *openflow.Error
		require.ErrorAs(t, m.call(p.client), &got, name)
		if strings.HasPrefix(name, "Scheduler.") {
			require.Equal(t, openflow.PartyID("777"), got.Party, "%s: a scheduler passes on what others have said", name)
			continue
		}
		require.Equal(t, openflow.PartyID("10000"), got.Party, name)
		require.Equal(t, openflow.PartyID("10000"), got.Mistakes[0].Party, name)
		require.NotContains(t, fmt.Sprint(got, openflow.MistakesOf(got)), "777", name)
	}
}

// Whatever a node refuses with, an error of it is small.
func TestHugeRefusal(t *testing.T) {
	answer := `{"openflow":1,"error":{"code":"invalid","message":"` + strings.Repeat("y", 3<<20) + `"}}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer srv.Close()
	p := newPair(t)
	p.client.URL = srv.URL
	err := held(p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: dag(t)}))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Less(t, len(err.Error()), 2<<10)
}

// A refusal without a code, or without a text, names its party once and says that it gives no reason.
func TestRefusalWithoutAText(t *testing.T) {
	for refusal, want := range map[string]string{
		`{}`:                            "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"","message":""}`:      "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"tired","message":""}`: "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"permission"}`:         "at party 10000: it refuses, and does not say why (permission)",
		`{"message":"no"}`:              "at party 10000: no",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":1,"error":`+refusal+`}`)
		}))
		p := newPair(t)
		p.client.URL, p.client.Verifier = srv.URL, nil
		require.EqualError(t, p.client.Release(t.Context(), jobK), want, refusal)
		srv.Close()
	}
}

func TestUnreachable(t *testing.T) {
	p := newPair(t)
	p.client.URL = "http://127.0.0.1:1"
	err := p.client.Release(t.Context(), jobK)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "does not answer at http://127.0.0.1:1")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "openflow doctor")
	require.ErrorIs(t, openflow.AtParty("10000", err), openflow.ErrAbsent)
	require.ErrorIs(t, p.client.Reach(t.Context()), openflow.ErrAbsent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(p.client.Release(ctx, jobK)), "the caller's own end is not the peer's fault")
	p.client.URL = "http://[broken"
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(p.client.Release(t.Context(), jobK)))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(p.client.Reach(t.Context())))
	p.client.URL = p.url
	require.NoError(t, p.client.Reach(t.Context()))
}

func TestPush(t *testing.T) {
	p := newPair(t)
	m := peer.Outgoing{Session: "s", Topic: "guest-9999~host-10000~t", ID: "1", Payload: []byte{0, 1, 2}}
	for range 2 {
		require.NoError(t, p.client.Push(t.Context(), m))
	}
	c := messages.Channel{Session: "s", Topic: m.Topic}
	got, ok, err := p.store.Pop(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, m.Payload, got.Payload)
	require.Equal(t, "9999", got.Source, "as proven, whatever a header says")
	_, ok, err = p.store.Pop(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.False(t, ok, "the repeat was one message")

	for name, tc := range map[string]struct {
		change func(*peer.Outgoing)
		want   ptp.Result
	}{
		"another session": {func(m *peer.Outgoing) { m.Session = "other" }, ptp.ResultForbidden},
		"too large":       {func(m *peer.Outgoing) { m.Payload = make([]byte, 1<<16+1) }, ptp.ResultTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			bad := m
			tc.change(&bad)
			err := p.client.Push(t.Context(), bad)
			require.Error(t, err)
			require.Equal(t, tc.want, ptp.ResultOf(err))
			require.ErrorContains(t, err, "10000")
		})
	}
}

// A peer that does not take our signature says so in its own dialect, and no repeat would help.
func TestPushThatIsNotProven(t *testing.T) {
	p := newPair(t)
	key, err := trust.LoadOrCreateKey(private(t))
	require.NoError(t, err)
	p.client.Signer = signer{trust.Signer{Party: "9999", Key: key}}
	err = p.client.Push(t.Context(), peer.Outgoing{Session: "s", Topic: "t"})
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "signature")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(p.client.Probe(t.Context())))
}

// Every call is told of, with how it went: whoever measures sees failures too.
func TestCallsAreToldOf(t *testing.T) {
	p := newPair(t)
	var told []error
	p.client.Called = func(peer openflow.PartyID, took time.Duration, err error) {
		require.Equal(t, openflow.PartyID("10000"), peer)
		require.Positive(t, took)
		told = append(told, err)
	}
	require.NoError(t, p.client.Release(t.Context(), jobK))
	require.NoError(t, p.client.Push(t.Context(), peer.Outgoing{Session: "s", Topic: "t"}))
	p.backend.err = openflow.Errorf(openflow.CodeRejected, "no")
	require.Error(t, p.client.Release(t.Context(), jobK))
	require.Len(t, told, 3)
	require.NoError(t, errors.Join(told[:2]...))
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(told[2]))
}

// A party ends its part of a job by this answer, so it counts with a signature only, and only for the jobs asked for.
func TestEndedJobs(t *testing.T) {
	p := newPair(t)
	told := []openflow.EndedJob{{ID: "1", Status: openflow.JobFailed, Reason: "why"}, {ID: "2"}}
	p.backend.ended = append(told, openflow.EndedJob{ID: "not-asked", Status: openflow.JobFailed}, openflow.EndedJob{ID: "3", Status: openflow.JobRunning})
	ask := func() ([]openflow.EndedJob, error) {
		return p.client.Scheduler().EndedJobs(t.Context(), "9999", []openflow.JobID{"1", "2", "3"})
	}
	got, err := ask()
	require.NoError(t, err)
	require.Equal(t, told, got)

	p.backend.ended = append(make([]openflow.EndedJob, openflow.MaxEndedJobs), told...)
	got, err = ask()
	require.NoError(t, err)
	require.Empty(t, got, "an answer is not read for longer than the longest question")

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"openflow":1,"data":[{"job_id":"1"}]}`))
	}))
	defer other.Close()
	p.client.URL = other.URL
	got, err = ask()
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.Empty(t, got)
}
