package catalogue

import (
	"context"
	"time"

	"openflow"
)

// Statements that read an index of what has not ended, and nothing else: they are made every few seconds.
const (
	openScheduled = `select job_id, update_time from scheduled_job where end_time = 0 and job_id > $1 order by job_id limit $2`
	openTasks     = `select run_id, update_time from task where resource_in_use and run_id > $1 order by run_id limit $2`
)

// openAlone lists parts of jobs whose record is not open.
var openAlone = `select ` + keyColumns.names + ` from job where resource_in_use and end_time = 0 and scheduler = $1
	and not exists (select 1 from scheduled_job s where s.job_id = job.job_id and s.end_time = 0) limit $2`

// Unended is a job or run that has not ended.
type Unended struct {
	openflow.Workflow
	Updated time.Time // its row, last
}

// OpenScheduledJobs lists jobs that this node schedules and that have not ended, in the order of their IDs after that one.
func (c *Catalogue) OpenScheduledJobs(ctx context.Context, after openflow.JobID, limit int) ([]Unended, error) {
	return c.listOpen(ctx, openScheduled, string(after), limit, func(id string) openflow.Workflow { return openflow.Workflow{Job: openflow.JobID(id)} })
}

// OpenRuns lists runs that were accepted here and have not ended, in the order of their IDs after that one.
func (c *Catalogue) OpenRuns(ctx context.Context, after openflow.RunID, limit int) ([]Unended, error) {
	return c.listOpen(ctx, openTasks, string(after), limit, func(id string) openflow.Workflow { return openflow.Workflow{Run: openflow.RunID(id)} })
}

// OpenAlone lists this site's parts of jobs that this node schedules which have not ended and hold something, of which it has no record or one that has ended. A record is
// there before the parts, is opened again before them, and ends after them.
func (c *Catalogue) OpenAlone(ctx context.Context, self openflow.PartyID, limit int) (list []openflow.JobKey, err error) {
	err = c.each(ctx, openAlone, []any{string(self), limit}, func(r row) error {
		k, err := keyColumns.scan(r)
		list = append(list, k.key())
		return err
	})
	return list, classify("list what is open", err)
}

func (c *Catalogue) listOpen(ctx context.Context, query, after string, limit int, of func(id string) openflow.Workflow) (list []Unended, err error) {
	err = c.each(ctx, query, []any{after, limit}, func(r row) error {
		var id string
		var updated int64
		err := r.Scan(&id, &updated)
		list = append(list, Unended{of(id), timeOf(updated)})
		return err
	})
	return list, classify("list what is open", err)
}
