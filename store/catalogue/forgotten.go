package catalogue

import (
	"context"

	"openflow"
)

// forgottenRow is a row of the table forgotten_job: a job that this site has deleted, while its mandate may still be good.
type forgottenRow struct {
	Job       string `db:"job_id"`
	Role      string `db:"role"`
	Party     string `db:"party"`
	Scheduler string `db:"scheduler"`
	Deleted   int64  `db:"delete_time"`
}

var (
	forgottenColumns = columnsOf[forgottenRow]()
	saveForgotten    = forgottenColumns.save("forgotten_job", "job_id", "role", "party", "scheduler")
)

// outliving is how long a deleted job is remembered: longer than its mandate is good, wherever the clocks stand.
const outliving = 2 * openflow.MandateLife

// remember notes that a job is deleted, and drops what needs no memory any more.
func (t *tx) remember(ctx context.Context, k openflow.JobKey, now int64) error {
	if _, err := t.exec(ctx, `delete from forgotten_job where delete_time < $1`, now-outliving.Milliseconds()); err != nil {
		return err
	}
	_, err := t.exec(ctx, saveForgotten, forgottenColumns.values(forgottenRow{
		Job: string(k.Job), Role: string(k.Party.Role), Party: string(k.Party.ID), Scheduler: string(k.Scheduler), Deleted: now,
	})...)
	return err
}

// notAgain refuses a signed job that was here and is deleted: a mandate brings a job to a party once.
func notAgain(ctx context.Context, one oneRow, k openflow.JobKey, now int64) error {
	var was bool
	err := one(ctx, `select exists (select 1 from forgotten_job where `+jobKey+` and delete_time >= $5)`,
		keyArgs(k, now-outliving.Milliseconds())...).Scan(&was)
	if err == nil && was {
		err = openflow.Errorf(openflow.CodePermission, "%s has been here and was deleted, and its mandate is used up", k).
			WithHint("its initiator submits it again, as a new job")
	}
	return err
}
