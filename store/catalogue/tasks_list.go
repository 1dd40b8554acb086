package catalogue

import (
	"context"

	"openflow"
)

// TaskFilter selects task versions; the zero value selects all.
type TaskFilter struct {
	Job           openflow.JobID
	Scheduler     openflow.PartyID
	Task          openflow.TaskName
	Version       *int
	Role          openflow.Role
	Party         openflow.PartyID
	Statuses      []openflow.TaskStatus // federated, any of them
	PartyStatuses []openflow.TaskStatus // of this party, any of them
	LatestOnly    bool                  // only the highest version of each task at each party, even if others match
	Ascending     bool                  // oldest first; the default is newest first
	Limit         int                   // 0: all
	After         string
	Offset        int // for dialects that page by number; excludes After
}

func (f TaskFilter) where() *where {
	w := &where{}
	w.equal("job_id", string(f.Job))
	w.equal("scheduler", string(f.Scheduler))
	w.equal("task_name", string(f.Task))
	w.equal("role", string(f.Role))
	w.equal("party", string(f.Party))
	if f.Version != nil {
		w.add("version = ?", *f.Version)
	}
	in(w, "status", f.Statuses)
	in(w, "party_status", f.PartyStatuses)
	if f.LatestOnly {
		w.add(`not exists (select 1 from task newer where newer.job_id = task.job_id
			and newer.scheduler = task.scheduler and newer.role = task.role and newer.party = task.party and newer.task_name = task.task_name and newer.version > task.version)`)
	}
	return w
}

// TasksWhere lists task versions, newest first; next is the cursor for the page after, empty at the end.
func (c *Catalogue) TasksWhere(ctx context.Context, f TaskFilter) (tasks []openflow.TaskRecord, next string, err error) {
	w := f.where()
	tail, err := page(w, []string{"run_id"}, f.Ascending, f.After, f.Limit, f.Offset)
	if err != nil {
		return nil, "", err
	}
	err = c.each(ctx, "select "+taskColumns.names+" from task"+w.String()+tail, w.args, func(r row) error {
		t, err := scanTask(r)
		tasks = append(tasks, t)
		return err
	})
	if err != nil {
		return nil, "", classify("list tasks", err)
	}
	if f.Limit > 0 && len(tasks) == f.Limit {
		last := tasks[len(tasks)-1]
		next, err = cursor{Time: millis(last.CreateTime), Keys: []string{string(last.Key.RunID())}}.String()
	}
	return tasks, next, err
}

// CountTasks counts the task versions that a filter selects, whatever its limits.
func (c *Catalogue) CountTasks(ctx context.Context, f TaskFilter) (int, error) {
	w := f.where()
	var n int
	err := c.each(ctx, "select count(*) from task"+w.String(), w.args, func(r row) error { return r.Scan(&n) })
	return n, classify("count tasks", err)
}
