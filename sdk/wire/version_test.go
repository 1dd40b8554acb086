package wire_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/wire"
)

// A version is ours, or an earlier one of the same form, which is told of, or refused. A node passes on what another has
// judged.
func TestSchemaVersions(t *testing.T) {
	for version, tc := range map[string]struct{ warning, mistake string }{
		`"2.2.0"`:       {},
		`"2.0.0.alpha"`: {"2.0.0.alpha is read as 2.2.0", ""},
		`"2.0.0-beta"`:  {"2.0.0-beta is read as 2.2.0", ""},
		`"2.0.0"`:       {"2.0.0 is read as 2.2.0", ""},
		`"2.1.1"`:       {"2.1.1 is read as 2.2.0", ""},
		`"2.2"`:         {"", `schema_version: version "2.2" is not known here (write "2.2.0"`},
		`2.2`:           {"", `version "2.2" is not known here`},
		`"2.3.0"`:       {"", `version "2.3.0"`},
		`"1.11.1"`:      {"", `version "1.11.1"`},
		`"v2.2.0"`:      {"", `version "v2.2.0"`},
		`"latest"`:      {"", `version "latest"`},
		`[2,2,0]`:       {"", `schema_version: expected a string, found a list (write text in quotes)`},
		`true`:          {"", `schema_version: expected a string, found a boolean`},
		`""`:            {"", `schema_version: missing (write "2.2.0")`},
		`null`:          {"", `schema_version: missing (write "2.2.0")`},
	} {
		t.Run(version, func(t *testing.T) {
			doc := bytes.Replace(pairDocument(``, ``, ``), []byte(`"2.2.0"`), []byte(version), 1)
			sub, err := wire.ReceiveSubmission(doc)
			require.NoError(t, err)
			if tc.warning == "" {
				require.Empty(t, sub.Warnings)
			} else {
				require.Contains(t, fmt.Sprint(sub.Warnings), tc.warning)
			}
			_, typed := wire.ParseDAG(doc)
			if tc.mistake == "" {
				require.Empty(t, sub.Mistakes)
				require.NoError(t, typed)
				return
			}
			require.Contains(t, sub.Mistakes[0].String(), tc.mistake)
			require.ErrorContains(t, typed, tc.mistake)
		})
	}
	_, err := wire.ReceiveDAG(bytes.Replace(pairDocument(``, ``, ``), []byte(`"2.2.0"`), []byte(`"2.2"`), 1))
	require.NoError(t, err)
}

// What a document cannot mean is a mistake with its place, its cause and a remedy; nothing of it is passed over.
func TestOddDocuments(t *testing.T) {
	parties := func(list string) []byte {
		return fmt.Appendf(nil, `{"schema_version":"2.2.0","dag":{"parties":%s,"tasks":{"a":{"component_ref":"noop"}}}}`, list)
	}
	task := func(more string) []byte { return pairDocument(``, `,`+more, ``) }
	input := func(text string) []byte { return task(`"inputs":{"data":{"x":` + text + `}}`) }
	for name, tc := range map[string]struct {
		doc  []byte
		want string
	}{
		"role without party":       {parties(`[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":[]}]`), `dag.parties[1].party_id: it names no party (write a list of IDs`},
		"role without the key":     {parties(`[{"role":"guest","party_id":["9999"]},{"role":"host"}]`), `dag.parties[1].party_id: it names no party`},
		"role with null":           {parties(`[{"role":"guest","party_id":null}]`), `dag.parties[0].party_id: it names no party`},
		"party_id is text":         {parties(`[{"role":"guest","party_id":"9999"}]`), `dag.parties[0].party_id: expected a list, found the string "9999" (write [..])`},
		"party_id is null":         {parties(`[{"role":"guest","party_id":[null]}]`), `dag.parties[0].party_id: expected a string, found null`},
		"party_id is a fraction":   {parties(`[{"role":"guest","party_id":[9999.0]}]`), `expected a string, found the number 9999.0 (write it in quotes)`},
		"an entry is null":         {parties(`[null,{"role":"guest","party_id":["9999"]}]`), `dag.parties[0]: expected an object, found null (`},
		"a party twice":            {parties(`[{"role":"guest","party_id":["9999",9999]}]`), `dag.parties[0]: guest 9999 is listed twice (list it once)`},
		"a party twice, entries":   {parties(`[{"role":"guest","party_id":["9999"]},{"role":"guest","party_id":["9999"]}]`), `dag.parties[1]: guest 9999 is listed twice`},
		"parties are an object":    {parties(`{"guest":["9999"]}`), `dag.parties: expected a list, found an object (write [..])`},
		"nobody takes part":        {task(`"parties":[]`), `dag.tasks.psi_0.parties: it names no party (leave it out, or name parties)`},
		"a role takes part":        {task(`"parties":[{"role":"guest"}]`), `dag.tasks.psi_0.parties[0].party_id: it names no party`},
		"a channel for nobody":     {input(`{"data_warehouse":{"namespace":"a","name":"b","parties":[]}}`), `dag.tasks.psi_0.inputs.data.x.data_warehouse.parties: it names no party`},
		"no source":                {input(`{}`), `dag.tasks.psi_0.inputs.data.x: it names no source (name one of task_output_artifact`},
		"another source":           {input(`{"task_output":{"producer_task":"a"}}`), `dag.tasks.psi_0.inputs.data.x: it names no source`},
		"a source is text":         {input(`"a.b"`), `dag.tasks.psi_0.inputs.data.x: expected an object, found the string "a.b" (write {key: value})`},
		"roles are text":           {input(`{"data_warehouse":{"namespace":"a","name":"b","roles":"guest"}}`), `.roles: expected a list, found the string "guest"`},
		"a role that nobody has":   {input(`{"data_warehouse":{"namespace":"a","name":"b","roles":["boss"]}}`), `.roles: no party of the job is "boss" (name roles of dag.parties)`},
		"a label is a number":      {pairDocument(`"task":{"engine_run":{"label":5}}`, ``, ``), `dag.conf.task.engine_run.label: engine_run.label is not a text: 5`},
		"cores are a word":         {pairDocument(`"task":{"engine_run":{"cores":"two"}}`, ``, ``), `dag.conf.task.engine_run.cores: expected an integer of at least 0, found two`},
		"cores are true":           {pairDocument(`"task":{"engine_run":{"cores":true}}`, ``, ``), `dag.conf.task.engine_run.cores: expected an integer, found a boolean`},
		"an hour":                  {pairDocument(`"timeout":"1h"`, ``, ``), `dag.conf.timeout: expected an integer, found the string "1h" (write a whole number)`},
		"a model without its name": {pairDocument(`"model_warehouse":{}`, ``, ``), `dag.conf.model_warehouse.model_id: missing (job submit`},
		"another kind":             {bytes.Replace(pairDocument(``, ``, ``), []byte(`{`), []byte(`{"kind":"Fate",`), 1), `kind: "Fate" is not spoken here (leave it out)`},
		"wrapped":                  {[]byte(`{"dag_schema":` + string(pairDocument(``, ``, ``)) + `}`), `dag: missing (the document is what is inside dag_schema`},
	} {
		t.Run(name, func(t *testing.T) {
			sub, err := wire.ReceiveSubmission(tc.doc)
			require.NoError(t, err)
			var all string
			for _, m := range sub.Mistakes {
				all += m.String() + "\n"
			}
			require.Contains(t, all, tc.want)
			_, err = wire.ReceiveDAG(tc.doc)
			require.Error(t, err, "nor does another node take it")
		})
	}
}
