package base

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"openflow"
)

// PathRows is where containers of any dialect read rows. Our own dialect serves it.
const PathRows = "/openflow/v1/container/data/table"

// pinParam names the object that a path to a pinned table means, since a job may know a name in two states: as it is,
// and as another job had it.
const pinParam = "object"

// Table is a table that a run may read, and where its rows are at the base layer.
type Table struct {
	openflow.TableRecord
	Path string
}

func named(rec openflow.TableRecord) Table { return Table{rec, rowsOf(rec.Name)} }

func rowsOf(n openflow.TableName) string {
	return PathRows + "?" + url.Values{"namespace": {n.Namespace}, "name": {n.Name}}.Encode()
}

// Table finds a table that the run may read by its name. Errors: CodeNotFound.
func (s *Site) Table(ctx context.Context, t openflow.TaskRecord, n openflow.TableName) (Table, error) {
	rec, err := s.readable(ctx, t, n)
	return named(rec), err
}

// Output finds the tables of an output of a task of a job at the same party: the run's own job, or one that its inputs name.
// Errors: CodePermission, CodeNotFound.
func (s *Site) Output(ctx context.Context, t openflow.TaskRecord, job openflow.JobID, producer openflow.TaskName, key string) ([]Table, error) {
	if job == "" {
		job = t.Key.Job
	}
	if job != t.Key.Job && !fromWarehouse(t, job) {
		return nil, openflow.Errorf(openflow.CodePermission, "%s has no input from job %s", t.Key, job)
	}
	if job != t.Key.Job {
		if found, err := s.pinnedOutputs(ctx, t, job, producer, key); err != nil || len(found) > 0 {
			return found, err
		}
	}
	source := t.Key.JobKey()
	source.Job = job
	outputs, err := s.Store.LatestOutputs(ctx, source, producer)
	if err != nil {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	var found []Table
	for _, o := range outputs {
		if o.OutputKey != key {
			continue
		}
		rec, err := s.Store.TableOf(ctx, t.Key.JobKey(), o.Table)
		if err != nil {
			return nil, openflow.About(openflow.AboutTable, err)
		}
		found = append(found, named(rec))
	}
	if len(found) == 0 {
		return nil, openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeNotFound,
			"task %q of job %s has no output %q here", producer, job, key))
	}
	return found, nil
}

// pinnedOutputs are the outputs of a task of another job that the job of this run has kept since its creation; none for a
// job of before pins.
func (s *Site) pinnedOutputs(
	ctx context.Context, t openflow.TaskRecord, source openflow.JobID, producer openflow.TaskName, key string,
) ([]Table, error) {
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	var found []Table
	for _, p := range pins {
		if p.Task == t.Key.Task && p.SourceJob == source && p.Producer == producer && p.OutputKey == key {
			found = append(found, Table{p.Record(), rowsOf(p.Table) + "&" + url.Values{pinParam: {p.Object}}.Encode()})
		}
	}
	return found, nil
}

// Rows finds the object with the rows that a path of this layer means, by its query. Errors: CodeNotFound.
func (s *Site) Rows(ctx context.Context, t openflow.TaskRecord, q url.Values) (digest string, err error) {
	name := openflow.TableName{Namespace: q.Get("namespace"), Name: q.Get("name")}
	var rec openflow.TableRecord
	if object := q.Get(pinParam); object != "" {
		rec, err = s.pinned(ctx, t, name, object)
	} else {
		rec, err = s.readable(ctx, t, name)
	}
	if err == nil && rec.Object == "" {
		err = openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "table %s has no rows here", rec.Name))
	}
	return rec.Object, err
}

// pinned finds the table that a run's job has kept, by name and object.
func (s *Site) pinned(ctx context.Context, t openflow.TaskRecord, n openflow.TableName, object string) (openflow.TableRecord, error) {
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return openflow.TableRecord{}, openflow.About(openflow.AboutTask, err)
	}
	for _, p := range pins {
		if p.Task == t.Key.Task && p.Kind == openflow.InputData && p.Table == n && p.Object == object {
			return p.Record(), nil
		}
	}
	return openflow.TableRecord{}, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "%s has no input %s", t.Key, n))
}

func fromWarehouse(t openflow.TaskRecord, job openflow.JobID) bool {
	for _, in := range t.Spec.Inputs {
		for _, c := range in.Channels {
			if c.Job == job {
				return true
			}
		}
	}
	return false
}

// readable returns a table that the run may read: one that its own parameters or channels name, or one that a task of
// the same job at the same party made or took over. A table that the job has pinned is as it was at the job's creation.
func (s *Site) readable(ctx context.Context, t openflow.TaskRecord, n openflow.TableName) (openflow.TableRecord, error) {
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return openflow.TableRecord{}, openflow.About(openflow.AboutJob, err)
	}
	allowed := slices.Contains(job.DAG.Tables(t.Key.Party), n)
	if !allowed {
		pins, err := s.Store.Pins(ctx, t.Key.JobKey())
		if err != nil {
			return openflow.TableRecord{}, openflow.About(openflow.AboutTask, err)
		}
		allowed = slices.ContainsFunc(pins, func(p openflow.Pin) bool { return p.Kind == openflow.InputData && p.Table == n })
	}
	if !allowed {
		outputs, err := s.Store.OutputsOfTable(ctx, n)
		if err != nil {
			return openflow.TableRecord{}, err
		}
		for _, o := range outputs {
			allowed = allowed || madeFor(t, o)
		}
	}
	if !allowed {
		return openflow.TableRecord{}, openflow.About(openflow.AboutTable,
			openflow.Errorf(openflow.CodeNotFound, "%s has no input %s", t.Key, n))
	}
	rec, err := s.Store.TableOf(ctx, t.Key.JobKey(), n)
	return rec, openflow.About(openflow.AboutTable, err)
}

// madeFor reports whether o is an output that t may read. It is one of the same party, made in its own job or in one
// that its channels name. It is by the same scheduler, because other schedulers may have jobs of the same ID.
func madeFor(t openflow.TaskRecord, o openflow.OutputRecord) bool {
	return o.Task.Scheduler == t.Key.Scheduler && o.Task.Party == t.Key.Party &&
		(o.Task.Job == t.Key.Job || fromWarehouse(t, o.Task.Job))
}

// ObjectPrefix is how an uploaded object is named until it has become a table.
const ObjectPrefix = "object:///sha256/"

// Save registers an output of a run. An object that was stored before becomes the table with these rows, or an existing
// table is passed on, as the reader does, where the URI is empty. What the table is called, the run says, not the container.
func (s *Site) Save(ctx context.Context, t openflow.TaskRecord, out openflow.OutputRecord, rows openflow.TableRecord) error {
	out.Task = t.Key
	if err := openflow.CheckIdentifier("output_key", out.OutputKey); err != nil {
		return err
	}
	if out.URI == "" {
		if _, err := s.readable(ctx, t, out.Table); err != nil {
			return err
		}
		return s.Store.SaveOutput(ctx, out, nil)
	}
	digest, ok := strings.CutPrefix(out.URI, ObjectPrefix)
	if !ok {
		return openflow.Errorf(openflow.CodeInvalid, "uri %q is not an object that was stored here", out.URI)
	}
	info, err := s.Objects.Stat(ctx, digest)
	if err != nil {
		return openflow.About(openflow.AboutTable, err)
	}
	out.Table = outputTable(t.Key, out.OutputKey, out.Index)
	rows.Name, rows.Object, rows.Bytes, rows.DataType, rows.Intermediate = out.Table, digest, info.Bytes, out.DataType, true
	rows.Source = openflow.TableSource{
		TaskID: t.Key.TaskID(), RunID: t.Key.RunID(), TaskName: t.Key.Task, Component: t.Component,
		OutputKey: out.OutputKey, Index: out.Index,
	}
	return s.Store.SaveOutput(ctx, out, &rows)
}

// outputTable names the table of an output. It is a function of the run, so registering twice makes one table; the name
// that a container proposes is not used, because it could be somebody else's.
func outputTable(k openflow.TaskKey, key string, index int) openflow.TableName {
	return openflow.TableName{
		Namespace: string(k.TaskID()), Name: fmt.Sprintf("%s_%d_%d_%s_%s_%s", key, index, k.Version, k.Party.Role, k.Party.ID, k.Scheduler),
	}
}
