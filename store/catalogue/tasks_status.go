package catalogue

import (
	"context"
	"slices"

	"openflow"
)

var taskEnds = []openflow.TaskStatus{
	openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed, openflow.TaskPass, openflow.TaskSuccess,
}

// openBefore lists the statuses from which a task version may become to. An end status is left alone even where
// FATE-Flow's table would go on: a version's end is final, a retry is a new version.
func openBefore(to openflow.TaskStatus) []openflow.TaskStatus {
	return slices.DeleteFunc(to.Before(), openflow.TaskStatus.Terminal)
}

// The compare-and-sets of a task's two statuses, by target.
var (
	federatedMoves = func() map[openflow.TaskStatus]string {
		m := map[openflow.TaskStatus]string{}
		for _, to := range append([]openflow.TaskStatus{openflow.TaskRunning}, taskEnds...) {
			m[to] = `update task set status = $2, update_time = $3 where ` + taskKey + ` and status in ` + quoted(openBefore(to))
		}
		return m
	}()
	taskFinishes = func() map[openflow.TaskStatus]string {
		m := map[openflow.TaskStatus]string{}
		for _, to := range taskEnds {
			m[to] = `update task set party_status = $2, reason = $3, error_report = case when $4 = '' then error_report else $4 end,
				exit_code = coalesce($5, exit_code), log_digest = case when $6 = '' then log_digest else $6 end,
				end_time = $7, update_time = $7, cause_code = $8, cause_text = $9, cause_consequence = $10 where ` + taskKey + ` and party_status in ` + quoted(openBefore(to))
		}
		return m
	}()
)

// startTask makes the federated status running too: one party that runs makes it so (fate-flow-api §4.6.3), and this one
// knows it first.
const startTask = `update task set party_status = 'running', status = case when status = 'waiting' then 'running' else status end,
	runtime = $2, container_name = $3, reason = '', provider = case when $5 = '' then provider else $5 end, program_digest = $6,
	start_time = case when start_time = 0 then $4 else start_time end, update_time = $4
	where ` + taskKey + ` and party_status = 'waiting'`

// completeTask fills in what was not known when the task ended.
const completeTask = `update task set exit_code = coalesce(exit_code, $3),
	error_report = case when error_report = '' then $4 else error_report end,
	log_digest = case when log_digest = '' then $5 else log_digest end, update_time = $6
	where ` + taskKey + ` and party_status = $2`

// StartTask records that the task's container exists and runs, and whose program it is, so that the task runs at all its
// parties together. Repeating it for the same container changes nothing. CodeConflict: the task has ended, or runs in
// another container.
func (c *Catalogue) StartTask(ctx context.Context, k openflow.TaskKey, at openflow.Launch) (changed bool, err error) {
	n, err := c.exec(ctx, startTask, taskArgs(k, at.Runtime, at.Container, c.stamp(), at.Provider, at.Digest)...)
	if err != nil || n > 0 {
		return n > 0, classify("start "+k.String(), err)
	}
	t, err := c.Task(ctx, k)
	switch {
	case err != nil:
		return false, err
	case t.PartyStatus.Terminal():
		return false, conflict("%s is %s and cannot become %s", k, t.PartyStatus, openflow.TaskRunning)
	case t.ContainerName != at.Container || t.Runtime != at.Runtime:
		return false, conflict("%s runs already in %s container %q", k, t.Runtime, t.ContainerName)
	}
	return false, nil
}

// FinishTask records the end of a task version with its circumstances and gives back its cores, in one transaction. With the last run
// of a job that has ended, the job's are given back.
// The same end again fills in what was not known and changes nothing else (changed is false). CodeConflict: it has
// ended differently.
func (c *Catalogue) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (changed bool, err error) {
	query, ok := taskFinishes[end.Status]
	if !ok {
		return false, openflow.Errorf(openflow.CodeInvalid, "%s: %q is not an end status", k, end.Status)
	}
	now := c.stamp()
	var touched int64
	freed := false
	err = c.write(ctx, func(t *tx) error {
		changed, freed = false, false
		n, err := t.exec(ctx, query, taskArgs(k, string(end.Status), end.Reason, end.ErrorReport, nullable(end.ExitCode),
			end.LogDigest, now, string(end.Cause.Code), end.Cause.Text, end.Cause.Consequence)...)
		if err != nil {
			return err
		}
		if n > 0 {
			changed, touched = true, n
			freed, err = returnTask(ctx, t, k, now)
			return err
		}
		touched, err = t.exec(ctx, completeTask, taskArgs(k, string(end.Status), nullable(end.ExitCode), end.ErrorReport,
			end.LogDigest, now)...)
		return err
	})
	if err == nil && freed && c.freed != nil {
		c.freed()
	}
	if err != nil || touched > 0 {
		return changed && err == nil, classify("finish "+k.String(), err)
	}
	t, err := c.Task(ctx, k)
	if err != nil {
		return false, err
	}
	return false, conflict("%s is %s and cannot become %s", k, t.PartyStatus, end.Status)
}

// SetTaskStatus moves the federated status of a task version, as its scheduler says. The status that it already has is a
// success that changes nothing; CodeConflict: the transition is not legal.
//
// Spec: fate-flow-api §2.3 (task/status/update).
func (c *Catalogue) SetTaskStatus(ctx context.Context, k openflow.TaskKey, to openflow.TaskStatus) (changed bool, err error) {
	if query, ok := federatedMoves[to]; ok {
		n, err := c.exec(ctx, query, taskArgs(k, string(to), c.stamp())...)
		if err != nil || n > 0 {
			return n > 0, classify("update "+k.String(), err)
		}
	}
	return false, c.refuseTaskMove(ctx, k, to)
}

// refuseTaskMove explains why no row moved; nil when the task has that status already.
func (c *Catalogue) refuseTaskMove(ctx context.Context, k openflow.TaskKey, to openflow.TaskStatus) error {
	if !to.Valid() {
		return openflow.Errorf(openflow.CodeInvalid, "%s: unknown status %q", k, to)
	}
	t, err := c.Task(ctx, k)
	if err != nil || t.Status == to {
		return err
	}
	return conflict("%s is %s and cannot become %s", k, t.Status, to)
}

// SetTaskReason says why a task waits; empty takes the reason away. A task that has ended keeps the reason of its end.
func (c *Catalogue) SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error {
	return c.setTask(ctx, k, `update task set reason = case when end_time = 0 then $2 else reason end, update_time = $3 where `+taskKey, reason)
}

// SetTaskProtocol says what a task speaks with its other parties, as they have agreed. One that runs, or has ended, keeps what it
// was told.
func (c *Catalogue) SetTaskProtocol(ctx context.Context, k openflow.TaskKey, p openflow.Protocol) error {
	return c.setTask(ctx, k, `update task set protocol = case when party_status = 'waiting' then $2 else protocol end, update_time = $3 where `+taskKey, p.String())
}

// MarkTaskKilled records that somebody asked for the end of a task, and how it is to end. The first who asks is heard;
// a task that has ended is left alone.
func (c *Catalogue) MarkTaskKilled(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) error {
	_, err := c.exec(ctx, `update task set killed = true, stop_status = $2, reason = $3, update_time = $4
		where `+taskKey+` and not killed and end_time = 0`, taskArgs(k, string(status), reason, c.stamp())...)
	return classify("update "+k.String(), err)
}

// RecordTaskReport keeps what a task's container says of itself, and what of it other parties may know. The last word
// before the end counts; a task that has ended is left alone.
//
// Spec: fate-flow-api §3.1 (task/status).
func (c *Catalogue) RecordTaskReport(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, report string, cause openflow.Cause) error {
	_, err := c.exec(ctx, `update task set reported = $2, error_report = case when $3 = '' then error_report else $3 end,
		update_time = $4, cause_code = $5, cause_text = $6, cause_consequence = $7 where `+taskKey+` and end_time = 0`,
		taskArgs(k, string(status), report, c.stamp(), string(cause.Code), cause.Text, cause.Consequence)...)
	return classify("update "+k.String(), err)
}

func (c *Catalogue) setTask(ctx context.Context, k openflow.TaskKey, query string, value any) error {
	n, err := c.exec(ctx, query, taskArgs(k, value, c.stamp())...)
	if err == nil && n == 0 {
		return notFound("%s does not exist here", k)
	}
	return classify("update "+k.String(), err)
}
