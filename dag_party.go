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
	Of         ProviderRef // as of a Task
	Stage      Stage
	Parameters Parameters
	Inputs     []Input // channels that reach this party only
	Parties    []Party // all that take part in the task
	Conf       TaskConf
	Resident   int // how many runs one container serves at once that may serve it; 0: it gets a container of its own
}

// ForParty derives what p runs, in the order of the DAG: tasks that p takes part in, parameters and configuration with
// p's overrides merged in (top-level keys and inputs replaced), channels that reach p.
//
// Which provider is named, and which way, goes by an order of its own. What is said of the task counts first, and that at p before all. Then comes
// what is said of all tasks of p, and then of all tasks of the job.
//
// Spec: fate-flow-api §4.2.3, §4.3.
func (d *DAG) ForParty(p Party) []TaskSpec { return d.Parts().Of(p) }

// reads are the inputs of a task at a party, while overrides are laid on top.
type reads struct {
	list []Input // one without channels has been replaced
	at   map[inputName][]int
}

type inputName struct {
	kind InputKind
	key  string
}

// replace puts what an override leaves of its inputs at a party in the place of those of the same key.
func (r *reads) replace(named, kept []Input) {
	if len(named) == 0 {
		return
	}
	if r.at == nil {
		r.at = make(map[inputName][]int, len(r.list))
		for i, in := range r.list {
			r.at[inputName{in.Kind, in.Key}] = append(r.at[inputName{in.Kind, in.Key}], i)
		}
	}
	for _, in := range named {
		for _, i := range r.at[inputName{in.Kind, in.Key}] {
			r.list[i].Channels = nil
		}
		delete(r.at, inputName{in.Kind, in.Key})
	}
	for _, in := range kept {
		r.at[inputName{in.Kind, in.Key}] = append(r.at[inputName{in.Kind, in.Key}], len(r.list))
		r.list = append(r.list, in)
	}
}

func (r *reads) all() []Input {
	return slices.DeleteFunc(r.list, func(in Input) bool { return len(in.Channels) == 0 })
}

// inputsAt keeps of inputs the channels that reach p, who takes part in the tasks of mine.
func (d *DAG) inputsAt(mine map[TaskName]bool, all []Input, p Party) []Input {
	var inputs []Input
	for _, in := range all {
		kept := Input{Kind: in.Kind, Key: in.Key}
		for _, c := range in.Channels {
			if !reaches(mine, c, p) {
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

// reaches reports whether a channel is for p: it names p, or nobody and p runs the producer.
func reaches(mine map[TaskName]bool, c Channel, p Party) bool {
	if len(c.Parties) > 0 {
		return slices.Contains(c.Parties, p)
	}
	return c.Source != FromTask || mine[c.ProducerTask]
}

// take lays what over sets on top of c, whose options are its own.
func (c *TaskConf) take(over TaskConf) {
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
	if over.Way != "" {
		c.Way = over.Way
	}
	if len(over.Options) > 0 && c.Options == nil {
		c.Options = make(map[string]any, len(over.Options))
	}
	maps.Copy(c.Options, over.Options)
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

// TablesOf lists the data tables that one party's tasks read by name; see [DAG.Tables].
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

// Components that a site serves by what their parameters say, whoever provides them.
const (
	ComponentReader      = "reader"
	ComponentUpload      = "upload"
	ComponentDownload    = "download"
	ComponentTransformer = "dataframe_transformer"
)

// Reads is the table that a reader or a download gives its output, by its parameters.
func (s TaskSpec) Reads() (TableName, bool) {
	if s.Component != ComponentReader && s.Component != ComponentDownload {
		return TableName{}, false
	}
	return s.named(), true
}

func (s TaskSpec) named() TableName {
	return TableName{asText(s.Parameters["namespace"]), asText(s.Parameters["name"])}
}

// NamedOutput is the output of an upload or a transformer that its parameters may name; empty: the component has none.
func (s TaskSpec) NamedOutput() string {
	switch s.Component {
	case ComponentUpload:
		return "table"
	case ComponentTransformer:
		return "dataframe_output"
	}
	return ""
}

// Names is the table that an output becomes by the parameters of its task; false: it is one of its job only.
func (s TaskSpec) Names(output string) (TableName, bool) {
	if output == "" || output != s.NamedOutput() {
		return TableName{}, false
	}
	t := s.named()
	return t, t.Namespace != "" && t.Name != ""
}

// File is the file of its party's machine that an upload reads, and Folder the one that a download writes into, by their parameters.
func (s TaskSpec) File() (path string, reads bool) {
	return asText(s.Parameters["file"]), s.Component == ComponentUpload
}

// Folder is the folder of its party's machine that a download writes into; see File.
func (s TaskSpec) Folder() (path string, writes bool) {
	return asText(s.Parameters["path"]), s.Component == ComponentDownload
}

// OfOwnUsers reports whether a task is for jobs of its site's own users: it reads or writes files of a machine, or gives a table a
// name that lasts.
func (s TaskSpec) OfOwnUsers() bool {
	return s.Component == ComponentUpload || s.Component == ComponentDownload || s.Component == ComponentTransformer && s.named() != (TableName{})
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
