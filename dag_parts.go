package openflow

import (
	"cmp"
	"maps"
	"slices"
)

// Parts is a DAG as its parties see it: who takes part in what, and which overrides concern whom. It is made in one pass,
// so that the parts of all parties together cost in proportion to the document and to what it tells them.
type Parts struct {
	dag       *DAG
	named     map[TaskName]int
	parties   [][]Party       // who takes part in each task, in the order of the DAG's parties
	tasks     map[Party][]int // in the order of the DAG
	overrides map[Party][]int // positions in DAG.PartyTasks
}

// Parts looks at who takes part in what.
func (d *DAG) Parts() *Parts {
	x := &Parts{
		dag: d, named: make(map[TaskName]int, len(d.Tasks)), parties: make([][]Party, len(d.Tasks)),
		tasks: make(map[Party][]int, len(d.Parties)), overrides: map[Party][]int{},
	}
	position := make(map[Party]int, len(d.Parties))
	for i := len(d.Parties) - 1; i >= 0; i-- {
		position[d.Parties[i]] = i
	}
	for i, t := range d.Tasks {
		if _, twice := x.named[t.Name]; !twice { // of two of one name the first counts, as in Task
			x.named[t.Name] = i
		}
		x.parties[i] = among(d.Parties, position, t.Parties)
		for _, p := range x.parties[i] {
			x.tasks[p] = append(x.tasks[p], i)
		}
	}
	for i, pt := range d.PartyTasks {
		for _, p := range pt.Parties {
			if list := x.overrides[p]; len(list) == 0 || list[len(list)-1] != i {
				x.overrides[p] = append(list, i)
			}
		}
	}
	return x
}

// among are those of all that are named, in the order of all; nobody named: all.
func among(all []Party, position map[Party]int, named []Party) []Party {
	if len(named) == 0 {
		return all
	}
	places := make([]int, 0, len(named))
	for _, p := range named {
		if i, known := position[p]; known {
			places = append(places, i)
		}
	}
	slices.Sort(places)
	in := make([]Party, 0, len(places))
	for _, i := range slices.Compact(places) {
		in = append(in, all[i])
	}
	return in
}

// Parties are who takes part in the task of that name; none for a name that there is not.
func (x *Parts) Parties(name TaskName) []Party {
	i, known := x.named[name]
	if !known {
		return nil
	}
	return x.parties[i]
}

// Task returns the task of that name.
func (x *Parts) Task(name TaskName) (Task, bool) {
	i, known := x.named[name]
	if !known {
		return Task{}, false
	}
	return x.dag.Tasks[i], true
}

// Overrides are the entries of PartyTasks that say something of a task at p, in their order.
func (x *Parts) Overrides(p Party) map[TaskName][]PartyTasks {
	said := map[TaskName][]PartyTasks{}
	for _, i := range x.overrides[p] {
		for name := range x.dag.PartyTasks[i].Tasks {
			said[name] = append(said[name], x.dag.PartyTasks[i])
		}
	}
	return said
}

// Of derives what p runs; see [DAG.ForParty].
func (x *Parts) Of(p Party) []TaskSpec {
	if len(x.tasks[p]) == 0 {
		return nil
	}
	mine := make(map[TaskName]bool, len(x.tasks[p]))
	for _, i := range x.tasks[p] {
		mine[x.dag.Tasks[i].Name] = true
	}
	overrides := x.overridesAt(p)
	specs := make([]TaskSpec, 0, len(x.tasks[p]))
	for _, i := range x.tasks[p] {
		t := x.dag.Tasks[i]
		s := TaskSpec{
			Name: t.Name, Component: t.Component, Of: t.Of, Stage: x.dag.StageOf(t), Parties: x.parties[i],
			Parameters: maps.Clone(t.Parameters), Conf: x.dag.Conf.Task,
		}
		inputs := reads{list: x.dag.inputsAt(mine, t.Inputs, p)}
		if s.Parameters == nil {
			s.Parameters = Parameters{}
		}
		s.Conf.Options = maps.Clone(s.Conf.Options) // they are the task's own: what follows writes into them
		s.Conf.take(t.Conf)
		var here, atParty TaskConf // the provider and way that are named for the task at p, and for all tasks of p
		for _, i := range overrides(t.Name) {
			pt := x.dag.PartyTasks[i]
			s.Conf.take(pt.Conf)
			atParty.Provider, atParty.Way = cmp.Or(pt.Conf.Provider, atParty.Provider), cmp.Or(pt.Conf.Way, atParty.Way)
			if o, ok := pt.Tasks[t.Name]; ok {
				maps.Copy(s.Parameters, o.Parameters)
				s.Conf.take(o.Conf)
				here.Provider, here.Way = cmp.Or(o.Conf.Provider, here.Provider), cmp.Or(o.Conf.Way, here.Way)
				inputs.replace(o.Inputs, x.dag.inputsAt(mine, o.Inputs, p))
			}
		}
		s.Conf.Provider = cmp.Or(here.Provider, t.Conf.Provider)
		if s.Conf.Provider == "" && t.Of == (ProviderRef{}) {
			s.Conf.Provider = cmp.Or(atParty.Provider, x.dag.Conf.Task.Provider)
		}
		s.Conf.Way = cmp.Or(here.Way, t.Conf.Way, atParty.Way, x.dag.Conf.Task.Way)
		s.Inputs = inputs.all()
		specs = append(specs, s)
	}
	return specs
}

// overridesAt finds the positions of the entries of PartyTasks that say something of a task at p, in their order.
func (x *Parts) overridesAt(p Party) func(TaskName) []int {
	var general []int // with a configuration, for all tasks
	own := map[TaskName][]int{}
	for _, i := range x.overrides[p] {
		pt := x.dag.PartyTasks[i]
		if pt.Conf.says() {
			general = append(general, i)
			continue
		}
		for name := range pt.Tasks {
			own[name] = append(own[name], i)
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
