package catalogue

import (
	"context"
	"fmt"

	"openflow"
)

// JobFilter selects jobs; the zero value selects all. Conditions are joined by "and".
type JobFilter struct {
	ID        openflow.JobID
	Scheduler openflow.PartyID
	Initiator openflow.PartyID
	Party     openflow.PartyID
	Roles     []openflow.Role      // any of them
	Statuses  []openflow.JobStatus // any of them
	User      string

	// Parts of texts, whatever their case.
	IDContains    string
	PartyContains string
	NotesContains string

	Ascending bool   // oldest first; the default is newest first
	Limit     int    // 0: all
	After     string // cursor of the page before

	// Offset and OrderBy serve dialects that page by number; they cost more the farther a page is and exclude After.
	Offset  int
	OrderBy string // a column of the row, see jobOrders; empty: create_time
}

// jobOrders are the columns that OrderBy may name. Spec: fate-flow-api §1.1 #5.
var jobOrders = map[string]string{
	"job_id": "job_id", "role": "role", "party_id": "party", "status": "status", "progress": "progress", "cores": "cores",
	"create_time": "create_time", "update_time": "update_time", "start_time": "start_time", "end_time": "end_time",
	"elapsed": "end_time - start_time", "user_name": "user_name", "description": "notes",
}

func (f JobFilter) where() *where {
	w := &where{}
	w.equal("job_id", string(f.ID))
	w.equal("scheduler", string(f.Scheduler))
	w.equal("initiator", string(f.Initiator))
	w.equal("party", string(f.Party))
	w.equal("user_name", f.User)
	in(w, "role", f.Roles)
	in(w, "status", f.Statuses)
	w.contains("job_id", f.IDContains)
	w.contains("party", f.PartyContains)
	w.contains("notes", f.NotesContains)
	return w
}

// page renders what follows the where clause and adds the cursor's condition to w. keys are the columns that make
// create_time unique.
func page(w *where, keys []string, ascending bool, after string, limit, offset int) (string, error) {
	order, than := "desc", "<"
	if ascending {
		order, than = "asc", ">"
	}
	tuple, marks, by := "create_time", "?", "create_time "+order
	for _, k := range keys {
		tuple, marks, by = tuple+", "+k, marks+", ?", by+", "+k+" "+order
	}
	if after != "" {
		c, err := parseCursor(after, len(keys))
		if err != nil {
			return "", err
		}
		args := []any{c.Time}
		for _, k := range c.Keys {
			args = append(args, k)
		}
		w.add("("+tuple+") "+than+" ("+marks+")", args...)
	}
	return " order by " + by + limits(limit, offset), nil
}

func limits(limit, offset int) string {
	switch {
	case limit > 0 && offset > 0:
		return fmt.Sprintf(" limit %d offset %d", limit, offset)
	case limit > 0:
		return fmt.Sprintf(" limit %d", limit)
	}
	return ""
}

// JobsWhere lists jobs, newest first. next is the cursor for the page after, empty at the end; pages by cursor cost
// the same everywhere in the list. CodeInvalid: a cursor that is none, an unknown column.
func (c *Catalogue) JobsWhere(ctx context.Context, f JobFilter) (jobs []openflow.JobRecord, next string, err error) {
	w := f.where()
	tail, err := page(w, []string{"job_id", "role", "party", "scheduler"}, f.Ascending, f.After, f.Limit, f.Offset)
	if err != nil {
		return nil, "", err
	}
	if f.OrderBy != "" {
		if tail, err = ordered("jobs", jobOrders, f.OrderBy, f.Ascending, f.After, jobTie, f.Limit, f.Offset); err != nil {
			return nil, "", err
		}
	}
	err = c.each(ctx, "select "+jobColumns.names+" from job"+w.String()+tail, w.args, func(r row) error {
		j, err := scanJob(r)
		jobs = append(jobs, j)
		return err
	})
	if err != nil {
		return nil, "", classify("list jobs", err)
	}
	if f.Limit > 0 && len(jobs) == f.Limit && f.OrderBy == "" {
		last := jobs[len(jobs)-1]
		next, err = cursor{
			Time: millis(last.CreateTime),
			Keys: []string{string(last.ID), string(last.Party.Role), string(last.Party.ID), string(last.Scheduler)},
		}.String()
	}
	return jobs, next, err
}

// jobTie are the columns by which jobs are ordered that are alike otherwise.
const jobTie = "job_id, role, party, scheduler"

// ordered renders the order by a column that a dialect names, with its page.
func ordered(what string, columns map[string]string, by string, ascending bool, after, tie string, limit, offset int) (string, error) {
	column, ok := columns[by]
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s cannot be ordered by %q", what, openflow.Heard(by)).
			WithHint("order by create_time, or by another column of the row")
	}
	if after != "" {
		return "", openflow.Errorf(openflow.CodeInvalid, "a page cursor goes with the order by create_time only")
	}
	order := "desc"
	if ascending {
		order = "asc"
	}
	return " order by " + column + " " + order + ", " + tie + limits(limit, offset), nil
}

// CountJobs counts the jobs that a filter selects, whatever its limits.
func (c *Catalogue) CountJobs(ctx context.Context, f JobFilter) (int, error) {
	w := f.where()
	var n int
	err := c.each(ctx, "select count(*) from job"+w.String(), w.args, func(r row) error { return r.Scan(&n) })
	return n, classify("count jobs", err)
}
