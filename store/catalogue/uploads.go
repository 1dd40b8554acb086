package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"openflow"
)

// uploadRow is a row of the table upload.
type uploadRow struct {
	Run     string `db:"run_id"`
	Object  string `db:"object"`
	Created int64  `db:"create_time"`
}

var (
	uploadColumns = columnsOf[uploadRow]()
	insertUpload  = uploadColumns.insertSelected("upload") + ` where (select count(*) from upload where run_id = ` + uploadColumns.place("run_id") +
		`) < ` + strconv.Itoa(MaxUploads) + ` on conflict (run_id, object) do nothing`
)

// MaxUploads is how many objects one run may have on record: a row costs more than a small object.
const MaxUploads = 1000

// RecordUpload records that a run has stored an object. The row keeps the object until the run ends; from then on an
// output does. It goes with the run.
// CodeSpent: the run has stored MaxUploads.
func (c *Catalogue) RecordUpload(ctx context.Context, k openflow.TaskKey, object string) error {
	n, err := c.exec(ctx, insertUpload, uploadColumns.values(uploadRow{string(k.RunID()), object, c.stamp()})...)
	if err != nil || n > 0 {
		return classify("record an upload of "+k.String(), err)
	}
	has, err := c.HasUploaded(ctx, k, object)
	if err == nil && !has {
		err = openflow.Errorf(openflow.CodeSpent, "%s has stored %d objects, which is the most that a run may", k, MaxUploads)
	}
	return err
}

// HasUploaded reports whether a run has stored an object itself.
func (c *Catalogue) HasUploaded(ctx context.Context, k openflow.TaskKey, object string) (bool, error) {
	var one int
	err := c.one(ctx, `select 1 from upload where run_id = $1 and object = $2`, string(k.RunID()), object).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, classify("look for an upload of "+k.String(), err)
}
