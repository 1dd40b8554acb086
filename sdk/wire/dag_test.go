package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// minimal is the least valid document, with room for more below every object.
const minimal = `
schema_version: "2.2.0"
%[1]s
dag:
  parties: [{role: guest, party_id: ["9999"]}]
  %[2]s
  tasks:
    reader_0:
      component_ref: reader
      %[3]s
`

func document(top, dag, task string) []byte { return fmt.Appendf(nil, minimal, top, dag, task) }

func TestMinimalDocument(t *testing.T) {
	d, err := wire.ParseDAG(document("", "", ""))
	require.NoError(t, err)
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	require.Empty(t, cmp.Diff(&openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "reader_0", Component: "reader"}},
	}, d))
}

// A task may say in its component_ref whose component it means. It is written again as it was.
func TestReferencesOfComponents(t *testing.T) {
	for ref, want := range map[string]openflow.Task{
		"psi": {Component: "psi"}, "acme:psi": {Component: "psi", Of: openflow.ProviderRef{Name: "acme"}},
		"acme:psi@1.2": {Component: "psi", Of: openflow.ProviderRef{Name: "acme", Version: "1.2"}},
	} {
		d, err := wire.ParseDAG(bytes.ReplaceAll(document("", "", ""), []byte("component_ref: reader"), []byte("component_ref: "+ref)))
		require.NoError(t, err)
		want.Name = "reader_0"
		require.Equal(t, want, d.Tasks[0])
		text, err := wire.EncodeDAG(d)
		require.NoError(t, err)
		require.Contains(t, string(text), `"component_ref":"`+ref+`"`)
	}
	_, err := wire.ParseDAG(bytes.ReplaceAll(document("", "", ""), []byte("component_ref: reader"), []byte("component_ref: 'acme:psi@'")))
	require.ErrorContains(t, err, `dag.tasks.reader_0.component_ref (line 9): component "acme:psi@" is not a valid name (write psi, acme:psi, psi@1.2 or acme:psi@1.2`)
}

// Every object of the schema refuses a key that it does not know, by path and line.
func TestUnknownKeysAreNamed(t *testing.T) {
	for want, doc := range map[string][]byte{
		`kindd (line 3): unknown key "kindd"`:             document(`kindd: fate`, "", ""),
		`dag.staeg (line 6): unknown key "staeg"`:         document("", `staeg: train`, ""),
		`dag.conf.core (line 6): unknown key "core"`:      document("", `conf: {core: 4}`, ""),
		`dag.conf.task.time (line 6): unknown key "time"`: document("", `conf: {task: {time: 4}}`, ""),
		`dag.conf.memory (line 6): "4 gigs" is not an amount of memory (write bytes, or a unit as in 512MiB or 4GiB)`:         document("", `conf: {memory: 4 gigs}`, ""),
		`dag.conf.memory (line 6): expected an integer of at least 0, found -1`:                                               document("", `conf: {memory: -1}`, ""),
		`dag.conf.gpu (line 6): unknown key "gpu"`:                                                                            document("", `conf: {gpu: 1}`, ""),
		`dag.conf.gpus: -1 is negative`:                                                                                       document("", `conf: {gpus: -1}`, ""),
		`dag.conf.task.engine_run.core (line 6): unknown key "core"`:                                                          document("", `conf: {task: {engine_run: {core: 1}}}`, ""),
		`dag.conf.task.engine_run.gpus (line 6): expected an integer of at least 0, found one`:                                document("", `conf: {task: {engine_run: {gpus: one}}}`, ""),
		`dag.tasks.reader_0.conf.engine_run.memory (line 10): expected bytes or a text such as 4GiB, found [1]`:               document("", "", `conf: {engine_run: {memory: [1]}}`),
		`dag.conf.inheritance.jobs (line 6): unknown key "jobs"`:                                                              document("", `conf: {inheritance: {job_id: "1", task_list: [reader_0], jobs: []}}`, ""),
		`dag.conf.model_warehouse.model (line 6): unknown key "model"`:                                                        document("", `conf: {model_warehouse: {model: "1"}}`, ""),
		`dag.tasks.reader_0.parameter (line 10): unknown key "parameter"`:                                                     document("", "", `parameter: {}`),
		`dag.tasks.reader_0.conf.cores (line 10): unknown key "cores" (inside a task's configuration it is engine_run.cores)`: document("", "", `conf: {cores: 4}`),
		`dag.tasks.reader_0.inputs.datas (line 10): unknown key "datas"`:                                                      document("", "", `inputs: {datas: {}}`),
		`dag.tasks.reader_0.inputs.data.x.task_output (line 10): unknown key "task_output"`: document("", "",
			`inputs: {data: {x: {task_output: {}}}}`),
		`dag.tasks.reader_0.inputs.data.x.data_warehouse.table (line 10): unknown key "table"`: document("", "",
			`inputs: {data: {x: {data_warehouse: {namespace: a, name: b, table: c}}}}`),
		`dag.tasks.reader_0.parties[0].partyid (line 10): unknown key "partyid"`: document("", "",
			`parties: [{role: guest, partyid: ["9999"]}]`),
		`dag.party_tasks.a.task (line 6): unknown key "task" (did you mean tasks, or dag.conf.task?)`: document("",
			`party_tasks: {a: {parties: [{role: guest, party_id: ["9999"]}], task: {}}}`, ""),
		`dag.party_tasks.a.tasks.reader_0.params (line 6): unknown key "params"`: document("",
			`party_tasks: {a: {parties: [{role: guest, party_id: ["9999"]}], tasks: {reader_0: {params: {}}}}}`, ""),
	} {
		t.Run(want, func(t *testing.T) {
			_, err := wire.ParseDAG(doc)
			require.EqualError(t, err, want)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

// The same document as JSON is refused when a person wrote it and accepted when a node sent it.
func TestUnknownKeysOfANodeArePassedOver(t *testing.T) {
	doc := []byte(`{"schema_version":"2.2.0","more":1,"dag":{"parties":[{"role":"guest","party_id":["9999"],"x":1}],"new":{},
		"conf":{"new":1,"task":{"new":1}},"tasks":{"reader_0":{"component_ref":"reader","new":[1],
		"inputs":{"data":{"d":{"data_warehouse":{"namespace":"a","name":"b","new":1},"new_source":{}}}}}}}}`)
	_, err := wire.ParseDAG(doc)
	require.ErrorContains(t, err, "unknown key")
	d, err := wire.ReceiveDAG(doc)
	require.NoError(t, err)
	require.Equal(t, "b", d.Tasks[0].Inputs[0].Channels[0].Name)
}

func TestReceiveReadsNoYAML(t *testing.T) {
	_, err := wire.ReceiveDAG(document("", "", ""))
	require.ErrorContains(t, err, "not valid JSON")
}

func TestWrongDocuments(t *testing.T) {
	for name, tc := range map[string]struct {
		doc  []byte
		want string
	}{
		"empty":                 {nil, "YAML document"},
		"only a comment":        {[]byte("# nothing"), "YAML document"},
		"two documents":         {[]byte("a: 1\n---\nb: 2\n"), "found 2"},
		"a list":                {[]byte("- a\n- b\n"), "expected an object, found a list"},
		"not YAML":              {[]byte("a: [1"), "not valid YAML"},
		"not JSON":              {[]byte(`{"dag": }`), "not valid JSON at byte"},
		"text after JSON":       {[]byte(`{"dag": {}} x`), "after the document"},
		"no schema version":     {[]byte("dag: {}\n"), "schema_version (line 1): missing"},
		"no dag":                {[]byte("schema_version: 1\n"), "dag (line 1): missing"},
		"another kind":          {document("kind: bfia", "", ""), `kind (line 2): "bfia" is not spoken here`},
		"no component":          {[]byte("schema_version: a\ndag: {parties: [{role: guest, party_id: [1]}], tasks: {a: {}}}"), "dag.tasks.a.component_ref"},
		"key twice, YAML":       {document("", "stage: train\n  stage: predict", ""), "stage"},
		"key twice, JSON":       {[]byte(`{"dag":{},"dag":{}}`), `key "dag" is there twice`},
		"task twice, JSON":      {[]byte(`{"schema_version":"1","dag":{"tasks":{"a":{},"a":{}}}}`), `key "a" is there twice`},
		"UTF-16":                {[]byte("\xff\xfes\x00c\x00"), "not UTF-8 text (save it as UTF-8)"},
		"Latin-1":               {document("", "", "stage: \xfc"), "not UTF-8 text"},
		"alias":                 {[]byte("schema_version: &v 1\ndag: *v\n"), "write plain values"},
		"tag":                   {[]byte("schema_version: !!str 1\n"), "write plain values"},
		"key is a list":         {[]byte("[1]: 2\n"), "key"},
		"parties is no list":    {document("", "conf: {task: {engine_run: [1]}}", ""), "dag.conf.task.engine_run (line 6): expected an object, found a list"},
		"cores is no number":    {document("", "conf: {cores: many}", ""), `dag.conf.cores (line 6): expected an integer, found the string "many"`},
		"cores is a fraction":   {document("", "conf: {cores: 1.5}", ""), "expected an integer, found the number 1.5"},
		"engine cores":          {document("", "conf: {task: {engine_run: {cores: two}}}", ""), "dag.conf.task.engine_run.cores (line 6): expected an integer"},
		"engine cores negative": {document("", "conf: {task: {engine_run: {cores: -2}}}", ""), "dag.conf.task.engine_run.cores"},
		"negative timeout":      {document("", "conf: {task: {timeout: -1}}", ""), "dag.conf.task.timeout"},
		"endless timeout":       {document("", "conf: {task: {timeout: 18446744075}}", ""), "dag.conf.task.timeout"},
		"huge number":           {document("", "conf: {cores: 99999999999999999999999}", ""), "dag.conf.cores (line 6): expected an integer"},
		"boolean for a string":  {document("", "stage: true", ""), "dag.stage (line 6): expected a string, found a boolean"},
		"object for a string":   {document("", "", "stage: {a: 1}"), "dag.tasks.reader_0.stage (line 10): expected a string, found an object"},
		"string for an object":  {document("", "", "parameters: none"), `dag.tasks.reader_0.parameters (line 10): expected an object, found the string "none"`},
		"unknown producer":      {document("", "", `inputs: {data: {x: {task_output_artifact: {producer_task: y, output_artifact_key: z}}}}`), `unknown task "y"`},
		"infinity":              {document("", "", "parameters: {x: .inf}"), "line 10"},
		"not a number":          {document("", "", "parameters: {x: .nan}"), "line 10"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseDAG(tc.doc)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func TestDepthIsBounded(t *testing.T) {
	nest := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	for name, doc := range map[string]string{
		"JSON lists":   `{"schema_version":"1","dag":` + nest("[", "]", 1_000_000) + `}`,
		"JSON objects": `{"schema_version":"1","dag":` + nest(`{"a":`, "}", 100_000) + `}`,
		"YAML lists":   "schema_version: 1\ndag: " + nest("[", "]", 10_000) + "\n",
		"YAML blocks":  "schema_version: 1\ndag:\n" + blocks(200),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseDAG([]byte(doc))
			require.ErrorContains(t, err, "nested deeper than")
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
	_, err := wire.ParseDAG(document("", "", "parameters: {x: "+nest("[", "]", 40)+"}"))
	require.NoError(t, err, "what is deep and not hostile is read")
}

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String() + strings.Repeat(" ", n+1) + "b: 1\n"
}

func TestSizeIsBounded(t *testing.T) {
	doc := append(document("", "", ""), []byte(strings.Repeat("#", wire.MaxDocument))...)
	_, err := wire.ParseDAG(doc)
	require.ErrorContains(t, err, "more than 8388608")
	_, err = wire.ReceiveDAG(doc)
	require.ErrorContains(t, err, "more than 8388608")
}

// A mark of the order of bytes, which editors of Windows write, is none of the document.
func TestByteOrderMark(t *testing.T) {
	_, err := wire.ParseDAG(append([]byte("\ufeff"), document("", "", "")...))
	require.NoError(t, err)
	_, err = wire.ParseDAG(append([]byte("\ufeff"), pairDocument("", "", "")...))
	require.NoError(t, err)
}

// Ids are written as strings and as numbers (part 7 #40).
func TestNumbersAsIDs(t *testing.T) {
	d, err := wire.ParseDAG([]byte(`
schema_version: 2.2.0
dag:
  parties: [{role: guest, party_id: [9999, 10000]}, {role: host, party_id: ["10000"]}, {role: guest, party_id: [0x10, 010001]}]
  conf: {scheduler_party_id: 9999, model_id: 202501020304050607080, model_version: 1.0, cores: "4"}
  tasks: {reader_0: {component_ref: reader}}
`))
	require.NoError(t, err)
	require.Equal(t, []openflow.Party{
		{Role: openflow.RoleGuest, ID: "9999"}, {Role: openflow.RoleGuest, ID: "10000"}, {Role: openflow.RoleHost, ID: "10000"},
		{Role: openflow.RoleGuest, ID: "0x10"}, {Role: openflow.RoleGuest, ID: "010001"},
	}, d.Parties, "several entries of one role are merged, and an ID is what is written")
	require.Equal(t, openflow.PartyID("9999"), d.Conf.Scheduler)
	require.Equal(t, "202501020304050607080", d.Conf.ModelID)
	require.Equal(t, "1.0", d.Conf.ModelVersion)
	require.Equal(t, 4, *d.Conf.Cores)
}

// The order of the document decides which override wins.
func TestOrderIsKept(t *testing.T) {
	d, err := wire.ParseDAG([]byte(`
schema_version: "2.2.0"
dag:
  parties: [{role: guest, party_id: ["9999"]}]
  tasks: {z: {component_ref: reader}, a: {component_ref: reader}, m: {component_ref: reader}}
  party_tasks:
    z: {parties: [{role: guest, party_id: ["9999"]}], tasks: {a: {parameters: {x: 1}}}}
    a: {parties: [{role: guest, party_id: ["9999"]}], tasks: {a: {parameters: {x: 2}}}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"z", "a", "m"}, []string{string(d.Tasks[0].Name), string(d.Tasks[1].Name), string(d.Tasks[2].Name)})
	require.Equal(t, "z", d.PartyTasks[0].Site)
	require.Equal(t, json.Number("2"), d.ForParty(d.Parties[0])[1].Parameters["x"])
}

func TestValuesOfParameters(t *testing.T) {
	d, err := wire.ParseDAG(document("", "", `parameters: {a: null, b: 1, c: 1.5, d: yes, e: true, f: "1", g: [1, {h: ~}], i: 1e-06, j: 0x10, k: -3, l: "1e-06", m: 1e999, n: 1.0, o: .5, p: 1e}`))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(openflow.Parameters{
		"a": nil, "b": json.Number("1"), "c": json.Number("1.5"), "d": "yes", "e": true, "f": "1",
		"g": []any{json.Number("1"), map[string]any{"h": nil}}, "i": json.Number("1e-06"), "j": json.Number("16"), "k": json.Number("-3"),
		"l": "1e-06", "m": "1e999", "n": json.Number("1.0"), "o": json.Number("0.5"), "p": "1e",
	}, d.Tasks[0].Parameters))
}

func TestTimeoutIsInSeconds(t *testing.T) {
	d, err := wire.ParseDAG(document("", "conf: {timeout: 7200, task: {timeout: 3600}}", "conf: {timeout: 60}"))
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, d.Conf.Timeout)
	require.Equal(t, time.Hour, d.Conf.Task.Timeout)
	require.Equal(t, time.Minute, d.Tasks[0].Conf.Timeout)
}

// Memory is written in bytes or with a unit, at the job and at a task; another node is told bytes.
func TestResourcesOfAJob(t *testing.T) {
	d, err := wire.ParseDAG([]byte(document("", `conf: {memory: 4GiB, gpus: 2, priority: 3, task: {engine_run: {memory: 1073741824, gpus: 1}}}`, `conf: {engine_run: {memory: 512MiB}}`)))
	require.NoError(t, err)
	require.Equal(t, int64(4<<30), *d.Conf.Memory)
	require.Equal(t, 2, *d.Conf.GPUs)
	require.Equal(t, 3, d.Conf.Priority)
	text, err := wire.EncodeDocument(d)
	require.NoError(t, err)
	require.Contains(t, string(text), `"memory":4294967296,"gpus":2`)
	again, err := wire.ReceiveDAG(text)
	require.NoError(t, err)
	specs := again.ForParty(again.Parties[0])
	require.Equal(t, int64(512<<20), *specs[0].Conf.Memory)
	require.Equal(t, 1, *specs[0].Conf.GPUs)
	require.Equal(t, int64(1<<30), *d.Conf.Task.Memory)
	require.Equal(t, specs, d.ForParty(d.Parties[0]))
}

// What fills an input has one order, in whichever way it is written: what an initiator signs is what its partners read.
// How a task gets its container is one of two words.
func TestWayOfATask(t *testing.T) {
	document := func(way string) string {
		return `{"dag": {"parties": [{"role": "guest", "party_id": ["9999"]}], "tasks": {"a": {"component_ref": "psi", "conf": {"way": ` + way + `}}}}, "schema_version": "2.2.0"}`
	}
	for text, want := range map[string]openflow.Way{`"resident"`: openflow.WayResident, `"container per task"`: openflow.WayTask, `""`: "", `null`: ""} {
		d, err := wire.ParseDAG([]byte(document(text)))
		require.NoError(t, err, text)
		require.Equal(t, want, d.Tasks[0].Conf.Way)
	}
	for _, text := range []string{`"shared"`, `1`, `{}`} {
		_, err := wire.ParseDAG([]byte(document(text)))
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
		require.ErrorContains(t, err, "dag.tasks.a.conf.way")
	}
}

func TestOrderOfSources(t *testing.T) {
	d, err := wire.ParseDAG([]byte(`
schema_version: "2.2.0"
dag:
  parties: [{role: guest, party_id: ["9999"]}]
  tasks:
    a: {component_ref: reader}
    b:
      component_ref: psi
      inputs: {data: {in: [{data_warehouse: {namespace: n, name: t}}, {task_output_artifact: {producer_task: a, output_artifact_key: out}}]}}
`))
	require.NoError(t, err)
	require.Equal(t, openflow.FromTask, d.Tasks[1].Inputs[0].Channels[0].Source)
	text, err := wire.EncodeDocument(d)
	require.NoError(t, err)
	again, err := wire.ReceiveDAG(text)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(d, again))
}
