package catalogue

import (
	"context"
	"slices"
	"strings"

	"openflow"
)

const pinColumns = `task_name, kind, input_key, position, namespace, name, source_job, model_id, model_version, producer,
	output_key, object, bytes, row_count, data_type, meta, origins`

// savePin records a pin if the name of a table still stands for its object, and otherwise if something refers to it: $1 to
// $4 are keyArgs. Between the look at a name and this statement the table could have been deleted or replaced, and the
// object could have lost its last reference, so that a sweep has taken it.
const savePin = `insert into pin (job_id, role, party, scheduler, ` + pinColumns + `)
	select $1, $2, $3, $4, $5, $6, $7, cast($8 as bigint), $9, $10, $11, $12, $13, $14, $15, $16, cast($17 as bigint),
	cast($18 as bigint), $19, $20, $21 where $16 = '' or ($10 = '' or $11 <> '') and (` + referencedBy16 + `)
	or exists (select 1 from data_table where namespace = $9 and name = $10 and object = $16)`

const referencedBy16 = `exists (select 1 from data_table where object = $16)
	or exists (select 1 from model where object = $16) or exists (select 1 from pin where object = $16)`

func (t *tx) savePins(ctx context.Context, k openflow.JobKey, pins []openflow.Pin) error {
	for _, p := range pins {
		n, err := t.exec(ctx, savePin, keyArgs(k, string(p.Task), string(p.Kind), p.InputKey, p.Index, p.Table.Namespace, p.Table.Name,
			string(p.SourceJob), p.Model.ID, p.Model.Version, string(p.Producer), p.OutputKey, p.Object, p.Bytes, p.Count, p.DataType,
			string(p.Meta), strings.Join(p.Origins, "\n"))...)
		if err != nil {
			return err
		}
		if n == 0 {
			return openflow.Errorf(openflow.CodeUnavailable, "%s: what its task %q reads was replaced while the job was created", k, p.Task).
				WithHint("submit it again")
		}
	}
	return nil
}

func scanPin(r row) (openflow.Pin, error) {
	var p openflow.Pin
	var meta, origins string
	err := r.Scan(&p.Task, &p.Kind, &p.InputKey, &p.Index, &p.Table.Namespace, &p.Table.Name, &p.SourceJob, &p.Model.ID,
		&p.Model.Version, &p.Producer, &p.OutputKey, &p.Object, &p.Bytes, &p.Count, &p.DataType, &meta, &origins)
	p.Meta = raw(meta)
	if origins != "" {
		p.Origins = strings.Split(origins, "\n")
	}
	return p, err
}

// Pins lists what a job keeps as it was at its creation, by task, input and position; none is no error.
func (c *Catalogue) Pins(ctx context.Context, k openflow.JobKey) ([]openflow.Pin, error) {
	var pins []openflow.Pin
	err := c.each(ctx, `select `+pinColumns+` from pin where `+jobKey+` order by task_name, kind, input_key, position`, keyArgs(k),
		func(r row) error {
			p, err := scanPin(r)
			pins = append(pins, p)
			return err
		})
	return pins, classify("read what "+k.String()+" keeps", err)
}

// TableOf is the table of that name as the job has it: as it was pinned, otherwise as it is now. CodeNotFound: there is
// none.
func (c *Catalogue) TableOf(ctx context.Context, k openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error) {
	pins, err := c.Pins(ctx, k)
	if err != nil {
		return openflow.TableRecord{}, err
	}
	now, err := c.Table(ctx, n)
	i := slices.IndexFunc(pins, func(p openflow.Pin) bool {
		return p.Kind == openflow.InputData && p.Table == n && p.SourceJob == ""
	})
	if i < 0 {
		i = slices.IndexFunc(pins, func(p openflow.Pin) bool { return p.Kind == openflow.InputData && p.Table == n })
	}
	if i < 0 || err == nil && now.Object == pins[i].Object {
		return now, err
	}
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return now, err
	}
	return pins[i].Record(), nil
}
