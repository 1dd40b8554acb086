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
	ID            openflow.TaskID // of a task of any job
	Version       *int
	Role          openflow.Role
	Party         openflow.PartyID
	Statuses      []openflow.TaskStatus // federated, any of them
	PartyStatuses []openflow.TaskStatus // of this party, any of them
	LatestOnly    bool                  // only the highest version of each task at each party, even if others match
	Ascending     bool                  // oldest first; the default is newest first
	Limit         int                   // 0: all
	After         string

	// Offset and OrderBy serve dialects that page by number, as those of JobFilter.
	Offset  int
	OrderBy string // a column of the row, see taskOrders; empty: create_time
}

// taskOrders are the columns that OrderBy may name. Spec: fate-flow-api §1.2 #7.
var taskOrders = map[string]string{
	"job_id": "job_id", "role": "role", "party_id": "party", "task_name": "task_name", "task_version": "version", "status": "status",
	"party_status": "party_status", "component": "component", "create_time": "create_time", "update_time": "update_time",
	"start_time": "start_time", "end_time": "end_time", "elapsed": "end_time - start_time",
}

func (f TaskFilter) where() *where {
	w := &where{}
	w.equal("job_id", string(f.Job))
	w.equal("scheduler", string(f.Scheduler))
	w.equal("task_name", string(f.Task))
	w.taskID(f.ID)
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

// maxTaskID is how many bytes the ID of a task has at most: the names of its job and of itself, and what joins them.
const maxTaskID = 257

// taskID adds a search for a task by its ID, which begins with that of its job. The job may be any part that ends before an
// underscore, so the index on jobs finds the rows.
func (w *where) taskID(id openflow.TaskID) {
	if id == "" {
		return
	}
	var jobs []openflow.JobID
	for i := range min(len(id), maxTaskID) {
		if id[i] == '_' {
			jobs = append(jobs, openflow.JobID(id[:i]))
		}
	}
	if len(id) > maxTaskID || len(jobs) == 0 {
		w.add("1 = 0") // no task has such an ID
		return
	}
	in(w, "job_id", jobs)
	w.add("job_id || '_' || task_name = ?", string(id))
}

// TasksWhere lists task versions, newest first; next is the cursor for the page after, empty at the end. CodeInvalid: an
// unknown column.
func (c *Catalogue) TasksWhere(ctx context.Context, f TaskFilter) (tasks []openflow.TaskRecord, next string, err error) {
	w := f.where()
	tail, err := page(w, []string{"run_id"}, f.Ascending, f.After, f.Limit, f.Offset)
	if err != nil {
		return nil, "", err
	}
	if f.OrderBy != "" {
		if tail, err = ordered("tasks", taskOrders, f.OrderBy, f.Ascending, f.After, "run_id", f.Limit, f.Offset); err != nil {
			return nil, "", err
		}
	}
	err = c.each(ctx, "select "+taskColumns.names+" from task"+w.String()+tail, w.args, func(r row) error {
		t, err := scanTask(r)
		tasks = append(tasks, t)
		return err
	})
	if err != nil {
		return nil, "", classify("list tasks", err)
	}
	if f.Limit > 0 && len(tasks) == f.Limit && f.OrderBy == "" {
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
