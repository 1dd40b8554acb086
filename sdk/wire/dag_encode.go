package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"openflow"
)

// pairs is a JSON object that keeps its order when marshalled.
type pairs []pair

type pair struct {
	key   string
	value any
}

// MarshalJSON writes the pairs in order.
func (p pairs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, kv := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(kv.key)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(kv.value)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// put appends key unless value is one of its "absent" forms.
func (p *pairs) put(key string, value any, present bool) {
	if present {
		*p = append(*p, pair{key, value})
	}
}

// EncodeDocument writes `{dag, schema_version, kind}`; ReceiveDAG reads it back as an equal DAG.
//
// Spec: fate-flow-api §4.1. Keys that hold their default are left out, as the FATE client does.
func EncodeDocument(d *openflow.DAG) (json.RawMessage, error) {
	return json.Marshal(pairs{{"dag", dagPairs(d)}, {"schema_version", d.SchemaVersion}, {"kind", Kind}})
}

// EncodeDAG writes the inner `dag` object alone, as /partner/job/create carries it.
func EncodeDAG(d *openflow.DAG) (json.RawMessage, error) { return json.Marshal(dagPairs(d)) }

func dagPairs(d *openflow.DAG) pairs {
	p := pairs{{"parties", EncodeParties(d.Parties)}}
	p.put("stage", d.Stage, d.Stage != "")
	p.put("conf", confPairs(d.Conf), true)
	tasks := pairs{}
	for _, t := range d.Tasks {
		tasks = append(tasks, pair{string(t.Name), taskPairs(t)})
	}
	p.put("tasks", tasks, true)
	sites := pairs{}
	for _, pt := range d.PartyTasks {
		sites = append(sites, pair{pt.Site, partyTasksPairs(pt)})
	}
	p.put("party_tasks", sites, len(sites) > 0)
	return p
}

// PartyList is one entry of a `parties` list.
type PartyList struct {
	Role    string   `json:"role"`
	PartyID []string `json:"party_id"`
}

// EncodeParties groups consecutive parties of one role, so that decoding gives the same order.
func EncodeParties(parties []openflow.Party) []PartyList {
	list := []PartyList{}
	for _, p := range parties {
		if n := len(list); n > 0 && list[n-1].Role == string(p.Role) {
			list[n-1].PartyID = append(list[n-1].PartyID, string(p.ID))
			continue
		}
		list = append(list, PartyList{string(p.Role), []string{string(p.ID)}})
	}
	return list
}

// DecodeParties is the inverse of EncodeParties.
func DecodeParties(list []PartyList) []openflow.Party {
	var parties []openflow.Party
	for _, l := range list {
		for _, id := range l.PartyID {
			parties = append(parties, openflow.Party{Role: openflow.Role(l.Role), ID: openflow.PartyID(id)})
		}
	}
	return parties
}

func confPairs(c openflow.JobConf) pairs {
	p := pairs{}
	p.put("priority", c.Priority, c.Priority != 0)
	p.put("scheduler_party_id", c.Scheduler, c.Scheduler != "")
	p.put("initiator_party_id", c.Initiator, c.Initiator != "")
	if c.Inheritance != nil {
		p.put("inheritance", pairs{{"job_id", c.Inheritance.Job}, {"task_list", c.Inheritance.Tasks}}, true)
	}
	p.put("cores", c.Cores, c.Cores != nil)
	p.put("memory", c.Memory, c.Memory != nil)
	p.put("gpus", c.GPUs, c.GPUs != nil)
	p.put("computing_partitions", c.ComputingPartitions, c.ComputingPartitions != 0)
	p.put("sync_type", c.SyncType, c.SyncType != "")
	p.put("auto_retries", c.AutoRetries, c.AutoRetries != 0)
	p.put("timeout", int(c.Timeout.Seconds()), c.Timeout != 0)
	p.put("model_id", c.ModelID, c.ModelID != "")
	p.put("model_version", c.ModelVersion, c.ModelVersion != "")
	p.put("purpose", c.Purpose, c.Purpose != "")
	if c.ModelWarehouse != nil {
		p.put("model_warehouse", modelPairs(*c.ModelWarehouse), true)
	}
	task := taskConfPairs(c.Task)
	p.put("task", task, len(task) > 0)
	p.put("extra", c.Extra, c.Extra != nil)
	return p
}

func modelPairs(m openflow.ModelRef) pairs {
	return pairs{{"model_id", m.ID}, {"model_version", m.Version}}
}

func taskConfPairs(c openflow.TaskConf) pairs {
	p := pairs{}
	run := EngineRun(c)
	p.put("engine_run", run, len(run) > 0)
	p.put("provider", c.Provider, c.Provider != "")
	p.put("way", string(c.Way), c.Way != "")
	p.put("timeout", int(c.Timeout.Seconds()), c.Timeout != 0)
	p.put("launcher_name", c.LauncherName, c.LauncherName != "")
	return p
}

// EngineRun is what a task's configuration says of its run, under the keys of this dialect.
//
// Spec: fate-flow-api §4.1.2, §4.7; memory, gpus and label are ours.
func EngineRun(c openflow.TaskConf) map[string]any {
	run := maps.Clone(c.Options)
	if run == nil {
		run = map[string]any{}
	}
	if c.Cores != nil {
		run["cores"] = *c.Cores
	}
	if c.Memory != nil {
		run["memory"] = *c.Memory
	}
	if c.GPUs != nil {
		run["gpus"] = *c.GPUs
	}
	if c.Label != "" {
		run["label"] = c.Label
	}
	return run
}

func taskPairs(t openflow.Task) pairs {
	p := pairs{{"component_ref", openflow.ComponentRef(t.Component, t.Of)}}
	p.put("dependent_tasks", t.DependsOn, len(t.DependsOn) > 0)
	p.put("parameters", t.Parameters, t.Parameters != nil)
	in := inputsPairs(t.Inputs)
	p.put("inputs", in, len(in) > 0)
	p.put("parties", EncodeParties(t.Parties), len(t.Parties) > 0)
	conf := taskConfPairs(t.Conf)
	p.put("conf", conf, len(conf) > 0)
	p.put("stage", t.Stage, t.Stage != "")
	return p
}

func inputsPairs(inputs []openflow.Input) pairs {
	in := pairs{}
	for _, kind := range []openflow.InputKind{openflow.InputData, openflow.InputModel} {
		keys := pairs{}
		for _, input := range inputs {
			if input.Kind == kind {
				keys = append(keys, pair{input.Key, inputPairs(input)})
			}
		}
		in.put(string(kind), keys, len(keys) > 0)
	}
	return in
}

func inputPairs(in openflow.Input) pairs {
	p := pairs{}
	for _, source := range sources {
		list := []pairs{}
		for _, c := range in.Channels {
			if c.Source == source {
				list = append(list, channelPairs(c))
			}
		}
		switch len(list) {
		case 0:
		case 1:
			p.put(string(source), list[0], true)
		default:
			p.put(string(source), list, true)
		}
	}
	return p
}

func channelPairs(c openflow.Channel) pairs {
	p := pairs{}
	p.put("producer_task", c.ProducerTask, c.ProducerTask != "")
	p.put("output_artifact_key", c.OutputKey, c.OutputKey != "")
	p.put("namespace", c.Namespace, c.Namespace != "")
	p.put("name", c.Name, c.Name != "")
	p.put("job_id", c.Job, c.Job != "")
	if c.Model != nil {
		p = append(p, modelPairs(*c.Model)...)
	}
	p.put("parties", EncodeParties(c.Parties), len(c.Parties) > 0)
	return p
}

func partyTasksPairs(pt openflow.PartyTasks) pairs {
	p := pairs{{"parties", EncodeParties(pt.Parties)}}
	conf := taskConfPairs(pt.Conf)
	p.put("conf", conf, len(conf) > 0)
	tasks := pairs{}
	for _, name := range slices.Sorted(maps.Keys(pt.Tasks)) {
		o := pt.Tasks[name]
		t := pairs{}
		t.put("parameters", o.Parameters, o.Parameters != nil)
		oc := taskConfPairs(o.Conf)
		t.put("conf", oc, len(oc) > 0)
		in := inputsPairs(o.Inputs)
		t.put("inputs", in, len(in) > 0)
		tasks = append(tasks, pair{string(name), t})
	}
	p.put("tasks", tasks, true)
	return p
}

// EncodeChannel writes one input of a party's task as PreTaskConfig carries it: one channel as an object, several as
// a list.
//
// Spec: fate-flow-api §3.2, §4.2.3.
func EncodeChannel(in openflow.Input) any {
	list := make([]pairs, len(in.Channels))
	for i, c := range in.Channels {
		list[i] = channelPairs(c)
	}
	if len(list) == 1 {
		return list[0]
	}
	return list
}
