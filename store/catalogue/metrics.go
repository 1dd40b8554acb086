package catalogue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"openflow"
)

// Metrics come in small batches from containers that may send one twice. A record has no name of its own, so what makes
// it one record is its content: an equal record of the same task version is stored once. Two steps always differ, since
// a step's data holds its number and time.

// metricRow is a row of the table metric.
type metricRow struct {
	Run      string `db:"run_id"`
	Digest   string `db:"digest"`
	Seq      int64  `db:"seq"`
	Name     string `db:"name"`
	Type     string `db:"type"`
	StepAxis string `db:"step_axis"`
	Created  int64  `db:"create_time"`
	Groups   string `db:"groups_json"`
	Data     string `db:"data"`
}

var (
	metricColumns = columnsOf[metricRow]()
	insertMetric  = metricColumns.insert("metric") + ` on conflict (run_id, digest) do nothing`
)

// AppendMetrics stores what a task version reported, in order, all or nothing. Every record must be of that task.
// CodeSpent: it has as many as it may.
//
// Spec: fate-flow-api §3.9.
func (c *Catalogue) AppendMetrics(ctx context.Context, k openflow.TaskKey, metrics []openflow.MetricRecord) error {
	rows := make([]metricRow, len(metrics))
	for i, m := range metrics {
		if m.Task != k {
			return openflow.Errorf(openflow.CodeInvalid, "metric %q of %s is not of %s", m.Name, m.Task, k)
		}
		if err := checkRaw("metric "+m.Name+" of "+k.String(), m.Groups, m.Data); err != nil {
			return err
		}
		digest, err := metricDigest(m)
		if err != nil {
			return err
		}
		rows[i] = metricRow{
			Run: string(k.RunID()), Digest: digest, Name: m.Name, Type: m.Type, StepAxis: m.StepAxis,
			Created: orNow(m.CreateTime, c.stamp()), Groups: string(m.Groups), Data: string(m.Data),
		}
	}
	err := c.write(ctx, func(t *tx) error {
		var seq int64
		err := t.one(ctx, `select coalesce(max(seq), 0) from metric where run_id = $1`, string(k.RunID())).Scan(&seq)
		if err != nil {
			return err
		}
		bytes := int64(0)
		for i, r := range rows {
			r.Seq = seq + int64(i) + 1
			values := metricColumns.values(r)
			n, err := t.exec(ctx, insertMetric, values...)
			if err != nil {
				return err
			}
			bytes += n * textBytes(values)
		}
		return t.takeForRun(ctx, takenRows, k, bytes)
	})
	return classify("save metrics of "+k.String(), err)
}

func metricDigest(m openflow.MetricRecord) (string, error) {
	text, err := encode("metric "+m.Name, []string{m.Name, m.Type, m.StepAxis, string(m.Groups), string(m.Data)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16]), nil
}

// Metrics lists what a task version reported, in the order of arrival.
func (c *Catalogue) Metrics(ctx context.Context, k openflow.TaskKey) ([]openflow.MetricRecord, error) {
	var metrics []openflow.MetricRecord
	err := c.each(ctx, `select `+metricColumns.names+` from metric where run_id = $1
		order by seq, digest`, []any{string(k.RunID())}, func(from row) error {
		r, err := metricColumns.scan(from)
		metrics = append(metrics, openflow.MetricRecord{
			Task: k, Name: r.Name, Type: r.Type, StepAxis: r.StepAxis, CreateTime: timeOf(r.Created), Groups: raw(r.Groups), Data: raw(r.Data),
		})
		return err
	})
	return metrics, classify("read metrics of "+k.String(), err)
}

// DeleteMetrics forgets the metrics of all versions of a task at a party and says how many there were.
//
// Spec: fate-flow-api §1.3 #16.
func (c *Catalogue) DeleteMetrics(ctx context.Context, k openflow.JobKey, task openflow.TaskName) (int, error) {
	n, err := c.exec(ctx, `delete from metric where run_id in (select run_id from task where `+jobKey+` and task_name = $5)`,
		keyArgs(k, string(task))...)
	return int(n), classify("delete metrics of task "+string(task)+" of "+k.String(), err)
}
