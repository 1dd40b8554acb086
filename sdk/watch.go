package sdk

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// Snapshot is a job at one time, as this site sees it. It has at least one row.
type Snapshot struct {
	Rows []wire.JobRow // one for each role that the site plays, without the DAG
}

// Status is that of the whole job here: that of a role which is not done yet, or the worst end.
func (s Snapshot) Status() openflow.JobStatus { return openflow.JobStatus(s.row().Status) }

// Reason says what the job waits for or why it ended so; may be empty.
func (s Snapshot) Reason() string { return s.row().Reason }

// Warnings is what its users should know of the job and of its tasks here, each once.
func (s Snapshot) Warnings() []string {
	all := []string{}
	for _, r := range s.Rows {
		for _, text := range r.Warnings {
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// Progress is in percent.
func (s Snapshot) Progress() int { return s.row().Progress }

// Done reports whether the job has ended in every role of this site.
func (s Snapshot) Done() bool { return s.Status().Terminal() }

// row is the one that speaks for the others.
func (s Snapshot) row() wire.JobRow {
	rank := func(r wire.JobRow) int {
		switch st := openflow.JobStatus(r.Status); {
		case !st.Terminal():
			return 2
		case st != openflow.JobSuccess:
			return 1
		}
		return 0
	}
	var speaker wire.JobRow
	for i, r := range s.Rows {
		if i == 0 || rank(r) > rank(speaker) {
			speaker = r
		}
	}
	return speaker
}

func (s Snapshot) equal(o Snapshot) bool {
	return len(s.Rows) == len(o.Rows) && s.Status() == o.Status() && s.Progress() == o.Progress() && s.Reason() == o.Reason() &&
		slices.Equal(s.Warnings(), o.Warnings())
}

// Watching costs the node one small answer for each change that it tells, and one now and then. Where it tells none, it
// is asked: soon after the start of the job often, then once a second.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = time.Second
	// waitShare is how much later than it happened a change may be seen, as a share of the time watched so far.
	waitShare = 8
	// patience is how long a node that has answered once may be away, for a restart.
	patience = 2 * time.Minute
)

// toldWait is the pause while changes are told. Tests change it.
var toldWait = 10 * time.Second

// Watch follows a job by its events until it has ended and returns it as it is then. changed is called at the start and
// whenever status, progress, reason or warnings have changed; it may be nil. A node that restarts meanwhile is waited
// for.
//
// Errors: CodeNotFound (no such job here), CodeUnavailable, and ctx's.
func (c *Client) Watch(ctx context.Context, id openflow.JobID, changed func(Snapshot)) (Snapshot, error) {
	var last Snapshot
	begin := time.Now()
	answered := begin
	told, stop := c.changes(ctx, id)
	defer stop()
	for {
		rows, err := c.jobRows(ctx, id, "short")
		now := Snapshot{Rows: rows}
		switch {
		case err == nil:
			answered = time.Now()
			if changed != nil && !now.equal(last) {
				changed(now)
			}
			last = now
			if now.Done() {
				return now, nil
			}
		case openflow.CodeOf(err) != openflow.CodeUnavailable || len(last.Rows) == 0 || time.Since(answered) > patience:
			return last, err
		}
		if err := told.pause(ctx, time.Since(begin)/waitShare); err != nil {
			return last, err
		}
	}
}

// changes are what the node tells of one job while it is watched.
type changes struct {
	woken chan struct{} // holds one notice
	live  atomic.Bool   // the node tells changes now
}

// changes listens until stop.
func (c *Client) changes(ctx context.Context, id openflow.JobID) (told *changes, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	told = &changes{woken: make(chan struct{}, 1)}
	var listening sync.WaitGroup
	listening.Go(func() { told.listen(ctx, c, id) })
	return told, func() {
		cancel()
		listening.Wait()
	}
}

// listen follows the job's events, again after each interruption. A node that has none is asked only.
func (w *changes) listen(ctx context.Context, c *Client, id openflow.JobID) {
	after := ""
	for ctx.Err() == nil {
		stream, err := c.Events(ctx, id, after)
		switch {
		case err == nil:
			w.live.Store(true)
			after = w.read(stream)
			w.live.Store(false)
			w.wake()
		case openflow.CodeOf(err) != openflow.CodeUnavailable:
			return
		}
		_ = rest(ctx, longestWait) // the loop looks at ctx
	}
}

// read wakes the watcher at every change of the job until the stream breaks off, and returns the last ID.
func (w *changes) read(stream *EventStream) (last string) {
	defer func() { _ = stream.Close() }() // it was only read from
	for {
		e, err := stream.Next()
		if err != nil {
			return last
		}
		if e.ID != "" {
			last = e.ID
		}
		if e.Kind != wire.EventTask {
			w.wake()
		}
	}
}

func (w *changes) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // the watcher has yet to see the notice before
	}
}

// pause waits for a change, or for d within the bounds of asking.
func (w *changes) pause(ctx context.Context, d time.Duration) error {
	d = min(max(d, shortestWait), longestWait)
	if w.live.Load() {
		d = toldWait
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.woken:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
