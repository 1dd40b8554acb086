package users

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/models"
	"openflow/server/reply"
	"openflow/store/catalogue"
)

// metricKeys lists the metrics of a task without their data, each once.
//
// Spec: fate-flow-api §1.3 #14.
func (a *api) metricKeys(r *http.Request) (any, error) {
	t, err := a.QueriedTask(r)
	if err != nil {
		return nil, err
	}
	records, err := a.Catalogue.Metrics(r.Context(), t.Key)
	if err != nil {
		return nil, err
	}
	keys, seen := []wire.Metric{}, map[string]bool{}
	for _, m := range records {
		id := m.Name + "\x00" + m.Type + "\x00" + m.StepAxis + "\x00" + string(m.Groups)
		if !seen[id] {
			seen[id] = true
			keys = append(keys, encodeMetric(m, false))
		}
	}
	return keys, nil
}

// metrics answers the metrics of a task.
//
// Spec: fate-flow-api §1.3 #15.
func (a *api) metrics(r *http.Request) (any, error) {
	t, err := a.QueriedTask(r)
	if err != nil {
		return nil, err
	}
	records, err := a.Catalogue.Metrics(r.Context(), t.Key)
	if err != nil {
		return nil, err
	}
	out := make([]wire.Metric, 0, len(records))
	for _, m := range records {
		out = append(out, encodeMetric(m, true))
	}
	return out, nil
}

type taskBody struct {
	wire.JobRef
	Scheduler wire.Text `json:"scheduler_party_id"`
	TaskName  wire.Text `json:"task_name" check:"required"`
}

func (a *api) bodyTask(r *http.Request) (openflow.TaskRecord, error) {
	var b taskBody
	if err := reply.Decode(r, &b); err != nil {
		return openflow.TaskRecord{}, err
	}
	return a.OneTask(r, openflow.TaskKey{
		Scheduler: openflow.PartyID(b.Scheduler), Job: openflow.JobID(b.JobID), Task: openflow.TaskName(b.TaskName),
		Party: openflow.Party{Role: openflow.Role(b.Role), ID: openflow.PartyID(b.PartyID)},
	})
}

func (a *api) deleteMetrics(r *http.Request) (any, error) {
	t, err := a.bodyTask(r)
	if err != nil {
		return nil, err
	}
	n, err := a.Catalogue.DeleteMetrics(r.Context(), t.Key.JobKey(), t.Key.Task)
	return n > 0, err
}

// modelsOf lists the output models of a task; none is not found.
func (a *api) modelsOf(r *http.Request, t openflow.TaskRecord) ([]openflow.ModelRecord, error) {
	models, err := a.Catalogue.Models(r.Context(), catalogue.ModelFilter{
		Job: t.Key.Job, Scheduler: t.Key.Scheduler, Role: t.Key.Party.Role, Party: t.Key.Party.ID, Task: t.Key.Task,
	})
	if err == nil && len(models) == 0 {
		err = openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeNotFound, "No found output model: %s", named(t.Key)))
	}
	return models, err
}

// named writes a task as FATE-Flow's messages name one.
func named(k openflow.TaskKey) string {
	return fmt.Sprintf("job_id[%s],role[%s],party_id[%s],task_name[%s]", k.Job, k.Party.Role, k.Party.ID, k.Task)
}

// models answers the JSON models of a task by output key.
//
// Spec: fate-flow-api §1.3 #17.
func (a *api) models(r *http.Request) (any, error) {
	t, err := a.QueriedTask(r)
	if err != nil {
		return nil, err
	}
	models, err := a.modelsOf(r, t)
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for _, m := range models {
		if out[m.OutputKey], err = a.jsonModel(r, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxModel bounds a JSON model that is shown, in bytes. Larger ones are there to be downloaded.
const maxModel = 64 << 20

// jsonModel takes the JSON out of a model package; `[]` for a model of another type.
func (a *api) jsonModel(r *http.Request, m openflow.ModelRecord) (json.RawMessage, error) {
	if m.TypeName != "json_model" {
		return json.RawMessage("[]"), nil
	}
	body, _, err := a.Objects.Get(r.Context(), m.Object, 0)
	if err != nil {
		return nil, openflow.About(openflow.AboutModel, err)
	}
	defer func() { _ = body.Close() }() // reading only
	return models.JSON(body, m.Meta, maxModel)
}

// downloadModel streams one model package: the first, or that of output_key (part 7 #9).
//
// Spec: fate-flow-api §1.3 #18.
func (a *api) downloadModel(w http.ResponseWriter, r *http.Request) {
	t, err := a.QueriedTask(r)
	var models []openflow.ModelRecord
	if err == nil {
		models, err = a.modelsOf(r, t)
	}
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	chosen, key := models[0], r.URL.Query().Get("output_key")
	for _, m := range models {
		if m.OutputKey == key {
			chosen = m
		}
	}
	if key != "" && chosen.OutputKey != key {
		a.write.Refuse(w, r, openflow.About(openflow.AboutModel,
			openflow.Errorf(openflow.CodeNotFound, "No found output model: %s,output_key[%s]", named(t.Key), openflow.Heard(key))))
		return
	}
	body, _, err := a.Objects.Get(r.Context(), chosen.Object, 0)
	if err != nil {
		a.write.Refuse(w, r, openflow.About(openflow.AboutModel, err))
		return
	}
	defer func() { _ = body.Close() }() // reading only
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"`, chosen.OutputKey))
	if _, err := io.Copy(w, body); err != nil {
		panic(http.ErrAbortHandler) // a short archive must not look whole
	}
}

func (a *api) deleteModels(r *http.Request) (any, error) {
	t, err := a.bodyTask(r)
	if err != nil {
		return nil, err
	}
	if _, err := a.modelsOf(r, t); err != nil {
		return nil, err
	}
	return nil, a.Ending(func() error {
		_, err := a.Catalogue.DeleteModels(r.Context(), catalogue.ModelFilter{
			Job: t.Key.Job, Scheduler: t.Key.Scheduler, Role: t.Key.Party.Role, Party: t.Key.Party.ID, Task: t.Key.Task,
		})
		return err
	})
}

// outputTables lists the output tables of a task by key, without an envelope.
//
// Spec: fate-flow-api §1.3 #21.
func (a *api) outputTables(r *http.Request) (any, error) {
	t, err := a.QueriedTask(r)
	if err != nil {
		return nil, err
	}
	outputs, err := a.Catalogue.Outputs(r.Context(), t.Key)
	if err != nil {
		return nil, err
	}
	tables := map[string][]map[string]string{}
	for _, o := range outputs {
		tables[o.OutputKey] = append(tables[o.OutputKey], map[string]string{"namespace": o.Table.Namespace, "name": o.Table.Name})
	}
	return envelope.Bare{Data: tables}, nil
}

type display struct {
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
	Total    *int64          `json:"total"`
}

// displayOutput shows the first rows of the output tables of a task, without an envelope: what the job has read, also when a
// name stands for something else meanwhile.
//
// Spec: fate-flow-api §1.3 #22.
func (a *api) displayOutput(r *http.Request) (any, error) {
	t, err := a.QueriedTask(r)
	if err != nil {
		return nil, err
	}
	outputs, err := a.Catalogue.Outputs(r.Context(), t.Key)
	if err != nil {
		return nil, err
	}
	shown := map[string][]display{}
	for _, o := range outputs {
		rec, err := a.Catalogue.TableOf(r.Context(), t.Key.JobKey(), o.Table)
		if err != nil {
			return nil, openflow.About(openflow.AboutTable, err)
		}
		info := wire.EncodeTable(rec, "")
		shown[o.OutputKey] = append(shown[o.OutputKey], display{orEmptyList(rec.Samples), info.Meta, info.Count})
	}
	return envelope.Bare{Data: shown}, nil
}

func orEmptyList(b json.RawMessage) json.RawMessage {
	if len(strings.TrimSpace(string(b))) == 0 {
		return json.RawMessage("[]")
	}
	return b
}
