package demo

import (
	"context"
	"fmt"
	"io"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// watcher shows a job's tasks at all three nodes, a line per change.
type watcher struct {
	nodes   nodes
	job     openflow.JobID
	started time.Time
	out     io.Writer
	seen    map[string]string // run → its last status shown
	status  string
	reason  string
	tasks   []TaskResult
}

// lookEvery is the time between two looks; each costs a node two small queries.
const lookEvery = 100 * time.Millisecond

func (w *watcher) watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		done, err := w.look(ctx)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return openflow.Errorf(openflow.CodeCanceled, "interrupted")
		case <-tick.C:
		}
	}
}

// look asks every node once. Rows of the parties end within milliseconds of each other, so the job is done when all are.
func (w *watcher) look(ctx context.Context) (done bool, err error) {
	done = true
	w.tasks = w.tasks[:0]
	for _, s := range w.nodes.Nodes {
		rows, err := s.Client().Job(ctx, w.job)
		if err != nil {
			return false, openflow.AtParty(s.Party, err)
		}
		tasks, err := s.Client().Tasks(ctx, w.job)
		if err != nil {
			return false, openflow.AtParty(s.Party, err)
		}
		for _, t := range tasks {
			w.show(t)
		}
		for _, r := range rows {
			w.showWait(s.Party, r)
			done = done && openflow.JobStatus(r.Status).Terminal()
			if s == w.nodes.Nodes[0] {
				w.status, w.reason = r.Status, r.Reason
			}
		}
	}
	return done, nil
}

func (w *watcher) show(t wire.TaskRow) {
	status := t.PartyStatus
	w.tasks = append(w.tasks, TaskResult{Name: t.TaskName, Role: t.Role, PartyID: t.PartyID, Status: status, Seconds: elapsed(t)})
	if w.seen[t.RunID] == status || (status == string(openflow.TaskWaiting) && w.seen[t.RunID] == "") {
		return
	}
	w.seen[t.RunID] = status
	line := fmt.Sprintf("  %5.1f s  %-13s %-8s %-6s %s", time.Since(w.started).Seconds(), t.TaskName, t.Role, t.PartyID, status)
	if s := elapsed(t); s > 0 {
		line += fmt.Sprintf(" (%.1f s)", s)
	}
	if t.Reason != "" {
		line += ": " + t.Reason
	}
	fmt.Fprintln(w.out, line)
}

// showWait tells why the job waits, once per reason.
func (w *watcher) showWait(party openflow.PartyID, r wire.JobRow) {
	key := "job " + string(party) + r.Role
	if r.Status == string(openflow.JobWaiting) && r.Reason != "" && w.seen[key] != r.Reason {
		fmt.Fprintf(w.out, "  %5.1f s  waiting: %s\n", time.Since(w.started).Seconds(), r.Reason)
		w.seen[key] = r.Reason
	}
}

func elapsed(t wire.TaskRow) float64 {
	if t.Elapsed == nil {
		return 0
	}
	return float64(*t.Elapsed) / 1000
}
