package openflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
	Cores               *int // per party; nil: the party's own default
	ComputingPartitions int
	SyncType            SyncType
	AutoRetries         int
	ModelID             string
	ModelVersion        string
	ModelWarehouse      *ModelRef
	Inheritance         *Inheritance
	Task                TaskConf // defaults for every task
	Extra               map[string]any
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

// TaskConf is how a task is to be run.
type TaskConf struct {
	Provider     string        // "name:version@device"; empty parts are filled in by the party
	Timeout      time.Duration // 0: the party's default
	LauncherName string
	EngineRun    map[string]any // "cores" is the one that openflow reads
}

// Task is one node of the DAG.
//
// Spec: fate-flow-api §4.1.3.
type Task struct {
	Name       TaskName
	Component  string
	DependsOn  []TaskName // edges without data, besides those of Inputs
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

// TaskOverride replaces single parameters (top-level keys) and configuration of a task.
type TaskOverride struct {
	Parameters Parameters
	Conf       TaskConf
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

// The sources of §4.2.1.
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
	var in []Party
	for _, p := range d.Parties {
		if slices.Contains(t.Parties, p) {
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
func (d *DAG) Upstreams(t Task) []TaskName {
	need := map[TaskName]bool{}
	for _, n := range t.DependsOn {
		need[n] = true
	}
	for _, in := range t.Inputs {
		for _, c := range in.Channels {
			if c.Source == FromTask {
				need[c.ProducerTask] = true
			}
		}
	}
	var up []TaskName
	for _, other := range d.Tasks {
		if need[other.Name] {
			up = append(up, other.Name)
		}
	}
	return up
}

// Validate checks everything that can be known without asking a party, and names the place of the fault by its path
// in the document: parties and tasks exist, names are usable, references resolve, the graph has no cycle, every party
// has a task, every override hits one.
func (d *DAG) Validate() error {
	for _, check := range []func() error{d.checkParties, d.checkConf, d.checkTasks, d.checkPartyTasks, d.checkGraph} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func at(path, format string, args ...any) *Error {
	return Errorf(CodeInvalid, "%s: %s", path, fmt.Sprintf(format, args...))
}

func (d *DAG) checkParties() error {
	if len(d.Parties) == 0 {
		return at("dag.parties", "no parties").WithHint("list at least one role with its party_id")
	}
	seen := map[Party]bool{}
	for _, p := range d.Parties {
		if !p.Role.Valid() {
			return at("dag.parties", "unknown role %q", p.Role).WithHint("use guest, host, arbiter or local")
		}
		if err := CheckIdentifier("dag.parties: party_id", string(p.ID)); err != nil {
			return err
		}
		if seen[p] {
			return at("dag.parties", "%s is listed twice", p)
		}
		seen[p] = true
	}
	return nil
}

func (d *DAG) checkConf() error {
	c := d.Conf
	switch {
	case c.Cores != nil && *c.Cores < 0:
		return at("dag.conf.cores", "%d is negative", *c.Cores)
	case c.AutoRetries < 0:
		return at("dag.conf.auto_retries", "%d is negative", c.AutoRetries)
	case c.SyncType != "" && c.SyncType != Callback && c.SyncType != Poll:
		return at("dag.conf.sync_type", "unknown value %q", c.SyncType).WithHint("use callback or poll")
	case c.Task.Timeout < 0:
		return at("dag.conf.task.timeout", "negative")
	}
	for path, s := range map[string]string{
		"dag.conf.scheduler_party_id": string(c.Scheduler), "dag.conf.initiator_party_id": string(c.Initiator),
		"dag.conf.model_id": c.ModelID, "dag.conf.model_version": c.ModelVersion,
	} {
		if s != "" {
			if err := CheckIdentifier(path, s); err != nil {
				return err
			}
		}
	}
	return checkStage("dag.stage", d.Stage)
}

func checkStage(path string, s Stage) error {
	switch s {
	case "", StageDefault, StageTrain, StagePredict, StageCrossValidation:
		return nil
	}
	return at(path, "unknown stage %q", s).WithHint("use train, predict, default or cross_validation")
}

func (d *DAG) checkTasks() error {
	if len(d.Tasks) == 0 {
		return at("dag.tasks", "no tasks")
	}
	names := map[TaskName]bool{}
	busy := map[Party]bool{}
	for _, t := range d.Tasks {
		path := "dag.tasks." + string(t.Name)
		if err := CheckIdentifier("dag.tasks: task name", string(t.Name)); err != nil {
			return err
		}
		if names[t.Name] {
			return at(path, "defined twice")
		}
		names[t.Name] = true
		if err := CheckIdentifier(path+".component_ref", t.Component); err != nil {
			return err
		}
		if err := checkStage(path+".stage", t.Stage); err != nil {
			return err
		}
		if t.Conf.Timeout < 0 {
			return at(path+".conf.timeout", "negative")
		}
		for _, p := range t.Parties {
			if !slices.Contains(d.Parties, p) {
				return at(path+".parties", "%s is not a party of the job", p).WithHint("add it to dag.parties or take it out here")
			}
		}
		for _, p := range d.PartiesOf(t) {
			busy[p] = true
		}
		if err := d.checkInputs(path, t); err != nil {
			return err
		}
	}
	for _, p := range d.Parties {
		if !busy[p] {
			return at("dag.parties", "%s takes part in no task", p).WithHint("take it out of dag.parties or name it in a task's parties")
		}
	}
	return nil
}

func (d *DAG) checkInputs(path string, t Task) error {
	for _, n := range t.DependsOn {
		if _, ok := d.Task(n); !ok {
			return at(path+".dependent_tasks", "unknown task %q", n)
		}
	}
	for _, in := range t.Inputs {
		path := fmt.Sprintf("%s.inputs.%s.%s", path, in.Kind, in.Key)
		for _, c := range in.Channels {
			if err := d.checkChannel(path+"."+string(c.Source), t, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *DAG) checkChannel(path string, t Task, c Channel) error {
	for _, p := range c.Parties {
		if !slices.Contains(d.Parties, p) {
			return at(path+".parties", "%s is not a party of the job", p)
		}
	}
	switch c.Source {
	case FromTask:
		if c.ProducerTask == t.Name {
			return at(path+".producer_task", "task %q feeds itself", t.Name)
		}
		if _, ok := d.Task(c.ProducerTask); !ok {
			return at(path+".producer_task", "unknown task %q", c.ProducerTask).WithHint("known tasks: %s", d.taskNames())
		}
		if c.OutputKey == "" {
			return at(path+".output_artifact_key", "missing")
		}
	case FromDataWarehouse:
		if (c.Namespace == "" || c.Name == "") && (c.Job == "" || c.ProducerTask == "" || c.OutputKey == "") {
			return at(path, "needs namespace and name, or job_id, producer_task and output_artifact_key")
		}
	case FromModelWarehouse:
		if c.ProducerTask == "" || c.OutputKey == "" {
			return at(path, "needs producer_task and output_artifact_key")
		}
		if c.Model == nil && d.Conf.ModelWarehouse == nil {
			return at(path, "names no model").WithHint("give model_id and model_version here or in dag.conf.model_warehouse")
		}
	}
	return nil
}

func (d *DAG) taskNames() string {
	names := make([]string, len(d.Tasks))
	for i, t := range d.Tasks {
		names[i] = string(t.Name)
	}
	return strings.Join(names, ", ")
}

func (d *DAG) checkPartyTasks() error {
	for _, pt := range d.PartyTasks {
		path := "dag.party_tasks." + pt.Site
		if len(pt.Parties) == 0 {
			return at(path+".parties", "no parties").WithHint("say for whom it is")
		}
		if pt.Conf.Timeout < 0 {
			return at(path+".conf.timeout", "negative")
		}
		for _, p := range pt.Parties {
			if !slices.Contains(d.Parties, p) {
				return at(path+".parties", "%s is not a party of the job", p)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(pt.Tasks)) {
			t, ok := d.Task(name)
			if !ok {
				return at(path+".tasks", "unknown task %q", name).WithHint("known tasks: %s", d.taskNames())
			}
			if pt.Tasks[name].Conf.Timeout < 0 {
				return at(path+".tasks."+string(name)+".conf.timeout", "negative")
			}
			for _, p := range pt.Parties {
				if !slices.Contains(d.PartiesOf(t), p) {
					return at(path+".tasks."+string(name), "%s takes no part in task %q", p, name)
				}
			}
		}
	}
	return nil
}

func (d *DAG) checkGraph() error {
	_, err := d.Order()
	return err
}

// Order returns the task names so that every task comes after its upstreams, otherwise in the order written. A cycle
// is CodeInvalid and names its tasks.
func (d *DAG) Order() ([]TaskName, error) {
	const entered, left = 1, 2
	state := map[TaskName]int{}
	var order, path []TaskName
	var visit func(t Task) error
	visit = func(t Task) error {
		switch state[t.Name] {
		case left:
			return nil
		case entered:
			cycle := append(path[slices.Index(path, t.Name):], t.Name)
			names := make([]string, len(cycle))
			for i, n := range cycle {
				names[i] = string(n)
			}
			return at("dag.tasks", "the tasks form a cycle: %s", strings.Join(names, " ← "))
		}
		state[t.Name] = entered
		path = append(path, t.Name)
		for _, up := range d.Upstreams(t) {
			u, _ := d.Task(up)
			if err := visit(u); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[t.Name] = left
		order = append(order, t.Name)
		return nil
	}
	for _, t := range d.Tasks {
		if err := visit(t); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// TaskSpec is what one party needs to know to run one task: everything that concerns only it, merged.
type TaskSpec struct {
	Name       TaskName
	Component  string
	Stage      Stage
	Parameters Parameters
	Inputs     []Input // channels that reach this party only
	Parties    []Party // all that take part in the task
	Conf       TaskConf
}

// ForParty derives what p runs, in the order of the DAG: tasks that p takes part in, parameters and configuration with
// p's overrides merged in (top-level keys replaced), channels that reach p.
//
// Spec: fate-flow-api §4.2.3, §4.3.
func (d *DAG) ForParty(p Party) []TaskSpec {
	var specs []TaskSpec
	for _, t := range d.Tasks {
		parties := d.PartiesOf(t)
		if !slices.Contains(parties, p) {
			continue
		}
		s := TaskSpec{
			Name: t.Name, Component: t.Component, Stage: d.StageOf(t), Parties: parties,
			Parameters: maps.Clone(t.Parameters), Conf: d.Conf.Task.merge(t.Conf), Inputs: d.inputsAt(t, p),
		}
		if s.Parameters == nil {
			s.Parameters = Parameters{}
		}
		for _, pt := range d.PartyTasks {
			if !slices.Contains(pt.Parties, p) {
				continue
			}
			s.Conf = s.Conf.merge(pt.Conf)
			if o, ok := pt.Tasks[t.Name]; ok {
				maps.Copy(s.Parameters, o.Parameters)
				s.Conf = s.Conf.merge(o.Conf)
			}
		}
		specs = append(specs, s)
	}
	return specs
}

func (d *DAG) inputsAt(t Task, p Party) []Input {
	var inputs []Input
	for _, in := range t.Inputs {
		kept := Input{Kind: in.Kind, Key: in.Key}
		for _, c := range in.Channels {
			if !d.reaches(c, p) {
				continue
			}
			if c.Source == FromModelWarehouse && c.Model == nil {
				c.Model = d.Conf.ModelWarehouse
			}
			c.Parties = []Party{p}
			kept.Channels = append(kept.Channels, c)
		}
		if len(kept.Channels) > 0 {
			inputs = append(inputs, kept)
		}
	}
	return inputs
}

func (d *DAG) reaches(c Channel, p Party) bool {
	if len(c.Parties) > 0 {
		return slices.Contains(c.Parties, p)
	}
	if c.Source != FromTask {
		return true
	}
	producer, ok := d.Task(c.ProducerTask)
	return ok && slices.Contains(d.PartiesOf(producer), p)
}

// merge returns c with what over sets on top.
func (c TaskConf) merge(over TaskConf) TaskConf {
	if over.Provider != "" {
		c.Provider = over.Provider
	}
	if over.Timeout != 0 {
		c.Timeout = over.Timeout
	}
	if over.LauncherName != "" {
		c.LauncherName = over.LauncherName
	}
	if len(over.EngineRun) > 0 {
		run := maps.Clone(c.EngineRun)
		if run == nil {
			run = map[string]any{}
		}
		maps.Copy(run, over.EngineRun)
		c.EngineRun = run
	}
	return c
}

// StrippedFor returns the DAG as p's site may see it: overrides that concern only other sites are left out, and from
// those that concern several parties, the others are taken off. The graph stays whole.
//
// Choice: fate-flow-api part 7 #17.
func (d *DAG) StrippedFor(site PartyID) *DAG {
	c := *d
	c.PartyTasks = nil
	for _, pt := range d.PartyTasks {
		var mine []Party
		for _, p := range pt.Parties {
			if p.ID == site {
				mine = append(mine, p)
			}
		}
		if len(mine) > 0 {
			pt.Parties = mine
			c.PartyTasks = append(c.PartyTasks, pt)
		}
	}
	return &c
}

// Tables lists the data tables that p's tasks read by name: the parameters of its readers and its data warehouse
// channels. It is what a grant must cover.
func (d *DAG) Tables(p Party) []TableName {
	var tables []TableName
	for _, s := range d.ForParty(p) {
		if s.Component == "reader" {
			ns, _ := s.Parameters["namespace"].(string)
			name, _ := s.Parameters["name"].(string)
			tables = append(tables, TableName{ns, name})
		}
		for _, in := range s.Inputs {
			for _, c := range in.Channels {
				if c.Source == FromDataWarehouse && c.Name != "" {
					tables = append(tables, TableName{c.Namespace, c.Name})
				}
			}
		}
	}
	return tables
}

// TableName names a data table at a site.
type TableName struct{ Namespace, Name string }

// String is "namespace/name".
func (t TableName) String() string { return t.Namespace + "/" + t.Name }
