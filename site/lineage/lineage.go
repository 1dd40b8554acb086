// Package lineage tells which tables from outside a party's data come from, through all tasks in between: what a partner
// learns of a table made by a task, it learns of those. Start at [OfRun].
package lineage

import (
	"context"
	"slices"

	"openflow"
)

// Store is the part of the catalogue that knows who made what.
type Store interface {
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
	LatestOutputs(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.OutputRecord, error)
	// TableOf is a table as a job has it: pinned at the job's creation, or as it is now.
	TableOf(ctx context.Context, k openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error)
	Pins(ctx context.Context, k openflow.JobKey) ([]openflow.Pin, error)
}

// OfRun lists the contents of the tables from outside that the run's data inputs come from: their digests, or where a table
// is that is kept elsewhere. Errors: CodeRejected (a job that made them has been deleted here).
func OfRun(ctx context.Context, s Store, t openflow.TaskRecord) ([]string, error) {
	w := newWalk(s)
	err := w.task(ctx, t)
	return w.contents, err
}

// OfTable is OfRun for one table, as it is outside jobs.
func OfTable(ctx context.Context, s Store, rec openflow.TableRecord) ([]string, error) {
	w := newWalk(s)
	err := w.table(ctx, rec)
	return w.contents, err
}

// walk is the way back from one run or table. Each run, and the pins of each job, are looked at once.
type walk struct {
	store    Store
	seen     map[openflow.RunID]bool
	pins     map[openflow.JobKey]pinned
	known    map[string]bool
	contents []string
}

// pinned are the origins of what a job reads from outside: by the task that reads it, and by the table.
type pinned struct {
	task  map[openflow.TaskName][]string
	table map[openflow.TableName][]string
}

func newWalk(s Store) walk {
	return walk{store: s, seen: map[openflow.RunID]bool{}, pins: map[openflow.JobKey]pinned{}, known: map[string]bool{}}
}

func (w *walk) add(contents ...string) {
	for _, c := range contents {
		if !w.known[c] {
			w.known[c] = true
			w.contents = append(w.contents, c)
		}
	}
}

// pinnedBy reads what a job has pinned of data.
func (w *walk) pinnedBy(ctx context.Context, k openflow.JobKey) (pinned, error) {
	if has, read := w.pins[k]; read {
		return has, nil
	}
	list, err := w.store.Pins(ctx, k)
	if err != nil {
		return pinned{}, err
	}
	has := pinned{map[openflow.TaskName][]string{}, map[openflow.TableName][]string{}}
	for _, p := range list {
		if p.Kind != openflow.InputData {
			continue
		}
		has.task[p.Task] = append(has.task[p.Task], p.Origins...)
		if _, twice := has.table[p.Table]; !twice {
			has.table[p.Table] = p.Origins
		}
	}
	w.pins[k] = has
	return has, nil
}

func (w *walk) task(ctx context.Context, t openflow.TaskRecord) error {
	if w.seen[t.Key.RunID()] {
		return nil
	}
	w.seen[t.Key.RunID()] = true
	pins, err := w.pinnedBy(ctx, t.Key.JobKey())
	if err != nil {
		return err
	}
	w.add(pins.task[t.Key.Task]...)
	for _, in := range t.Spec.Inputs {
		for _, c := range in.Channels {
			if in.Kind != openflow.InputData || c.Source != openflow.FromTask {
				continue // what comes from the warehouse is pinned
			}
			if err := w.outputs(ctx, t, c, pins); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputs adds what a channel takes from another task of the job. A task may hand on a table that it has only read.
func (w *walk) outputs(ctx context.Context, t openflow.TaskRecord, c openflow.Channel, pins pinned) error {
	outputs, err := w.store.LatestOutputs(ctx, t.Key.JobKey(), c.ProducerTask)
	if err != nil {
		return lost(t, err)
	}
	for _, out := range outputs {
		if out.OutputKey != c.OutputKey {
			continue
		}
		if origins, pinned := pins.table[out.Table]; pinned {
			w.add(origins...)
			continue
		}
		rec, err := w.store.TableOf(ctx, t.Key.JobKey(), out.Table)
		if err != nil {
			return openflow.About(openflow.AboutTable, err)
		}
		if err := w.table(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// table adds a table from outside itself, and what a table that a task made comes from. A task that reads nothing makes its
// table from outside.
func (w *walk) table(ctx context.Context, rec openflow.TableRecord) error {
	content := rec.Object
	if content == "" {
		content = rec.URI // kept elsewhere: its place stands for it
	}
	if rec.Source.RunID == "" {
		w.add(content)
		return nil
	}
	maker, err := w.store.TaskByRunID(ctx, rec.Source.RunID)
	if err != nil {
		return lost(maker, err)
	}
	before := len(w.contents)
	if err := w.task(ctx, maker); err != nil {
		return err
	}
	if len(w.contents) == before && !slices.ContainsFunc(maker.Spec.Inputs, func(in openflow.Input) bool { return in.Kind == openflow.InputData }) {
		w.add(content)
	}
	return nil
}

// lost refuses what comes from a job that is not known here any more: nothing can be counted for it.
func lost(t openflow.TaskRecord, err error) error {
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	return openflow.Errorf(openflow.CodeRejected, "%s: nobody knows which uploaded table the data come from: %w", t.Key, err).
		WithHint("a job that made them has been deleted here: run it again, and read its output or the uploaded table")
}
