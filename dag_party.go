package openflow

import (
	"encoding/json"
	"maps"
	"slices"
)

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
// p's overrides merged in (top-level keys and inputs replaced), channels that reach p.
//
// Spec: fate-flow-api §4.2.3, §4.3.
func (d *DAG) ForParty(p Party) []TaskSpec {
	var specs []TaskSpec
	tasks, overrides := d.byName(), d.overridesAt(p)
	for _, t := range d.Tasks {
		if !t.takesPart(p) {
			continue
		}
		parties := d.PartiesOf(t)
		if !slices.Contains(parties, p) {
			continue
		}
		s := TaskSpec{
			Name: t.Name, Component: t.Component, Stage: d.StageOf(t), Parties: parties,
			Parameters: maps.Clone(t.Parameters), Conf: d.Conf.Task.merge(t.Conf), Inputs: d.inputsAt(tasks, t.Inputs, p),
		}
		if s.Parameters == nil {
			s.Parameters = Parameters{}
		}
		for _, i := range overrides(t.Name) {
			pt := d.PartyTasks[i]
			s.Conf = s.Conf.merge(pt.Conf)
			if o, ok := pt.Tasks[t.Name]; ok {
				maps.Copy(s.Parameters, o.Parameters)
				s.Conf = s.Conf.merge(o.Conf)
				s.Inputs = replaceInputs(s.Inputs, o.Inputs, d.inputsAt(tasks, o.Inputs, p))
			}
		}
		specs = append(specs, s)
	}
	return specs
}

// byName finds tasks in documents that have thousands of them.
func (d *DAG) byName() map[TaskName]Task {
	tasks := make(map[TaskName]Task, len(d.Tasks))
	for i := len(d.Tasks) - 1; i >= 0; i-- { // of two of one name the first counts, as in Task
		tasks[d.Tasks[i].Name] = d.Tasks[i]
	}
	return tasks
}

// overridesAt finds the positions of the entries of PartyTasks that say something of a task at p, in their order.
func (d *DAG) overridesAt(p Party) func(TaskName) []int {
	var general []int // with a configuration, for all tasks
	own := map[TaskName][]int{}
	for i, pt := range d.PartyTasks {
		switch {
		case !slices.Contains(pt.Parties, p):
		case pt.Conf.says():
			general = append(general, i)
		default:
			for name := range pt.Tasks {
				own[name] = append(own[name], i)
			}
		}
	}
	return func(name TaskName) []int {
		if len(general) == 0 {
			return own[name]
		}
		both := slices.Concat(general, own[name])
		slices.Sort(both)
		return both
	}
}

// replaceInputs puts what an override leaves of its inputs at a party in the place of those of the same key.
func replaceInputs(inputs, named, kept []Input) []Input {
	rest := slices.DeleteFunc(slices.Clone(inputs), func(in Input) bool {
		return slices.ContainsFunc(named, func(n Input) bool { return n.Kind == in.Kind && n.Key == in.Key })
	})
	return append(rest, kept...)
}

// inputsAt keeps of inputs the channels that reach p.
func (d *DAG) inputsAt(tasks map[TaskName]Task, all []Input, p Party) []Input {
	var inputs []Input
	for _, in := range all {
		kept := Input{Kind: in.Kind, Key: in.Key}
		for _, c := range in.Channels {
			if !reaches(tasks, c, p) {
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

func reaches(tasks map[TaskName]Task, c Channel, p Party) bool {
	if len(c.Parties) > 0 {
		return slices.Contains(c.Parties, p)
	}
	if c.Source != FromTask {
		return true
	}
	producer, ok := tasks[c.ProducerTask]
	return ok && producer.takesPart(p)
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
	if over.Cores != nil {
		c.Cores = over.Cores
	}
	if over.Memory != nil {
		c.Memory = over.Memory
	}
	if over.GPUs != nil {
		c.GPUs = over.GPUs
	}
	if over.Label != "" {
		c.Label = over.Label
	}
	if len(over.Options) > 0 {
		options := maps.Clone(c.Options)
		if options == nil {
			options = map[string]any{}
		}
		maps.Copy(options, over.Options)
		c.Options = options
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
func (d *DAG) Tables(p Party) []TableName { return TablesOf(d.ForParty(p)) }

// TablesOf lists the data tables that these tasks read by name.
func TablesOf(specs []TaskSpec) []TableName {
	var tables []TableName
	for _, s := range specs {
		if t, reads := s.Reads(); reads {
			tables = append(tables, t)
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

// Reads is the table that a reader gives its output, by its parameters.
func (s TaskSpec) Reads() (TableName, bool) {
	if s.Component != "reader" {
		return TableName{}, false
	}
	return TableName{asText(s.Parameters["namespace"]), asText(s.Parameters["name"])}, true
}

// asText is a parameter as a component reads it that wants text: of a number its digits, as JSON had them.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// TableName names a data table at a site.
type TableName struct{ Namespace, Name string }

// Check refuses a name that is not safe in paths, addresses and commands; see CheckName.
func (t TableName) Check() error {
	if err := CheckName("namespace", t.Namespace); err != nil {
		return err
	}
	return CheckName("name", t.Name)
}

// String is "namespace/name".
func (t TableName) String() string { return t.Namespace + "/" + t.Name }
