package jobcheck

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

const everyType = `{"type":"object","required":["need"],"properties":{
	"whole":{"type":"integer","minimum":10},"above":{"type":"integer","exclusiveMinimum":0},"share":{"type":"number","minimum":0,"maximum":1},
	"flag":{"type":"boolean"},"word":{"type":"string"},"choice":{"type":"string","enum":["l1","l2"]},"list":{"type":"array","items":{"type":"integer"}},
	"choices":{"type":"array","items":{"type":"string","enum":["auc"]}},"any":{},"need":{"type":"number"},
	"deep":{"type":"object","required":["x"],"properties":{"x":{"type":"string"}}},"open":{"type":"object"}}}`

// A value is refused exactly where a component would refuse it, with the coercions of FATE.
func TestValues(t *testing.T) {
	var schema Schema
	require.NoError(t, json.Unmarshal([]byte(everyType), &schema))
	for name, tc := range map[string]struct {
		value string
		path  string // empty: right
		want  string
	}{
		"whole":                   {`"whole":20`, "", ""},
		"whole as text":           {`"whole":"20"`, "", ""},
		"fraction is cut":         {`"whole":10.7`, "", ""},
		"fraction is cut below":   {`"whole":9.9`, ".whole", "want at least 10"},
		"whole is a word":         {`"whole":"many"`, ".whole", "want a number"},
		"whole is a truth":        {`"whole":true`, ".whole", "want a number"},
		"whole is a list":         {`"whole":[1]`, ".whole", "want a number"},
		"whole is huge":           {`"whole":1e30`, ".whole", "want a whole number"},
		"null is the default":     {`"whole":null`, "", ""},
		"not above":               {`"above":0`, ".above", "want more than 0"},
		"share":                   {`"share":"0.5"`, "", ""},
		"share is too much":       {`"share":1.01`, ".share", "want at most 1"},
		"share is not a number":   {`"share":"nan"`, ".share", "want at least 0"},
		"flag":                    {`"flag":"Yes"`, "", ""},
		"flag as a number":        {`"flag":0`, "", ""},
		"flag is a word":          {`"flag":"maybe"`, ".flag", "want true or false"},
		"word as a number":        {`"word":1`, "", ""},
		"word is an object":       {`"word":{}`, ".word", "want text"},
		"choice in capitals":      {`"choice":"L1"`, "", ""},
		"choice of nothing":       {`"choice":"l3"`, ".choice", "want one of l1, l2"},
		"list":                    {`"list":[1,"2"]`, "", ""},
		"list is a number":        {`"list":1`, ".list", "want a list"},
		"list with a word":        {`"list":[1,"x"]`, ".list[1]", "want a number"},
		"choices":                 {`"choices":["auk"]`, ".choices[0]", "want one of auc (did you mean auc?)"},
		"anything":                {`"any":{"a":[1]}`, "", ""},
		"member is missing":       {`"deep":{}`, ".deep.x", "required"},
		"member is null":          {`"deep":{"x":null}`, ".deep.x", "required"},
		"object is a list":        {`"deep":[]`, ".deep", "want an object"},
		"object of unknown shape": {`"open":{"z":1}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			faults := schema.check(json.RawMessage(`{"need":1,` + tc.value + `}`)).faults
			if tc.path == "" {
				require.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1)
			require.Equal(t, tc.path, faults[0].path)
			require.Equal(t, tc.want, faults[0].want)
		})
	}
	seen := schema.check(map[string]any{"wole": 1, "whole": 10.7, "deep": map[string]any{"x": "y", "why": 1}})
	require.Equal(t, []fault{{".need", "required", ""}}, seen.faults)
	require.Equal(t, []string{".deep.why", ".wole"}, []string{seen.ignored[0].path, seen.ignored[1].path})
	require.Equal(t, []string{".whole: 10.7 is read as 10"}, seen.read)
	require.Len(t, schema.check(make(chan int)).faults, 1)
}

func FuzzValues(f *testing.F) {
	f.Add(`{"whole":1,"deep":{"x":[]},"list":[null]}`)
	f.Add(`[]`)
	var schema Schema
	require.NoError(f, json.Unmarshal([]byte(everyType), &schema))
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		for _, fault := range schema.check(json.RawMessage(text)).faults {
			require.NotEmpty(t, fault.want)
			require.LessOrEqual(t, len([]rune(fault.found)), 101)
		}
	})
}
