package base

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"

	"openflow"
	"openflow/store/objects"
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

func tableAt(rec openflow.TableRecord) Table { return Table{rec, rowsOf(rec.Name)} }

func rowsOf(n openflow.TableName) string {
	return PathRows + "?" + url.Values{"namespace": {n.Namespace}, "name": {n.Name}}.Encode()
}

// Table finds a table that the run may read by its name. Errors: CodeNotFound.
func (s *Site) Table(ctx context.Context, t openflow.TaskRecord, n openflow.TableName) (Table, error) {
	rec, err := s.readable(ctx, t, n)
	return tableAt(rec), err
}

// Output finds the tables of an output of a task of a job at the same party: the run's own job, or one that its inputs name.
// Errors: CodePermission, CodeNotFound.
func (s *Site) Output(ctx context.Context, t openflow.TaskRecord, job openflow.JobID, producer openflow.TaskName, key string) ([]Table, error) {
	if job == "" {
		job = t.Key.Job
	}
	if job != t.Key.Job && !feeds(t, openflow.InputData, func(c openflow.Channel) bool { return c.Job == job }) {
		return nil, openflow.Errorf(openflow.CodePermission, "%s has no input from job %s", t.Key, job)
	}
	none := openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeNotFound,
		"task %q of job %s has no output %q for %s", producer, job, key, t.Key))
	own := job == t.Key.Job && producer == t.Key.Task
	named := func(c openflow.Channel) bool {
		return (c.Job == job || c.Job == "" && job == t.Key.Job) && c.ProducerTask == producer && c.OutputKey == key
	}
	if !own && !feeds(t, openflow.InputData, named) {
		return nil, none // as if there were none, whether or not there is one
	}
	if job != t.Key.Job {
		if found, err := s.pinnedOutputs(ctx, t, job, producer, key); err != nil || len(found) > 0 {
			return found, err
		}
	}
	names, err := s.outputs(ctx, t, job, producer, key)
	if err != nil {
		return nil, err
	}
	var found []Table
	for _, n := range names {
		rec, err := s.Store.TableOf(ctx, t.Key.JobKey(), n)
		if err != nil {
			return nil, openflow.About(openflow.AboutTable, err)
		}
		found = append(found, tableAt(rec))
	}
	if len(found) == 0 {
		return nil, none
	}
	return found, nil
}

// outputs names what a task of a job has made at the run's party, in a job of the same scheduler: others may have made the
// same job ID. An empty key means all outputs.
func (s *Site) outputs(ctx context.Context, t openflow.TaskRecord, job openflow.JobID, producer openflow.TaskName, key string) ([]openflow.TableName, error) {
	source := t.Key.JobKey()
	source.Job = job
	made, err := s.Store.LatestOutputs(ctx, source, producer)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	var names []openflow.TableName
	for _, o := range made {
		if key == "" || o.OutputKey == key {
			names = append(names, o.Table)
		}
	}
	return names, nil
}

// feeds reports whether a channel of that kind, of the run's own inputs, is as wanted.
func feeds(t openflow.TaskRecord, kind openflow.InputKind, wanted func(openflow.Channel) bool) bool {
	for _, in := range t.Spec.Inputs {
		if in.Kind == kind && slices.ContainsFunc(in.Channels, wanted) {
			return true
		}
	}
	return false
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

// readable returns a table that the run may read: one that is an input of its own, or that it has made itself. What other
// tasks of its job read and make is not its affair. A table that the job has pinned is as it was at the job's creation.
// CodeNotFound, whether or not there is a table of that name: it is none of them.
func (s *Site) readable(ctx context.Context, t openflow.TaskRecord, n openflow.TableName) (openflow.TableRecord, error) {
	is, err := s.isInput(ctx, t, n)
	if err == nil && !is {
		err = openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "%s has no input %s", t.Key, n))
	}
	if err != nil {
		return openflow.TableRecord{}, err
	}
	rec, err := s.Store.TableOf(ctx, t.Key.JobKey(), n)
	return rec, openflow.About(openflow.AboutTable, err)
}

// isInput reports whether the run's parameters or channels name a table, or lead to it, or the run has made it.
func (s *Site) isInput(ctx context.Context, t openflow.TaskRecord, n openflow.TableName) (bool, error) {
	if table, reads := t.Spec.Reads(); reads && table == n {
		return true, nil
	}
	byName := func(c openflow.Channel) bool {
		return c.Name != "" && n == openflow.TableName{Namespace: c.Namespace, Name: c.Name}
	}
	if feeds(t, openflow.InputData, byName) {
		return true, nil
	}
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return false, openflow.About(openflow.AboutTask, err)
	}
	if slices.ContainsFunc(pins, func(p openflow.Pin) bool { return p.Task == t.Key.Task && p.Kind == openflow.InputData && p.Table == n }) {
		return true, nil
	}
	makers := []openflow.Channel{{Job: t.Key.Job, ProducerTask: t.Key.Task}}
	for _, in := range t.Spec.Inputs {
		if in.Kind == openflow.InputData {
			makers = append(makers, in.Channels...)
		}
	}
	for _, c := range makers {
		if c.ProducerTask == "" {
			continue // a table by name
		}
		names, err := s.outputs(ctx, t, cmp.Or(c.Job, t.Key.Job), c.ProducerTask, c.OutputKey)
		if err != nil || slices.Contains(names, n) {
			return err == nil, err
		}
	}
	return false, nil
}

// Upload stores what a run sends. Nothing refers to the object yet, and what nobody comes to refer to is swept away. That it
// is of this run is on record, also after a restart: only the run may make an output of it.
func (s *Site) Upload(ctx context.Context, t openflow.TaskRecord, body io.Reader) (uri string, bytes int64, err error) {
	ref, err := s.Put(ctx, t, body)
	if err != nil {
		return "", 0, err
	}
	return objects.URI(ref.Digest), ref.Bytes, s.Store.RecordUpload(ctx, t.Key, ref.Digest)
}

// uploaded finds an object that the run has stored itself. Another one is answered as if it were not there, whether or not it
// is: who knows a digest has no right to what is behind it. Errors: CodeInvalid, CodeNotFound.
func (s *Site) uploaded(ctx context.Context, t openflow.TaskRecord, uri string) (objects.Info, error) {
	digest, err := objects.ParseURI(uri)
	if err != nil {
		return objects.Info{}, err
	}
	own, err := s.Store.HasUploaded(ctx, t.Key, digest)
	if err != nil {
		return objects.Info{}, err
	}
	none := openflow.Errorf(openflow.CodeNotFound, "%s has stored no object %s", t.Key, digest).
		WithHint("upload the rows again: what no output refers to is kept for a while only")
	if !own {
		return objects.Info{}, none
	}
	info, err := s.Objects.Stat(ctx, digest)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = none
	}
	return info, err
}

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
	info, err := s.uploaded(ctx, t, out.URI)
	if err != nil {
		return openflow.About(openflow.AboutTable, err)
	}
	lasting, err := s.lasting(ctx, t, &out)
	if err != nil {
		return err
	}
	rows.Name, rows.Object, rows.Bytes, rows.DataType, rows.Intermediate = out.Table, info.Digest, info.Bytes, out.DataType, !lasting
	if lasting { // what it comes from is itself: its job may be forgotten
		return s.Store.SaveOutput(ctx, out, &rows)
	}
	rows.Source = openflow.TableSource{
		TaskID: t.Key.TaskID(), RunID: t.Key.RunID(), TaskName: t.Key.Task, Component: t.Component,
		OutputKey: out.OutputKey, Index: out.Index,
	}
	return s.Store.SaveOutput(ctx, out, &rows)
}

// lasting names the table of an output: as the parameters of the run do, by which it stays when the job is forgotten, or after the
// run. Only this site's own users give tables names that last.
func (s *Site) lasting(ctx context.Context, t openflow.TaskRecord, out *openflow.OutputRecord) (bool, error) {
	name, named := t.Spec.Names(out.OutputKey)
	if !named {
		out.Table = outputTable(t.Key, out.OutputKey, out.Index)
		return false, nil
	}
	out.Table = name
	if err := name.Check(); err != nil {
		return false, err
	}
	return true, s.ofOwnUsers(ctx, t)
}

// outputTable names the table of an output. It is a function of the run, so registering twice makes one table; the name
// that a container proposes is not used, because it could be somebody else's.
func outputTable(k openflow.TaskKey, key string, index int) openflow.TableName {
	return openflow.TableName{
		Namespace: string(k.TaskID()), Name: fmt.Sprintf("%s_%d_%d_%s_%s_%s", key, index, k.Version, k.Party.Role, k.Party.ID, k.Scheduler),
	}
}
