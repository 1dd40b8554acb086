package base

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// status records what a container says of itself. Its exit decides; see activities.Judge.
func (a *API) status(r *http.Request) (any, error) {
	var b wire.WorkerStatus
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	t := task(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	status := openflow.TaskStatus(b.Status)
	if !status.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown task status %q", b.Status)
	}
	text := openflow.Cut(b.Error, maxReport)
	return nil, openflow.About(openflow.AboutTask, a.Store.RecordTaskReport(r.Context(), t.Key, status, text, b.Cause()))
}

// maxReport is how many bytes are kept of what a container says of its failure to its own party's users. Workflows carry it.
const maxReport = 16 << 10

// warning keeps what a container warns its own party's users of.
func (a *API) warning(r *http.Request) (any, error) {
	var b wire.WorkerWarning
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	t := task(r)
	if err := own(t, string(b.RunID)); err != nil {
		return nil, err
	}
	if b.Warning == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the warning is empty")
	}
	return nil, openflow.About(openflow.AboutTask, a.Store.AddTaskWarning(r.Context(), t.Key, b.Warning))
}

// maxMetrics bounds one request of metrics, in bytes.
const maxMetrics = 16 << 20

func (a *API) metricSave(r *http.Request) (any, error) {
	body, err := reply.Body(r, maxMetrics)
	if err != nil {
		return nil, err
	}
	var b wire.MetricSave
	if err := wire.Decode(body, &b); err != nil {
		return nil, err
	}
	t := task(r)
	id := chi.URLParam(r, "execution_id")
	if id == "" {
		id = string(b.RunID)
	}
	if err := own(t, id); err != nil {
		return nil, err
	}
	if len(b.Data) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "no metrics in data")
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
	return nil, a.Store.AppendMetrics(r.Context(), t.Key, records)
}

// modelSave stores a model package. The file part comes last, so that the whole is streamed once.
//
// Spec: fate-flow-api §3.1, §3.10.
func (a *API) modelSave(r *http.Request) (any, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected a multipart form: %w", err)
	}
	t, fields := task(r), map[string]string{}
	m := openflow.ModelRecord{Party: t.Key.Party, Task: t.Key.Task, Job: t.Key.Job, Scheduler: t.Key.Scheduler}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the form ended early: %w", err)
		}
		if part.FormName() == "file" {
			ref, err := a.Objects.Put(r.Context(), part)
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
	if err := a.ownModel(r, m); err != nil {
		return nil, err
	}
	if m.Object == "" {
		return nil, openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "no part \"file\" in the form"))
	}
	if m.Meta, err = a.modelMeta(r, m.Object); err != nil {
		return nil, err
	}
	return nil, openflow.About(openflow.AboutModel, a.Store.SaveModel(r.Context(), m))
}

// ownModel refuses to write a model of another job: model_id and model_version are the job's, whatever a body says.
func (a *API) ownModel(r *http.Request, m openflow.ModelRecord) error {
	t := task(r)
	if err := openflow.CheckIdentifier("output_key", m.OutputKey); err != nil {
		return err
	}
	job, err := a.Store.Job(r.Context(), t.Key.JobKey())
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if m.ModelID != job.ModelID || m.Version != job.ModelVersion {
		return openflow.Errorf(openflow.CodePermission, "%s may not write model %s version %s", t.Key, m.ModelID, m.Version)
	}
	return nil
}

const maxField = 64 << 10

func formField(p *multipart.Part) (string, error) {
	b, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(b) > maxField {
		return "", openflow.Errorf(openflow.CodeInvalid, "form field %q is unreadable or larger than %d bytes", p.FormName(), maxField)
	}
	return string(b), nil
}

// modelMeta collects the yaml members of a model package as one JSON object, by member name.
func (a *API) modelMeta(r *http.Request, digest string) (json.RawMessage, error) {
	body, _, err := a.Objects.Get(r.Context(), digest, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // reading only
	meta := map[string]json.RawMessage{}
	members := tar.NewReader(body)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model is not a tar: %w", err)
		}
		if path.Ext(h.Name) != ".yaml" || h.Size > maxField {
			continue
		}
		text, err := io.ReadAll(members)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is unreadable: %w", h.Name, err)
		}
		if meta[h.Name], err = yaml.YAMLToJSON(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is not YAML: %w", h.Name, err)
		}
		meta[h.Name] = json.RawMessage(strings.TrimSpace(string(meta[h.Name])))
	}
	return json.Marshal(meta)
}

// modelDownload streams a model package that the run may read: one of its own job, or one that its channels name.
func (a *API) modelDownload(w http.ResponseWriter, r *http.Request) {
	q, t := r.URL.Query(), task(r)
	if q.Get("role") != string(t.Key.Party.Role) || q.Get("party_id") != string(t.Key.Party.ID) {
		reply.Error(a.Log, w, r, openflow.Errorf(openflow.CodePermission, "%s reads models of its own party only", t.Key))
		return
	}
	ref := openflow.ModelRef{ID: q.Get("model_id"), Version: q.Get("model_version")}
	object, err := a.modelObject(r, ref, openflow.TaskName(q.Get("task_name")), q.Get("output_key"))
	if err != nil {
		reply.Error(a.Log, w, r, openflow.About(openflow.AboutModel, err))
		return
	}
	a.stream(w, r, object, "application/x-tar")
}

// modelObject finds a model that the run may read: as its job has pinned it, otherwise as it is now.
func (a *API) modelObject(r *http.Request, ref openflow.ModelRef, producer openflow.TaskName, key string) (string, error) {
	if err := a.mayReadModel(r, ref.ID, ref.Version); err != nil {
		return "", err
	}
	t := task(r)
	pins, err := a.Store.Pins(r.Context(), t.Key.JobKey())
	if err != nil {
		return "", err
	}
	for _, p := range pins {
		if p.Kind == openflow.InputModel && p.Task == t.Key.Task && p.Model == ref && p.Producer == producer && p.OutputKey == key {
			return p.Object, nil
		}
	}
	m, err := a.Store.Model(r.Context(), t.Key.Scheduler, ref, t.Key.Party, producer, key)
	return m.Object, err
}

func (a *API) mayReadModel(r *http.Request, id, version string) error {
	t := task(r)
	for _, in := range t.Spec.Inputs {
		for _, c := range in.Channels {
			if c.Model != nil && c.Model.ID == id && c.Model.Version == version {
				return nil
			}
		}
	}
	job, err := a.Store.Job(r.Context(), t.Key.JobKey())
	if err != nil {
		return err
	}
	if job.ModelID == id && job.ModelVersion == version {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "%s has no input from model %s version %s", t.Key, id, version)
}
