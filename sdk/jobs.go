package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// Submit hands a job to the node and returns once every party has created it. With a key, repeating the call with the
// same DAG gives the first job; key may be empty.
//
// Errors: CodeInvalid, CodeConflict (key used for another job), CodeRejected, CodePermission, CodeUnavailable; those of
// a partner name it.
//
// Spec: fate-flow-api §1.1 #1.
func (c *Client) Submit(ctx context.Context, d *openflow.DAG, key string) (openflow.Submitted, error) {
	document, err := wire.EncodeDocument(d)
	if err != nil {
		return openflow.Submitted{}, openflow.Errorf(openflow.CodeInvalid, "the job cannot be encoded: %w", err)
	}
	r, err := post("/v2/job/submit", map[string]json.RawMessage{"dag_schema": document})
	if err != nil {
		return openflow.Submitted{}, err
	}
	if key != "" {
		r.header.Set(wire.IdempotencyHeader, key)
	}
	var made struct {
		wire.CreatedModel
		Warnings []string `json:"warnings"`
	}
	e, err := c.call(ctx, r, &made)
	return openflow.Submitted{
		ID: openflow.JobID(e.JobID), ModelID: made.ModelID, ModelVersion: made.ModelVersion, Warnings: made.Warnings,
	}, err
}

// Job returns the rows of a job at this site, one for each role that the site plays, with its DAG.
// CodeNotFound: the site takes no part in it.
func (c *Client) Job(ctx context.Context, id openflow.JobID) ([]wire.JobRow, error) {
	return c.jobRows(ctx, id, "")
}

func (c *Client) jobRows(ctx context.Context, id openflow.JobID, fields string) ([]wire.JobRow, error) {
	var rows []wire.JobRow
	err := c.fetch(ctx, "/v2/job/query", query("job_id", string(id), scheduler, string(c.Scheduler), "fields", fields), &rows)
	if err == nil && len(rows) == 0 {
		err = openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "no job %s here", id))
	}
	return rows, err
}

// Tasks returns the latest version of every task of a job that this site takes part in.
func (c *Client) Tasks(ctx context.Context, id openflow.JobID) ([]wire.TaskRow, error) {
	var rows []wire.TaskRow
	err := c.fetch(ctx, "/v2/job/task/query", query("job_id", string(id), scheduler, string(c.Scheduler)), &rows)
	return rows, err
}

// JobFilter selects jobs. The zero value takes the first thousand.
type JobFilter struct {
	Statuses []openflow.JobStatus // empty: all
	Limit    int                  // 0: a thousand
	Page     int                  // of Limit jobs, counted from 1; 0 is the first
}

// JobList is one page of jobs, newest first.
type JobList struct {
	Count int           `json:"count"` // of all that match
	Jobs  []wire.JobRow `json:"data"`  // without their DAGs
}

// List returns the rows of jobs at this site.
func (c *Client) List(ctx context.Context, f JobFilter) (JobList, error) {
	q := query("fields", "short")
	for _, s := range f.Statuses {
		q.Add("status", string(s))
	}
	for name, n := range map[string]int{"limit": f.Limit, "page": f.Page} {
		if n != 0 {
			q.Set(name, strconv.Itoa(n))
		}
	}
	var l JobList
	err := c.fetch(ctx, "/v2/job/list/query", q, &l)
	return l, err
}

// Stop asks for the end of a job and tells how far that has come after a few seconds; a repeat tells how far it is by then.
// A job that has ended stays as it is.
func (c *Client) Stop(ctx context.Context, id openflow.JobID) (openflow.Stopped, error) {
	var answer wire.JobStopped
	_, err := c.tell(ctx, "/v2/job/stop", c.job(id), &answer)
	return answer.Decode(), err
}

// StopHere ends this site's own part of a job at once and for good, whatever its scheduler says and whether or not it answers.
// CodeNotFound: the site has no part in it.
func (c *Client) StopHere(ctx context.Context, id openflow.JobID) (openflow.Stopped, error) {
	var answer wire.JobStopped
	_, err := c.tell(ctx, "/openflow/v1/user/job/stop-here", c.job(id), &answer)
	return answer.Decode(), err
}

// StopEverywhere asks for the end of a job, again until everything has stopped at every party.
func (c *Client) StopEverywhere(ctx context.Context, id openflow.JobID) (openflow.Stopped, error) {
	for {
		s, err := c.Stop(ctx, id)
		if err != nil || s.Over() {
			return s, err
		}
		if err := rest(ctx, stopPause); err != nil {
			return s, err
		}
	}
}

// stopPause is the time between two questions of StopEverywhere.
const stopPause = time.Second

// Rerun opens a further run of a job that has ended: what succeeded is kept. One that runs or has succeeded is left alone.
func (c *Client) Rerun(ctx context.Context, id openflow.JobID) error {
	_, err := c.tell(ctx, "/v2/job/rerun", c.job(id), nil)
	return err
}

// job names a job in a body.
func (c *Client) job(id openflow.JobID) map[string]string {
	body := map[string]string{"job_id": string(id)}
	if c.Scheduler != "" {
		body[scheduler] = string(c.Scheduler)
	}
	return body
}

// taskQuery names a task at one party; the latest version is meant.
func (c *Client) taskQuery(path string, k openflow.TaskKey, more ...string) request {
	return get(path, query(append([]string{
		scheduler, string(cmp.Or(k.Scheduler, c.Scheduler)), "job_id", string(k.Job), "role", string(k.Party.Role), "party_id", string(k.Party.ID), "task_name", string(k.Task),
	}, more...)...))
}

// Logs copies what the task's container at this site has written so far, of its latest version whatever k.Version says.
func (c *Client) Logs(ctx context.Context, k openflow.TaskKey, w io.Writer) error {
	return c.copyFile(ctx, c.taskQuery("/openflow/v1/user/job/task/log", k), w)
}

func (c *Client) copyFile(ctx context.Context, r request, w io.Writer) error {
	body, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // reading only
	source := &source{r: body}
	if _, err := io.Copy(w, source); err != nil {
		return c.transferError(ctx, source, err)
	}
	return nil
}

// source remembers that reading failed, to tell a broken connection from a full disk.
type source struct {
	r      io.Reader
	failed bool
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.failed = s.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

func (c *Client) transferError(ctx context.Context, s *source, err error) error {
	if s.failed {
		return c.unreachable(ctx, err)
	}
	return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "the file cannot be written: %w", err))
}
