package catalogue

import (
	"context"

	"openflow"
)

// JobRows lists the rows of a job at this site: one for each role that it plays.
func (c *Catalogue) JobRows(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) ([]openflow.JobRecord, error) {
	jobs, _, err := c.JobsWhere(ctx, JobFilter{ID: id, Scheduler: scheduler, Ascending: true})
	return jobs, err
}

// TasksOfJob lists the latest version of every task of a job at one party.
func (c *Catalogue) TasksOfJob(ctx context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error) {
	if _, err := c.jobStatus(ctx, k); err != nil {
		return nil, err
	}
	tasks, _, err := c.TasksWhere(ctx, TaskFilter{
		Job: k.Job, Scheduler: k.Scheduler, Role: k.Party.Role, Party: k.Party.ID, LatestOnly: true, Ascending: true,
	})
	return tasks, err
}

// RunsOfJob lists the runs of a job that are here, in all their versions.
func (c *Catalogue) RunsOfJob(ctx context.Context, k openflow.JobKey) (runs []openflow.TaskKey, err error) {
	err = c.each(ctx, `select task_name, version from task where `+jobKey, keyArgs(k), func(from row) error {
		run := openflow.TaskKey{Scheduler: k.Scheduler, Job: k.Job, Party: k.Party}
		err := from.Scan(&run.Task, &run.Version)
		runs = append(runs, run)
		return err
	})
	return runs, classify("list the runs of "+k.String(), err)
}

// OpenTasks lists the runs of a job that were accepted here and have not ended, in all their versions.
func (c *Catalogue) OpenTasks(ctx context.Context, k openflow.JobKey) (runs []openflow.TaskRecord, err error) {
	err = c.each(ctx, `select `+taskColumns.names+` from task where `+jobKey+` and resource_in_use`, keyArgs(k), func(from row) error {
		t, err := scanTask(from)
		runs = append(runs, t)
		return err
	})
	return runs, classify("list what runs of "+k.String(), err)
}

// LatestTask is the latest version of a task of a job at one party. CodeNotFound: no such task.
func (c *Catalogue) LatestTask(ctx context.Context, k openflow.JobKey, task openflow.TaskName) (openflow.TaskRecord, error) {
	tasks, _, err := c.TasksWhere(ctx, TaskFilter{
		Job: k.Job, Scheduler: k.Scheduler, Role: k.Party.Role, Party: k.Party.ID, Task: task, LatestOnly: true, Limit: 1,
	})
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	if len(tasks) == 0 {
		return openflow.TaskRecord{}, notFound("task %q of %s does not exist here", task, k)
	}
	return tasks[0], nil
}

// LatestOutputs lists what the latest version of a task made at one party. CodeNotFound: no such task.
func (c *Catalogue) LatestOutputs(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.OutputRecord, error) {
	t, err := c.LatestTask(ctx, k, task)
	if err != nil {
		return nil, err
	}
	return c.Outputs(ctx, t.Key)
}
