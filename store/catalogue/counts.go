package catalogue

import (
	"context"

	"openflow"
)

// JobCounts counts the jobs that this site takes part in, by status. It reads every row, which takes some 0.1 s for
// 100,000 jobs: it is for scrapes and not for requests.
func (c *Catalogue) JobCounts(ctx context.Context) (map[openflow.JobStatus]int, error) {
	return counts[openflow.JobStatus](ctx, c, "count jobs", `select status, count(*) from job group by status`)
}

// TaskCounts counts this site's runs of tasks, by status; see [Catalogue.JobCounts].
func (c *Catalogue) TaskCounts(ctx context.Context) (map[openflow.TaskStatus]int, error) {
	return counts[openflow.TaskStatus](ctx, c, "count tasks", `select party_status, count(*) from task group by party_status`)
}

// WaitCounts counts jobs that this node schedules by the reason that users read: those that wait for resources, and running
// ones that wait for a silent party.
func (c *Catalogue) WaitCounts(ctx context.Context) (map[string]int, error) {
	return counts[string](ctx, c, "count waiting jobs",
		`select reason, count(*) from scheduled_job
			where status = 'waiting' or (status = 'running' and reason <> '') group by reason`)
}

func counts[K ~string](ctx context.Context, c *Catalogue, what, query string) (map[K]int, error) {
	n := map[K]int{}
	err := c.each(ctx, query, nil, func(r row) error {
		var key string
		var count int
		err := r.Scan(&key, &count)
		n[K(key)] = count
		return err
	})
	return n, classify(what, err)
}
