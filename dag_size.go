package openflow

// The largest job. What a document may ask for is checked for every party and task of it, so each of these bounds work and
// memory, and all of them are looked at before anything else is.
const (
	MaxParties   = 1000
	MaxTasks     = 10_000
	MaxRuns      = 100_000   // parties of all tasks together
	MaxEdges     = 100_000   // channels and dependent_tasks of all tasks, with those of overrides
	MaxOverrides = 100_000   // tasks and parties that the entries of party_tasks name
	MaxShares    = 1_000_000 // values that all parties are told together: parameters, channels and settings, once for each
	MaxOptions   = 100       // keys of one engine_run that are not ours
	MaxLabel     = 256       // bytes of the name of an entry of party_tasks, or of an input
	MaxRetries   = 100       // of one task
)

// size notes what is more than the largest job has. It costs one look at the document.
func (c *dagCheck) size() {
	s := sizeOf(c.DAG)
	for _, bound := range []struct {
		path, what, remedy string
		has, most          int
	}{
		{"dag.parties", "parties", "", len(c.Parties), MaxParties},
		{"dag.tasks", "tasks", "split the job", len(c.Tasks), MaxTasks},
		{"dag.tasks", "runs at all parties together", "split the job", s.runs, MaxRuns},
		{"dag.tasks", "channels and dependent_tasks", "split the job", s.edges, MaxEdges},
		{"dag.party_tasks", "tasks and parties", "set in dag.tasks what all parties have in common", s.overrides, MaxOverrides},
		{"dag", "values that the parties are told", "split the job, or name fewer parties, parameters or overrides", s.shares, MaxShares},
		{"dag", "keys in an engine_run", "take some out", s.options, MaxOptions},
		{"dag", "bytes in the name of an input or of an entry of party_tasks", "use a shorter name", s.label, MaxLabel},
	} {
		if bound.has > bound.most {
			c.at(bound.path, bound.remedy, "%d %s, more than %d", bound.has, bound.what, bound.most)
			return
		}
	}
}

// dagSize is how much a DAG is.
type dagSize struct{ runs, edges, overrides, shares, options, label int }

func sizeOf(d *DAG) dagSize {
	s := dagSize{options: len(d.Conf.Task.Options)}
	everywhere, some := 0, map[Party]int{} // in how many tasks a party takes part
	inputs := make(map[TaskName]int, len(d.Tasks))
	for _, t := range d.Tasks {
		parties := len(t.Parties)
		if parties == 0 {
			parties = len(d.Parties)
			everywhere++
		}
		for _, p := range t.Parties {
			some[p]++
		}
		s.runs += parties
		s.edges += len(t.DependsOn)
		inputs[t.Name] = s.inputs(t.Inputs)
		s.shares += parties * (1 + inputs[t.Name] + members(t.Parameters) + s.conf(t.Conf) + len(d.Conf.Task.Options))
	}
	for _, pt := range d.PartyTasks {
		s.label = max(s.label, len(pt.Site))
		s.overrides += len(pt.Parties) + len(pt.Tasks)
		said := 1
		for name, o := range pt.Tasks {
			said += 1 + members(o.Parameters) + s.conf(o.Conf)
			if len(o.Inputs) > 0 {
				said += s.inputs(o.Inputs) + inputs[name] // which are read to be replaced
			}
		}
		s.shares += len(pt.Parties) * said
		if settings := s.conf(pt.Conf); pt.Conf.says() {
			for _, p := range pt.Parties {
				s.shares += (everywhere + some[p]) * (1 + settings)
			}
		}
	}
	return s
}

// conf counts the options of a configuration.
func (s *dagSize) conf(c TaskConf) int {
	s.options = max(s.options, len(c.Options))
	return members(c.Options)
}

// inputs counts what inputs hold.
func (s *dagSize) inputs(inputs []Input) int {
	n := len(inputs)
	for _, in := range inputs {
		s.label = max(s.label, len(in.Key))
		s.edges += len(in.Channels)
		for _, c := range in.Channels {
			n += 1 + len(c.Parties)
		}
	}
	return n
}

// valueBytes is how many bytes of a text count as a further value.
const valueBytes = 100

// members counts the values in an object, at all depths. A long text counts as several.
func members(object map[string]any) int {
	n := 0
	for name, v := range object {
		n += 1 + len(name)/valueBytes + inside(v)
	}
	return n
}

func inside(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) / valueBytes
	case map[string]any:
		return members(v)
	case []any:
		n := len(v)
		for _, item := range v {
			n += inside(item)
		}
		return n
	}
	return 0
}
