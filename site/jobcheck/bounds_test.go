package jobcheck

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// many repeats a part of a list, without a comma at its end.
func many(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part+",", n), ",") }

// Whoever describes a component chooses the schema. One that takes long or much to compile is refused, in few words that
// say nothing of this machine.
func TestSchemasAreBounded(t *testing.T) {
	for name, schema := range map[string]string{
		"forms":                `{"anyOf":[` + many(`{"type":"string"}`, 100_000) + `]}`,
		"rules":                `{"allOf":[` + many(`{"if":{"properties":{"x":{"const":"1"}}},"then":{}}`, 15_000) + `]}`,
		"choices":              `{"enum":[` + many(`1`, 400_000) + `]}`,
		"patterns":             `{"anyOf":[` + many(`{"pattern":"(\\pL{10}){100}"}`, 100) + `]}`,
		"a repeat of repeats":  `{"pattern":"(([a-z]{10}){10}){10}[0-9]{1000}"}`,
		"patterns of members":  `{"patternProperties":{"x{1000}":{},"y{1000}":{},"z{1000}":{}}}`,
		"a long pattern":       `{"pattern":"` + strings.Repeat("x", 2_000) + `"}`,
		"a pattern that loops": `{"pattern":"(?<=x)y"}`,
		"no schema, at length": `{"anyOf":[` + many(`{"type":7}`, 1_000) + `]}`,
		"another's draft":      `{"$schema":"file:///etc/passwd"}`,
		"a draft far away":     `{"$schema":"http://127.0.0.1:1/x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var s Schema
			err := json.Unmarshal([]byte(schema), &s)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.Less(t, len(err.Error()), 2*openflow.MaxHeard)
			require.NotContains(t, err.Error(), "jobcheck", "the folder of this process")
		})
	}
	var s Schema
	require.NoError(t, json.Unmarshal([]byte(`{"type":"string","pattern":"^[a-z][a-z0-9_]{0,62}$"}`), &s))
	require.Empty(t, s.check("income_2").faults)
	require.Len(t, s.check("Income").faults, 1)
}

// Whoever submits a job chooses the values. What no container could be told is refused unread, and so is what would keep the
// judge busy for long.
func TestValuesAreBounded(t *testing.T) {
	list := func(n int) []any {
		wrong := make([]any, n)
		for i := range wrong {
			wrong[i] = true
		}
		return wrong
	}
	var numbers, forms Schema
	require.NoError(t, json.Unmarshal([]byte(`{"type":"array","items":{"type":"number"}}`), &numbers))
	require.NoError(t, json.Unmarshal([]byte(`{"type":"array","items":{"anyOf":[`+many(`{"type":"number"}`, 1_000)+`]}}`), &forms))
	for name, tc := range map[string]struct {
		schema Schema
		value  any
	}{
		"more than a container is told":   {numbers, list(1_000_000)},
		"one text":                        {numbers, strings.Repeat("x", 200_000)},
		"many values against many forms":  {forms, list(5_000)},
		"of a parameter without a schema": {Schema{}, list(1_000_000)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []fault{{want: tooLarge}}, tc.schema.check(tc.value).faults)
		})
	}
	require.Len(t, numbers.check(list(20_000)).faults, openflow.MaxMistakes, "an answer lists no more")

	members := map[string]any{}
	for i := range 5_000 {
		members[fmt.Sprint("k", i)] = true
	}
	var closed Schema
	require.NoError(t, json.Unmarshal([]byte(`{"type":"object","properties":{"a":{}},"additionalProperties":false}`), &closed))
	require.Len(t, closed.check(members).faults, openflow.MaxMistakes)
}

// A job of which every line is wrong is refused with a list that does not grow with it.
func TestFindingsAreBounded(t *testing.T) {
	var numbers Schema
	require.NoError(t, json.Unmarshal([]byte(`{"type":"array","items":{"type":"number"}}`), &numbers))
	wrong := make([]any, openflow.MaxMistakes)
	for i := range wrong {
		wrong[i] = "x"
	}
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "1"}
	d := &openflow.DAG{Parties: []openflow.Party{guest}, Stage: openflow.StageDefault}
	for i := range maxFindings/openflow.MaxMistakes + 1 {
		d.Tasks = append(d.Tasks, openflow.Task{
			Name: openflow.TaskName(fmt.Sprint("t", i)), Component: "it", Parameters: openflow.Parameters{"list": wrong},
		})
	}
	runs := []openflow.Stage{openflow.StageDefault}
	site := Site{Self: "1", Find: func(openflow.TaskSpec) (Component, *Unresolved) {
		return Component{Roles: []openflow.Role{openflow.RoleGuest}, Parameters: map[string]Parameter{"list": {Schema: numbers}}, Stages: runs}, nil
	}}
	mistakes, _ := site.Check(d, []openflow.Party{guest})
	require.Len(t, mistakes, maxFindings)
}
