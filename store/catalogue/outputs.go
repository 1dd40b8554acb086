package catalogue

import (
	"context"

	"openflow"
)

// outputRow is a row of the table output.
type outputRow struct {
	Run       string `db:"run_id"`
	OutputKey string `db:"output_key"`
	Index     int    `db:"position"`
	Namespace string `db:"namespace"`
	Name      string `db:"name"`
	DataType  string `db:"data_type"`
	Created   int64  `db:"create_time" fieldtag:"first"`
	URI       string `db:"uri"`
}

var (
	outputColumns = columnsOf[outputRow]()
	saveOutput    = outputColumns.insertSelected("output") + ` from task where run_id = ` + outputColumns.place("run_id") +
		outputColumns.replace("run_id", "output_key", "position")
	outputIs = `run_id = $1 and output_key = $2 and position = $3`
)

// SaveOutput tracks an output of a task and, when t is not nil, records its table, in one transaction. The same key and
// index again replaces what was tracked, since a task that is launched again makes its outputs again.
//
// Spec: fate-flow-api §3.1 (data/tracking/save).
func (c *Catalogue) SaveOutput(ctx context.Context, o openflow.OutputRecord, t *openflow.TableRecord) error {
	var table [][]any // none or one
	if t != nil {
		values, err := c.tableValues(*t)
		if err != nil {
			return err
		}
		table = append(table, values)
	}
	err := c.write(ctx, func(w *tx) error {
		values := outputColumns.values(outputRow{
			Run: string(o.Task.RunID()), OutputKey: o.OutputKey, Index: o.Index, Namespace: o.Table.Namespace, Name: o.Table.Name,
			DataType: o.DataType, Created: orNow(o.CreateTime, c.stamp()), URI: o.URI,
		})
		held, err := outputColumns.held(ctx, w, "output", outputIs, string(o.Task.RunID()), o.OutputKey, o.Index)
		if err == nil && t != nil {
			var before int64
			before, err = tableColumns.held(ctx, w, "data_table", tableIs, t.Name.Namespace, t.Name.Name)
			held += before
		}
		if err != nil {
			return err
		}
		n, err := w.exec(ctx, saveOutput, values...)
		if err == nil && n == 0 {
			err = notFound("%s does not exist here", o.Task)
		}
		if err == nil { // what is replaced had its room already
			err = w.takeForRun(ctx, takenRows, o.Task, max(0, textBytes(append(table, values)...)-held))
		}
		switch {
		case err != nil:
			return err
		case table == nil:
			return nil
		}
		_, err = w.exec(ctx, saveTable, table[0]...)
		return err
	})
	return classify("save output "+o.OutputKey+" of "+o.Task.String(), err)
}

// Outputs lists what a task version made, by key and index.
func (c *Catalogue) Outputs(ctx context.Context, k openflow.TaskKey) ([]openflow.OutputRecord, error) {
	return c.outputs(ctx, "read outputs of "+k.String(), `run_id = $1 order by output_key, position`,
		string(k.RunID()))
}

func (c *Catalogue) outputs(ctx context.Context, doing, cond string, args ...any) ([]openflow.OutputRecord, error) {
	var outputs []openflow.OutputRecord
	err := c.each(ctx, `select `+outputColumns.names+` from output where `+cond, args, func(from row) error {
		r, err := outputColumns.scan(from)
		if err != nil {
			return err
		}
		task, err := openflow.ParseRunID(openflow.RunID(r.Run))
		outputs = append(outputs, openflow.OutputRecord{
			Task: task, OutputKey: r.OutputKey, Index: r.Index, Table: openflow.TableName{Namespace: r.Namespace, Name: r.Name},
			DataType: r.DataType, CreateTime: timeOf(r.Created), URI: r.URI,
		})
		return err
	})
	return outputs, classify(doing, err)
}
