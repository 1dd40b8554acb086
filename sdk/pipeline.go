package sdk

import (
	"maps"
	"slices"

	"openflow"
)

// schemaVersion is that of the DAG documents a pipeline yields.
const schemaVersion = "2.2.0"

// Guest is a party in the role that starts the job and usually owns the label.
func Guest(id openflow.PartyID) openflow.Party {
	return openflow.Party{Role: openflow.RoleGuest, ID: id}
}

// Host is a party in the role that contributes data.
func Host(id openflow.PartyID) openflow.Party { return openflow.Party{Role: openflow.RoleHost, ID: id} }

// Arbiter is a party in the role that holds keys and sees no data.
func Arbiter(id openflow.PartyID) openflow.Party {
	return openflow.Party{Role: openflow.RoleArbiter, ID: id}
}

// Pipeline builds the DAG of a job step by step. It is for one goroutine, and may be changed further after DAG.
type Pipeline struct {
	Conf    openflow.JobConf // of the job; zero values are defaults
	Stage   openflow.Stage   // of tasks without their own; empty: default
	parties []openflow.Party
	tasks   []*Task
}

// NewPipeline begins a job between parties.
func NewPipeline(parties ...openflow.Party) *Pipeline {
	return &Pipeline{parties: slices.Clone(parties)}
}

// AddTask adds a task that all parties run, until Parties says otherwise. Its methods return it, so that calls chain. The
// component may be named with its provider and version, as in acme:psi@1.2.
func (p *Pipeline) AddTask(name openflow.TaskName, component string) *Task {
	t := &Task{task: openflow.Task{Name: name, Component: component}, at: map[openflow.Party]openflow.Parameters{}}
	if bare, of, err := openflow.ParseComponent(component); err == nil { // a wrong name is found with all other mistakes
		t.task.Component, t.task.Of = bare, of
	}
	p.tasks = append(p.tasks, t)
	return t
}

// DAG yields what has been built, validated. CodeInvalid names the place of a mistake as in a document:
// dag.tasks.psi_0.inputs….
func (p *Pipeline) DAG() (*openflow.DAG, error) {
	d := &openflow.DAG{SchemaVersion: schemaVersion, Parties: slices.Clone(p.parties), Conf: p.Conf, Stage: p.Stage}
	overrides := map[openflow.Party]map[openflow.TaskName]openflow.TaskOverride{}
	for _, t := range p.tasks {
		d.Tasks = append(d.Tasks, t.build())
		for party, parameters := range t.at {
			if overrides[party] == nil {
				overrides[party] = map[openflow.TaskName]openflow.TaskOverride{}
			}
			overrides[party][t.task.Name] = openflow.TaskOverride{Parameters: maps.Clone(parameters)}
		}
	}
	for _, party := range inOrder(p.parties, overrides) {
		d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
			Site: string(party.Role) + "_" + string(party.ID), Parties: []openflow.Party{party}, Tasks: overrides[party],
		})
	}
	return d, d.Validate()
}

// inOrder lists the keys of m in the order of the job's parties; strangers come last, for Validate to refuse.
func inOrder[V any](parties []openflow.Party, m map[openflow.Party]V) []openflow.Party {
	place := func(p openflow.Party) int {
		if i := slices.Index(parties, p); i >= 0 {
			return i
		}
		return len(parties)
	}
	return slices.SortedStableFunc(maps.Keys(m), func(a, b openflow.Party) int { return place(a) - place(b) })
}

// Task is a task of a Pipeline.
type Task struct {
	task openflow.Task
	at   map[openflow.Party]openflow.Parameters
}

// Output is an output of a task, to be an input of others.
type Output struct {
	task openflow.TaskName
	key  string
}

// Output names an output of the task by the component's key for it, such as "output_data".
func (t *Task) Output(key string) Output { return Output{t.task.Name, key} }

// Set sets parameters for all parties, besides those set before. Values are what encoding/json can write.
func (t *Task) Set(p openflow.Parameters) *Task {
	if t.task.Parameters == nil {
		t.task.Parameters = openflow.Parameters{}
	}
	maps.Copy(t.task.Parameters, p)
	return t
}

// SetAt sets parameters that hold at one party only, on top of those of Set.
func (t *Task) SetAt(party openflow.Party, p openflow.Parameters) *Task {
	if t.at[party] == nil {
		t.at[party] = openflow.Parameters{}
	}
	maps.Copy(t.at[party], p)
	return t
}

// Parties limits who runs the task.
func (t *Task) Parties(parties ...openflow.Party) *Task {
	t.task.Parties = slices.Clone(parties)
	return t
}

// Data fills a data input with outputs of other tasks; calls for one key add to it.
func (t *Task) Data(key string, from ...Output) *Task {
	return t.fill(openflow.InputData, key, from)
}

// Model fills a model input with outputs of other tasks; calls for one key add to it.
func (t *Task) Model(key string, from ...Output) *Task {
	return t.fill(openflow.InputModel, key, from)
}

func (t *Task) fill(kind openflow.InputKind, key string, from []Output) *Task {
	for _, o := range from {
		t.input(kind, key, openflow.Channel{Source: openflow.FromTask, ProducerTask: o.task, OutputKey: o.key})
	}
	return t
}

// Table fills a data input with a table that is at some parties, or at all when none is named.
func (t *Task) Table(key string, table openflow.TableName, at ...openflow.Party) *Task {
	return t.input(openflow.InputData, key, openflow.Channel{
		Source: openflow.FromDataWarehouse, Namespace: table.Namespace, Name: table.Name, Parties: slices.Clone(at),
	})
}

// TrainedModel fills a model input with a model of an earlier job: what task from of it put out.
func (t *Task) TrainedModel(key string, model openflow.ModelRef, from openflow.TaskName, outputKey string) *Task {
	return t.input(openflow.InputModel, key, openflow.Channel{
		Source: openflow.FromModelWarehouse, ProducerTask: from, OutputKey: outputKey, Model: &model,
	})
}

func (t *Task) input(kind openflow.InputKind, key string, c openflow.Channel) *Task {
	for i, in := range t.task.Inputs {
		if in.Kind == kind && in.Key == key {
			t.task.Inputs[i].Channels = append(in.Channels, c)
			return t
		}
	}
	t.task.Inputs = append(t.task.Inputs, openflow.Input{Kind: kind, Key: key, Channels: []openflow.Channel{c}})
	return t
}

// After makes the task wait for others that it takes nothing from.
func (t *Task) After(others ...*Task) *Task {
	for _, o := range others {
		t.task.DependsOn = append(t.task.DependsOn, o.task.Name)
	}
	return t
}

// Stage sets the stage that the task runs.
func (t *Task) Stage(s openflow.Stage) *Task {
	t.task.Stage = s
	return t
}

// Conf sets how the task is run.
func (t *Task) Conf(c openflow.TaskConf) *Task {
	t.task.Conf = c
	return t
}

// build copies the task, so that later calls do not change a DAG that was handed out.
func (t *Task) build() openflow.Task {
	c := t.task
	c.DependsOn, c.Parameters = slices.Clone(c.DependsOn), maps.Clone(c.Parameters)
	c.Inputs = slices.Clone(c.Inputs)
	for i := range c.Inputs {
		c.Inputs[i].Channels = slices.Clone(c.Inputs[i].Channels)
	}
	return c
}
