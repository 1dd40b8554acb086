package openflow

import (
	"slices"
	"time"
)

// Stage says which of its bodies a component runs.
type Stage string

// The stages. StageDefault belongs to components with one body only.
const (
	StageDefault         Stage = "default"
	StageTrain           Stage = "train"
	StagePredict         Stage = "predict"
	StageCrossValidation Stage = "cross_validation"
)

// SyncType says how the scheduler learns of progress.
type SyncType string

// Callback is push: partners report. Poll is pull: the scheduler collects.
const (
	Callback SyncType = "callback"
	Poll     SyncType = "poll"
)

// Parameters are a component's settings as a user wrote them: JSON values by name. A null is kept: it means "default".
type Parameters map[string]any

// DAG is a job's template with its configuration: which parties run which tasks on what. It is written by users,
// checked by Validate and read-only afterwards.
//
// Spec: fate-flow-api §4.1.
type DAG struct {
	SchemaVersion string
	Parties       []Party // in the order written, without repeats
	Conf          JobConf
	Stage         Stage // default for tasks without one
	Tasks         []Task
	PartyTasks    []PartyTasks // what differs at single parties
}

// JobConf is a job's run-time configuration.
//
// Spec: fate-flow-api §4.1.2. Zero values mean "the default of whoever fills it in".
type JobConf struct {
	Priority            int // higher first
	Scheduler           PartyID
	Initiator           PartyID
	Cores               *int   // per party; nil: the party's own default
	Memory              *int64 // bytes per party; nil: the party's own default
	GPUs                *int   // per party; nil: as many as its largest task asks for
	ComputingPartitions int
	SyncType            SyncType
	AutoRetries         int
	Timeout             time.Duration // of the job, from its start at all parties; 0: none
	ModelID             string
	ModelVersion        string
	Purpose             string // what the job is for, in the initiator's words, for all parties; at most MaxPurpose bytes
	ModelWarehouse      *ModelRef
	Inheritance         *Inheritance
	Task                TaskConf // defaults for every task
	Extra               map[string]any
}

// Filled is c with the defaults of what is still open, for the job of that ID. The initiator fills them in, since nobody can
// change what it has signed; a scheduler fills in what an initiator that signs nothing has left open.
//
// Spec: fate-flow-api §2.2.
func (c JobConf) Filled(id JobID) JobConf {
	if c.SyncType == "" {
		c.SyncType = Callback
	}
	if c.ModelID == "" {
		c.ModelID = string(id)
	}
	if c.ModelVersion == "" {
		c.ModelVersion = "0"
	}
	if c.ComputingPartitions == 0 {
		c.ComputingPartitions = 8
	}
	return c
}

// ModelRef names a trained model: the job that made it and its version.
type ModelRef struct{ ID, Version string }

// Inheritance takes over tasks that an earlier job has finished.
//
// Spec: fate-flow-api §4.5.
type Inheritance struct {
	Job   JobID
	Tasks []TaskName
}

// Inherits reports whether the task of that name is taken over from an earlier job, and does not run.
func (c JobConf) Inherits(name TaskName) bool {
	return c.Inheritance != nil && slices.Contains(c.Inheritance.Tasks, name)
}

// TaskConf is how a task is to be run.
type TaskConf struct {
	Provider     string        // whose program is to run it; see ParseProvider. Empty parts are filled in by the party
	Timeout      time.Duration // 0: the party's default
	LauncherName string
	Cores        *int           // nil: the party's default
	Memory       *int64         // bytes; nil: the party's default
	GPUs         *int           // whole devices; nil: none
	Label        string         // which machines of a site's pool may run it; empty: any
	Way          Way            // how it gets its container; empty: as its component says
	Options      map[string]any // of other engines; a container may read them, openflow does not
}

// Task is one node of the DAG.
//
// Spec: fate-flow-api §4.1.3.
type Task struct {
	Name       TaskName
	Component  string
	Of         ProviderRef // whose it is to be, and in which version, as component_ref says; without a device
	DependsOn  []TaskName  // edges without data, besides those of Inputs
	Parameters Parameters
	Inputs     []Input
	Parties    []Party // empty: all parties of the DAG
	Conf       TaskConf
	Stage      Stage // empty: that of the DAG
}

// PartyTasks overrides parameters and configuration at some parties.
//
// Spec: fate-flow-api §4.1.4.
type PartyTasks struct {
	Site    string // a free label, conventionally "<role>_<party>"
	Parties []Party
	Conf    TaskConf
	Tasks   map[TaskName]TaskOverride
}

// TaskOverride replaces single parameters (top-level keys), configuration and inputs of a task. An input that it names
// takes the place of the task's own one of that key.
type TaskOverride struct {
	Parameters Parameters
	Conf       TaskConf
	Inputs     []Input
}

// InputKind tells data from models.
type InputKind string

// The two kinds of input.
const (
	InputData  InputKind = "data"
	InputModel InputKind = "model"
)

// Source says where a channel takes its artifact from.
type Source string

// The sources of fate-flow-api §4.2.1.
const (
	FromTask           Source = "task_output_artifact"
	FromDataWarehouse  Source = "data_warehouse"
	FromModelWarehouse Source = "model_warehouse"
)

// Input is one input of a task: the key that the component knows it by, and one or more channels that fill it.
type Input struct {
	Kind     InputKind
	Key      string
	Channels []Channel
}

// Channel fills an input at some parties.
//
// Spec: fate-flow-api §4.2.2. Namespace and Name belong to the data warehouse, Model to the model warehouse.
type Channel struct {
	Source       Source
	ProducerTask TaskName
	OutputKey    string
	Job          JobID
	Namespace    string
	Name         string
	Model        *ModelRef
	Parties      []Party // empty: wherever the producer runs, or everywhere for a warehouse
}

// Task returns the task of that name.
func (d *DAG) Task(name TaskName) (Task, bool) {
	i := slices.IndexFunc(d.Tasks, func(t Task) bool { return t.Name == name })
	if i < 0 {
		return Task{}, false
	}
	return d.Tasks[i], true
}

// PartiesOf returns who takes part in t, in the order of the DAG's parties.
func (d *DAG) PartiesOf(t Task) []Party {
	if len(t.Parties) == 0 {
		return d.Parties
	}
	named := make(map[Party]bool, len(t.Parties))
	for _, p := range t.Parties {
		named[p] = true
	}
	var in []Party
	for _, p := range d.Parties {
		if named[p] {
			in = append(in, p)
		}
	}
	return in
}

// Participants are the parties that take part in a task, in the order of the DAG. The others are named only: nothing is
// asked of them.
func (d *DAG) Participants() []Party {
	busy := map[Party]bool{}
	for _, t := range d.Tasks {
		if len(t.Parties) == 0 {
			return d.Parties
		}
		for _, p := range t.Parties {
			busy[p] = true
		}
	}
	var in []Party
	for _, p := range d.Parties {
		if busy[p] {
			in = append(in, p)
		}
	}
	return in
}

// StageOf is the stage that t runs.
func (d *DAG) StageOf(t Task) Stage {
	switch {
	case t.Stage != "":
		return t.Stage
	case d.Stage != "":
		return d.Stage
	}
	return StageDefault
}

// Upstreams returns the tasks that must have succeeded before t starts, each once, in the order of the DAG.
//
// Spec: fate-flow-api §4.4, and dependent_tasks besides (docs/divergences.md).
func (d *DAG) Upstreams(t Task) []TaskName { return d.Edges()[t.Name] }

// Edges are the upstreams of all tasks that have one; see Upstreams.
func (d *DAG) Edges() map[TaskName][]TaskName {
	position := make(map[TaskName]int, len(d.Tasks))
	need := make(map[TaskName][]TaskName, len(d.Tasks))
	feed := func(name TaskName, inputs []Input) {
		for _, in := range inputs {
			for _, c := range in.Channels {
				if c.Source == FromTask {
					need[name] = append(need[name], c.ProducerTask)
				}
			}
		}
	}
	for i, t := range d.Tasks {
		position[t.Name] = i
		need[t.Name] = append(need[t.Name], t.DependsOn...)
		feed(t.Name, t.Inputs)
	}
	for _, pt := range d.PartyTasks {
		for name, o := range pt.Tasks {
			feed(name, o.Inputs)
		}
	}
	for name, list := range need {
		list = slices.DeleteFunc(list, func(n TaskName) bool { _, known := position[n]; return !known })
		slices.SortFunc(list, func(a, b TaskName) int { return position[a] - position[b] })
		need[name] = slices.Compact(list)
	}
	return need
}
