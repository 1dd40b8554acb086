package env

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// Client is a user of one node's application layer, over HTTP. Its methods fail the test when the node does not answer;
// those that return an envelope leave the judgement of its code to the caller.
type Client struct {
	testing.TB
	URL   string
	Token string
}

// Do sends one request and reads the whole answer.
func (c *Client) Do(r *http.Request) (*http.Response, []byte) {
	c.Helper()
	resp, body, err := c.try(r)
	require.NoError(c, err)
	return resp, body
}

func (c *Client) try(r *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), Patience)
	defer cancel()
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (c *Client) request(method, path string, body io.Reader) *http.Request {
	c.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(c.Context()), method, c.URL+path, body) // cleanups call too
	require.NoError(c, err)
	return r
}

// Call sends a request whose answer is an envelope.
func (c *Client) Call(r *http.Request) wire.Envelope {
	c.Helper()
	resp, body := c.Do(r)
	return c.envelope(resp, body)
}

func (c *Client) envelope(resp *http.Response, body []byte) wire.Envelope {
	c.Helper()
	require.Equalf(c, http.StatusOK, resp.StatusCode, "%s", body)
	require.Equal(c, "application/json", resp.Header.Get("Content-Type"))
	var e wire.Envelope
	require.NoErrorf(c, json.Unmarshal(body, &e), "%s", body)
	return e
}

// Get asks with query values given as key, value, key, value.
func (c *Client) Get(path string, query ...string) wire.Envelope {
	c.Helper()
	return c.Call(c.request(http.MethodGet, path+"?"+values(query), nil))
}

func values(pairs []string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

// Post sends a JSON body, with headers given as key, value, key, value.
func (c *Client) Post(path string, body any, header ...string) wire.Envelope {
	c.Helper()
	b, ok := body.([]byte)
	if !ok {
		var err error
		b, err = json.Marshal(body)
		require.NoError(c, err)
	}
	r := c.request(http.MethodPost, path, bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return c.Call(r)
}

// OK requires success and reads the data into into, unless that is nil.
func (c *Client) OK(e wire.Envelope, into any) {
	c.Helper()
	require.NoError(c, e.Err())
	if into != nil {
		require.NoErrorf(c, json.Unmarshal(e.Data, into), "%s", e.Data)
	}
}

// TrySubmit submits a job and returns the answer, whatever it is.
func (c *Client) TrySubmit(d *openflow.DAG, header ...string) wire.Envelope {
	c.Helper()
	return c.Post("/v2/job/submit", submission(c, d), header...)
}

func submission(t testing.TB, d *openflow.DAG) map[string]json.RawMessage {
	t.Helper()
	doc, err := wire.EncodeDocument(d)
	require.NoError(t, err)
	return map[string]json.RawMessage{"dag_schema": doc}
}

// SubmitOnce sends a submission under a key. Its answer may never come, because the node dies: ok tells whether one came
// that is good.
func (c *Client) SubmitOnce(d *openflow.DAG, key string) (id openflow.JobID, ok bool) {
	c.Helper()
	var e wire.Envelope
	answer := c.post("/v2/job/submit", submission(c, d), key)
	if json.Unmarshal(answer, &e) != nil || e.Code != wire.Success {
		return "", false
	}
	return openflow.JobID(e.JobID), true
}

// StopOnce sends a stop whose answer may never come, because the node dies.
func (c *Client) StopOnce(id openflow.JobID) {
	c.Helper()
	c.post("/v2/job/stop", map[string]string{"job_id": string(id)}, "")
}

// post sends a request from beside the test's own goroutine and returns the answer, nil without one.
func (c *Client) post(path string, body any, key string) []byte {
	c.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.Errorf("encode: %v", err)
		return nil
	}
	r, err := http.NewRequestWithContext(c.Context(), http.MethodPost, c.URL+path, bytes.NewReader(b))
	if err != nil {
		c.Errorf("request: %v", err)
		return nil
	}
	r.Header.Set(wire.IdempotencyHeader, key)
	_, answer, err := c.try(r)
	if err != nil {
		return nil
	}
	return answer
}

// Submit submits a job that must be accepted. A submission that met a node without an answer in time is repeated, as users do.
func (c *Client) Submit(d *openflow.DAG, header ...string) openflow.JobID {
	c.Helper()
	if len(header) == 0 {
		header = []string{wire.IdempotencyHeader, rand.Text()}
	}
	e := c.answered("/v2/job/submit", submission(c, d), header...)
	c.OK(e, nil)
	require.NotEmpty(c, e.JobID)
	return openflow.JobID(e.JobID)
}

// StopJob cancels a job and returns how far that has come. A stop without an answer in time is repeated, as users do.
func (c *Client) StopJob(id openflow.JobID) openflow.Stopped {
	c.Helper()
	var answer wire.JobStopped
	c.OK(c.answered("/v2/job/stop", map[string]string{"job_id": string(id)}), &answer)
	return answer.Decode()
}

// answered sends a request that may be repeated until every node that it concerns has answered: on a slow machine one may
// take longer than calls wait.
func (c *Client) answered(path string, body any, header ...string) (e wire.Envelope) {
	c.Helper()
	WaitUntil(c, Patience, "an answer to "+path, func() (bool, string) {
		e = c.Post(path, body, header...)
		return e.Code != wire.FederatedError, e.Message
	})
	return e
}

// Jobs lists the rows of a job at this node, one per role; none is no error.
func (c *Client) Jobs(id openflow.JobID) []wire.JobRow {
	c.Helper()
	return rows[wire.JobRow](c, "/v2/job/query", id)
}

// Tasks lists the latest version of every task of a job at this node.
func (c *Client) Tasks(id openflow.JobID) []wire.TaskRow {
	c.Helper()
	return rows[wire.TaskRow](c, "/v2/job/task/query", id)
}

func rows[T any](c *Client, path string, id openflow.JobID) []T {
	c.Helper()
	e := c.Get(path, "job_id", string(id))
	if e.Code == wire.JobNotFound || e.Code == wire.TaskNotFound {
		return nil
	}
	var list []T
	c.OK(e, &list)
	return list
}

// Ended tells whether the FATE client would stop waiting.
func Ended(status string) bool {
	return slices.Contains([]string{"success", "failed", "canceled"}, status)
}

// Wait waits until the job has ended in every row of this node and returns the rows.
func (c *Client) Wait(id openflow.JobID) []wire.JobRow {
	c.Helper()
	var list []wire.JobRow
	WaitUntil(c, Patience, fmt.Sprintf("job %s has ended at %s", id, c.URL), func() (bool, string) {
		list = c.Jobs(id)
		return len(list) > 0 && !slices.ContainsFunc(list, func(r wire.JobRow) bool { return !Ended(r.Status) }), c.picture(id, list)
	})
	return list
}

// WaitFor waits until the job has that status in every row of this node and returns the rows. Ending otherwise fails.
func (c *Client) WaitFor(id openflow.JobID, status openflow.JobStatus) []wire.JobRow {
	c.Helper()
	var list []wire.JobRow
	WaitUntil(c, Patience, fmt.Sprintf("job %s is %s at %s", id, status, c.URL), func() (bool, string) {
		list = c.Jobs(id)
		seen := c.picture(id, list)
		there := len(list) > 0
		for _, r := range list {
			there = there && r.Status == string(status)
			if r.Status != string(status) && Ended(r.Status) {
				c.Fatalf("job %s ended as %s, not %s: %s", id, r.Status, status, seen)
			}
		}
		return there, seen
	})
	return list
}

// WaitForTask waits until a task has that status at its party (party_status) in every role that this node plays.
func (c *Client) WaitForTask(id openflow.JobID, name string, status openflow.TaskStatus) {
	c.Helper()
	WaitUntil(c, Patience, fmt.Sprintf("task %q of job %s is %s at %s", name, id, status, c.URL), func() (bool, string) {
		found := 0
		for _, r := range c.Tasks(id) {
			if r.TaskName != name {
				continue
			}
			if found++; r.PartyStatus != string(status) {
				return false, c.picture(id, c.Jobs(id))
			}
		}
		return found > 0, "no such task"
	})
}

// picture shows how a job stands, for messages.
func (c *Client) picture(id openflow.JobID, jobs []wire.JobRow) string {
	var b strings.Builder
	for _, j := range jobs {
		fmt.Fprintf(&b, "[%s %s: %s %d%% %q]", j.Role, j.PartyID, j.Status, j.Progress, j.Reason)
	}
	for _, t := range c.Tasks(id) {
		fmt.Fprintf(&b, " %s@%s%s=%s/%s %q", t.TaskName, t.Role, t.PartyID, t.PartyStatus, t.Status, t.Reason)
	}
	if b.Len() == 0 {
		return "no such job"
	}
	return b.String()
}

// TaskStatuses is the party_status of every task at this node, by "<task> <role> <party>".
func (c *Client) TaskStatuses(id openflow.JobID) map[string]string {
	c.Helper()
	out := map[string]string{}
	for _, t := range c.Tasks(id) {
		out[t.TaskName+" "+t.Role+" "+t.PartyID] = t.PartyStatus
	}
	return out
}

// Settled waits until no task of the job runs at this node any more, and returns TaskStatuses. A job's end is visible
// before its last programs have been stopped.
func (c *Client) Settled(id openflow.JobID) map[string]string {
	c.Helper()
	var got map[string]string
	WaitUntil(c, Patience, fmt.Sprintf("no task of job %s runs at %s", id, c.URL), func() (bool, string) {
		got = c.TaskStatuses(id)
		return !slices.Contains(slices.Collect(maps.Values(got)), string(openflow.TaskRunning)), fmt.Sprint(got)
	})
	return got
}

// Roles lists the roles that this node plays in a job.
func (c *Client) Roles(id openflow.JobID) []string {
	c.Helper()
	roles := map[string]bool{}
	for _, j := range c.Jobs(id) {
		roles[j.Role] = true
	}
	return slices.Sorted(maps.Keys(roles))
}
