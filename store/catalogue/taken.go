package catalogue

import (
	"context"

	"openflow"
)

// Bound limits what is put into a store of this site, in bytes: by one run, by one job at one of its parties here, by the
// jobs of one party, and in all. Zero: the default.
type Bound struct{ Run, Job, Peer, Total int64 }

// The bounds that apply when none are given: of rows, and of objects.
var (
	DefaultRows    = Bound{Run: 256 << 20, Job: 512 << 20, Peer: 2 << 30, Total: 8 << 30}
	DefaultObjects = Bound{Run: 32 << 30, Job: 128 << 30, Peer: 512 << 30, Total: 2 << 40}
)

// or fills in what is zero.
func (b Bound) or(usual Bound) Bound {
	for into, value := range map[*int64]int64{&b.Run: usual.Run, &b.Job: usual.Job, &b.Peer: usual.Peer, &b.Total: usual.Total} {
		if *into == 0 {
			*into = value
		}
	}
	return b
}

// rowOverhead is what a row costs beside its texts, in bytes, so that the number of rows is bounded too: a run has 524,288
// metrics at most.
const rowOverhead = 512

// What is counted: the kinds of a row of the table taken.
const (
	takenRows    = "rows"
	takenObjects = "objects"
)

// takenRow is a row of the table taken.
type takenRow struct {
	Kind  string `db:"kind"`
	Level string `db:"level"`
	Name  string `db:"name"`
	Bytes int64  `db:"bytes"`
}

var (
	takenColumns = columnsOf[takenRow]()
	takeMore     = takenColumns.insert("taken") +
		` on conflict (kind, level, name) do update set bytes = taken.bytes + excluded.bytes returning bytes`
)

const (
	takenBy    = `select bytes from taken where kind = $1 and level = $2 and name = $3`
	giveBack   = `update taken set bytes = bytes - $4 where kind = $1 and ((level = 'peer' and name = $2) or (level = 'all' and name = $3))`
	forgetRuns = `delete from taken where level = 'run' and name in ` + runs
	forgetJob  = `delete from taken where level = 'job' and name = $1`
)

// account is what something is counted for.
type account struct {
	level, name, what string
	limit             int64
}

// jobAccount is the name of a job's row at one of its parties.
func jobAccount(k openflow.JobKey) string {
	return string(k.Scheduler) + "/" + string(k.Job) + "/" + string(k.Party.Role) + "/" + string(k.Party.ID)
}

// scheduledAccount is the name of a job that this node schedules.
func scheduledAccount(id openflow.JobID) string { return "scheduled/" + string(id) }

// TakeObjects counts bytes of objects for a run, or gives back as many when they are negative. CodeSpent: the run or
// its job has as much as it may. CodeExhausted: the party that schedules it has, or all have. Nothing is counted then.
func (c *Catalogue) TakeObjects(ctx context.Context, k openflow.TaskKey, bytes int64) error {
	err := c.write(ctx, func(t *tx) error { return t.takeForRun(ctx, takenObjects, k, bytes) })
	return classify("count objects of "+k.String(), err)
}

func (t *tx) takeForRun(ctx context.Context, kind string, k openflow.TaskKey, bytes int64) error {
	run := account{"run", string(k.RunID()), k.String(), t.c.bounds[kind].Run}
	return t.take(ctx, kind, k.Scheduler, bytes, run, t.ofJob(kind, k.JobKey()))
}

func (t *tx) takeForJob(ctx context.Context, k openflow.JobKey, bytes int64) error {
	return t.take(ctx, takenRows, k.Scheduler, bytes, t.ofJob(takenRows, k))
}

// takeParts counts the parts of tables that were made for a job.
func (t *tx) takeParts(ctx context.Context, k openflow.JobKey, pins []openflow.Pin) error {
	var sum int64
	seen := map[string]bool{}
	for _, p := range pins {
		if p.CutOf != "" && !seen[p.Object] {
			seen[p.Object] = true
			sum += p.Bytes
		}
	}
	return t.take(ctx, takenObjects, k.Scheduler, sum, t.ofJob(takenObjects, k))
}

func (t *tx) takeForScheduled(ctx context.Context, id openflow.JobID, initiator openflow.PartyID, bytes int64) error {
	job := account{"job", scheduledAccount(id), "job " + string(id), t.c.bounds[takenRows].Job}
	return t.take(ctx, takenRows, initiator, bytes, job)
}

func (t *tx) ofJob(kind string, k openflow.JobKey) account {
	return account{"job", jobAccount(k), k.String(), t.c.bounds[kind].Job}
}

// take counts bytes for the accounts, for the party whose they are, and for all. It is part of the transaction that puts
// them, so that what is refused is not there.
func (t *tx) take(ctx context.Context, kind string, peer openflow.PartyID, bytes int64, accounts ...account) error {
	if bytes == 0 {
		return nil
	}
	b := t.c.bounds[kind]
	for _, a := range append(accounts,
		account{"peer", string(peer), "the jobs of party " + string(peer), b.Peer}, account{"all", "", "all jobs", b.Total}) {
		if err := t.takeFor(ctx, kind, a, bytes); err != nil {
			return err
		}
	}
	return nil
}

// takeFor counts bytes for one account.
func (t *tx) takeFor(ctx context.Context, kind string, a account, bytes int64) error {
	var sum int64
	if err := t.one(ctx, takeMore, takenColumns.values(takenRow{kind, a.level, a.name, bytes})...).Scan(&sum); err != nil {
		return err
	}
	if bytes > 0 && sum > a.limit {
		return spent(kind, a, sum)
	}
	return nil
}

// spent is the refusal of a bound. What a run or a job has here stays as long as it goes on, so waiting does not help it. What others
// have goes when their jobs are forgotten. What all have is no partner's business.
func spent(kind string, a account, sum int64) error {
	code := openflow.CodeExhausted
	if a.level == "run" || a.level == "job" {
		code = openflow.CodeSpent
	}
	e := openflow.Errorf(code, "%s would have %d bytes of %s here, more than the %d that they may", a.what, sum, kind, a.limit).
		WithHint("delete models and forget jobs that have ended, or ask the operator of this node for a larger bound: docs/bounds.md")
	if a.level == "all" {
		return e.WithPublic("there is no room for more %s at this time", kind)
	}
	return e.WithPublic("%s would have more than %d bytes of %s there", a.what, a.limit, kind)
}

// giveBackJob forgets what was counted for a job: nothing of it is kept, or is about to go.
func (t *tx) giveBackJob(ctx context.Context, name string, peer openflow.PartyID) error {
	for _, kind := range []string{takenRows, takenObjects} {
		var held []int64
		err := t.each(ctx, takenBy, func(r row) error {
			var bytes int64
			err := r.Scan(&bytes)
			held = append(held, bytes)
			return err
		}, kind, "job", name)
		if err != nil {
			return err
		}
		for _, bytes := range held {
			if _, err := t.exec(ctx, giveBack, kind, string(peer), "", bytes); err != nil {
				return err
			}
		}
	}
	_, err := t.exec(ctx, forgetJob, name)
	return err
}

// textBytes is what rows take: their texts, and what each costs beside them.
func textBytes(rows ...[]any) (sum int64) {
	for _, values := range rows {
		sum += rowOverhead
		for _, v := range values {
			if text, ok := v.(string); ok {
				sum += int64(len(text))
			}
		}
	}
	return sum
}

// held is what the rows of a table that meet the condition have taken: textBytes of them.
func (c columns[R]) held(ctx context.Context, t *tx, table, condition string, args ...any) (sum int64, err error) {
	err = t.each(ctx, `select `+c.names+` from `+table+` where `+condition, func(from row) error {
		r, err := c.scan(from)
		sum += textBytes(c.values(r))
		return err
	}, args...)
	return sum, err
}
