package document

import (
	"time"

	"openflow"
)

// DAG is an openflow.DAG.
type DAG struct {
	SchemaVersion string         `json:"schema_version,omitzero"`
	Parties       []Party        `json:"parties,omitempty"`
	Conf          JobConf        `json:"conf,omitzero"`
	Stage         openflow.Stage `json:"stage,omitzero"`
	Tasks         []Task         `json:"tasks,omitempty"`
	PartyTasks    []PartyTasks   `json:"party_tasks,omitempty"`
}

// JobConf is an openflow.JobConf.
type JobConf struct {
	Priority            int               `json:"priority,omitzero"`
	Scheduler           openflow.PartyID  `json:"scheduler,omitzero"`
	Initiator           openflow.PartyID  `json:"initiator,omitzero"`
	Cores               *int              `json:"cores,omitempty"`
	Memory              *int64            `json:"memory,omitempty"`
	GPUs                *int              `json:"gpus,omitempty"`
	ComputingPartitions int               `json:"computing_partitions,omitzero"`
	SyncType            openflow.SyncType `json:"sync_type,omitzero"`
	AutoRetries         int               `json:"auto_retries,omitzero"`
	Timeout             time.Duration     `json:"timeout_ns,omitzero"`
	ModelID             string            `json:"model_id,omitzero"`
	ModelVersion        string            `json:"model_version,omitzero"`
	Purpose             string            `json:"purpose,omitzero"`
	ModelWarehouse      *ModelRef         `json:"model_warehouse,omitempty"`
	Inheritance         *Inheritance      `json:"inheritance,omitempty"`
	Task                TaskConf          `json:"task,omitzero"`
	Extra               map[string]any    `json:"extra,omitempty"`
}

// ModelRef is an openflow.ModelRef.
type ModelRef struct {
	ID      string `json:"model_id,omitzero"`
	Version string `json:"model_version,omitzero"`
}

func encodeModel(m openflow.ModelRef) ModelRef { return ModelRef(m) }
func decodeModel(m ModelRef) openflow.ModelRef { return openflow.ModelRef(m) }

// Inheritance is an openflow.Inheritance.
type Inheritance struct {
	Job   openflow.JobID      `json:"job_id,omitzero"`
	Tasks []openflow.TaskName `json:"tasks,omitempty"`
}

// TaskConf is an openflow.TaskConf.
type TaskConf struct {
	Provider     string         `json:"provider,omitzero"`
	Timeout      time.Duration  `json:"timeout_ns,omitzero"`
	LauncherName string         `json:"launcher_name,omitzero"`
	Cores        *int           `json:"cores,omitempty"`
	Memory       *int64         `json:"memory,omitempty"`
	GPUs         *int           `json:"gpus,omitempty"`
	Label        string         `json:"label,omitzero"`
	Way          openflow.Way   `json:"way,omitzero"`
	Options      map[string]any `json:"options,omitempty"`
}

// Task is an openflow.Task.
type Task struct {
	Name       openflow.TaskName   `json:"name,omitzero"`
	Component  string              `json:"component,omitzero"`
	Of         Provider            `json:"of,omitzero"`
	DependsOn  []openflow.TaskName `json:"depends_on,omitempty"`
	Parameters openflow.Parameters `json:"parameters,omitempty"`
	Inputs     []Input             `json:"inputs,omitempty"`
	Parties    []Party             `json:"parties,omitempty"`
	Conf       TaskConf            `json:"conf,omitzero"`
	Stage      openflow.Stage      `json:"stage,omitzero"`
}

// Provider is an openflow.ProviderRef.
type Provider struct {
	Name    string `json:"name,omitzero"`
	Version string `json:"version,omitzero"`
	Device  string `json:"device,omitzero"`
}

// PartyTasks is an openflow.PartyTasks.
type PartyTasks struct {
	Site    string                             `json:"site,omitzero"`
	Parties []Party                            `json:"parties,omitempty"`
	Conf    TaskConf                           `json:"conf,omitzero"`
	Tasks   map[openflow.TaskName]TaskOverride `json:"tasks,omitempty"`
}

// TaskOverride is an openflow.TaskOverride.
type TaskOverride struct {
	Parameters openflow.Parameters `json:"parameters,omitempty"`
	Conf       TaskConf            `json:"conf,omitzero"`
	Inputs     []Input             `json:"inputs,omitempty"`
}

// Input is an openflow.Input.
type Input struct {
	Kind     openflow.InputKind `json:"kind,omitzero"`
	Key      string             `json:"key,omitzero"`
	Channels []Channel          `json:"channels,omitempty"`
}

// Channel is an openflow.Channel.
type Channel struct {
	Source       openflow.Source   `json:"source,omitzero"`
	ProducerTask openflow.TaskName `json:"producer_task,omitzero"`
	OutputKey    string            `json:"output_key,omitzero"`
	Job          openflow.JobID    `json:"job_id,omitzero"`
	Namespace    string            `json:"namespace,omitzero"`
	Name         string            `json:"name,omitzero"`
	Model        *ModelRef         `json:"model,omitempty"`
	Parties      []Party           `json:"parties,omitempty"`
}

// TaskSpec is an openflow.TaskSpec: what one party knows to run one task.
type TaskSpec struct {
	Name       openflow.TaskName   `json:"name,omitzero"`
	Component  string              `json:"component,omitzero"`
	Of         Provider            `json:"of,omitzero"`
	Stage      openflow.Stage      `json:"stage,omitzero"`
	Parameters openflow.Parameters `json:"parameters,omitempty"`
	Inputs     []Input             `json:"inputs,omitempty"`
	Parties    []Party             `json:"parties,omitempty"`
	Conf       TaskConf            `json:"conf,omitzero"`
	Resident   int                 `json:"resident,omitzero"`
}

// EncodeDAG is the inverse of Decode, but for empty lists and maps, which are left out.
func EncodeDAG(d openflow.DAG) DAG {
	return DAG{
		SchemaVersion: d.SchemaVersion, Parties: EncodeParties(d.Parties), Conf: encodeConf(d.Conf), Stage: d.Stage,
		Tasks: each(d.Tasks, encodeTask), PartyTasks: each(d.PartyTasks, encodePartyTasks),
	}
}

// Decode gives the DAG back.
func (d DAG) Decode() openflow.DAG {
	return openflow.DAG{
		SchemaVersion: d.SchemaVersion, Parties: DecodeParties(d.Parties), Conf: d.Conf.decode(), Stage: d.Stage,
		Tasks: each(d.Tasks, Task.decode), PartyTasks: each(d.PartyTasks, PartyTasks.decode),
	}
}

func encodeConf(c openflow.JobConf) JobConf {
	return JobConf{
		Priority: c.Priority, Scheduler: c.Scheduler, Initiator: c.Initiator, Cores: c.Cores, Memory: c.Memory, GPUs: c.GPUs,
		ComputingPartitions: c.ComputingPartitions, SyncType: c.SyncType, AutoRetries: c.AutoRetries, Timeout: c.Timeout,
		ModelID: c.ModelID, ModelVersion: c.ModelVersion, Purpose: c.Purpose, ModelWarehouse: either(c.ModelWarehouse, encodeModel),
		Inheritance: either(c.Inheritance, func(i openflow.Inheritance) Inheritance { return Inheritance(i) }),
		Task:        TaskConf(c.Task), Extra: c.Extra,
	}
}

func (c JobConf) decode() openflow.JobConf {
	return openflow.JobConf{
		Priority: c.Priority, Scheduler: c.Scheduler, Initiator: c.Initiator, Cores: c.Cores, Memory: c.Memory, GPUs: c.GPUs,
		ComputingPartitions: c.ComputingPartitions, SyncType: c.SyncType, AutoRetries: c.AutoRetries, Timeout: c.Timeout,
		ModelID: c.ModelID, ModelVersion: c.ModelVersion, Purpose: c.Purpose, ModelWarehouse: either(c.ModelWarehouse, decodeModel),
		Inheritance: either(c.Inheritance, func(i Inheritance) openflow.Inheritance { return openflow.Inheritance(i) }),
		Task:        openflow.TaskConf(c.Task), Extra: c.Extra,
	}
}

func encodeTask(t openflow.Task) Task {
	return Task{
		Name: t.Name, Component: t.Component, Of: Provider(t.Of), DependsOn: t.DependsOn, Parameters: t.Parameters, Inputs: each(t.Inputs, encodeInput),
		Parties: EncodeParties(t.Parties), Conf: TaskConf(t.Conf), Stage: t.Stage,
	}
}

func (t Task) decode() openflow.Task {
	return openflow.Task{
		Name: t.Name, Component: t.Component, Of: openflow.ProviderRef(t.Of), DependsOn: t.DependsOn, Parameters: t.Parameters, Inputs: each(t.Inputs, Input.decode),
		Parties: DecodeParties(t.Parties), Conf: openflow.TaskConf(t.Conf), Stage: t.Stage,
	}
}

func encodePartyTasks(pt openflow.PartyTasks) PartyTasks {
	out := PartyTasks{Site: pt.Site, Parties: EncodeParties(pt.Parties), Conf: TaskConf(pt.Conf)}
	if len(pt.Tasks) > 0 {
		out.Tasks = make(map[openflow.TaskName]TaskOverride, len(pt.Tasks))
	}
	for name, o := range pt.Tasks {
		out.Tasks[name] = TaskOverride{Parameters: o.Parameters, Conf: TaskConf(o.Conf), Inputs: each(o.Inputs, encodeInput)}
	}
	return out
}

func (pt PartyTasks) decode() openflow.PartyTasks {
	out := openflow.PartyTasks{Site: pt.Site, Parties: DecodeParties(pt.Parties), Conf: openflow.TaskConf(pt.Conf)}
	if len(pt.Tasks) > 0 {
		out.Tasks = make(map[openflow.TaskName]openflow.TaskOverride, len(pt.Tasks))
	}
	for name, o := range pt.Tasks {
		out.Tasks[name] = openflow.TaskOverride{
			Parameters: o.Parameters, Conf: openflow.TaskConf(o.Conf), Inputs: each(o.Inputs, Input.decode),
		}
	}
	return out
}

func encodeInput(in openflow.Input) Input {
	return Input{Kind: in.Kind, Key: in.Key, Channels: each(in.Channels, encodeChannel)}
}

func (in Input) decode() openflow.Input {
	return openflow.Input{Kind: in.Kind, Key: in.Key, Channels: each(in.Channels, Channel.decode)}
}

func encodeChannel(c openflow.Channel) Channel {
	return Channel{
		Source: c.Source, ProducerTask: c.ProducerTask, OutputKey: c.OutputKey, Job: c.Job, Namespace: c.Namespace, Name: c.Name,
		Model: either(c.Model, encodeModel), Parties: EncodeParties(c.Parties),
	}
}

func (c Channel) decode() openflow.Channel {
	return openflow.Channel{
		Source: c.Source, ProducerTask: c.ProducerTask, OutputKey: c.OutputKey, Job: c.Job, Namespace: c.Namespace, Name: c.Name,
		Model: either(c.Model, decodeModel), Parties: DecodeParties(c.Parties),
	}
}

// EncodeSpec is the inverse of Decode.
func EncodeSpec(s openflow.TaskSpec) TaskSpec {
	return TaskSpec{
		Name: s.Name, Component: s.Component, Of: Provider(s.Of), Stage: s.Stage, Parameters: s.Parameters, Inputs: each(s.Inputs, encodeInput),
		Parties: EncodeParties(s.Parties), Conf: TaskConf(s.Conf), Resident: s.Resident,
	}
}

// Decode gives the specification back. A task without parameters has an empty object of them.
func (s TaskSpec) Decode() openflow.TaskSpec {
	spec := openflow.TaskSpec{
		Name: s.Name, Component: s.Component, Of: openflow.ProviderRef(s.Of), Stage: s.Stage, Parameters: s.Parameters, Inputs: each(s.Inputs, Input.decode),
		Parties: DecodeParties(s.Parties), Conf: openflow.TaskConf(s.Conf), Resident: s.Resident,
	}
	if spec.Parameters == nil {
		spec.Parameters = openflow.Parameters{}
	}
	return spec
}
