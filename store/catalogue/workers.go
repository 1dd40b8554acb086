package catalogue

import (
	"context"
	"slices"
	"time"

	"openflow"
)

// workerRow is a row of the table worker.
type workerRow struct {
	Machine string `db:"machine"`
	Name    string `db:"name"`
	Runtime string `db:"runtime"`
	Cores   int    `db:"cores"`
	Version string `db:"version"`
	Started int64  `db:"started"`
	Seen    int64  `db:"seen"`
	Labels  string `db:"labels"`  // JSON
	Running string `db:"running"` // JSON
}

var (
	workerColumns = columnsOf[workerRow]()
	saveWorker    = workerColumns.save("worker", "machine")
)

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
	_, err = c.exec(ctx, saveWorker, workerColumns.values(workerRow{
		Machine: w.Machine, Name: w.Name, Runtime: w.Runtime, Cores: w.Cores, Version: w.Version, Started: millis(w.Started),
		Seen: orNow(w.Seen, c.stamp()), Labels: labels, Running: running,
	})...)
	return classify("save worker "+w.Machine, err)
}

// Workers lists the workers that have been heard of since then, by name.
func (c *Catalogue) Workers(ctx context.Context, since time.Time) ([]openflow.WorkerRecord, error) {
	var list []openflow.WorkerRecord
	query := `select ` + workerColumns.names + ` from worker where seen >= $1 order by name, machine`
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

func scanWorker(from row) (openflow.WorkerRecord, error) {
	r, err := workerColumns.scan(from)
	if err != nil {
		return openflow.WorkerRecord{}, err
	}
	w := openflow.WorkerRecord{
		Machine: r.Machine, Name: r.Name, Runtime: r.Runtime, Cores: r.Cores, Version: r.Version, Started: timeOf(r.Started), Seen: timeOf(r.Seen),
	}
	if err := decode("worker "+w.Machine, r.Labels, &w.Labels); err != nil {
		return w, err
	}
	return w, decode("worker "+w.Machine, r.Running, &w.Running)
}

// WorkersWith lists the workers heard of since then that have the label; empty: all of them.
func (c *Catalogue) WorkersWith(ctx context.Context, label string, since time.Time) ([]openflow.WorkerRecord, error) {
	list, err := c.Workers(ctx, since)
	if label == "" {
		return list, err
	}
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool { return !slices.Contains(w.Labels, label) }), err
}
