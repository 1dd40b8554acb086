package catalogue

import (
	"context"
	"reflect"

	"openflow"
	"openflow/store/document"
)

// Opened to the tests of this package only.
var (
	EncodeDAG   = encodeDAG
	DecodeDAG   = decodeDAG
	ParseCursor = parseCursor
	Classify    = classify
	RetryBusy   = retryBusy
	ParseURL    = parseURL
)

// Columns are the types that columns hold as JSON.
var Columns = []reflect.Type{
	columnType[document.DAG](), columnType[document.TaskSpec](), columnType[[]document.TaskRun](), columnType[document.GrantTerms](), columnType[tableSource](),
	columnType[document.Mandate](), columnType[cursor](), columnType[[]string](), columnType[[]openflow.RunID](),
}

func columnType[C column]() reflect.Type { return reflect.TypeFor[C]() }

// EncodeSource and DecodeSource convert the source of a table.
func EncodeSource(s openflow.TableSource) tableSource { return tableSource(s) }
func DecodeSource(s tableSource) openflow.TableSource { return openflow.TableSource(s) }

// FrequentQueries are those that run whenever a job asks for resources or gives them back, and those of every few
// seconds.
var FrequentQueries = map[string]string{
	"told": toldClaims, "late": lateClaims, "fitting": fittingClaims, "running": runningJobs, "scheduled": runningScheduled,
}

// IndexedQueries are, for each index, a statement that is answered by it.
var IndexedQueries = map[string]string{
	"job_created":               `select ` + jobColumns.names + ` from job order by create_time desc, job_id desc, role desc, party desc, scheduler desc limit 5`,
	"job_holding":               openAlone,
	"job_running":               runningJobs,
	"job_queue":                 fittingClaims,
	"job_queue_age":             lateClaims,
	"job_told":                  toldClaims,
	"job_age":                   nextAge,
	"job_open":                  openJobs,
	"job_holds":                 peerHolds,
	"scheduled_job_of":          scheduledOf,
	"job_refused":               neverStarted,
	"scheduled_job_refused":     refusedJobs,
	"scheduled_job_idempotency": `select ` + scheduledColumns.names + ` from scheduled_job where initiator = $1 and idempotency_key = $2 and idempotency_key <> ''`,
	"scheduled_job_created":     `select ` + scheduledColumns.names + ` from scheduled_job order by create_time desc, job_id desc limit 5`,
	"scheduled_job_running":     runningScheduled,
	"forgotten_job_deleted":     `delete from forgotten_job where delete_time < $1`,
	"scheduled_job_open":        openScheduled,
	"submission_created":        `select job_id, scheduler from submission where create_time < $1 limit 5`,
	"task_of_job":               `select run_id from task where ` + jobKey,
	"task_created":              `select ` + taskColumns.names + ` from task order by create_time desc, run_id desc limit 5`,
	"task_log":                  `select ` + referenced,
	"task_open":                 openTasks,
	"data_table_object":         `select ` + referenced,
	"model_object":              `select ` + referenced,
	"pin_object":                `select ` + referenced,
	"output_of_table":           `select ` + outputColumns.names + ` from output where namespace = $1 and name = $2 order by create_time, run_id`,
	"metric_of_task":            `select ` + metricColumns.names + ` from metric where run_id = $1 order by seq, digest`,
	"score_time":                `delete from score where time < $1`,
	"audit_decisions":           `select count(*) from audit where outcome = 'refused' and party = $1 and time >= $2`,
	"grant_initiator":           `select id from access_grant where initiator in ('', $1) and scheduler in ('', $2)`,
	"grant_scheduler":           `select id from access_grant where scheduler = $1`,
	"audit_time":                `select ` + auditColumns.names + ` from audit order by time desc, id desc limit 5`,
}

// SavePin is the statement that records a pin.
var SavePin = savePin

// LockWriters is the statement that makes a transaction the only writer.
const LockWriters = lockWriters

// ReturnTaskResources gives back what a task holds, without its end.
func (c *Catalogue) ReturnTaskResources(ctx context.Context, k openflow.TaskKey) error {
	return c.write(ctx, func(t *tx) error {
		_, err := returnTask(ctx, t, k, c.stamp())
		return err
	})
}
