package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
)

// pairDocument is a job of two parties with more in its configuration, in its task psi_0 and beside its tasks.
func pairDocument(conf, task, more string) []byte {
	return fmt.Appendf(nil, `{"schema_version":"2.2.0","dag":{"parties":[{"role":"guest","party_id":["9999"]},
		{"role":"host","party_id":["10000"]}],"conf":{%s},"tasks":{"psi_0":{"component_ref":"psi"%s}}%s}}`, conf, task, more)
}

// Keys that have no effect are told of, with their paths and what to write instead.
func TestKeysWithoutEffect(t *testing.T) {
	for name, tc := range map[string]struct {
		doc  []byte
		want []string
	}{
		"none":             {pairDocument(``, ``, ``), nil},
		"null is no wish":  {pairDocument(`"engine":null`, ``, ``), nil},
		"task_cores":       {pairDocument(`"task_cores":2`, ``, ``), []string{`dag.conf.task_cores: this key has no effect (use dag.conf.cores`}},
		"task.cores":       {pairDocument(`"task":{"cores":8}`, ``, ``), []string{`dag.conf.task.cores: this key has no effect (inside a task's configuration it is engine_run.cores)`}},
		"task_parallelism": {pairDocument(`"task_parallelism":2`, ``, ``), []string{`dag.conf.task_parallelism: `}},
		"engine":           {pairDocument(`"engine":{"name":"eggroll"}`, ``, ``), []string{`dag.conf.engine: `}},
		"spark":            {pairDocument(`"task":{"engine_run":{"num-executors":2}}`, ``, ``), []string{`dag.conf.task.engine_run.num-executors: `}},
		"of a task":        {pairDocument(``, `,"colour":"red"`, ``), []string{`dag.tasks.psi_0.colour: `}},
		"of an override": {
			pairDocument(``, ``, `,"party_tasks":{"g":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{"psi_0":{"stage":"train"}}}}`),
			[]string{`dag.party_tasks.g.tasks.psi_0.stage: `},
		},
		"a dataset": {
			pairDocument(``, `,"inputs":{"data":{"input_data":{"data_warehouse":{"namespace":"a","name":"b","dataset_id":"c"}}}}`, ``),
			[]string{`dag.tasks.psi_0.inputs.data.input_data.data_warehouse.dataset_id: this key has no effect (use namespace and name)`},
		},
		"several": {pairDocument(`"engine":1,"task_cores":1`, `,"x":1`, `,"y":1`), []string{"dag.conf.engine", "dag.conf.task_cores", "dag.tasks.psi_0.x", "dag.y"}},
	} {
		t.Run(name, func(t *testing.T) {
			sub, err := wire.ReceiveSubmission(tc.doc)
			require.NoError(t, err)
			require.Empty(t, sub.Mistakes)
			warnings := sub.Warnings
			require.Len(t, warnings, len(tc.want), "%v", warnings)
			for i, w := range tc.want {
				require.Contains(t, warnings[i], w)
			}
		})
	}
}

func TestKeysWithoutEffectAreBounded(t *testing.T) {
	var more strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&more, `,"%s%d":1`, strings.Repeat("x", 300), i)
	}
	sub, err := wire.ReceiveSubmission(pairDocument(``, ``, more.String()))
	require.NoError(t, err)
	warnings := sub.Warnings
	require.Len(t, warnings, 51)
	require.Less(t, len(strings.Join(warnings, "")), 20_000)
	require.Equal(t, "9950 more keys have no effect", warnings[50])
}

// An input's channels come as an object, as lists inside of it, and as a list of objects.
func TestChannelsAsObjectOrList(t *testing.T) {
	one := `{"data_warehouse":{"namespace":"n","name":"a"}}`
	for name, tc := range map[string]struct {
		input string
		want  []string
	}{
		"object":                   {one, []string{"a"}},
		"object with a list":       {`{"data_warehouse":[{"namespace":"n","name":"a"},{"namespace":"n","name":"b"}]}`, []string{"a", "b"}},
		"list of one":              {`[` + one + `]`, []string{"a"}},
		"list of two":              {`[` + one + `,{"data_warehouse":{"namespace":"n","name":"b"}}]`, []string{"a", "b"}},
		"list of objects of lists": {`[{"data_warehouse":[{"namespace":"n","name":"a"}]},` + one + `]`, []string{"a", "a"}},
		"empty list":               {`[]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := wire.ReceiveDAG(pairDocument(``, `,"inputs":{"data":{"input_datas":`+tc.input+`}}`, ``))
			require.NoError(t, err)
			var got []string
			for _, in := range d.Tasks[0].Inputs {
				for _, c := range in.Channels {
					got = append(got, c.Name)
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
	_, err := wire.ReceiveDAG(pairDocument(``, `,"inputs":{"data":{"input_datas":[1]}}`, ``))
	require.ErrorContains(t, err, "dag.tasks.psi_0.inputs.data.input_datas[0]: expected an object")
}

func TestRolesOfAChannel(t *testing.T) {
	for name, tc := range map[string]struct {
		more string
		want []openflow.Party
		says string
	}{
		"one":               {`"roles":["guest"]`, []openflow.Party{guest}, ""},
		"two":               {`"roles":["host","guest"]`, []openflow.Party{guest, host}, ""},
		"none":              {`"roles":[]`, nil, ""},
		"with parties":      {`"roles":["host"],"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]`, []openflow.Party{host}, ""},
		"nobody is in both": {`"roles":["host"],"parties":[{"role":"guest","party_id":["9999"]}]`, nil, "no party is in both"},
		"nobody's role":     {`"roles":["arbiter"]`, nil, `data_warehouse.roles: no party of the job is "arbiter"`},
		"a text":            {`"roles":"guest"`, nil, "expected a list"},
		"a number inside":   {`"roles":[{}]`, nil, "expected a string"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := wire.ReceiveDAG(pairDocument(``, `,"inputs":{"data":{"input_data":{"data_warehouse":{"namespace":"n","name":"a",`+tc.more+`}}}}`, ``))
			if tc.says != "" {
				require.ErrorContains(t, err, tc.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, d.Tasks[0].Inputs[0].Channels[0].Parties)
		})
	}
}

// Each party of a list with roles reads its own table: case 30 of the collected situations.
func TestEachPartyReadsItsOwn(t *testing.T) {
	d, err := wire.ReceiveDAG(pairDocument(``, `,"inputs":{"data":{"input_data":{"data_warehouse":[
		{"namespace":"n","name":"of_guest","roles":["guest"]},{"namespace":"n","name":"of_host","roles":["host"]}]}}}`, ``))
	require.NoError(t, err)
	require.Equal(t, []openflow.TableName{{Namespace: "n", Name: "of_guest"}}, d.Tables(guest))
	require.Equal(t, []openflow.TableName{{Namespace: "n", Name: "of_host"}}, d.Tables(host))
}

// Inputs of a party's own are read, and go on to other nodes: case 29.
func TestInputsOfAnOverride(t *testing.T) {
	d, err := wire.ReceiveDAG(pairDocument(``, ``, `,"party_tasks":{"guest_9999":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{
		"psi_0":{"inputs":{"data":{"input_data":{"data_warehouse":{"namespace":"n","name":"a","roles":["guest"]}}}}}}}}`))
	require.NoError(t, err)
	require.Equal(t, []openflow.TableName{{Namespace: "n", Name: "a"}}, d.Tables(guest))
	require.Empty(t, d.Tables(host))
	text, err := wire.EncodeDocument(d)
	require.NoError(t, err)
	again, err := wire.ReceiveDAG(text)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(d, again))
}

// All mistakes of a document come in one answer, each with its place.
func TestAllMistakesOfADocument(t *testing.T) {
	_, err := wire.ReceiveDAG([]byte(`{"schema_version":"1","dag":{"parties":[{"role":"guest","party_id":["9999"]}],
		"conf":{"cores":"many","task":{"timeout":-1,"engine_run":{"cores":-1,"gpus":"x"}}},"stage":true,
		"tasks":{"a":{},"b":{"component_ref":"x","parameters":[],"inputs":{"data":{"k":"v"}}},"c":{"component_ref":"x","dependent_tasks":["nobody"]}}}}`))
	var places []string
	for _, m := range openflow.MistakesOf(err) {
		places = append(places, m.Path)
	}
	require.ElementsMatch(t, []string{
		"dag.conf.cores", "dag.conf.task.timeout", "dag.conf.task.engine_run.cores", "dag.conf.task.engine_run.gpus", "dag.stage",
		"dag.tasks.a.component_ref", "dag.tasks.b.parameters", "dag.tasks.b.inputs.data.k",
		"dag.tasks.c.dependent_tasks",
	}, places, "what follows from what could not be read is not told")
	_, err = wire.ParseDAG(document("moon: 1", "stage: fit", "colour: red"))
	require.Len(t, openflow.MistakesOf(err), 3, "what only has unknown keys is checked on: %v", err)
}

// Mistakes go along with an answer, as far as every party of the job may read them.
func TestMistakesOnTheWire(t *testing.T) {
	sent := openflow.Refusal([]openflow.Mistake{
		{Code: openflow.CodeInvalid, Path: "dag.tasks.a.parameters.x", Message: "want a number", Found: `"secret"`, Remedy: "say 1"},
		{Code: openflow.CodeNotFound, Subject: openflow.AboutTable, Party: "10000", Message: "no table a/b"},
	})
	text, err := json.Marshal(wire.Failure(sent))
	require.NoError(t, err)
	var got wire.Envelope
	require.NoError(t, json.Unmarshal(text, &got))
	list := openflow.MistakesOf(got.Err())
	require.Equal(t, "dag.tasks.a.parameters.x: want a number (say 1)", list[0].String())
	require.Equal(t, openflow.PartyID("10000"), list[1].Party)
	require.Equal(t, openflow.AboutTable, list[1].Subject)
}
