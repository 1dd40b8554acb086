package openflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
	case c.Memory != nil && *c.Memory < 0:
		return at("dag.conf.memory", "%d is negative", *c.Memory)
	case c.GPUs != nil && *c.GPUs < 0:
		return at("dag.conf.gpus", "%d is negative", *c.GPUs)
	case c.AutoRetries < 0:
		return at("dag.conf.auto_retries", "%d is negative", c.AutoRetries)
	case c.SyncType != "" && c.SyncType != Callback && c.SyncType != Poll:
		return at("dag.conf.sync_type", "unknown value %q", c.SyncType).WithHint("use callback or poll")
	case c.Timeout < 0:
		return at("dag.conf.timeout", "negative")
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
