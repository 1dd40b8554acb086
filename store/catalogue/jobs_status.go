package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"openflow"
)

var jobStatuses = []openflow.JobStatus{
	openflow.JobReady, openflow.JobWaiting, openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout,
	openflow.JobFailed, openflow.JobSuccess,
}

// The compare-and-sets of both job tables, by target status.
var (
	jobMoves       = moves("job", jobKey+" and (not closed or end_time = 0)"+mayReopen, reopened, 5, openflow.JobStatus.Before)
	scheduledMoves = moves("scheduled_job", "job_id = $1"+mayReopen, "", 2, beforeScheduled)
)

// reopened is what changes of a job that runs again. It is the youngest in the queue, and has a lease for a minute, in which
// its scheduler is asked. It follows the statement's time, which it repeats.
const reopened = `, age = case when end_time > 0 then (select coalesce(max(age), 0) + 1 from job) else age end,
	lease = case when end_time > 0 and lease > 0 then cast($7 as bigint) + 60000 else lease end`

// oneMore counts that a job runs again. Opened again alone it has run nothing: a party may refuse it. mayReopen bounds how often.
const oneMore = `, reruns = case when start_time > 0 then reruns + 1 else reruns end`

var mayReopen = fmt.Sprintf(" and (end_time = 0 or reruns < %d)", openflow.MaxReruns)

// beforeScheduled is Before for the scheduler's own record, which says "waiting" only of jobs that really had to wait: a
// job whose parties had room for it at once runs, and ends, straight from ready.
func beforeScheduled(to openflow.JobStatus) []openflow.JobStatus {
	from := to.Before()
	if to == openflow.JobRunning || to == openflow.JobSuccess {
		from = append(from, openflow.JobReady)
	}
	return from
}

// moves writes, for each status that can be reached, the statement that reaches it from every status that may become
// it. Its arguments are the key's, then moveArgs from number first on. A job starts once; a rerun opens its end.
func moves(table, key, more string, first int, before func(openflow.JobStatus) []openflow.JobStatus) map[openflow.JobStatus]string {
	m := map[openflow.JobStatus]string{}
	for _, to := range jobStatuses {
		more := more
		from := before(to)
		if len(from) == 0 {
			continue
		}
		status, reason, now, end, start := first, fmt.Sprintf("$%d", first+1), first+2, first+3, first+4
		if interrupted(to) {
			// Keep why it waited; what a job waits for while it runs is no reason of its end.
			reason = "case when " + reason + " = '' and status <> 'running' then reason else " + reason + " end"
		}
		switch to {
		case openflow.JobWaiting:
		case openflow.JobRunning:
			more = oneMore
		case openflow.JobReady, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed, openflow.JobSuccess:
			more = ""
		}
		m[to] = fmt.Sprintf(`update %s set status = $%d, reason = %s, update_time = $%d, end_time = $%d,
			start_time = case when start_time = 0 then $%d else start_time end%s where %s and status in %s`,
			table, status, reason, now, end, start, more, key, quoted(from))
	}
	return m
}

func interrupted(s openflow.JobStatus) bool { return s.Terminal() && s != openflow.JobSuccess }

// moveArgs are the arguments of moves after the key.
func moveArgs(to openflow.JobStatus, reason string, now int64) []any {
	var start, end int64
	if to == openflow.JobRunning {
		start = now
	}
	if to.Terminal() {
		end = now
	}
	return []any{string(to), reason, now, end, start}
}

// UpdateJobStatus moves a job to a status that its present one may become, with the reason for people, and says whether
// it changed. The status that the job already has is a success that changes nothing. An end status gives back the job's
// resources in the same transaction, or, where runs are under way, with the end of the last. CodeConflict: the transition is not legal, nothing is touched.
//
// Spec: fate-flow-api §4.6.2, §2.4.4.
func (c *Catalogue) UpdateJobStatus(ctx context.Context, k openflow.JobKey, to openflow.JobStatus, reason string) (changed bool, err error) {
	query, reachable := jobMoves[to]
	if !reachable {
		return false, c.refuseJobMove(ctx, k, to)
	}
	now := c.stamp()
	args := keyArgs(k, moveArgs(to, reason, now)...)
	var n int64
	if to.Terminal() {
		err = c.write(ctx, func(t *tx) error {
			if n, err = t.exec(ctx, query, args...); err != nil || n == 0 {
				return err
			}
			if interrupted(to) { // it may be in the queue; a rerun begins its wait anew
				if _, err := t.exec(ctx, leaveQueue, keyArgs(k)...); err != nil {
					return err
				}
			}
			return returnJob(ctx, t, k, now)
		})
	} else {
		n, err = c.exec(ctx, query, args...)
	}
	if err != nil {
		return false, classify("update "+k.String(), err)
	}
	if n > 0 {
		return true, nil
	}
	return false, c.refuseJobMove(ctx, k, to)
}

// QueueJob moves a job to waiting, like UpdateJobStatus. One that has ended counts anew among those of its peer; rule is the
// site's for all peers. CodeExhausted: the peer has as many as it may have, and the job stays as it is.
func (c *Catalogue) QueueJob(ctx context.Context, rule openflow.Quota, k openflow.JobKey, reason string) (changed bool, err error) {
	err = c.write(ctx, func(t *tx) error {
		changed = false
		var peer string
		var ended int64
		err := t.one(ctx, `select peer, end_time from job where `+jobKey, keyArgs(k)...).Scan(&peer, &ended)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // refuseJobMove says so
		}
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, jobMoves[openflow.JobWaiting], keyArgs(k, moveArgs(openflow.JobWaiting, reason, c.stamp())...)...)
		if changed = n > 0; err != nil || !changed || ended == 0 {
			return err
		}
		return admits(ctx, t.one, openJobs, openflow.PartyID(peer), rule, 0)
	})
	if err != nil {
		return false, classify("update "+k.String(), err)
	}
	if changed {
		return true, nil
	}
	return false, c.refuseJobMove(ctx, k, openflow.JobWaiting)
}

// refuseJobMove explains why no row moved; nil when the job has that status already.
func (c *Catalogue) refuseJobMove(ctx context.Context, k openflow.JobKey, to openflow.JobStatus) error {
	if !to.Valid() {
		return openflow.Errorf(openflow.CodeInvalid, "%s: unknown status %q", k, to)
	}
	have, err := c.jobStatus(ctx, k)
	if err != nil || have == to {
		return err
	}
	if j, err := c.Job(ctx, k); err == nil && have.Terminal() && !to.Terminal() {
		switch {
		case j.Closed:
			return conflict("%s was ended by its own site for good", k)
		case j.Reruns >= openflow.MaxReruns:
			return conflict("%s was run again %d times, and no job is more often", k, j.Reruns)
		}
	}
	return conflict("%s is %s and cannot become %s", k, have, to)
}
