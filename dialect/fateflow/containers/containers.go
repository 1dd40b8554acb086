// Package containers serves the containers of a site as FATE-Flow does: the worker page of its specification.
//
// A container names its run in FATE-Flow's form, which is that of its configuration. The credential says whose job it is.
package containers

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/envelope"
	"openflow/dialect/fateflow/rabbitmq"
	"openflow/dialect/fateflow/words"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/server/reply"
)

// api serves the containers of one site.
type api struct {
	*base.Site
	write envelope.Writer
	gate  *rabbitmq.Gate
}

// Mount is the worker page of fate-flow-api §3.1.
func Mount(s *base.Site) dialect.Mount {
	a := &api{s, envelope.Writer{Log: s.Log}, &rabbitmq.Gate{}}
	r := a.write.Router()
	r.With(s.KnownAtEnd(a.write.Refuse)).Post("/worker/task/status", a.write.JSON(a.status))
	r.Group(func(r chi.Router) {
		r.Use(s.Known(a.write.Refuse))
		get := func(path string, h reply.Handler) { r.Get(path, a.write.JSON(h)) }
		post := func(path string, h reply.Handler) { r.Post(path, a.write.JSON(h)) }

		get("/worker/data/tracking/query", a.trackingQuery)
		post("/worker/data/tracking/save", a.trackingSave)
		post("/worker/model/save", a.modelSave)
		r.Get("/worker/model/download", a.modelDownload)
		post("/worker/metric/save", a.metricSave)
		post("/worker/metric/save/{execution_id}", a.metricSave)
		a.brokerRoutes(r)
	})
	return dialect.Mount{Prefix: "/v2", Router: r}
}

// own refuses a body or query that names another run than the credential's.
func own(t openflow.TaskRecord, executionID string) error {
	if executionID != "" && executionID != wire.PartyTaskID(t.Key) && executionID != string(t.Key.RunID()) {
		return openflow.Errorf(openflow.CodePermission, "the credential belongs to another task than %q", executionID)
	}
	return nil
}

// status records what a container says of itself, in FATE-Flow's word for it.
func (a *api) status(r *http.Request) (any, error) {
	var b wire.ContainerStatus
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	t := base.Run(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	status, err := words.Task(string(b.Status))
	if err != nil {
		return nil, err
	}
	return nil, a.Report(r.Context(), t, status, b.Error, b.Cause())
}

// trackingQuery tells where the rows of an input are: of a table by name, or of an output of a task of the same job at
// the same party.
//
// Spec: fate-flow-api §3.1, §3.5.
func (a *api) trackingQuery(r *http.Request) (any, error) {
	q, t := r.URL.Query(), base.Run(r)
	var found []base.Table
	if q.Get("name") != "" {
		one, err := a.Table(r.Context(), t, openflow.TableName{Namespace: q.Get("namespace"), Name: q.Get("name")})
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	} else {
		var err error
		found, err = a.Output(r.Context(), t, openflow.JobID(q.Get("job_id")), openflow.TaskName(q.Get("task_name")), q.Get("output_key"))
		if err != nil {
			return nil, err
		}
	}
	infos := make([]wire.TableInfo, len(found))
	for i, f := range found {
		infos[i] = wire.EncodeTable(f.TableRecord, f.Path)
	}
	return infos, nil
}

// trackingSave registers an output.
//
// Spec: fate-flow-api §3.1, §3.7.
func (a *api) trackingSave(r *http.Request) (any, error) {
	var b trackingSave
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	t := base.Run(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	rows := openflow.TableRecord{Count: -1, Meta: b.MetaData, Samples: b.Overview.Samples}
	if b.Overview.Count != nil {
		rows.Count = *b.Overview.Count
	}
	return nil, a.Save(r.Context(), t, openflow.OutputRecord{
		OutputKey: b.OutputKey, Index: b.Index, DataType: b.DataType, URI: b.URI,
		Table: openflow.TableName{Namespace: b.Namespace, Name: b.Name},
	}, rows)
}

// What one request of metrics may have: bytes, and metrics, of which each becomes a row.
const (
	maxMetrics = 16 << 20
	maxSeries  = 1000
)

func (a *api) metricSave(r *http.Request) (any, error) {
	body, err := reply.Body(r, maxMetrics)
	if err != nil {
		return nil, err
	}
	var b metricSave
	if err := reply.ReadBody(r, body, &b); err != nil {
		return nil, err
	}
	if len(b.Data) > maxSeries {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the request has %d metrics, more than %d", len(b.Data), maxSeries)
	}
	t := base.Run(r)
	id := chi.URLParam(r, "execution_id")
	if id == "" {
		id = string(b.RunID)
	}
	if err := own(t, id); err != nil {
		return nil, err
	}
	records := make([]openflow.MetricRecord, len(b.Data))
	for i, m := range b.Data {
		records[i] = openflow.MetricRecord{Task: t.Key, Name: m.Name, Groups: m.Groups, Data: m.Data}
		if m.Type != nil {
			records[i].Type = *m.Type
		}
		if m.StepAxis != nil {
			records[i].StepAxis = *m.StepAxis
		}
	}
	return nil, a.SaveMetrics(r.Context(), t, records)
}

// modelSave stores a model package. The file part comes last, so that the whole is streamed once.
//
// Spec: fate-flow-api §3.1, §3.10.
func (a *api) modelSave(r *http.Request) (any, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected a multipart form: %w", err)
	}
	var m openflow.ModelRecord
	t, fields := base.Run(r), map[string]string{}
	for n := 0; ; n++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the form ended early: %w", err)
		}
		if n == maxFields {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the form has more than %d parts", maxFields)
		}
		if part.FormName() == "file" {
			if m.Object != "" {
				return nil, openflow.Errorf(openflow.CodeInvalid, "the form has two files")
			}
			ref, err := a.Put(r.Context(), t, part)
			if err != nil {
				return nil, err
			}
			m.Object, m.Bytes = ref.Digest, ref.Bytes
			continue
		}
		if fields[part.FormName()], err = formField(part); err != nil {
			return nil, err
		}
	}
	if err := own(t, fields["execution_id"]); err != nil {
		return nil, err
	}
	m.ModelID, m.Version, m.OutputKey, m.TypeName = fields["model_id"], fields["model_version"], fields["output_key"], fields["type_name"]
	return nil, a.SaveModel(r.Context(), t, m)
}

// What a form may have: parts, bytes of a field, and bytes of its name.
const (
	maxFields    = 16
	maxField     = 64 << 10
	maxFieldName = 100
)

func formField(p *multipart.Part) (string, error) {
	if name := p.FormName(); len(name) > maxFieldName {
		return "", openflow.Errorf(openflow.CodeInvalid, "a form field's name has %d bytes, more than %d", len(name), maxFieldName)
	}
	b, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(b) > maxField {
		return "", openflow.Errorf(openflow.CodeInvalid, "form field %q is unreadable or larger than %d bytes", p.FormName(), maxField)
	}
	return string(b), nil
}

// modelDownload streams a model package that the run may read: one of its own job, or one that its channels name.
func (a *api) modelDownload(w http.ResponseWriter, r *http.Request) {
	q, t := r.URL.Query(), base.Run(r)
	if q.Get("role") != string(t.Key.Party.Role) || q.Get("party_id") != string(t.Key.Party.ID) {
		a.write.Refuse(w, r, openflow.Errorf(openflow.CodePermission, "%s reads models of its own party only", t.Key))
		return
	}
	ref := openflow.ModelRef{ID: q.Get("model_id"), Version: q.Get("model_version")}
	object, err := a.Model(r.Context(), t, ref, openflow.TaskName(q.Get("task_name")), q.Get("output_key"))
	if err == nil {
		err = a.Stream(w, r, object, "application/x-tar")
	}
	if err != nil {
		a.write.Refuse(w, r, openflow.About(openflow.AboutModel, err))
	}
}
