package interconnection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/server"
	"openflow/site/trust"
	"openflow/store/messages"
)

const (
	jobBody  = `{"job_id":"1","role":"host","party_id":"10000"}`
	taskBody = `{"job_id":"1","role":"host","party_id":"10000","task_id":"1_a","task_version":0,"new_version":1,"status":"running"}`
)

const failedTask = `{"job_id":"1","role":"host","party_id":"10000","task_id":"1_b","task_version":0,"status":"failed"}`

// with is taskBody with something more.
func with(more string) string {
	return strings.Replace(strings.TrimSuffix(taskBody, "}"), `,"status":"running"`, "", 1) + "," + more + "}"
}

// No route answers anything to a caller that is not proven, nor reads what it says.
func TestEveryRouteVerifiesFirst(t *testing.T) {
	n := newNode(t)
	list := paths(t, n.api)
	require.Len(t, list, 34)
	for _, path := range list {
		t.Run(path, func(t *testing.T) {
			for name, r := range map[string]*http.Request{
				"no signature":  httptest.NewRequest(http.MethodPost, path, strings.NewReader(taskBody)),
				"broken body":   httptest.NewRequest(http.MethodPost, path, strings.NewReader("{")),
				"unknown party": n.signed("666", path, taskBody),
				"for another node": func() *http.Request {
					r := n.signed("9999", path, taskBody)
					n.signers["9999"].Sign(r, "777", []byte(taskBody), time.Now())
					return r
				}(),
				"as another party": func() *http.Request {
					r := n.signed("9999", path, taskBody)
					r.Header.Set(trust.HeaderParty, "8888")
					return r
				}(),
				"another body": func() *http.Request {
					r := n.signed("9999", path, "{")
					r.Body = io.NopCloser(strings.NewReader(taskBody))
					return r
				}(),
				"another path": func() *http.Request { r := n.signed("9999", "/v2/x", taskBody); r.URL.Path = path; return r }(),
				"an hour ago": func() *http.Request {
					r := n.signed("9999", path, taskBody)
					n.signers["9999"].Sign(r, "10000", []byte(taskBody), time.Now().Add(-time.Hour))
					return r
				}(),
			} {
				if strings.HasPrefix(path, ptp.PathPrefix) {
					_, err := n.verdict(n.do(r))
					require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "%s: %v", name, err)
					continue
				}
				e := n.envelope(r)
				require.Equal(t, wire.VerifyFailed, e.Code, "%s: %s", name, e.Message)
			}
		})
	}
	require.Zero(t, n.services.calls)
	require.Zero(t, n.traced, "not even the trace that it names is looked at")
}

// believing takes every unsigned request for one of party 9999.
type believing struct{ dialect.Verifier }

func (b believing) Verify(ctx context.Context, r *http.Request) (openflow.PartyID, error) {
	if trust.Signs(r.Header) {
		return b.Verifier.Verify(ctx, r)
	}
	return "9999", nil
}

// What nobody has signed is taken, where the operator has said so, on FATE-Flow's routes and on no other.
func TestUnsignedRequestsOnFATEFlowsRoutesOnly(t *testing.T) {
	n := newNode(t)
	n.api.Node.Unsigned = believing{n.api.Node.Verifier}
	n.handler = server.Handler(slog.New(slog.DiscardHandler), n.api)
	taken := 0
	for _, path := range paths(t, n.api) {
		before := n.services.calls
		r := n.do(httptest.NewRequest(http.MethodPost, path, strings.NewReader(strings.Replace(taskBody, "}", `,"stop_status":"failed"}`, 1))))
		if strings.HasPrefix(path, "/v2/") {
			if n.services.calls > before {
				taken++
			}
			continue
		}
		require.Equal(t, before, n.services.calls, path)
		if strings.HasPrefix(path, ptp.PathPrefix) {
			_, err := n.verdict(r)
			require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), path)
			continue
		}
		require.Contains(t, r.Body.String(), string(openflow.CodeUnauthorized), path)
	}
	require.Greater(t, taken, 10)
	for _, caller := range n.services.callers {
		require.Equal(t, openflow.PartyID("9999"), caller)
	}
	e := n.envelope(n.signed("666", "/v2/partner/job/start", jobBody))
	require.Equal(t, wire.VerifyFailed, e.Code, "what says that it is signed is proven by that")
}

func TestReplayIsRefused(t *testing.T) {
	n := newNode(t)
	r := n.signed("9999", "/v2/partner/job/start", jobBody)
	again := r.Clone(t.Context())
	again.Body = io.NopCloser(strings.NewReader(jobBody))
	require.Equal(t, wire.Success, n.envelope(r).Code)
	require.Equal(t, wire.VerifyFailed, n.envelope(again).Code)
	require.Equal(t, 1, n.services.calls)
	require.Equal(t, 1, n.traced)
}

func TestHugeBodyIsRefused(t *testing.T) {
	n := newNode(t)
	huge := strings.Repeat(" ", dialect.CallBytes) + jobBody
	e := n.envelope(n.signed("9999", "/v2/partner/job/start", huge))
	require.Equal(t, wire.InvalidParameter, e.Code)
	require.Contains(t, e.Message, "larger than")
	result, err := n.verdict(n.do(n.signed("9999", "/v1/interconn/chan/invoke", huge, ptp.HeaderSessionID, "s")))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Equal(t, ptp.ResultTooLarge, result)
	require.Zero(t, n.services.calls)
	endless := httptest.NewRequest(http.MethodPost, "/v2/partner/job/start", io.LimitReader(zeros{}, 1<<40))
	require.Equal(t, wire.VerifyFailed, n.envelope(endless).Code, "of a stranger nothing is read")
}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// The identity is the key's: what a body claims to be the scheduler or the caller is not looked at.
func TestCallerIsWhoSigned(t *testing.T) {
	n := newNode(t)
	claim := strings.Replace(strings.TrimSuffix(taskBody, "}"), "running", "failed", 1) + `,"job_ids":["1"],"scheduler_party_id":"8888","caller":"8888"}`
	for _, path := range paths(t, n.api) {
		if strings.HasPrefix(path, "/v1/") || strings.HasSuffix(path, "/create") || strings.HasSuffix(path, "/open") || strings.HasSuffix(path, "/site") {
			continue
		}
		before := n.services.calls
		n.envelope(n.signed("9999", path, claim, "initiator-party-id", "8888"))
		require.Equal(t, before+1, n.services.calls, path)
	}
	for _, caller := range n.services.callers {
		require.Equal(t, openflow.PartyID("9999"), caller)
	}
	e := n.envelope(n.signed("9999", "/openflow/v1/node/site", "{}"))
	require.JSONEq(t, `{"caller":"9999"}`, string(e.Data))
}

// tells is news of task a alone.
func tells(status openflow.TaskStatus, version int) openflow.News {
	host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	return openflow.News{Tasks: []openflow.TaskUpdate{{Key: openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Version: version, Party: host}, Status: status}}}
}

func TestBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		path, body string
		code       int
		last       any // what arrives
	}{
		"start":                {"/v2/partner/job/start", jobBody, wire.Success, openflow.News{Status: openflow.JobRunning, Inherit: true}},
		"nothing":              {"/v2/partner/job/start", "", wire.InvalidParameter, nil},
		"not JSON":             {"/v2/partner/job/start", "{", wire.InvalidParameter, nil},
		"job of a path":        {"/v2/partner/job/start", `{"job_id":"../1","role":"host","party_id":"10000"}`, wire.InvalidParameter, nil},
		"unknown role":         {"/v2/partner/job/start", `{"job_id":"1","role":"x","party_id":"10000"}`, wire.InvalidParameter, nil},
		"stop without status":  {"/v2/partner/job/stop", jobBody, wire.Success, openflow.JobFailed}, // fate-flow-api §2.3
		"stop as canceled":     {"/v2/partner/job/stop", strings.Replace(jobBody, "}", `,"status":"canceled"}`, 1), wire.Success, openflow.JobCanceled},
		"stop as running":      {"/v2/partner/job/stop", strings.Replace(jobBody, "}", `,"status":"running"}`, 1), wire.InvalidParameter, nil},
		"status":               {"/v2/partner/job/status/update", strings.Replace(jobBody, "}", `,"status":"waiting"}`, 1), wire.Success, openflow.News{Status: openflow.JobWaiting}},
		"unknown status":       {"/v2/partner/job/status/update", strings.Replace(jobBody, "}", `,"status":"x"}`, 1), wire.InvalidParameter, nil},
		"task stop":            {"/v2/partner/task/stop", strings.Replace(taskBody, `,"status":"running"`, "", 1), wire.Success, tells(openflow.TaskFailed, 0)},
		"task rerun":           {"/v2/partner/task/rerun", taskBody, wire.Success, tells(openflow.TaskWaiting, 1)},
		"task rerun, a gap":    {"/v2/partner/task/rerun", strings.Replace(taskBody, `"new_version":1`, `"new_version":2`, 1), wire.InvalidParameter, nil},
		"news, unknown status": {"/openflow/v1/node/job/tell", with(`"status":"x"`), wire.InvalidParameter, nil},
		"task status missing":  {"/v2/partner/task/status/update", strings.Replace(taskBody, `,"status":"running"`, "", 1), wire.InvalidParameter, nil},
		"task of another job":  {"/v2/partner/task/start", strings.Replace(taskBody, "1_a", "2_a", 1), wire.InvalidParameter, nil},
		"task without version": {"/v2/partner/task/start", strings.Replace(taskBody, `"task_version":0,`, "", 1), wire.InvalidParameter, nil},
		"negative version":     {"/v2/partner/task/start", strings.Replace(taskBody, `"task_version":0`, `"task_version":-1`, 1), wire.InvalidParameter, nil},
		"create without DAG":   {"/v2/partner/job/create", jobBody, wire.InvalidParameter, nil},
		"create, broken DAG":   {"/v2/partner/job/create", strings.Replace(jobBody, "}", `,"dag":{"tasks":{}},"schema_version":"2"}`, 1), wire.InvalidParameter, nil},
		"schedule without DAG": {"/v2/scheduler/job/create", "{}", wire.InvalidParameter, nil},
		"schedule, broken DAG": {"/v2/scheduler/job/create", `{"dag":[],"schema_version":"2"}`, wire.InvalidParameter, nil},
		"schedule, long user":  {"/v2/scheduler/job/create", `{"dag":{},"schema_version":"2","user_name":"` + strings.Repeat("u", 257) + `"}`, wire.InvalidParameter, nil},
		"create, long user":    {"/v2/partner/job/create", strings.Replace(jobBody, "}", `,"dag":{},"schema_version":"2","user_name":"`+strings.Repeat("u", 257)+`"}`, 1), wire.InvalidParameter, nil},
		"stop of nothing":      {"/v2/scheduler/job/stop", "{}", wire.InvalidParameter, nil},
		"several at a start":   {"/openflow/v1/node/task/start", with(`"ended":[` + failedTask + `]`), wire.Success, openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}},
		"several at a stop":    {"/openflow/v1/node/job/stop", with(`"tasks":[` + failedTask + `],"status":"failed"`), wire.Success, openflow.JobFailed},
		"at a start, no end":   {"/openflow/v1/node/task/start", with(`"ended":[` + strings.Replace(failedTask, "failed", "running", 1) + `]`), wire.InvalidParameter, nil},
		"news of another job":  {"/openflow/v1/node/task/start", with(`"ended":[` + strings.ReplaceAll(failedTask, `"1`, `"2`) + `]`), wire.InvalidParameter, nil},
		"news for another":     {"/openflow/v1/node/task/start", with(`"ended":[` + strings.Replace(failedTask, "10000", "8888", 1) + `]`), wire.InvalidParameter, nil},
		"news, no version":     {"/openflow/v1/node/task/start", with(`"ended":[` + strings.Replace(failedTask, `,"task_version":0`, "", 1) + `]`), wire.InvalidParameter, nil},
		"stop as nothing":      {"/openflow/v1/node/job/stop", jobBody, wire.InvalidParameter, nil},
		"open, no DAG":         {"/openflow/v1/node/job/open", jobBody, wire.InvalidParameter, nil},
		"apply for a task":     {"/v2/partner/task/resource/apply", taskBody, wire.Success, openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			e := n.envelope(n.signed("9999", tc.path, tc.body))
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Equal(t, tc.last, n.services.last)
			require.Equal(t, tc.last != nil, n.services.calls == 1)
		})
	}
}

func TestInvoke(t *testing.T) {
	for name, tc := range map[string]struct {
		by     openflow.PartyID
		header map[string]string
		want   ptp.Result
	}{
		"message":                {"9999", nil, ptp.ResultOK},
		"no target":              {"9999", map[string]string{ptp.HeaderTargetNodeID: ""}, ptp.ResultOK},
		"session of others":      {"8888", nil, ptp.ResultForbidden},
		"its own other session":  {"8888", map[string]string{ptp.HeaderSessionID: "other"}, ptp.ResultOK},
		"session of nobody":      {"9999", map[string]string{ptp.HeaderSessionID: "x"}, ptp.ResultForbidden},
		"no session":             {"9999", map[string]string{ptp.HeaderSessionID: ""}, ptp.ResultIllegal},
		"another target":         {"9999", map[string]string{ptp.HeaderTargetNodeID: "8888"}, ptp.ResultNotNetworked},
		"remote pop":             {"9999", map[string]string{ptp.HeaderURI: "/v1/interconn/chan/pop"}, ptp.ResultNotPermitted},
		"remote peek":            {"9999", map[string]string{ptp.HeaderURI: "/v1/interconn/chan/peek"}, ptp.ResultNotPermitted},
		"remote release":         {"9999", map[string]string{ptp.HeaderURI: "/v1/interconn/chan/release"}, ptp.ResultNotPermitted},
		"address of a service":   {"9999", map[string]string{ptp.HeaderURI: "/v2/worker/task/status"}, ptp.ResultNotFound},
		"another host's address": {"9999", map[string]string{ptp.HeaderURI: "http://127.0.0.1:9380/v2/job/stop"}, ptp.ResultNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			got, err := n.invoke(tc.by, tc.header, ptp.PushInbound{Topic: "t", Payload: []byte("p")})
			require.Equal(t, tc.want, got, "%v", err)
			session := "s"
			if s := tc.header[ptp.HeaderSessionID]; s != "" {
				session = s
			}
			m, ok, err := n.store.Pop(t.Context(), messages.Channel{Session: session, Topic: "t"}, "", 0)
			require.NoError(t, err)
			require.Equal(t, tc.want == ptp.ResultOK, ok)
			if ok {
				require.Equal(t, string(tc.by), m.Source)
				require.Equal(t, "p", string(m.Payload))
			}
		})
	}
}

// A sender that was killed before it heard the answer sends its message again, also when the task here has made use of it and ended.
// Anything else comes too late.
func TestRepeatAfterTheEnd(t *testing.T) {
	n := newNode(t)
	push := func(id string) ptp.Result {
		got, _ := n.invoke("9999", nil, ptp.PushInbound{Topic: "t", Payload: []byte("p"), Metadata: map[string]string{ptp.MetadataMessageID: id}})
		return got
	}
	require.Equal(t, ptp.ResultOK, push("first"))
	for i := range 63 {
		require.Equal(t, ptp.ResultOK, push(fmt.Sprint(i)))
	}
	require.NoError(t, n.store.CloseSession(t.Context(), "s", time.Hour))
	require.Equal(t, ptp.ResultOK, push("first"))
	for _, id := range []string{"late", ""} {
		require.Equal(t, ptp.ResultReleased, push(id), id)
	}
	_, _, err := n.store.Pop(t.Context(), messages.Channel{Session: "s", Topic: "t"}, "", 0)
	require.ErrorIs(t, err, messages.ErrReleased, "and nothing is kept")
}

// What is remembered of messages has a bound.
func TestRepeatsAreBounded(t *testing.T) {
	n := newNode(t)
	for i := range 65 {
		got, err := n.invoke("9999", nil, ptp.PushInbound{Topic: "t", Payload: []byte("p"), Metadata: map[string]string{ptp.MetadataMessageID: fmt.Sprint(i)}})
		require.Equal(t, ptp.ResultOK, got, "%v", err)
	}
	require.NoError(t, n.store.CloseSession(t.Context(), "s", time.Hour))
	for id, want := range map[string]ptp.Result{"0": ptp.ResultReleased, "1": ptp.ResultOK, "64": ptp.ResultOK} {
		got, _ := n.invoke("9999", nil, ptp.PushInbound{Topic: "t", Payload: []byte("p"), Metadata: map[string]string{ptp.MetadataMessageID: id}})
		require.Equal(t, want, got, id)
	}
}

// The source header is a claim; the signature is the proof.
func TestSourceOfAMessageIsWhoSigned(t *testing.T) {
	n := newNode(t)
	got, err := n.invoke("9999", map[string]string{ptp.HeaderSourceNodeID: "8888", ptp.HeaderFromNodeID: "8888"}, ptp.PushInbound{Topic: "t", Payload: []byte("p")})
	require.Equal(t, ptp.ResultOK, got, "%v", err)
	m, ok, err := n.store.Pop(t.Context(), messages.Channel{Session: "s", Topic: "t"}, "", 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "9999", m.Source)
}

func TestInvokeTellsOfFailuresInTheFormOfTheRequest(t *testing.T) {
	n := newNode(t)
	w := n.do(n.signed("9999", "/v1/interconn/chan/invoke", "not base64 and not json", ptp.HeaderSessionID, "s", "Content-Type", "application/xml"))
	out, err := ptp.DecodeReply(w.Header().Get("Content-Type"), w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, ptp.ResultCodec, ptp.ResultOf(out.Err()))
	require.True(t, bytes.Contains(w.Body.Bytes(), []byte("E0000000616")))
}

// A message store that is away is worth another try.
func TestStoreAway(t *testing.T) {
	n := newNode(t)
	n.api.Transport.Store = away{}
	n.handler = server.Handler(slog.New(slog.DiscardHandler), n.api)
	_, err := n.invoke("9999", nil, ptp.PushInbound{Topic: "t"})
	require.True(t, openflow.CodeOf(err).Retryable(), "%v", err)
	require.NotContains(t, err.Error(), "secret path")
	require.NotContains(t, err.Error(), "disk full")
}

type away struct{ messages.Store }

func (away) Push(context.Context, messages.Channel, messages.Message, time.Duration) error {
	return openflow.Errorf(openflow.CodeExhausted, "secret path: %w", errors.New("disk full"))
}
