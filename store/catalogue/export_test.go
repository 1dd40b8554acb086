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
	columnType[document.DAG](), columnType[document.TaskSpec](), columnType[[]document.TaskRun](), columnType[tableSource](),
	columnType[cursor](), columnType[[]string](), columnType[[]openflow.RunID](),
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

// LockWriters is the statement that makes a transaction the only writer.
const LockWriters = lockWriters

// ReturnTaskResources gives back what a task holds, without its end.
func (c *Catalogue) ReturnTaskResources(ctx context.Context, k openflow.TaskKey) error {
	return c.write(ctx, func(t *tx) error { return returnTask(ctx, t, k, c.stamp()) })
}
