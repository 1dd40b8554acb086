package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"openflow"
)

// MaxDocument is the largest DAG document that is read, in bytes.
const MaxDocument = 8 << 20

// Kind is the only value of a DAG document's "kind" that this dialect speaks.
const Kind = "fate"

// ParseDAG reads what a person wrote, YAML or JSON: `{dag, schema_version, kind?}`. Unknown keys are refused by name and
// line, and the result has been validated. Errors: CodeInvalid, whose message names the place.
//
// Spec: fate-flow-api §4.1; strictness: part 7 #4, #5.
func ParseDAG(data []byte) (*openflow.DAG, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // which editors of Windows write
	if !utf8.Valid(data) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the DAG document is not UTF-8 text").WithHint("save it as UTF-8")
	}
	parse := parseYAML
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		parse = parseJSON
	}
	r := &reader{}
	d, err := r.document(data, parse)
	if err != nil {
		return nil, err
	}
	r.version(d.SchemaVersion)
	return d, r.refusal(d)
}

// ReceiveDAG reads what another node sent: JSON, in which keys that we do not know are passed over, and the version too,
// which that node has judged. The result has been validated. Errors: CodeInvalid.
func ReceiveDAG(data []byte) (*openflow.DAG, error) {
	r := &reader{lenient: true}
	d, err := r.document(data, parseJSON)
	if err != nil {
		return nil, err
	}
	return d, r.refusal(d)
}

// ReceiveSubmission is ReceiveDAG for what a user's client sent: it also tells which keys have no effect. What is wrong
// with a document that can be read is in the submission's Mistakes, so that it is told with all that the node finds.
func ReceiveSubmission(data []byte) (openflow.Submission, error) {
	r := &reader{lenient: true}
	d, err := r.document(data, parseJSON)
	if err != nil {
		return openflow.Submission{}, err
	}
	r.version(d.SchemaVersion)
	return openflow.Submission{DAG: d, Mistakes: r.mistakes, Warnings: r.ignored.warnings()}, nil
}

func (r *reader) document(data []byte, parse func([]byte) (*tree, error)) (*openflow.DAG, error) {
	if len(data) > MaxDocument {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the DAG document has %d bytes, more than %d", len(data), MaxDocument).
			WithHint("split the job")
	}
	t, err := parse(data)
	if err != nil {
		return nil, err
	}
	r.top = t
	return readDocument(r, t), nil
}

// refusal lists what is wrong with a document that has been read to the end; nil for nothing.
func (r *reader) refusal(d *openflow.DAG) error {
	return openflow.Refusal(append(r.mistakes, openflow.Unrelated(r.mistakes, d.Mistakes())...))
}

// SchemaVersion is the version of the documents that are read here.
const SchemaVersion = "2.2.0"

// earlier matches the versions before ours whose documents have the same form.
var earlier = regexp.MustCompile(`^2\.[01]\.[0-9]{1,3}([-.]?(alpha|beta|rc)[0-9]{0,3})?$`)

// version judges which form a document says that it has.
func (r *reader) version(v string) {
	switch {
	case v == "" || v == SchemaVersion:
	case earlier.MatchString(v):
		r.ignored.tell(fmt.Sprintf("schema_version: %s is read as %s: roles in a channel mean their parties, and keys that %s lacks have no effect",
			v, SchemaVersion, SchemaVersion))
	default:
		r.note(r.top, "schema_version", fmt.Sprintf("write %q, and compare the document with docs/jobs.md", SchemaVersion),
			"version %q is not known here", clip(v))
	}
}

func readDocument(r *reader, t *tree) *openflow.DAG {
	top := r.object(t, "")
	if kind := top.text("kind"); kind != "" && kind != Kind {
		r.note(t, "kind", "leave it out", "%q is not spoken here", clip(kind))
	}
	version := top.text("schema_version")
	if v := top.take("schema_version"); v == nil || v.value == "" {
		top.missing("schema_version", fmt.Sprintf("write %q", SchemaVersion))
	}
	body := top.take("dag")
	switch {
	case body != nil:
	case top.o.values["dag_schema"] != nil:
		top.missing("dag", "the document is what is inside dag_schema; give that alone")
	default:
		top.missing("dag", "it holds parties and tasks; see docs/jobs.md")
	}
	d := readDAG(r.object(body, "dag"))
	d.SchemaVersion = version
	top.done()
	return d
}

func readDAG(f *fields) *openflow.DAG {
	d := &openflow.DAG{
		Parties: readParties(f, "parties"),
		Stage:   openflow.Stage(f.text("stage")),
		Conf:    readConf(f.r.object(f.take("conf"), f.at("conf"))),
	}
	tasks := f.r.object(f.take("tasks"), f.at("tasks"))
	for _, name := range tasks.o.keys {
		d.Tasks = append(d.Tasks, readTask(name, f.r.object(tasks.take(name), tasks.at(name)), d.Parties))
	}
	sites := f.r.object(f.take("party_tasks"), f.at("party_tasks"))
	for _, site := range sites.o.keys {
		d.PartyTasks = append(d.PartyTasks, readPartyTasks(site, f.r.object(sites.take(site), sites.at(site)), d.Parties))
	}
	f.done()
	return d
}

// readParties flattens `[{role, party_id: [..]}]`; several entries of one role are merged. Who is there twice is a
// mistake, and so is an entry that names nobody: without it, a task would run at all parties.
func readParties(f *fields, key string) []openflow.Party {
	var parties []openflow.Party
	seen := map[openflow.Party]bool{}
	list := f.list(key)
	if v := f.take(key); v != nil && list != nil && len(list) == 0 {
		f.r.note(v, f.at(key), "leave it out, or name parties", "it names no party")
	}
	for i, item := range list {
		path := fmt.Sprintf("%s[%d]", f.at(key), i)
		if item.value == nil {
			f.r.fail(item, path, `write {role: guest, party_id: ["9999"]}`, "expected an object, found null")
			continue
		}
		p := f.r.object(item, path)
		role := openflow.Role(p.text("role"))
		ids := p.list("party_id")
		if len(ids) == 0 && !p.bad && !p.strange() && !p.unreadable("party_id") {
			f.r.fail(item, p.at("party_id"), `write a list of IDs: ["9999"]`, "it names no party")
		}
		for _, id := range ids {
			party := openflow.Party{Role: role, ID: openflow.PartyID(f.r.id(id, p.at("party_id")))}
			if seen[party] {
				f.r.note(id, path, "list it once", "%s is listed twice", party)
				continue
			}
			seen[party] = true
			parties = append(parties, party)
		}
		p.done()
	}
	return parties
}

func readConf(f *fields) openflow.JobConf {
	c := openflow.JobConf{
		Priority: f.intOr("priority", 0), Cores: f.integer("cores"), Memory: f.memory("memory"), GPUs: f.integer("gpus"),
		Scheduler: openflow.PartyID(f.text("scheduler_party_id")), Initiator: openflow.PartyID(f.text("initiator_party_id")),
		ComputingPartitions: f.intOr("computing_partitions", 0), SyncType: openflow.SyncType(f.text("sync_type")),
		AutoRetries: f.intOr("auto_retries", 0), Timeout: readTimeout(f), ModelID: f.text("model_id"), ModelVersion: f.text("model_version"),
		Purpose: f.text("purpose"), Task: readTaskConf(f.r.object(f.take("task"), f.at("task"))), Extra: f.mapping("extra"),
	}
	if t := f.take("model_warehouse"); t != nil {
		m := f.r.object(t, f.at("model_warehouse"))
		c.ModelWarehouse = modelRef(m)
		if c.ModelWarehouse.ID == "" && !m.strange() && m.take("model_id") == nil {
			m.missing("model_id", "job submit and job show tell the model's ID")
		}
		m.done()
	}
	if t := f.take("inheritance"); t != nil {
		in := f.r.object(t, f.at("inheritance"))
		c.Inheritance = &openflow.Inheritance{Job: openflow.JobID(in.text("job_id")), Tasks: readNames(in, "task_list")}
		in.done()
	}
	f.done()
	return c
}

// maxTimeout is the longest run, in seconds: ten years, far below what a time.Duration holds.
const maxTimeout = 10 * 366 * 24 * 3600

func readTimeout(f *fields) time.Duration {
	seconds := f.intOr("timeout", 0)
	if seconds < 0 || seconds > maxTimeout {
		f.r.fail(f.t, f.at("timeout"), "write whole seconds: 3600 is an hour", "expected seconds between 0 and %d, found %d", maxTimeout, seconds)
	}
	return time.Duration(seconds) * time.Second
}

func readTaskConf(f *fields) openflow.TaskConf {
	c := openflow.TaskConf{
		Provider: f.text("provider"), LauncherName: f.text("launcher_name"), Timeout: readTimeout(f),
	}
	readEngineRun(f, f.mapping("engine_run"), &c)
	c.Way = readWay(f)
	f.done()
	return c
}

// readWay reads how a task is to get its container.
func readWay(f *fields) openflow.Way {
	way := openflow.Way(f.text("way"))
	if way != "" && way != openflow.WayTask && way != openflow.WayResident {
		f.r.fail(f.t, f.at("way"), fmt.Sprintf("write %q or %q, or leave it out: each component says its own", openflow.WayTask, openflow.WayResident),
			"no task runs in the way %s", clip(strconv.Quote(string(way))))
		return ""
	}
	return way
}

// engineRunKeys are those of fate-flow-api §4.1.2 and ours: memory, gpus.
var engineRunKeys = []string{
	"cores", "memory", "gpus", "label", "num-executors", "executor-cores", "executor-memory", "driver-memory", "conf",
	"timeout_seconds", "resource_exhausted_strategy", "timeout",
}

// readEngineRun takes from a task's engine_run what is ours, and keeps the rest as it is.
func readEngineRun(f *fields, run map[string]any, c *openflow.TaskConf) {
	for _, key := range slices.Sorted(maps.Keys(run)) {
		var err error
		switch key {
		case "cores":
			c.Cores, err = count(run[key])
		case "gpus":
			c.GPUs, err = count(run[key])
		case "memory":
			var n int64
			if n, err = memoryOf(run[key]); err == nil {
				c.Memory = &n
			}
		case "label":
			c.Label, err = labelOf(run[key])
		default:
			if c.Options == nil {
				c.Options = map[string]any{}
			}
			c.Options[key] = run[key]
			if f.r.lenient {
				f.r.ignored.add(f.at("engine_run."+key), "")
			} else if !slices.Contains(engineRunKeys, key) {
				err = fmt.Errorf("unknown key %q", key)
			}
		}
		if err != nil {
			f.r.failed(f.t, f.at("engine_run."+key), err)
		}
	}
}

// memory reads an amount of memory: bytes, or a text with a unit.
func (f *fields) memory(key string) *int64 {
	v := f.take(key)
	if v == nil {
		return nil
	}
	n, err := memoryOf(v.value)
	if err != nil {
		f.r.failed(v, f.at(key), err)
	}
	return &n
}

func memoryOf(v any) (int64, error) {
	switch x := v.(type) {
	case json.Number:
		return wholeNumber(x)
	case string:
		return openflow.ParseBytes(x)
	}
	return 0, fmt.Errorf("expected bytes or a text such as 4GiB, found %v", v)
}

func count(v any) (*int, error) {
	n, err := wholeNumber(v)
	if err != nil {
		return nil, err
	}
	return new(int(n)), nil
}

// labelOf reads which machines of a pool may run a task. Null says nothing.
func labelOf(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	label, ok := v.(string)
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "engine_run.label is not a text: %v", v)
	}
	if err := openflow.CheckIdentifier("engine_run.label", label); err != nil {
		return "", err
	}
	return label, nil
}

func wholeNumber(v any) (int64, error) {
	var digits string
	switch x := v.(type) {
	case json.Number:
		digits = x.String()
	case string:
		digits = x
	default:
		return 0, fmt.Errorf("expected an integer, found %s", kindOf(&tree{value: v}))
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || i < 0 {
		return 0, fmt.Errorf("expected an integer of at least 0, found %s", clip(digits))
	}
	return i, nil
}

func readNames(f *fields, key string) []openflow.TaskName {
	var names []openflow.TaskName
	for _, t := range f.list(key) {
		names = append(names, openflow.TaskName(f.r.text(t, f.at(key))))
	}
	return names
}

func readTask(name string, f *fields, parties []openflow.Party) openflow.Task {
	t := openflow.Task{
		Name: openflow.TaskName(name), DependsOn: readNames(f, "dependent_tasks"),
		Parameters: f.mapping("parameters"), Parties: readParties(f, "parties"), Stage: openflow.Stage(f.text("stage")),
		Conf: readTaskConf(f.r.object(f.take("conf"), f.at("conf"))),
	}
	if f.take("component_ref") == nil {
		f.missing("component_ref", "name the component, such as psi")
	} else if ref := f.text("component_ref"); ref != "" {
		var err error
		if t.Component, t.Of, err = openflow.ParseComponent(ref); err != nil {
			f.r.failed(f.take("component_ref"), f.at("component_ref"), err)
		}
	}
	t.Inputs = readInputs(f, parties)
	if out := f.take("outputs"); out != nil && f.r.lenient { // read by the BFIA adapter only (fate-flow-api §4.1.3)
		f.r.ignored.add(f.at("outputs"), "outputs")
	}
	f.done()
	return t
}

// readInputs reads the `inputs` of a task, or of what differs of it at some parties.
func readInputs(f *fields, parties []openflow.Party) []openflow.Input {
	var inputs []openflow.Input
	in := f.r.object(f.take("inputs"), f.at("inputs"))
	for _, kind := range []openflow.InputKind{openflow.InputData, openflow.InputModel} {
		keys := f.r.object(in.take(string(kind)), in.at(string(kind)))
		for _, key := range keys.o.keys {
			input := openflow.Input{Kind: kind, Key: key}
			if v := keys.take(key); v != nil {
				before := len(f.r.mistakes)
				input.Channels = readSources(f.r, v, keys.at(key), parties)
				if _, is := v.value.(*object); is && len(input.Channels) == 0 && len(f.r.mistakes) == before {
					f.r.note(v, keys.at(key), "name one of task_output_artifact, data_warehouse, model_warehouse", "it names no source")
				}
			}
			if len(input.Channels) > 0 {
				inputs = append(inputs, input)
			}
		}
	}
	in.take("parameters") // upstream ignores it, and real pipelines carry it (fate-flow-api §4.1.3)
	in.done()
	return inputs
}

// readSources reads what fills one input: an object by source, or a list of them, as clients send it for inputs of
// several tables.
func readSources(r *reader, t *tree, path string, parties []openflow.Party) []openflow.Channel {
	list, ok := t.value.([]*tree)
	if !ok {
		return readChannels(r.object(t, path), parties)
	}
	var channels []openflow.Channel
	for i, item := range list {
		channels = append(channels, readChannels(r.object(item, fmt.Sprintf("%s[%d]", path, i)), parties)...)
	}
	slices.SortStableFunc(channels, func(a, b openflow.Channel) int { // as they are written
		return slices.Index(sources, a.Source) - slices.Index(sources, b.Source)
	})
	return channels
}

// sources are those of a channel, in the order in which documents have them.
var sources = []openflow.Source{openflow.FromTask, openflow.FromDataWarehouse, openflow.FromModelWarehouse}

func readChannels(f *fields, parties []openflow.Party) []openflow.Channel {
	var channels []openflow.Channel
	for _, source := range sources {
		v := f.take(string(source))
		if v == nil {
			continue
		}
		list, ok := v.value.([]*tree)
		if !ok {
			list = []*tree{v}
		}
		for _, item := range list {
			channels = append(channels, readChannel(source, f.r.object(item, f.at(string(source))), parties))
		}
	}
	f.done()
	return channels
}

func readChannel(source openflow.Source, f *fields, parties []openflow.Party) openflow.Channel {
	c := openflow.Channel{
		Source: source, ProducerTask: openflow.TaskName(f.text("producer_task")), OutputKey: f.text("output_artifact_key"),
		Parties: readChannelParties(f, parties),
	}
	f.take("output_artifact_type_alias")
	switch source {
	case openflow.FromDataWarehouse:
		c.Namespace, c.Name, c.Job = f.text("namespace"), f.text("name"), openflow.JobID(f.text("job_id"))
		if f.take("dataset_id") != nil && f.r.lenient {
			f.r.ignored.add(f.at("dataset_id"), "dataset_id")
		}
	case openflow.FromModelWarehouse:
		if f.text("model_id") != "" {
			c.Model = modelRef(f)
		}
		f.take("model_version")
	case openflow.FromTask:
	}
	f.done()
	return c
}

// readChannelParties reads for whom a channel is: `parties`, or as FATE's older documents have it, `roles`, which mean
// every party of the job in one of them. Of both, who is in both.
func readChannelParties(f *fields, job []openflow.Party) []openflow.Party {
	listed := readParties(f, "parties")
	roles := f.list("roles")
	if len(roles) == 0 {
		return listed
	}
	var named []openflow.Role
	for _, item := range roles {
		role := openflow.Role(f.r.text(item, f.at("roles")))
		if !slices.ContainsFunc(job, func(p openflow.Party) bool { return p.Role == role }) {
			f.r.fail(item, f.at("roles"), "name roles of dag.parties", "no party of the job is %q", clip(string(role)))
		}
		named = append(named, role)
	}
	among := job
	if len(listed) > 0 {
		among = listed
	}
	var parties []openflow.Party
	for _, p := range among {
		if slices.Contains(named, p.Role) {
			parties = append(parties, p)
		}
	}
	if len(parties) == 0 && !f.r.broken {
		f.r.fail(f.t, f.at("roles"), "leave one of them out", "no party is in both roles and parties")
	}
	return parties
}

// modelRef reads a model's two names. A version that is not given is "0" (part 7 #42).
func modelRef(f *fields) *openflow.ModelRef {
	m := &openflow.ModelRef{ID: f.text("model_id"), Version: f.text("model_version")}
	if m.Version == "" {
		m.Version = "0"
	}
	return m
}

func readPartyTasks(site string, f *fields, parties []openflow.Party) openflow.PartyTasks {
	pt := openflow.PartyTasks{
		Site: site, Parties: readParties(f, "parties"), Conf: readTaskConf(f.r.object(f.take("conf"), f.at("conf"))),
		Tasks: map[openflow.TaskName]openflow.TaskOverride{},
	}
	tasks := f.r.object(f.take("tasks"), f.at("tasks"))
	for _, name := range tasks.o.keys {
		o := f.r.object(tasks.take(name), tasks.at(name))
		pt.Tasks[openflow.TaskName(name)] = openflow.TaskOverride{
			Parameters: o.mapping("parameters"), Conf: readTaskConf(f.r.object(o.take("conf"), o.at("conf"))), Inputs: readInputs(o, parties),
		}
		o.done()
	}
	f.done()
	return pt
}
