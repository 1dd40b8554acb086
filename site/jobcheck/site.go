package jobcheck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"openflow"
)

// Site is what one site knows when it checks a job.
type Site struct {
	Self openflow.PartyID
	// Find is what describes the component of a task, as its provider at this site does; or why the site cannot run the task.
	Find func(s openflow.TaskSpec) (Component, *Unresolved)
	// Labels tells of a table here: the name of its label column, empty for none, and whether it has a column of some other
	// name. known is false for a table that the site does not know.
	Labels func(t openflow.TableName) (label string, has func(column string) bool, known bool)
	// Type tells what a table here holds, such as a dataframe; nil: nobody does.
	Type func(t openflow.TableName) (dataType string, known bool)
}

// Unresolved is why no provider of the site runs a task: the mistake, at a member of the task.
type Unresolved struct {
	Member  string // such as conf.provider
	Message string // every party of the job may read it
	Private string // the same for this site's own users, where more can be said; may be empty
	Remedy  string // every party may read it too
}

// Check compares what these parties do in a job with the components of this site. A component or provider that this site
// lacks is a mistake only where this site itself is to run it: the others have their own. What several parties have in common is
// told once. The warnings name what has no effect.
func (s Site) Check(d *openflow.DAG, parties []openflow.Party) (mistakes []openflow.Mistake, warnings []string) {
	all := &findings{known: map[openflow.Mistake]int{}}
	parts, views := d.Parts(), map[openflow.TaskName][]*view{}
	for _, p := range parties {
		v, specs := newView(s, parts, p, all), parts.Of(p)
		for _, spec := range specs {
			v.specs[spec.Name] = spec
			views[spec.Name] = append(views[spec.Name], v)
		}
		for _, spec := range specs {
			v.task(spec)
		}
	}
	s.alike(d, views)
	return all.mistakes(parties), all.warnings
}

// maxFindings bounds what is kept of a job whose every line is wrong. An answer lists fewer.
const maxFindings = 100 * openflow.MaxMistakes

// findings collects mistakes of several parties, each once.
type findings struct {
	list     []finding
	known    map[openflow.Mistake]int // where in the list
	warnings []string
}

type finding struct {
	mistake openflow.Mistake
	task    []openflow.Party // who takes part in the task
	at      []openflow.Party // who has the mistake
}

func (f *findings) add(m openflow.Mistake, task []openflow.Party, at openflow.Party) {
	i, known := f.known[m]
	if !known {
		if len(f.list) == maxFindings {
			return
		}
		i = len(f.list)
		f.known[m] = i
		f.list = append(f.list, finding{mistake: m, task: task})
	}
	f.list[i].at = append(f.list[i].at, at)
}

func (f *findings) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(f.warnings, text) && !f.warned() {
		f.warnings = append(f.warnings, text)
	}
}

// warned reports whether no further warning is kept, so that none need be looked for.
func (f *findings) warned() bool { return len(f.warnings) >= openflow.MaxMistakes }

// mistakes names the parties of what not all that were looked at have in common.
func (f *findings) mistakes(looked []openflow.Party) []openflow.Mistake {
	among := make(map[openflow.Party]bool, len(looked))
	for _, p := range looked {
		among[p] = true
	}
	var list []openflow.Mistake
	for _, found := range f.list {
		concerned := 0
		for _, p := range found.task {
			if among[p] {
				concerned++
			}
		}
		m := found.mistake
		if len(found.at) < concerned && m.Party == "" {
			names := make([]string, len(found.at))
			for i, p := range found.at {
				names[i] = p.String()
			}
			at := " at " + strings.Join(names, ", ")
			if m.Message += at; m.Private != "" {
				m.Private += at
			}
		}
		list = append(list, m)
	}
	return list
}

// view is a job as one party runs it.
type view struct {
	site  Site
	party openflow.Party
	specs map[openflow.TaskName]openflow.TaskSpec
	sites map[openflow.TaskName][]openflow.PartyTasks // what overrides a task at the party
	never map[output]bool                             // what is known of neverWritten
	begin map[output]beginning                        // what is known of where tables begin
	found *findings
}

// output is one of a task.
type output struct {
	task openflow.TaskName
	like string // the input that it passes on
}

func newView(s Site, parts *openflow.Parts, p openflow.Party, found *findings) *view {
	return &view{
		site: s, party: p, found: found, specs: map[openflow.TaskName]openflow.TaskSpec{}, sites: parts.Overrides(p),
		never: map[output]bool{}, begin: map[output]beginning{},
	}
}

func (v *view) wrong(s openflow.TaskSpec, path, remedy, format string, args ...any) {
	v.add(s, openflow.Mistake{Path: "dag.tasks." + string(s.Name) + path, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (v *view) add(s openflow.TaskSpec, m openflow.Mistake) {
	m.Code, m.Subject = openflow.CodeInvalid, openflow.AboutTask
	v.found.add(m, s.Parties, v.party)
}

func (v *view) task(s openflow.TaskSpec) {
	c, unresolved := v.site.Find(s)
	if unresolved != nil {
		if v.party.ID == v.site.Self {
			v.add(s, openflow.Mistake{Party: v.site.Self, Path: "dag.tasks." + string(s.Name) + "." + unresolved.Member,
				Message: unresolved.Message, Private: unresolved.Private, Remedy: unresolved.Remedy})
		}
		return
	}
	if !slices.Contains(c.Roles, v.party.Role) {
		v.wrong(s, ".parties", fmt.Sprintf("leave %s out of the task's parties", v.party.Role),
			"component %q has no part for a party in the role %s", s.Component, v.party.Role)
		return
	}
	if !slices.Contains(c.Stages, s.Stage) {
		v.wrong(s, ".stage", fmt.Sprintf("its stages are %v; set the task's stage", c.Stages),
			"component %q does not run in stage %q", s.Component, s.Stage)
		return
	}
	v.way(s, c)
	v.needs(s, c)
	v.parameters(s, c)
	v.inputs(s, c)
}

// way checks that the task can get its container as the job says.
func (v *view) way(s openflow.TaskSpec, c Component) {
	if s.Conf.Way != openflow.WayResident {
		return
	}
	if c.Way != openflow.WayResident {
		v.wrong(s, ".conf.way", fmt.Sprintf("leave way out, there and in dag.conf.task, or write %q; or name a provider whose %s is resident", openflow.WayTask, s.Component),
			"component %q is not resident at party %s: each of its tasks gets a container of its own", s.Component, v.party.ID)
	} else if s.Conf.GPUs != nil && *s.Conf.GPUs > 0 {
		v.wrong(s, ".conf.way", fmt.Sprintf("write %q, or ask for no GPUs", openflow.WayTask), "a task with GPUs has a container of its own, and is not resident")
	}
}

// brings reports whether an input of that kind is filled.
func brings(s openflow.TaskSpec, kind openflow.InputKind) bool {
	return slices.ContainsFunc(s.Inputs, func(in openflow.Input) bool { return in.Kind == kind })
}

// needs checks who takes part.
func (v *view) needs(s openflow.TaskSpec, c Component) {
	for _, n := range c.Needs {
		if len(n.Stages) > 0 && !slices.Contains(n.Stages, s.Stage) || !holds(n, s, c) {
			continue
		}
		count := 0
		for _, p := range s.Parties {
			if p.Role == n.Role {
				count++
			}
		}
		switch {
		case count >= n.Min && (n.Max == 0 || count <= n.Max):
		case n.Parameter != "":
			v.wrong(s, ".parameters."+n.Parameter, "set another value", "%s of it needs %s, and the task has %d",
				strings.Join(n.Values, " or "), counted(n), count)
		case count < n.Min:
			v.wrong(s, ".parties", "name them in the task's parties, or in dag.parties", "component %q needs %s, and the task has %d",
				s.Component, counted(n), count)
		default:
			v.wrong(s, ".parties", "leave the others out of the task's parties", "component %q takes %s, and the task has %d", s.Component, counted(n), count)
		}
	}
}

// holds reports whether n is a need of this task, by a parameter of it. A model that comes in may bring its own.
func holds(n openflow.ComponentNeed, s openflow.TaskSpec, c Component) bool {
	if n.Parameter == "" {
		return true
	}
	value, _ := s.Parameters[n.Parameter].(string)
	if s.Parameters[n.Parameter] == nil {
		value, _ = c.Parameters[n.Parameter].Schema.Default.(string)
	}
	return slices.Contains(n.Values, strings.ToLower(value)) && !brings(s, openflow.InputModel)
}

func counted(n openflow.ComponentNeed) string {
	switch {
	case n.Max == n.Min:
		return fmt.Sprintf("exactly %d %s", n.Min, n.Role)
	case n.Max == 0:
		return fmt.Sprintf("at least %d %s", n.Min, n.Role)
	}
	return fmt.Sprintf("%d to %d %s", n.Min, n.Max, n.Role)
}

func (v *view) parameters(s openflow.TaskSpec, c Component) {
	var unread []string // parameters that the component does not have
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		if _, known := c.Parameters[name]; !known {
			unread = append(unread, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		p, value := c.Parameters[name], s.Parameters[name]
		if value == nil && p.Optional {
			continue
		}
		path := v.origin(s, name) + ".parameters." + name
		if value == nil || value == "" && !p.Optional {
			if !p.Optional {
				v.add(s, openflow.Mistake{Path: path, Message: "required by component " + s.Component,
					Remedy: misspelt(s.Component, unread) + "set it there, or for single parties in dag.party_tasks"})
			}
			continue
		}
		schema := p.Schema
		schema.exact = c.Exact
		seen := schema.check(value)
		for _, f := range seen.faults {
			m := openflow.Mistake{Path: path + f.path, Message: f.want, Found: f.found}
			if f.want == missing {
				m.Remedy = strings.TrimSuffix(misspelt(s.Component, beside(f.path, seen.ignored)), "; ")
			}
			v.add(s, m)
		}
		for _, member := range seen.ignored {
			if v.found.warned() {
				break
			}
			name := member.path[strings.LastIndex(member.path, ".")+1:]
			v.found.warn("%s%s: component %q has no such parameter; it is ignored%s", path, clip(member.path), s.Component, near(name, slices.Values(member.known)))
		}
		for _, text := range seen.read {
			v.found.warn("%s%s", path, text)
		}
	}
	for _, name := range unread {
		if v.found.warned() {
			break
		}
		v.found.warn("%s.parameters.%s: component %q has no parameter %q; it is ignored%s", v.origin(s, name), clip(name), s.Component, clip(name),
			near(name, maps.Keys(c.Parameters)))
	}
}

// misspelt names parameters that nobody reads beside one that is missing: one of them is likely meant by it. Empty: none.
func misspelt(component string, unread []string) string {
	const most = 5
	if len(unread) == 0 {
		return ""
	}
	return fmt.Sprintf("component %q has no parameter %s: correct the name; ", component, quoted(unread[:min(most, len(unread))]))
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", clip(name))
	}
	return strings.Join(list, ", ")
}

// beside lists the ignored members of the object that lacks the one at path.
func beside(path string, ignored []skipped) []string {
	object := path[:strings.LastIndex(path, ".")+1]
	var names []string
	for _, one := range ignored {
		if name, inside := strings.CutPrefix(one.path, object); inside && !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// origin is the place of the document where this party's value of a parameter was set: the last override that has it,
// otherwise the task.
func (v *view) origin(s openflow.TaskSpec, name string) string {
	path := "dag.tasks." + string(s.Name)
	for _, pt := range v.sites[s.Name] {
		if _, sets := pt.Tasks[s.Name].Parameters[name]; sets {
			path = "dag.party_tasks." + pt.Site + ".tasks." + string(s.Name)
		}
	}
	return path
}

func (v *view) inputs(s openflow.TaskSpec, c Component) {
	bound := map[openflow.InputKind]map[string]bool{openflow.InputData: {}, openflow.InputModel: {}}
	for _, in := range s.Inputs {
		path := fmt.Sprintf(".inputs.%s.%s", in.Kind, in.Key)
		a, known := c.Inputs[in.Kind][in.Key]
		switch {
		case !known:
			v.wrong(s, path, remedyOf(in.Kind, "input", c.Inputs[in.Kind]), "component %q has no %s input %q", s.Component, in.Kind, in.Key)
			continue
		case !active(a, s, v.party.Role):
			v.found.warn("dag.tasks.%s%s: it has no effect at %s in stage %s", s.Name, path, v.party, s.Stage)
			continue
		case len(in.Channels) > 1 && !a.Multi:
			v.wrong(s, path, "name the parties of each channel", "it takes one channel, and has %d", len(in.Channels))
		}
		bound[in.Kind][in.Key] = true
		for _, ch := range in.Channels {
			v.channel(s, path, in.Kind, a, ch)
			v.label(s, c, path, a, in.Kind, ch)
			v.fits(s, path, in.Kind, a, ch)
		}
	}
	for _, kind := range []openflow.InputKind{openflow.InputData, openflow.InputModel} {
		for _, key := range slices.Sorted(maps.Keys(c.Inputs[kind])) {
			a := c.Inputs[kind][key]
			if active(a, s, v.party.Role) && !a.Optional && !bound[kind][key] {
				v.wrong(s, fmt.Sprintf(".inputs.%s.%s", kind, key), "give it a channel that reaches every party which needs it",
					"component %q requires this input, and nothing fills it", s.Component)
			}
		}
	}
}

// channel checks that the producer has what a channel takes, at this party. What an optional input takes may be missing
// when the job runs: then it is dropped.
func (v *view) channel(s openflow.TaskSpec, path string, kind openflow.InputKind, a openflow.ComponentArtifact, ch openflow.Channel) {
	if ch.Source != openflow.FromTask {
		return
	}
	path += "." + string(ch.Source)
	producer, takesPart := v.specs[ch.ProducerTask]
	if !takesPart {
		if !a.Optional {
			v.wrong(s, path, "take it from a task of the same parties", "task %q has no output here, because it is not run here", ch.ProducerTask)
		}
		return
	}
	c, unresolved := v.site.Find(producer)
	if unresolved != nil {
		return
	}
	out, has := c.Outputs[kind][ch.OutputKey]
	switch {
	case !has:
		v.wrong(s, path+".output_artifact_key", remedyOf(kind, "output", c.Outputs[kind]), "component %q of task %q has no %s output %q",
			producer.Component, producer.Name, kind, ch.OutputKey)
	case a.Optional:
	case !active(out, producer, v.party.Role):
		v.wrong(s, path+".output_artifact_key", "say with parties whom the channel is for, or take another output", "task %q writes no %q as %s in stage %s", producer.Name, ch.OutputKey, v.party.Role, producer.Stage)
	case v.neverWritten(producer, out):
		v.wrong(s, path, fmt.Sprintf("fill the input %q of task %s, or take it from another task", out.Like, producer.Name),
			"required, and task %q writes no %q without its input %q", producer.Name, ch.OutputKey, out.Like)
	}
}

// neverWritten reports whether an optional output passes on an input that nothing fills. In a cycle it is none.
func (v *view) neverWritten(s openflow.TaskSpec, out openflow.ComponentArtifact) bool {
	if !out.Optional || out.Like == "" {
		return false
	}
	key := output{s.Name, out.Like}
	if never, known := v.never[key]; known {
		return never
	}
	v.never[key] = false // until it is known: this ends a cycle
	v.never[key] = v.unfilled(s, out.Like)
	return v.never[key]
}

func (v *view) unfilled(s openflow.TaskSpec, input string) bool {
	in, bound := inputOf(s, input)
	if !bound {
		return true
	}
	if len(in.Channels) != 1 || in.Channels[0].Source != openflow.FromTask {
		return false
	}
	up, here := v.specs[in.Channels[0].ProducerTask]
	if !here {
		return true
	}
	c, _ := v.site.Find(up)
	next, known := c.Outputs[openflow.InputData][in.Channels[0].OutputKey]
	return known && v.neverWritten(up, next)
}

func inputOf(s openflow.TaskSpec, key string) (openflow.Input, bool) {
	i := slices.IndexFunc(s.Inputs, func(in openflow.Input) bool { return in.Kind == openflow.InputData && in.Key == key })
	if i < 0 {
		return openflow.Input{}, false
	}
	return s.Inputs[i], true
}

// label checks that a table which must have a label column has one, where the table can be followed to one of this site.
func (v *view) label(s openflow.TaskSpec, c Component, path string, a openflow.ComponentArtifact, kind openflow.InputKind, ch openflow.Channel) {
	if kind != openflow.InputData || !slices.Contains(a.Labelled, v.party.Role) || v.party.ID != v.site.Self || v.site.Labels == nil {
		return
	}
	name, followed := v.table(ch)
	if !followed {
		return
	}
	label, has, known := v.site.Labels(name)
	if !known {
		return
	}
	if a.LabelName == "" {
		if label == "" {
			v.wrong(s, path, "upload the table again and name its label column", "table %s has no label column", name)
		}
		return
	}
	wanted, _ := s.Parameters[a.LabelName].(string)
	if wanted = cmp.Or(wanted, defaultLabel); wanted != label && !has(wanted) {
		v.add(s, openflow.Mistake{
			Path: v.origin(s, a.LabelName) + ".parameters." + a.LabelName, Message: "it does not fit this party's data",
			Private: fmt.Sprintf("table %s has no column %q of labels", name, clip(wanted)), Remedy: "ask the party's users what it is called",
		})
	}
}

// defaultLabel is what components call the column of labels that they write.
const defaultLabel = "label"

// beginning is the table of this site that an output begins at; known is false where it begins at none.
type beginning struct {
	table openflow.TableName
	known bool
}

// table follows a channel to the table of this site that it begins at, as far as columns stay the same. Each output is
// followed once, however many channels lead to it, and a cycle leads to none.
func (v *view) table(ch openflow.Channel) (openflow.TableName, bool) {
	var way []output
	var end beginning
	for {
		if ch.Source == openflow.FromDataWarehouse && ch.Name != "" {
			end = beginning{openflow.TableName{Namespace: ch.Namespace, Name: ch.Name}, true}
			break
		}
		key := output{ch.ProducerTask, ch.OutputKey}
		if known, followed := v.begin[key]; followed {
			end = known
			break
		}
		up, here := v.specs[ch.ProducerTask]
		if ch.Source != openflow.FromTask || !here {
			break
		}
		v.begin[key] = beginning{} // until it is known: this ends a cycle
		way = append(way, key)
		if name, reads := up.Reads(); reads {
			end = beginning{name, true}
			break
		}
		next, more := v.passedOn(up, ch.OutputKey)
		if !more {
			break
		}
		ch = next
	}
	for _, key := range way {
		v.begin[key] = end
	}
	return end.table, end.known
}

// passedOn is the one channel of the input whose columns an output has.
func (v *view) passedOn(s openflow.TaskSpec, key string) (openflow.Channel, bool) {
	c, _ := v.site.Find(s)
	out, known := c.Outputs[openflow.InputData][key]
	if !known || out.Like == "" {
		return openflow.Channel{}, false
	}
	in, bound := inputOf(s, out.Like)
	if !bound || len(in.Channels) != 1 {
		return openflow.Channel{}, false
	}
	return in.Channels[0], true
}

func remedyOf(kind openflow.InputKind, what string, has map[string]openflow.ComponentArtifact) string {
	if len(has) == 0 {
		return fmt.Sprintf("it has no %s %ss", kind, what)
	}
	return fmt.Sprintf("its %s %ss: %s", kind, what, listed(has))
}

func listed[T any](m map[string]T) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
