package catalogue

import (
	"context"

	"openflow"
)

const outputColumns = `task.scheduler, task.job_id, task.task_name, task.version, task.role, task.party, output.output_key, output.position,
	output.namespace, output.name, output.data_type, output.create_time, output.uri`

// SaveOutput tracks an output of a task and, when t is not nil, records its table, in one transaction. The same key and
// index again replaces what was tracked, since a task that is launched again makes its outputs again.
//
// Spec: fate-flow-api §3.1 (data/tracking/save).
func (c *Catalogue) SaveOutput(ctx context.Context, o openflow.OutputRecord, t *openflow.TableRecord) error {
	var table []any
	if t != nil {
		var err error
		if table, err = c.tableValues(*t); err != nil {
			return err
		}
	}
	err := c.write(ctx, func(w *tx) error {
		n, err := w.exec(ctx, `insert into output (run_id, output_key, position, namespace, name, data_type, create_time, uri)
			select $1, $2, cast($3 as bigint), $4, $5, $6, cast($7 as bigint), $8 from task where `+taskKey+`
			on conflict (run_id, output_key, position) do update set namespace = excluded.namespace, name = excluded.name,
			data_type = excluded.data_type, uri = excluded.uri`,
			taskArgs(o.Task, o.OutputKey, o.Index, o.Table.Namespace, o.Table.Name, o.DataType, orNow(o.CreateTime, c.stamp()), o.URI)...)
		switch {
		case err != nil:
			return err
		case n == 0:
			return notFound("%s does not exist here", o.Task)
		case table == nil:
			return nil
		}
		_, err = w.exec(ctx, saveTable, table...)
		return err
	})
	return classify("save output "+o.OutputKey+" of "+o.Task.String(), err)
}

// Outputs lists what a task version made, by key and index.
func (c *Catalogue) Outputs(ctx context.Context, k openflow.TaskKey) ([]openflow.OutputRecord, error) {
	return c.outputs(ctx, "read outputs of "+k.String(), `output.run_id = $1 order by output.output_key, output.position`,
		string(k.RunID()))
}

// OutputsOfTable lists which task versions made or took over a table, oldest first.
func (c *Catalogue) OutputsOfTable(ctx context.Context, n openflow.TableName) ([]openflow.OutputRecord, error) {
	return c.outputs(ctx, "read makers of table "+n.String(),
		`output.namespace = $1 and output.name = $2 order by output.create_time, output.run_id`, n.Namespace, n.Name)
}

func (c *Catalogue) outputs(ctx context.Context, doing, cond string, args ...any) ([]openflow.OutputRecord, error) {
	var outputs []openflow.OutputRecord
	err := c.each(ctx, `select `+outputColumns+` from output join task on task.run_id = output.run_id where `+cond, args,
		func(r row) error {
			var o openflow.OutputRecord
			var created int64
			err := r.Scan(&o.Task.Scheduler, &o.Task.Job, &o.Task.Task, &o.Task.Version, &o.Task.Party.Role, &o.Task.Party.ID, &o.OutputKey, &o.Index,
				&o.Table.Namespace, &o.Table.Name, &o.DataType, &created, &o.URI)
			o.CreateTime = timeOf(created)
			outputs = append(outputs, o)
			return err
		})
	return outputs, classify(doing, err)
}
