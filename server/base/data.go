package base

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// objectPrefix is how an uploaded object is named until it has become a table.
const objectPrefix = "object:///sha256/"

// putObject stores what a container streams. Nothing refers to it yet; what nobody comes to refer to is swept away.
func (a *API) putObject(r *http.Request) (any, error) {
	ref, err := a.Objects.Put(r.Context(), r.Body)
	if err != nil {
		return nil, err
	}
	return wire.ObjectStored{URI: objectPrefix + ref.Digest, Bytes: ref.Bytes}, nil
}

// trackingQuery tells where the rows of an input are: of a table by name, or of an output of a task of the same job at
// the same party.
//
// Spec: fate-flow-api §3.1, §3.5.
func (a *API) trackingQuery(r *http.Request) (any, error) {
	q, t := r.URL.Query(), task(r)
	if q.Get("name") != "" {
		rec, err := a.readable(r, openflow.TableName{Namespace: q.Get("namespace"), Name: q.Get("name")})
		if err != nil {
			return nil, err
		}
		return []wire.TableInfo{wire.EncodeTable(rec, tablePath(rec.Name))}, nil
	}
	job := openflow.JobID(q.Get("job_id"))
	if job == "" {
		job = t.Key.Job
	}
	if job != t.Key.Job && !fromWarehouse(t, job) {
		return nil, openflow.Errorf(openflow.CodePermission, "%s has no input from job %s", t.Key, job)
	}
	if job != t.Key.Job {
		if infos, err := a.pinnedOutputs(r, job, openflow.TaskName(q.Get("task_name")), q.Get("output_key")); err != nil || len(infos) > 0 {
			return infos, err
		}
	}
	source := t.Key.JobKey()
	source.Job = job
	outputs, err := a.Store.LatestOutputs(r.Context(), source, openflow.TaskName(q.Get("task_name")))
	if err != nil {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	infos := []wire.TableInfo{}
	for _, o := range outputs {
		if o.OutputKey != q.Get("output_key") {
			continue
		}
		rec, err := a.Store.TableOf(r.Context(), t.Key.JobKey(), o.Table)
		if err != nil {
			return nil, openflow.About(openflow.AboutTable, err)
		}
		infos = append(infos, wire.EncodeTable(rec, tablePath(rec.Name)))
	}
	if len(infos) == 0 {
		return nil, openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeNotFound,
			"task %q of job %s has no output %q here", q.Get("task_name"), job, q.Get("output_key")))
	}
	return infos, nil
}

// pinnedOutputs are the outputs of a task of another job that the job of this run has kept since its creation; none for a
// job of before pins.
func (a *API) pinnedOutputs(r *http.Request, source openflow.JobID, producer openflow.TaskName, key string) ([]wire.TableInfo, error) {
	t := task(r)
	pins, err := a.Store.Pins(r.Context(), t.Key.JobKey())
	if err != nil {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	var infos []wire.TableInfo
	for _, p := range pins {
		if p.Task == t.Key.Task && p.SourceJob == source && p.Producer == producer && p.OutputKey == key {
			infos = append(infos, wire.EncodeTable(p.Record(), tablePath(p.Table)+"&"+url.Values{pinParam: {p.Object}}.Encode()))
		}
	}
	return infos, nil
}

// pinParam names the object that a path to a pinned table means, since a job may know a name in two states: as it is,
// and as another job had it.
const pinParam = "object"

// pinned finds the table that a run's job has kept, by name and object.
func (a *API) pinned(r *http.Request, n openflow.TableName, object string) (openflow.TableRecord, error) {
	t := task(r)
	pins, err := a.Store.Pins(r.Context(), t.Key.JobKey())
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

func tablePath(n openflow.TableName) string {
	return "/v2/worker/data/table?" + url.Values{"namespace": {n.Namespace}, "name": {n.Name}}.Encode()
}

// readable returns a table that the run may read: one that its own parameters or channels name, or one that a task of
// the same job at the same party made or took over. A table that the job has pinned is as it was at the job's creation.
func (a *API) readable(r *http.Request, n openflow.TableName) (openflow.TableRecord, error) {
	t := task(r)
	job, err := a.Store.Job(r.Context(), t.Key.JobKey())
	if err != nil {
		return openflow.TableRecord{}, openflow.About(openflow.AboutJob, err)
	}
	allowed := slices.Contains(job.DAG.Tables(t.Key.Party), n)
	if !allowed {
		pins, err := a.Store.Pins(r.Context(), t.Key.JobKey())
		if err != nil {
			return openflow.TableRecord{}, openflow.About(openflow.AboutTask, err)
		}
		allowed = slices.ContainsFunc(pins, func(p openflow.Pin) bool { return p.Kind == openflow.InputData && p.Table == n })
	}
	if !allowed {
		outputs, err := a.Store.OutputsOfTable(r.Context(), n)
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
	rec, err := a.Store.TableOf(r.Context(), t.Key.JobKey(), n)
	return rec, openflow.About(openflow.AboutTable, err)
}

// madeFor reports whether o is an output that t may read. It is one of the same party, made in its own job or in one
// that its channels name. It is by the same scheduler, because other schedulers may have jobs of the same ID.
func madeFor(t openflow.TaskRecord, o openflow.OutputRecord) bool {
	return o.Task.Scheduler == t.Key.Scheduler && o.Task.Party == t.Key.Party &&
		(o.Task.Job == t.Key.Job || fromWarehouse(t, o.Task.Job))
}

// table streams the rows of a table.
func (a *API) table(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := openflow.TableName{Namespace: q.Get("namespace"), Name: q.Get("name")}
	read := a.readable
	if object := q.Get(pinParam); object != "" {
		read = func(r *http.Request, n openflow.TableName) (openflow.TableRecord, error) {
			return a.pinned(r, n, object)
		}
	}
	rec, err := read(r, name)
	if err == nil && rec.Object == "" {
		err = openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "table %s has no rows here", rec.Name))
	}
	if err != nil {
		reply.Error(a.Log, w, r, err)
		return
	}
	a.stream(w, r, rec.Object, wire.ArrowStream)
}

// trackingSave registers an output: an object that was stored before becomes a table, or an existing table is passed on
// (uri empty, as the reader does).
//
// Spec: fate-flow-api §3.1, §3.7.
func (a *API) trackingSave(r *http.Request) (any, error) {
	var b wire.TrackingSave
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	t := task(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	if err := openflow.CheckIdentifier("output_key", b.OutputKey); err != nil {
		return nil, err
	}
	out := openflow.OutputRecord{
		Task: t.Key, OutputKey: b.OutputKey, Index: b.Index, DataType: b.DataType, URI: b.URI,
		Table: openflow.TableName{Namespace: b.Namespace, Name: b.Name},
	}
	if b.URI == "" {
		if _, err := a.readable(r, out.Table); err != nil {
			return nil, err
		}
		return nil, a.Store.SaveOutput(r.Context(), out, nil)
	}
	digest, ok := strings.CutPrefix(b.URI, objectPrefix)
	if !ok {
		return nil, openflow.Errorf(openflow.CodeInvalid, "uri %q is not an object that was stored here", b.URI)
	}
	info, err := a.Objects.Stat(r.Context(), digest)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	out.Table = outputTable(t.Key, b.OutputKey, b.Index)
	table := openflow.TableRecord{
		Name: out.Table, Object: digest, Bytes: info.Bytes, Count: -1, DataType: b.DataType, Meta: b.MetaData,
		Samples: b.Overview.Samples, Intermediate: true,
		Source: openflow.TableSource{
			TaskID: t.Key.TaskID(), RunID: t.Key.RunID(), TaskName: t.Key.Task, Component: t.Component,
			OutputKey: b.OutputKey, Index: b.Index,
		},
	}
	if b.Overview.Count != nil {
		table.Count = *b.Overview.Count
	}
	return nil, a.Store.SaveOutput(r.Context(), out, &table)
}

// outputTable names the table of an output. It is a function of the run, so registering twice makes one table; the name
// that a container proposes is not used, because it could be somebody else's.
func outputTable(k openflow.TaskKey, key string, index int) openflow.TableName {
	return openflow.TableName{
		Namespace: string(k.TaskID()), Name: fmt.Sprintf("%s_%d_%d_%s_%s_%s", key, index, k.Version, k.Party.Role, k.Party.ID, k.Scheduler),
	}
}
