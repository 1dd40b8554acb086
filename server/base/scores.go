package base

import (
	"context"
	"net/http"
	"slices"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// spendScores counts what a container is about to tell a partner about this site's columns, or refuses it.
func (a *API) spendScores(r *http.Request) (any, error) {
	var b wire.ScoreSpend
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	t := task(r)
	if err := own(t, string(b.ExecutionID)); err != nil {
		return nil, err
	}
	to := openflow.Party{Role: openflow.Role(b.Role), ID: openflow.PartyID(b.PartyID)}
	if !slices.Contains(t.Spec.Parties, to) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s takes no part in %s", to, t.Key)
	}
	origins := origins{store: a.Store, seen: map[openflow.ExecutionID]bool{}, names: map[string]openflow.TableName{}}
	if err := origins.ofTask(r.Context(), t); err != nil {
		return nil, err
	}
	if len(origins.contents) == 0 {
		return nil, openflow.Errorf(openflow.CodeRejected, "%s reads no table whose scores could be counted", t.Key)
	}
	err := a.Store.SpendScores(r.Context(), openflow.ScoreSpend{
		Run: t.Key, To: to.ID, Tables: origins.contents, Names: origins.names, Columns: b.Columns, Vectors: b.Vectors,
	}, a.Policy.CoordinatedLR.ScoreMemory)
	return nil, openflow.About(openflow.AboutTask, err)
}

// origins collects the content of the tables from outside that a run's data come from, through all tasks in between, which
// make other tables of the same columns.
type origins struct {
	store    Store
	seen     map[openflow.ExecutionID]bool
	contents []string
	names    map[string]openflow.TableName // what the job calls them
}

func (o *origins) add(content string, name openflow.TableName) {
	o.names[content] = name
	if !slices.Contains(o.contents, content) {
		o.contents = append(o.contents, content)
	}
}

func (o *origins) ofTask(ctx context.Context, t openflow.TaskRecord) error {
	if o.seen[t.Key.ExecutionID()] {
		return nil
	}
	o.seen[t.Key.ExecutionID()] = true
	for _, in := range t.Spec.Inputs {
		if in.Kind != openflow.InputData {
			continue
		}
		for _, c := range in.Channels {
			if err := o.ofChannel(ctx, t, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *origins) ofChannel(ctx context.Context, t openflow.TaskRecord, c openflow.Channel) error {
	if c.Source == openflow.FromDataWarehouse && c.Name != "" {
		return o.ofTable(ctx, jobOf(t), openflow.TableName{Namespace: c.Namespace, Name: c.Name})
	}
	job := c.Job
	if job == "" {
		job = t.Key.Job
	}
	outputs, err := o.store.LatestOutputs(ctx, t.Scheduler, job, t.Key.Party, c.ProducerTask)
	if err != nil {
		return lost(t, err)
	}
	for _, out := range outputs {
		if out.OutputKey != c.OutputKey {
			continue
		}
		if err := o.ofTable(ctx, jobOf(t), out.Table); err != nil {
			return err
		}
	}
	return nil
}

// ofTable adds a table from outside itself, and what a table that a task made comes from. A task that reads nothing makes its
// table from outside.
func (o *origins) ofTable(ctx context.Context, job openflow.JobKey, n openflow.TableName) error {
	rec, err := o.store.TableOf(ctx, job, n)
	if err != nil {
		return openflow.About(openflow.AboutTable, err)
	}
	content := rec.Object
	if content == "" {
		content = rec.URI // kept elsewhere: its place stands for it
	}
	if rec.Source.ExecutionID == "" {
		o.add(content, n)
		return nil
	}
	maker, err := o.store.TaskByExecution(ctx, rec.Source.ExecutionID)
	if err != nil {
		return lost(maker, err)
	}
	if reads := slices.ContainsFunc(maker.Spec.Inputs, func(in openflow.Input) bool { return in.Kind == openflow.InputData }); !reads {
		if read, said := maker.Spec.Reads(); said {
			n = read
		}
		o.add(content, n)
		return nil
	}
	return o.ofTask(ctx, maker)
}

// lost refuses what comes from a job that is not known here any more: nothing can be counted for it.
func lost(t openflow.TaskRecord, err error) error {
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	return openflow.Errorf(openflow.CodeRejected, "%s: it cannot be told which table from outside the data come from: %w", t.Key, err).
		WithHint("a job that made them has been deleted here: run it again, and read its output or the uploaded table")
}
