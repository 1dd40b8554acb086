package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"openflow"
	"openflow/site/admission"
)

// Resources are bookkeeping in two levels: a job takes from the site's capacity, its tasks take from the job. Every change
// of a counter is in one transaction with the flag of the row that holds the amount, so a repeat finds the flag set and
// takes nothing twice.
//
// Spec: fate-flow-api §4.7.

// refusal leaves a transaction, rolling it back, with the numbers for the message.
type refusal struct {
	need, free openflow.Resources
	beyond     bool // there will never be enough
	kept       bool // more is free, for others
	// of is the peer whose quota is short, whatever is free; empty: none's is.
	of openflow.PartyID
}

func (r refusal) Error() string { return "not enough resources" }

// describe renders what is short, each with how much of it there is.
func (r refusal) describe(form func(openflow.Shortage) string) string {
	var parts []string
	for _, s := range r.need.Short(r.free) {
		parts = append(parts, form(s))
	}
	return strings.Join(parts, ", and ")
}

// The capacity's counters, taken and given back in one statement, whose locks make applications wait for each other.
const (
	useCapacity = `update capacity set used = used + case name when 'cores' then cast($1 as bigint)
		when 'memory' then cast($2 as bigint) else cast($3 as bigint) end where name in ('cores', 'memory', 'gpus')`
	readUse = `select cast(sum(case name when 'cores' then used else 0 end) as bigint),
		cast(sum(case name when 'memory' then used else 0 end) as bigint),
		cast(sum(case name when 'gpus' then used else 0 end) as bigint) from capacity`
	// needOfRoles is what all roles of the party need in a job. They run at once, so one that waits for another of them waits for ever.
	needOfRoles = `select cast(sum(cores) as bigint), cast(sum(memory) as bigint), cast(sum(gpus) as bigint) from job
		where job_id = $1 and party = $2 and scheduler = $3 and end_time = 0`
)

func amounts(r openflow.Resources) []any { return []any{r.Cores, r.Memory, r.GPUs} }

func scanNeed(from row) (openflow.Resources, error) {
	r, err := needColumns.scan(from)
	return r.resources(), err
}

// applicationRow is what a job that applies needs, and its place in the queue.
type applicationRow struct {
	needRow
	Priority int    `db:"priority"`
	Since    int64  `db:"waiting_since"`
	Peer     string `db:"peer"`
	Age      int64  `db:"age"`
}

// remainingRow is what the tasks of a job have left.
type remainingRow struct {
	Cores  int   `db:"remaining_cores"`
	Memory int64 `db:"remaining_memory"`
	GPUs   int   `db:"remaining_gpus"`
}

var (
	applicationColumns = columnsOf[applicationRow]()
	remainingColumns   = columnsOf[remainingRow]()
)

// ApplyJobResources takes what the job needs from the site's capacity, all or nothing. A job that holds it already
// succeeds. CodeExhausted: not enough is free for now, or what is free is kept for jobs that come first. The message
// says of each resource how much is needed and free, and since when the job waits. It is kept as the job's reason. The
// job is then in the queue, see NextToWake. CodeInvalid wrapping ErrBeyondCapacity: it needs more than the capacity has.
// CodeConflict: the job has ended. CodePermission: it needs more than its peer may hold. These but CodeConflict are about
// openflow.AboutResource. So is CodeUnavailable when the peer has no place in the queue left, and nobody will call.
// CodeUnavailable otherwise: another call returned what the job held at this moment; apply again.
func (c *Catalogue) ApplyJobResources(ctx context.Context, k openflow.JobKey, capacity openflow.Resources, rules admission.Rules) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error {
		applied, err := applicationColumns.scan(t.one(ctx, `update job set resource_in_use = true, apply_time = $5, update_time = $5
			where `+jobKey+` and not resource_in_use and end_time = 0 returning `+applicationColumns.names, keyArgs(k, now)...))
		if err != nil {
			return err
		}
		claim := admission.Claim{
			Job: k, Peer: openflow.PartyID(applied.Peer), Need: applied.resources(), Priority: applied.Priority, Age: applied.Age,
			Since: timeOf(applied.Since), Asked: timeOf(now),
		}
		if !claim.Need.Within(capacity) {
			return refusal{need: claim.Need, free: capacity, beyond: true}
		}
		if err := t.within(ctx, claim, rules.Quota); err != nil {
			return err
		}
		if _, err := t.exec(ctx, useCapacity, amounts(claim.Need)...); err != nil {
			return err
		}
		used, err := scanNeed(t.one(ctx, readUse))
		if err != nil {
			return err
		}
		free := capacity.Minus(used.Minus(claim.Need))
		others, err := t.first(ctx, claim, free, rules, timeOf(now))
		if err != nil {
			return err
		}
		left := rules.Left(free, claim, others, timeOf(now))
		if !claim.Need.Within(free) || !claim.Need.Within(left) {
			all, err := scanNeed(t.one(ctx, needOfRoles, string(k.Job), string(k.Party.ID), string(k.Scheduler)))
			if err != nil {
				return err
			}
			if !all.Within(capacity) {
				return refusal{need: all, free: capacity, beyond: true}
			}
		}
		switch {
		case !claim.Need.Within(free):
			return refusal{need: claim.Need, free: free}
		case !claim.Need.Within(left):
			return refusal{need: claim.Need, free: left, kept: true}
		case applied.Since == 0:
			return nil
		}
		_, err = t.exec(ctx, `update job set waiting_since = 0, woken = 0, reason = '' where `+jobKey, keyArgs(k)...)
		return err
	})
	var no refusal
	switch {
	case errors.As(err, &no) && no.beyond && no.of != "":
		lack := no.describe(func(s openflow.Shortage) string { return fmt.Sprintf("%s, and may have %s", s.Need, s.Have) })
		return openflow.About(openflow.AboutResource, openflow.OverQuota(openflow.CodePermission, no.of, "asks for %s at this site", lack))
	case errors.As(err, &no) && no.beyond:
		lack := no.describe(func(s openflow.Shortage) string { return fmt.Sprintf("needs %s, the site has %s", s.Need, s.Have) })
		return openflow.About(openflow.AboutResource,
			openflow.Errorf(openflow.CodeInvalid, "%s %s: %w", k, lack, ErrBeyondCapacity).
				WithPublic("%s %s: %v; ask for less in dag.conf (cores, memory, gpus)", k, lack, ErrBeyondCapacity).
				WithHint("ask for less in dag.conf (cores, memory, gpus), or give the site more"))
	case errors.As(err, &no):
		return c.waitForResources(ctx, k, no, capacity, rules.Quota, now)
	case errors.Is(err, sql.ErrNoRows):
		return c.holdsResources(ctx, k)
	}
	return classify("apply resources of "+k.String(), err)
}

// within refuses what is more than the claim's peer may hold. The claim counts already.
func (t *tx) within(ctx context.Context, claim admission.Claim, rule openflow.Quota) error {
	if claim.Peer == "" {
		return nil
	}
	q, err := quotaFor(ctx, t.one, claim.Peer, rule)
	if err != nil {
		return err
	}
	if !claim.Need.Within(q.Holds()) {
		return refusal{need: claim.Need, free: q.Holds(), beyond: true, of: claim.Peer}
	}
	held, err := scanNeed(t.one(ctx, peerHolds, string(claim.Peer)))
	if err != nil {
		return err
	}
	if left := q.Holds().Minus(held.Minus(claim.Need)); !claim.Need.Within(left) {
		return refusal{need: claim.Need, free: left, of: claim.Peer}
	}
	return nil
}

// errNoPlace is that a job's peer has no place in the queue left.
var errNoPlace = errors.New("no place in the queue")

// waitForResources puts the job into the queue, records since when and for what it waits, and returns that as the error.
func (c *Catalogue) waitForResources(
	ctx context.Context, k openflow.JobKey, no refusal, capacity openflow.Resources, rule openflow.Quota, now int64,
) error {
	var since int64
	var peer string
	var most int
	err := c.write(ctx, func(t *tx) error {
		err := t.one(ctx, `update job set waiting_since = case when waiting_since = 0 then $5 else waiting_since end,
			asked = $5, woken = 0, update_time = $5
			where `+jobKey+` and not resource_in_use and end_time = 0 returning waiting_since, peer`, keyArgs(k, now)...).Scan(&since, &peer)
		if err != nil || peer == "" || since != now { // it has its place
			return err
		}
		q, err := quotaFor(ctx, t.one, openflow.PartyID(peer), rule)
		if err != nil || q.Waiting == 0 {
			return err
		}
		var taken int
		if err := t.one(ctx, places, peer).Scan(&taken); err != nil {
			return err
		}
		if most = q.Waiting; taken > most {
			return errNoPlace
		}
		return nil
	})
	switch {
	case errors.Is(err, errNoPlace):
		full := openflow.OverQuota(openflow.CodeUnavailable, openflow.PartyID(peer),
			"has %d jobs in this site's queue, which is as many as it may have; %s asks again later", most, k)
		return openflow.About(openflow.AboutResource, full)
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return classify("update "+k.String(), err)
	}
	if since == 0 {
		since = now // gone or served meanwhile; the next application will see it
	}
	wait := openflow.Errorf(openflow.CodeExhausted, "%s needs %s; waiting since %s", k, no.lacks(capacity), timeOf(since).Format(time.RFC3339)).
		WithHint("it goes on when other jobs give back what they hold")
	if since == now {
		if err := c.SetJobReason(ctx, k, wait.Message); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return err
		}
	}
	return openflow.About(openflow.AboutResource, wait)
}

// lacks says what a job waits for.
func (r refusal) lacks(capacity openflow.Resources) string {
	if r.of != "" {
		return r.describe(func(s openflow.Shortage) string {
			return fmt.Sprintf("%s, and all jobs of party %s together may take %s more", s.Need, r.of, s.Have)
		})
	}
	lack := r.describe(func(s openflow.Shortage) string {
		return fmt.Sprintf("%s, %s of %s are free", s.Need, s.Have, s.In(capacity))
	})
	if r.kept {
		lack += ", the rest is kept for jobs that come first"
	}
	return lack
}

// holdsResources explains why no row could apply; nil when the job holds what it needs.
func (c *Catalogue) holdsResources(ctx context.Context, k openflow.JobKey) error {
	var s openflow.JobStatus
	var held bool
	err := c.one(ctx, `select status, resource_in_use from job where `+jobKey, keyArgs(k)...).Scan(&s, &held)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	case err != nil:
		return classify("read "+k.String(), err)
	case held && !s.Terminal():
		return nil
	case !s.Terminal(): // it held them at the first look
		return openflow.Errorf(openflow.CodeUnavailable, "%s gave its resources back at this moment", k)
	}
	return conflict("%s has ended (%s) and takes no resources", k, s)
}

// ReturnJobResources gives what the job holds back to the capacity. A job that holds none changes nothing, nor does one with a run
// under way: its programs have what it holds.
func (c *Catalogue) ReturnJobResources(ctx context.Context, k openflow.JobKey) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error { return returnJob(ctx, t, k, now) })
	return classify("return resources of "+k.String(), err)
}

// openOfJob finds the runs of a job that were accepted and have not ended.
const openOfJob = `select 1 from task where ` + ofJob + ` and task.resource_in_use`

// ofJob is jobKey of a task's row.
const ofJob = `task.job_id = $1 and task.role = $2 and task.party = $3 and task.scheduler = $4`

func returnJob(ctx context.Context, t *tx, k openflow.JobKey, now int64) error {
	held, err := scanNeed(t.one(ctx, `update job set resource_in_use = false, return_time = $5, update_time = $5
		where `+jobKey+` and resource_in_use and not exists (`+openOfJob+`) returning `+needColumns.names, keyArgs(k, now)...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	_, err = t.exec(ctx, useCapacity, -held.Cores, -held.Memory, -held.GPUs)
	return err
}

// CapacityUse says how much of the site's capacity jobs hold.
func (c *Catalogue) CapacityUse(ctx context.Context) (openflow.Resources, error) {
	used, err := scanNeed(c.one(ctx, readUse))
	return used, classify("read the capacity", err)
}

// ApplyTaskResources takes what the task needs from its job, and chooses its GPUs among the devices of the site, which
// are numbered from 0 and gpus many: none that another task holds. One that holds it already succeeds. A task that needs
// nothing is marked as well: it was accepted. rule is the site's for all peers: a peer has no more runs at once that take no cores
// than it may have cores, since each of their programs gets one all the same. CodeExhausted: the job's other tasks hold too much for
// now, another version of the task is under way, or the peer has as many runs without cores as it may have. CodeConflict: the task or
// the job has ended, or the version does not follow; see admission.Follows.
func (c *Catalogue) ApplyTaskResources(ctx context.Context, k openflow.TaskKey, gpus int, rule openflow.Quota) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error { return applyTask(ctx, t, k, gpus, rule, now) })
	var no refusal
	switch {
	case errors.As(err, &no):
		lack := no.describe(func(s openflow.Shortage) string {
			return fmt.Sprintf("%s, %s of its job are free", s.Need, s.Have)
		})
		return openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeExhausted, "%s needs %s", k, lack).
			WithHint("it goes on when another task of the job ends"))
	case errors.Is(err, sql.ErrNoRows):
		return c.taskHoldsResources(ctx, k)
	}
	return classify("apply resources of "+k.String(), err)
}

func applyTask(ctx context.Context, t *tx, k openflow.TaskKey, gpus int, rule openflow.Quota, now int64) error {
	need, err := scanNeed(t.one(ctx, `update task set resource_in_use = true, update_time = $2
		where `+taskKey+` and not resource_in_use and party_status in ('waiting', 'running') returning `+needColumns.names, taskArgs(k, now)...))
	if err != nil {
		return err
	}
	job := k.JobKey()
	n, err := t.exec(ctx, `update job set remaining_cores = remaining_cores - $5, remaining_memory = remaining_memory - $6,
		remaining_gpus = remaining_gpus - $7 where `+jobKey+` and resource_in_use and end_time = 0 and (remaining_cores >= $5 or $5 = 0)
		and (remaining_memory >= $6 or $6 = 0) and (remaining_gpus >= $7 or $7 = 0)`, keyArgs(job, amounts(need)...)...)
	if err != nil {
		return err
	}
	if n == 0 {
		var ended int64
		if err := t.one(ctx, `select end_time from job where `+jobKey, keyArgs(job)...).Scan(&ended); err != nil {
			return err
		}
		if ended > 0 {
			return conflict("%s cannot start: its job has ended", k)
		}
		free, err := remainingColumns.scan(t.one(ctx, `select `+remainingColumns.names+` from job where `+jobKey+` and resource_in_use`, keyArgs(job)...))
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // a job that holds nothing has nothing for its tasks
			return err
		}
		return refusal{need: need, free: openflow.Resources(free)}
	}
	if err := t.follows(ctx, k); err != nil {
		return err
	}
	if err := t.countCoreless(ctx, k, need, rule); err != nil {
		return err
	}
	return giveDevices(ctx, t, k, need, gpus)
}

// versionRow is what of a version decides whether another one may run.
type versionRow struct {
	Version     int    `db:"version"`
	Status      string `db:"status"`
	PartyStatus string `db:"party_status"`
	Open        bool   `db:"resource_in_use"`
}

var (
	versionColumns = columnsOf[versionRow]()
	otherVersions  = `select ` + versionColumns.names + ` from task where ` + jobKey + ` and task_name = $5 and version <> $6`
)

// follows refuses a run that does not follow the other versions of its task here.
func (t *tx) follows(ctx context.Context, k openflow.TaskKey) error {
	var others []admission.Version
	err := t.each(ctx, otherVersions, func(from row) error {
		r, err := versionColumns.scan(from)
		others = append(others, admission.Version{
			Number: r.Version, Status: openflow.TaskStatus(r.Status), PartyStatus: openflow.TaskStatus(r.PartyStatus), Open: r.Open,
		})
		return err
	}, keyArgs(k.JobKey(), string(k.Task), k.Version)...)
	if err != nil {
		return err
	}
	return admission.Follows(k, others)
}

const (
	peerOfJob = `select peer from job where ` + jobKey
	coreless  = `select count(*) from task join job on job.job_id = task.job_id and job.role = task.role and job.party = task.party
		and job.scheduler = task.scheduler where task.resource_in_use and task.cores = 0 and job.peer = $1`
)

// countCoreless refuses a run without cores of a peer that has as many of them under way as it may have cores. The run counts already.
// The capacity's row keeps others from counting meanwhile.
func (t *tx) countCoreless(ctx context.Context, k openflow.TaskKey, need openflow.Resources, rule openflow.Quota) error {
	if need.Cores > 0 {
		return nil
	}
	var peer openflow.PartyID
	if err := t.one(ctx, peerOfJob, keyArgs(k.JobKey())...).Scan(&peer); err != nil || peer == "" {
		return err
	}
	q, err := quotaFor(ctx, t.one, peer, rule)
	if err != nil || q.Cores == 0 {
		return err
	}
	if _, err := t.exec(ctx, `update capacity set used = used where name = 'cores'`); err != nil {
		return err
	}
	var open int
	if err := t.one(ctx, coreless, string(peer)).Scan(&open); err != nil {
		return err
	}
	if open > q.Cores {
		return openflow.About(openflow.AboutResource, openflow.OverQuota(openflow.CodeExhausted, peer,
			"has %d runs without cores under way at this site, as many as it may have cores", open-1))
	}
	return nil
}

// giveDevices notes which GPUs the task is given, while the capacity's row keeps others from choosing too.
func giveDevices(ctx context.Context, t *tx, k openflow.TaskKey, need openflow.Resources, gpus int) error {
	if need.GPUs == 0 {
		return nil
	}
	if _, err := t.exec(ctx, `update capacity set used = used where name = 'gpus'`); err != nil {
		return err
	}
	held, err := t.strings(ctx, `select gpu_ids from task where gpus > 0 and resource_in_use`)
	if err != nil {
		return err
	}
	ids, ok := admission.Devices(gpus, strings.Split(strings.Join(held, ","), ","), need.GPUs)
	if !ok { // the site has fewer than when it granted them to the job
		return refusal{need: need, free: openflow.Resources{Cores: need.Cores, Memory: need.Memory, GPUs: len(ids)}}
	}
	_, err = t.exec(ctx, `update task set gpu_ids = $2 where `+taskKey, taskArgs(k, strings.Join(ids, ","))...)
	return err
}

func (c *Catalogue) taskHoldsResources(ctx context.Context, k openflow.TaskKey) error {
	t, err := c.Task(ctx, k)
	if err != nil || t.ResourceInUse || t.Needs() == (openflow.Resources{}) {
		return err
	}
	if !t.PartyStatus.Terminal() { // it held them at the first look
		return openflow.Errorf(openflow.CodeUnavailable, "%s gave its resources back at this moment", k)
	}
	return conflict("%s has ended (%s) and takes no resources", k, t.PartyStatus)
}

// returnTask gives what the task holds back to its job. A task that holds none changes nothing. The last run of a job that has ended
// gives back what the job holds (freed).
func returnTask(ctx context.Context, t *tx, k openflow.TaskKey, now int64) (freed bool, err error) {
	held, err := scanNeed(t.one(ctx, `update task set resource_in_use = false, update_time = $2
		where `+taskKey+` and resource_in_use returning `+needColumns.names, taskArgs(k, now)...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	job := k.JobKey()
	_, err = t.exec(ctx, `update job set remaining_cores = remaining_cores + $5, remaining_memory = remaining_memory + $6,
		remaining_gpus = remaining_gpus + $7 where `+jobKey, keyArgs(job, amounts(held)...)...)
	if err != nil {
		return false, err
	}
	var ended int64
	if err := t.one(ctx, `select end_time from job where `+jobKey, keyArgs(job)...).Scan(&ended); err != nil || ended == 0 {
		return false, err
	}
	return true, returnJob(ctx, t, job, now)
}
