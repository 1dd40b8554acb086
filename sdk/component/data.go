package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"openflow"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
)

// outputPartitions is what FATE-Flow's wrapper always says.
//
// Spec: fate-flow-api §3.7.
const outputPartitions = 16

// Table is a table bound to an input, not opened yet.
type Table struct {
	Producer        openflow.TaskName // the task that made it; empty for one from the data warehouse
	Namespace, Name string
	Rows            int // as the catalogue says; 0 when it does not
	Type            string
	Source          wire.TableSource // which output of which task it was; the zero value: no task has made it
	Meta            json.RawMessage  // as the node keeps it: of a raw table, what was said of its columns

	task *Task
	path string
}

// HasInput reports whether something is bound to the input of that key.
func (t *Task) HasInput(key string) bool {
	return len(t.config.InputArtifacts.Data[key]) > 0 || len(t.config.InputArtifacts.Model[key]) > 0
}

// Table opens the one table bound to the data input key. The caller closes the reader. Its schema is already that of
// this party's site.
//
// Errors: CodeNotFound (nothing bound, or the table does not exist), CodeInvalid (several tables bound; use Tables).
func (t *Task) Table(ctx context.Context, key string) (*tables.Reader, error) {
	bound, err := t.Tables(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(bound) != 1 {
		return nil, public(openflow.CodeInvalid, "input %q of %s has %d tables, want one", key, t.Key(), len(bound))
	}
	return bound[0].Open(ctx)
}

// Frame reads the whole table bound to the data input key; see Table.
func (t *Task) Frame(ctx context.Context, key string) (*tables.Frame, error) {
	r, err := t.Table(ctx, key)
	if err != nil {
		return nil, err
	}
	f, err := r.ReadAll()
	return f, errors.Join(err, r.Close())
}

// Tables lists the tables bound to the data input key, in the order of the DAG. CodeNotFound when there is none.
func (t *Task) Tables(ctx context.Context, key string) ([]Table, error) {
	bound := t.config.InputArtifacts.Data[key]
	if len(bound) == 0 {
		return nil, public(openflow.CodeNotFound, "input %q of %s is not given", key, t.Key())
	}
	var list []Table
	for _, c := range bound {
		records, err := t.track(ctx, t.trackQuery(c))
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeOf(err), "input %q of %s: %w", key, t.Key(), err).
				WithPublic("its node does not give it input %q", key)
		}
		for _, r := range records {
			r.Producer, r.task = c.ProducerTask, t
			list = append(list, r)
		}
	}
	return list, nil
}

// Open begins to read the table; see Task.Table.
func (b Table) Open(ctx context.Context) (*tables.Reader, error) {
	if err := b.is(Dataframe); err != nil {
		return nil, err
	}
	body := &resumed{ctx: ctx, client: b.task.node, from: b.request(contentArrow)}
	r, err := tables.NewReader(body)
	if err == nil {
		if err = r.SetSite(b.task.site()); err == nil {
			return r, nil
		}
	}
	e := openflow.Errorf(openflow.CodeOf(err), "table %s/%s: %w", b.Namespace, b.Name, err).WithPublic("an input table cannot be read")
	return nil, errors.Join(e, body.Close())
}

func (t *Task) trackQuery(c channel) url.Values {
	if c.Namespace != "" && c.Name != "" {
		return url.Values{"namespace": {c.Namespace}, "name": {c.Name}}
	}
	job := c.JobID
	if job == "" {
		job = t.config.JobID
	}
	return url.Values{
		"job_id": {string(job)}, "role": {string(t.config.Role)}, "party_id": {string(t.config.PartyID)},
		"task_name": {string(c.ProducerTask)}, "output_key": {c.OutputKey},
	}
}

// track asks where a table is.
//
// Spec: fate-flow-api §3.1, §3.5.
func (t *Task) track(ctx context.Context, query url.Values) ([]Table, error) {
	var records []struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		Count     *int   `json:"count"`
		Path      string `json:"path"`
		DataType  string `json:"data_type"`

		Source wire.TableSource `json:"source"`
		Meta   json.RawMessage  `json:"meta"`
	}
	r := request{method: http.MethodGet, path: "/v2/worker/data/tracking/query", query: query}
	if err := t.node.call(ctx, r, &records); err != nil {
		return nil, err
	}
	list := make([]Table, len(records))
	for i, r := range records {
		list[i] = Table{Namespace: r.Namespace, Name: r.Name, Type: r.DataType, Source: r.Source, path: r.Path, Meta: r.Meta}
		if r.Count != nil {
			list[i].Rows = *r.Count
		}
	}
	return list, nil
}

// Named finds the table of that name, which the parameters of the run must name. CodeNotFound when there is none.
func (t *Task) Named(ctx context.Context, namespace, name string) (Table, error) {
	found, err := t.track(ctx, url.Values{"namespace": {namespace}, "name": {name}})
	if err == nil && len(found) == 0 {
		err = openflow.Errorf(openflow.CodeNotFound, "it does not exist")
	}
	if err != nil {
		return Table{}, openflow.Errorf(openflow.CodeOf(err), "table %s/%s: %w", namespace, name, err).
			WithPublic("its node does not give it the table to pass on")
	}
	found[0].task = t
	return found[0], nil
}

// PassTable makes an existing table the output key, without copying it. CodeNotFound when the table does not exist.
//
// Spec: fate-flow-api §3.7 (data_unresolved).
func (t *Task) PassTable(ctx context.Context, key, namespace, name string) error {
	index, err := t.claimOutput(key)
	if err != nil {
		return err
	}
	if _, err := t.Named(ctx, namespace, name); err != nil {
		return err
	}
	return t.saveTracking(ctx, tracking{
		OutputKey: key, Namespace: namespace, Name: name, DataType: Unresolved,
		Meta: json.RawMessage("{}"), Source: t.source(key, index), Index: index,
	})
}

type tracking struct {
	RunID      openflow.RunID  `json:"execution_id"`
	URI        string          `json:"uri"`
	OutputKey  string          `json:"output_key"`
	Namespace  string          `json:"namespace"`
	Name       string          `json:"name"`
	DataType   ArtifactType    `json:"data_type"`
	Meta       json.RawMessage `json:"meta_data"`
	Overview   overview        `json:"overview"`
	Source     artifactSource  `json:"source"`
	Index      int             `json:"index"`
	Partitions int             `json:"partitions"`
}

type overview struct {
	Count   *int    `json:"count,omitempty"`
	Samples [][]any `json:"samples,omitempty"`
}

type artifactSource struct {
	TaskID      openflow.TaskID   `json:"task_id"`
	RunID       openflow.RunID    `json:"party_task_id"`
	TaskName    openflow.TaskName `json:"task_name"`
	Component   string            `json:"component"`
	OutputKey   string            `json:"output_artifact_key"`
	OutputIndex *int              `json:"output_index"`
}

func (t *Task) saveTracking(ctx context.Context, s tracking) error {
	s.RunID, s.Partitions = t.config.RunID, outputPartitions
	r := request{method: http.MethodPost, path: "/v2/worker/data/tracking/save", json: s}
	if err := t.node.call(ctx, r, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "output %q of %s cannot be registered: %w", s.OutputKey, t.Key(), err).
			WithPublic("its node did not take output %q", s.OutputKey)
	}
	return nil
}

func (t *Task) source(key string, index int) artifactSource {
	s := artifactSource{
		TaskID: t.config.TaskID, RunID: t.config.RunID, TaskName: t.config.TaskName,
		Component: t.config.Component, OutputKey: key,
	}
	if a, ok := t.component.artifact(t.component.Outputs, key, t.Role(), t.Stage()); ok && a.Multi {
		s.OutputIndex = &index
	}
	return s
}

// outputs counts what has been written under each output key.
type outputs struct {
	mu      sync.Mutex
	written map[string]int
}

// claimOutput gives the position of the next artifact of an output.
func (t *Task) claimOutput(key string) (int, error) {
	a, ok := t.component.artifact(t.component.Outputs, key, t.Role(), t.Stage())
	if !ok {
		return 0, public(openflow.CodeInvalid, "component %q has no output %q for %s in stage %s",
			t.component.Name, key, t.Role(), t.Stage())
	}
	t.outputs.mu.Lock()
	defer t.outputs.mu.Unlock()
	if t.outputs.written == nil {
		t.outputs.written = map[string]int{}
	}
	index := t.outputs.written[key]
	if index > 0 && !a.Multi {
		return 0, public(openflow.CodeConflict, "output %q of %s is written twice", key, t.Key())
	}
	t.outputs.written[key]++
	return index, nil
}

// outputName is the table name of an output: the same for every attempt to register it.
func (t *Task) outputName(key string, index int) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s/%s/%s", t.config.RunID, key, strconv.Itoa(index))))
	return hex.EncodeToString(sum[:16])
}
