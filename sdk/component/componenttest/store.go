package componenttest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type table struct {
	namespace, name string
	content         []byte // an Arrow stream, or what the type says
	count           int
	dataType        string // empty: a dataframe
	meta            json.RawMessage
}

type trackedOutput struct {
	record map[string]any // body of data/tracking/save; nil for an input of the test
	table  string         // its key in Node.tables
}

// AddTable puts a table into the node's data warehouse.
func (n *Node) AddTable(namespace, name string, f *tables.Frame) {
	n.t.Helper()
	var content bytes.Buffer
	if _, err := f.WriteTo(&content); err != nil {
		n.t.Fatalf("table %s/%s: %v", namespace, name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tables[namespace+"/"+name] = table{namespace: namespace, name: name, content: content.Bytes(), count: f.Rows()}
}

// storeInputs makes every input the output of an earlier task of that party, and returns the channels to them.
func (n *Node) storeInputs(k openflow.TaskKey, in Inputs) (data, models map[string]any) {
	n.t.Helper()
	data, models = map[string]any{}, map[string]any{}
	for name, f := range in.Data {
		data[name] = n.storeInput(k, openflow.TaskName("before_"+name), f)
	}
	for name, o := range in.Objects {
		data[name] = n.storeObject(k, openflow.TaskName("before_"+name), o)
	}
	for name, list := range in.Multi {
		var channels []any
		for _, p := range list {
			channels = append(channels, n.storeInput(k, p.Task, p.Table))
		}
		data[name] = channels
	}
	for name, m := range in.Models {
		raw, err := json.Marshal(m)
		if err != nil {
			n.t.Fatalf("model %q: %v", name, err)
		}
		n.mu.Lock()
		n.models[modelKey(string(k.Party.Role), string(k.Party.ID), "before_"+name, "output_model")] = packModel(n, raw)
		n.mu.Unlock()
		models[name] = map[string]any{"producer_task": "before_" + name, "output_artifact_key": "output_model"}
	}
	for _, name := range in.Unwritten {
		data[name] = map[string]any{"producer_task": "before_" + name, "output_artifact_key": "nothing"}
	}
	for _, name := range in.UnwrittenModels {
		models[name] = map[string]any{"producer_task": "before_" + name, "output_artifact_key": "nothing"}
	}
	return data, models
}

func (n *Node) storeInput(k openflow.TaskKey, producer openflow.TaskName, f *tables.Frame) map[string]any {
	namespace, name := fmt.Sprintf("%s_%s", k.Party.Role, k.Party.ID), string(producer)
	n.AddTable(namespace, name, f)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tracked[inputKey(k, string(producer), "output_data")] = []trackedOutput{{table: namespace + "/" + name}}
	return map[string]any{"producer_task": producer, "output_artifact_key": "output_data"}
}

func (n *Node) storeObject(k openflow.TaskKey, producer openflow.TaskName, o Object) map[string]any {
	namespace, name := fmt.Sprintf("%s_%s", k.Party.Role, k.Party.ID), string(producer)
	n.AddObject(namespace, name, o)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tracked[inputKey(k, string(producer), "output_data")] = []trackedOutput{{table: namespace + "/" + name}}
	return map[string]any{"producer_task": producer, "output_artifact_key": "output_data"}
}

// AddObject puts a table of another type into the node's data warehouse.
func (n *Node) AddObject(namespace, name string, o Object) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tables[namespace+"/"+name] = table{namespace: namespace, name: name, content: []byte(o.Content), dataType: string(o.Type), meta: json.RawMessage(orElse(o.Meta, "{}"))}
}

// object is an output of the task as the node keeps it.
func (n *Node) object(p openflow.Party, name string) (Object, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range n.tracked[outputKey(p, name)] {
		t := n.tables[o.table]
		return Object{Type: component.ArtifactType(t.dataType), Meta: string(t.meta), Content: string(t.content)}, true
	}
	return Object{}, false
}

func inputKey(k openflow.TaskKey, producer, output string) string {
	return strings.Join([]string{string(k.Job), string(k.Party.Role), string(k.Party.ID), producer, output}, "/")
}

func modelKey(role, party, task, output string) string {
	return strings.Join([]string{role, party, task, output}, "/")
}

func outputKey(p openflow.Party, output string) string { return inputKey(key(p), testTask, output) }

func (n *Node) hasOutput(p openflow.Party, name string, index int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return index < len(n.tracked[outputKey(p, name)])
}

func (n *Node) output(p openflow.Party, name string, index int) (*tables.Frame, error) {
	n.mu.Lock()
	list := n.tracked[outputKey(p, name)]
	if index >= len(list) {
		n.mu.Unlock()
		return nil, errors.New("it was not written")
	}
	content := n.tables[list[index].table].content
	n.mu.Unlock()
	return tables.ReadAll(bytes.NewReader(content))
}

func (n *Node) tracking(p openflow.Party, name string) map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range n.tracked[outputKey(p, name)] {
		return o.record
	}
	return nil
}

func (n *Node) model(p openflow.Party, name string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.models[modelKey(string(p.Role), string(p.ID), testTask, name)]
}

// modelJSON takes the JSON out of a model's tar and refuses a tar without a description beside it.
func modelJSON(data []byte) (found []byte, err error) {
	if data == nil {
		return nil, errors.New("it was not saved")
	}
	described := false
	for members := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(members)
		if err != nil {
			return nil, err
		}
		switch h.Name {
		case "json_model":
			found = raw
		case "json_model.meta.yaml":
			described = true
		}
	}
	if found == nil || !described {
		return nil, errors.New("its archive lacks json_model or json_model.meta.yaml")
	}
	return found, nil
}

func packModel(n *Node, raw []byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := w.WriteHeader(&tar.Header{Name: "json_model", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(raw))})
	if err == nil {
		_, err = w.Write(raw)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		n.t.Errorf("model of a test cannot be packed: %v", err)
	}
	return out.Bytes()
}
