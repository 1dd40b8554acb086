package openflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate checks everything that can be known without asking a party, and names the place of each fault by its path in
// the document. Parties and tasks exist, names are usable, references resolve, the graph has no cycle, every override
// hits a task. Errors: a Refusal with all of them.
func (d *DAG) Validate() error { return Refusal(d.Mistakes()) }

// Mistakes lists what Validate refuses.
func (d *DAG) Mistakes() []Mistake {
	mistakes, _ := d.Examine()
	return mistakes
}

// Examine is Mistakes, and tells whether each party's part can be looked at all the same: its size is bounded, and who
// takes part in what is clear.
func (d *DAG) Examine() (mistakes []Mistake, usable bool) {
	c := &dagCheck{DAG: d}
	if c.size(); len(c.found) > 0 {
		return c.found, false
	}
	c.parts, c.all = d.Parts(), membersOf(d.Parties)
	c.took = map[TaskName]map[Party]bool{}
	c.parties()
	c.known = len(c.found) == 0
	c.conf()
	c.tasks()
	if len(d.Tasks) > 0 {
		c.overrides()
	}
	if len(c.found) == 0 { // a graph with holes has no order
		c.graph()
	}
	return c.found, c.known && len(d.Tasks) > 0
}

// Warnings lists what is legal and probably not meant. An arbiter run by a party that also brings data holds the key to
// what it should not read. A party without a task is not asked for anything, and some settings have no effect here.
func (d *DAG) Warnings() []string {
	var warnings []string
	arbiters := map[PartyID]bool{}
	for _, p := range d.Parties {
		arbiters[p.ID] = arbiters[p.ID] || p.Role == RoleArbiter
	}
	for _, p := range d.Parties {
		if p.Role != RoleArbiter && arbiters[p.ID] {
			warnings = append(warnings, fmt.Sprintf(
				"party %s is both %s and arbiter: whoever runs both can decrypt the other parties' intermediate values; use a third party as arbiter, because other parties refuse this one unless their policy has coordinated_lr.allow_common_arbiter (docs/policy.md)",
				p.ID, p.Role))
		}
	}
	busy := membersOf(d.Participants())
	for _, p := range d.Parties {
		if !busy[p] {
			warnings = append(warnings, fmt.Sprintf("dag.parties: %s takes part in no task, and is not called", p))
		}
	}
	warnings = append(append(warnings, d.idle()...), d.launchers()...)
	if more := len(warnings) - MaxMistakes; more > 0 {
		warnings = append(warnings[:MaxMistakes], fmt.Sprintf("and %d more warnings", more))
	}
	return warnings
}

// idle warns of overrides that change nothing.
func (d *DAG) idle() []string {
	var warnings []string
	for _, pt := range d.PartyTasks {
		if !pt.Conf.says() && len(pt.Tasks) == 0 {
			warnings = append(warnings, "dag.party_tasks."+pt.Site+": it changes nothing (name tasks under its key tasks)")
		}
		for _, name := range slices.Sorted(maps.Keys(pt.Tasks)) {
			if o := pt.Tasks[name]; len(o.Parameters) == 0 && len(o.Inputs) == 0 && !o.Conf.says() {
				warnings = append(warnings, "dag.party_tasks."+pt.Site+".tasks."+string(name)+": it changes nothing (it may hold parameters, inputs and conf)")
			}
		}
	}
	return warnings
}

// says reports whether anything is set.
func (c TaskConf) says() bool {
	return c.Provider != "" || c.Timeout != 0 || c.LauncherName != "" || c.Cores != nil || c.Memory != nil || c.GPUs != nil ||
		c.Label != "" || c.Way != "" || len(c.Options) > 0
}

// launchers warns of launchers: a site has one, and knows which.
func (d *DAG) launchers() []string {
	var warnings []string
	note := func(path string, c TaskConf) {
		if c.LauncherName != "" && c.LauncherName != "default" {
			warnings = append(warnings, path+".launcher_name: this key has no effect (every site launches tasks in its own way)")
		}
	}
	note("dag.conf.task", d.Conf.Task)
	for _, t := range d.Tasks {
		note("dag.tasks."+string(t.Name)+".conf", t.Conf)
	}
	for _, pt := range d.PartyTasks {
		note("dag.party_tasks."+pt.Site+".conf", pt.Conf)
		for _, name := range slices.Sorted(maps.Keys(pt.Tasks)) {
			note("dag.party_tasks."+pt.Site+".tasks."+string(name)+".conf", pt.Tasks[name].Conf)
		}
	}
	return warnings
}

// dagCheck collects the mistakes of a DAG.
type dagCheck struct {
	*DAG
	parts *Parts
	all   map[Party]bool              // the parties of the job
	took  map[TaskName]map[Party]bool // who takes part in a task, of those that were looked at
	names string                      // of tasks, for remedies; empty: nobody has asked
	known bool                        // who takes part is clear; otherwise nothing is said of parties further down
	found []Mistake
}

// maxFound bounds what is kept of a document whose every line is wrong. An answer lists fewer.
const maxFound = 10 * MaxMistakes

func membersOf(parties []Party) map[Party]bool {
	in := make(map[Party]bool, len(parties))
	for _, p := range parties {
		in[p] = true
	}
	return in
}

// at notes a mistake; the remedy may be empty.
func (c *dagCheck) at(path, remedy, format string, args ...any) {
	if len(c.found) < maxFound {
		c.found = append(c.found, Mistake{Code: CodeInvalid, Path: path, Message: fmt.Sprintf(format, args...), Remedy: remedy})
	}
}

// identifier notes a name that cannot be one; kind says of what.
func (c *dagCheck) identifier(path, kind, s string) bool {
	var e *Error
	if !errors.As(CheckIdentifier(kind, s), &e) {
		return true
	}
	c.at(path, e.Hint, "%s", e.Message)
	return false
}

// of notes a provider or version of a component that can be none.
func (c *dagCheck) of(path string, t Task) {
	var e *Error
	if _, _, err := ParseComponent(ComponentRef(t.Component, t.Of)); errors.As(err, &e) {
		c.at(path, e.Hint, "%s", e.Message)
	}
}

// members notes who of these is no party of the job.
func (c *dagCheck) members(path, remedy string, parties []Party) {
	for _, p := range parties {
		if c.known && !c.all[p] {
			c.at(path+".parties", remedy, "%s is not a party of the job", p)
		}
	}
}

func (c *dagCheck) parties() {
	if len(c.Parties) == 0 {
		c.at("dag.parties", "list at least one role with its party_id", "no parties")
	}
	seen := map[Party]bool{}
	for _, p := range c.Parties {
		switch {
		case !p.Role.Valid():
			c.at("dag.parties", "use guest, host, arbiter or local", "unknown role %q", p.Role)
		case !c.identifier("dag.parties", "party_id", string(p.ID)):
		case seen[p]:
			c.at("dag.parties", "", "%s is listed twice", p)
		}
		seen[p] = true
	}
}

func (c *dagCheck) conf() {
	conf := c.Conf
	for _, f := range []struct {
		wrong         bool
		path, message string
		remedy        string
	}{
		{conf.Cores != nil && *conf.Cores < 0, "dag.conf.cores", fmt.Sprintf("%d is negative", deref(conf.Cores)), ""},
		{conf.Memory != nil && *conf.Memory < 0, "dag.conf.memory", fmt.Sprintf("%d is negative", deref(conf.Memory)), ""},
		{conf.GPUs != nil && *conf.GPUs < 0, "dag.conf.gpus", fmt.Sprintf("%d is negative", deref(conf.GPUs)), ""},
		{conf.AutoRetries < 0, "dag.conf.auto_retries", fmt.Sprintf("%d is negative", conf.AutoRetries), ""},
		{conf.AutoRetries > MaxRetries, "dag.conf.auto_retries", fmt.Sprintf("%d is more than %d", conf.AutoRetries, MaxRetries), ""},
		{conf.ComputingPartitions < 0, "dag.conf.computing_partitions", fmt.Sprintf("%d is negative", conf.ComputingPartitions), "leave it out"},
		{conf.SyncType != "" && conf.SyncType != Callback && conf.SyncType != Poll, "dag.conf.sync_type",
			fmt.Sprintf("unknown value %q", conf.SyncType), "use callback or poll"},
		{conf.Timeout < 0, "dag.conf.timeout", "negative", ""},
		{conf.Task.Timeout < 0, "dag.conf.task.timeout", "negative", ""},
	} {
		if f.wrong {
			c.at(f.path, f.remedy, "%s", f.message)
		}
	}
	for _, f := range [][2]string{
		{"dag.conf.scheduler_party_id", string(conf.Scheduler)}, {"dag.conf.initiator_party_id", string(conf.Initiator)},
		{"dag.conf.model_id", conf.ModelID}, {"dag.conf.model_version", conf.ModelVersion},
	} {
		if f[1] != "" {
			c.identifier(f[0], "name", f[1])
		}
	}
	if wrong := checkPurpose(conf.Purpose); wrong != "" {
		c.at("dag.conf.purpose", fmt.Sprintf("write one line of at most %d bytes", MaxPurpose), "%s", wrong)
	}
	c.stage("dag.stage", c.Stage)
	c.inheritance()
}

// inheritance notes what cannot be taken over from any job.
//
// Spec: fate-flow-api §4.5 (1007).
func (c *dagCheck) inheritance() {
	in := c.Conf.Inheritance
	if in == nil {
		return
	}
	note := func(path, remedy, format string, args ...any) {
		before := len(c.found)
		if c.at(path, remedy, format, args...); len(c.found) > before {
			c.found[before].Subject = AboutInheritance
		}
	}
	if err := CheckJobID(in.Job); err != nil {
		note("dag.conf.inheritance.job_id", "name the earlier job", "%q is no job ID", in.Job)
	}
	if len(in.Tasks) == 0 {
		note("dag.conf.inheritance.task_list", "name the tasks that are taken over, or leave inheritance out", "it names no task")
	}
	for _, name := range in.Tasks {
		if _, known := c.parts.Task(name); !known {
			note("dag.conf.inheritance.task_list", "known tasks: "+c.taskNames(), "unknown task %q", name)
		}
	}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (c *dagCheck) stage(path string, s Stage) {
	switch s {
	case "", StageDefault, StageTrain, StagePredict, StageCrossValidation:
		return
	}
	c.at(path, "use train, predict, default or cross_validation", "unknown stage %q", s)
}

func (c *dagCheck) tasks() {
	if len(c.Tasks) == 0 {
		c.at("dag.tasks", "", "no tasks")
	}
	names := map[TaskName]bool{}
	for _, t := range c.Tasks {
		path := "dag.tasks." + string(t.Name)
		if !identifiable(string(t.Name)) {
			path = fmt.Sprintf("dag.tasks.%q", t.Name) // it may hold what disturbs a terminal
		}
		if !c.identifier(path, "task name", string(t.Name)) {
			continue
		}
		if names[t.Name] {
			c.at(path, "", "defined twice")
		}
		names[t.Name] = true
		if c.identifier(path+".component_ref", "component", t.Component) {
			c.of(path+".component_ref", t)
		}
		c.stage(path+".stage", t.Stage)
		c.taskConf(path+".conf", t.Conf)
		c.members(path, "add it to dag.parties or take it out here", t.Parties)
		for _, n := range t.DependsOn {
			if _, ok := c.parts.Task(n); !ok {
				c.at(path+".dependent_tasks", "", "unknown task %q", n)
			}
		}
		c.inputs(path, t, t.Inputs)
	}
}

// taskConf notes amounts below nothing, and a label that is none.
func (c *dagCheck) taskConf(path string, conf TaskConf) {
	if conf.Timeout < 0 {
		c.at(path+".timeout", "", "negative")
	}
	for _, amount := range []struct {
		key      string
		negative bool
	}{
		{"cores", conf.Cores != nil && *conf.Cores < 0}, {"memory", conf.Memory != nil && *conf.Memory < 0},
		{"gpus", conf.GPUs != nil && *conf.GPUs < 0},
	} {
		if amount.negative {
			c.at(path+".engine_run."+amount.key, "", "negative")
		}
	}
	if conf.Label != "" {
		c.identifier(path+".engine_run.label", "label", conf.Label)
	}
}

func (c *dagCheck) inputs(path string, t Task, inputs []Input) {
	for _, in := range inputs {
		for _, ch := range in.Channels {
			c.channel(fmt.Sprintf("%s.inputs.%s.%s.%s", path, in.Kind, in.Key, ch.Source), t, ch)
		}
	}
}

func (c *dagCheck) channel(path string, t Task, ch Channel) {
	c.members(path, "", ch.Parties)
	switch ch.Source {
	case FromTask:
		if ch.ProducerTask == t.Name {
			c.at(path+".producer_task", "", "task %q feeds itself", t.Name)
		} else if _, ok := c.parts.Task(ch.ProducerTask); !ok {
			c.at(path+".producer_task", "known tasks: "+c.taskNames(), "unknown task %q", ch.ProducerTask)
		}
		if ch.OutputKey == "" {
			c.at(path+".output_artifact_key", "", "missing")
		}
	case FromDataWarehouse:
		if (ch.Namespace == "" || ch.Name == "") && (ch.Job == "" || ch.ProducerTask == "" || ch.OutputKey == "") {
			c.at(path, "", "needs namespace and name, or job_id, producer_task and output_artifact_key")
		} else if ch.Name != "" {
			c.table(path, TableName{ch.Namespace, ch.Name})
		}
	case FromModelWarehouse:
		if ch.ProducerTask == "" || ch.OutputKey == "" {
			c.at(path, "", "needs producer_task and output_artifact_key")
		}
		if ch.Model == nil && c.Conf.ModelWarehouse == nil {
			c.at(path, "give model_id and model_version here or in dag.conf.model_warehouse", "names no model")
		}
	}
}

// table notes a name that no table can have.
func (c *dagCheck) table(path string, t TableName) {
	var e *Error
	if errors.As(t.Check(), &e) {
		c.at(path, e.Hint, "%s", e.Message)
	}
}

// takesPart reports whether p takes part in a task that there is.
func (c *dagCheck) takesPart(name TaskName, p Party) bool {
	if t, _ := c.parts.Task(name); len(t.Parties) == 0 {
		return c.all[p]
	}
	if c.took[name] == nil {
		c.took[name] = membersOf(c.parts.Parties(name))
	}
	return c.took[name][p]
}

func (c *dagCheck) taskNames() string {
	if c.names == "" {
		c.names = c.someTasks()
	}
	return c.names
}

func (c *dagCheck) someTasks() string {
	const most = 20
	names := make([]string, 0, most)
	for _, t := range c.Tasks[:min(most, len(c.Tasks))] {
		names = append(names, string(t.Name))
	}
	if len(c.Tasks) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

func (c *dagCheck) overrides() {
	for _, pt := range c.PartyTasks {
		path := "dag.party_tasks." + pt.Site
		if len(pt.Parties) == 0 {
			c.at(path+".parties", "name its parties", "no parties")
		}
		c.taskConf(path+".conf", pt.Conf)
		c.members(path, "", pt.Parties)
		for _, name := range slices.Sorted(maps.Keys(pt.Tasks)) {
			c.override(path, pt, name)
		}
	}
}

func (c *dagCheck) override(path string, pt PartyTasks, name TaskName) {
	t, ok := c.parts.Task(name)
	if !ok {
		c.at(path+".tasks", "known tasks: "+c.taskNames(), "unknown task %q", name)
		return
	}
	path += ".tasks." + string(name)
	c.taskConf(path+".conf", pt.Tasks[name].Conf)
	for _, p := range pt.Parties {
		if c.known && c.all[p] && !c.takesPart(name, p) {
			c.at(path, "", "%s takes no part in task %q", p, name)
		}
	}
	c.inputs(path, t, pt.Tasks[name].Inputs)
}

func (c *dagCheck) graph() {
	if _, err := c.Order(); err != nil {
		c.found = append(c.found, MistakesOf(err)...)
	}
}

// Order returns the task names so that every task comes after its upstreams, otherwise in the order written. A cycle
// is CodeInvalid and names its tasks.
func (d *DAG) Order() ([]TaskName, error) {
	const entered, left = 1, 2
	state := map[TaskName]int{}
	tasks, upstreams := d.Parts(), d.Edges()
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
			return Refusal([]Mistake{{Code: CodeInvalid, Path: "dag.tasks." + names[0],
				Message: "the tasks form a cycle: " + strings.Join(names, " ← "), Remedy: "take one of these inputs or dependent_tasks out"}})
		}
		state[t.Name] = entered
		path = append(path, t.Name)
		for _, up := range upstreams[t.Name] {
			next, _ := tasks.Task(up)
			if err := visit(next); err != nil {
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
