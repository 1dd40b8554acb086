package catalogue

import (
	"context"
	"slices"
	"time"

	"openflow"
)

const workerColumns = `machine, name, runtime, cores, version, started, seen, labels, running`

// SaveWorker records what a worker tells of itself, in place of what it told before.
func (c *Catalogue) SaveWorker(ctx context.Context, w openflow.WorkerRecord) error {
	if err := openflow.CheckIdentifier("machine", w.Machine); err != nil {
		return err
	}
	labels, err := encode("the labels of worker "+w.Machine, w.Labels)
	if err != nil {
		return err
	}
	running, err := encode("the runs of worker "+w.Machine, w.Running)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `insert into worker (`+workerColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (machine) do update set name = excluded.name, runtime = excluded.runtime, cores = excluded.cores,
			version = excluded.version, started = excluded.started, seen = excluded.seen, labels = excluded.labels,
			running = excluded.running`,
		w.Machine, w.Name, w.Runtime, w.Cores, w.Version, millis(w.Started), orNow(w.Seen, c.stamp()), labels, running)
	return classify("save worker "+w.Machine, err)
}

// Workers lists the workers that have been heard of since then, by name.
func (c *Catalogue) Workers(ctx context.Context, since time.Time) ([]openflow.WorkerRecord, error) {
	var list []openflow.WorkerRecord
	query := `select ` + workerColumns + ` from worker where seen >= $1 order by name, machine`
	err := c.each(ctx, query, []any{millis(since)}, func(r row) error {
		w, err := scanWorker(r)
		list = append(list, w)
		return err
	})
	if err != nil {
		return list, classify("list workers", err)
	}
	return list, c.dropEnded(ctx, list)
}

// dropEnded takes the runs off silent workers that have ended without them.
func (c *Catalogue) dropEnded(ctx context.Context, list []openflow.WorkerRecord) error {
	for i := range list {
		var open []openflow.RunID
		for _, id := range list[i].Running {
			t, err := c.TaskByRunID(ctx, id)
			if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
				return err
			}
			if !t.PartyStatus.Terminal() {
				open = append(open, id)
			}
		}
		list[i].Running = open
	}
	return nil
}

func scanWorker(r row) (openflow.WorkerRecord, error) {
	var w openflow.WorkerRecord
	var started, seen int64
	var labels, running string
	if err := r.Scan(&w.Machine, &w.Name, &w.Runtime, &w.Cores, &w.Version, &started, &seen, &labels, &running); err != nil {
		return w, err
	}
	w.Started, w.Seen = timeOf(started), timeOf(seen)
	if err := decode("worker "+w.Machine, labels, &w.Labels); err != nil {
		return w, err
	}
	return w, decode("worker "+w.Machine, running, &w.Running)
}

// WorkersWith lists the workers heard of since then that have the label; empty: all of them.
func (c *Catalogue) WorkersWith(ctx context.Context, label string, since time.Time) ([]openflow.WorkerRecord, error) {
	list, err := c.Workers(ctx, since)
	if label == "" {
		return list, err
	}
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool { return !slices.Contains(w.Labels, label) }), err
}
