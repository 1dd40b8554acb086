package jobcheck

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/tests/fuzzing"
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
		"whole is a word":         {`"whole":"many"`, ".whole", "want a whole number"},
		"whole is a truth":        {`"whole":true`, ".whole", "want a whole number"},
		"whole is a list":         {`"whole":[1]`, ".whole", "want a whole number"},
		"whole is huge":           {`"whole":1e30`, ".whole", "want a whole number"},
		"null is the default":     {`"whole":null`, "", ""},
		"not above":               {`"above":0`, ".above", "want more than 0"},
		"share":                   {`"share":"0.5"`, "", ""},
		"share is too much":       {`"share":1.01`, ".share", "want at most 1"},
		"share is not a number":   {`"share":"nan"`, ".share", "want a number"},
		"flag":                    {`"flag":"Yes"`, "", ""},
		"flag as a number":        {`"flag":0`, "", ""},
		"flag is a word":          {`"flag":"maybe"`, ".flag", "want true or false"},
		"word as a number":        {`"word":1`, "", ""},
		"word is an object":       {`"word":{}`, ".word", "want text"},
		"choice in capitals":      {`"choice":"L1"`, "", ""},
		"choice of nothing":       {`"choice":"l3"`, ".choice", "want one of l1, l2"},
		"list":                    {`"list":[1,"2"]`, "", ""},
		"list is a number":        {`"list":1`, ".list", "want a list"},
		"list with a word":        {`"list":[1,"x"]`, ".list[1]", "want a whole number"},
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

// A component of others gets values as they are, so nothing is read as something else for it.
func TestExactValues(t *testing.T) {
	var schema Schema
	require.NoError(t, json.Unmarshal([]byte(everyType), &schema))
	schema.exact = true
	for value, want := range map[string]string{
		`"whole":20`: "", `"whole":20.0`: "", `"whole":"20"`: ".whole: want a whole number", `"whole":10.7`: ".whole: want a whole number",
		`"whole":1e999`: ".whole: want a whole number", `"share":0.5`: "", `"share":"0.5"`: ".share: want a number",
		`"flag":true`: "", `"flag":"yes"`: ".flag: want true or false", `"flag":1`: ".flag: want true or false",
		`"word":"a"`: "", `"word":""`: "", `"word":7`: ".word: want text", `"word":1e999`: ".word: want text", `"word":true`: ".word: want text",
		`"word":[1]`: ".word: want text", `"choice":"l1"`: "", `"choice":"L1"`: ".choice: want one of l1, l2 (did you mean l1?)",
		`"list":[1]`: "", `"list":["1"]`: ".list[0]: want a whole number", `"deep":{"x":"y"}`: "", `"deep":{"x":7}`: ".deep.x: want text",
		`"any":7`: "", `"any":[1,"a",null]`: "",
	} {
		faults := schema.check(json.RawMessage(`{"need":1,` + value + `}`)).faults
		if want == "" {
			require.Empty(t, faults, value)
			continue
		}
		require.Len(t, faults, 1, value)
		require.Equal(t, want, faults[0].path+": "+faults[0].want, value)
	}
}

// What a vendor's schema says besides is judged as well.
func TestOtherSchemas(t *testing.T) {
	for name, tc := range map[string]struct{ schema, value, want string }{
		"pattern":              {`{"type":"string","pattern":"^a+$"}`, `"b"`, ": want another value: 'b' does not match pattern '^a+$'"},
		"length":               {`{"type":"string","minLength":2}`, `"b"`, ": want another value: minLength: got 1, want 2"},
		"multiple":             {`{"multipleOf":0.5}`, `0.7`, ": want another value: multipleOf: got 0.7, want 0.5"},
		"one of several forms": {`{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}`, `{}`, ": want one of the forms that the component describes"},
		"a form that fits":     {`{"anyOf":[{"type":"integer"},{"type":"array"}]}`, `[1]`, ""},
		"number or null":       {`{"type":["number","null"]}`, `"x"`, ": want a number"},
		"numbers to choose":    {`{"enum":[1,2]}`, `3`, ": want another value: value must be one of 1, 2"},
		"a number chosen":      {`{"enum":[1,2]}`, `2`, ""},
		"refused member":       {`{"properties":{"epochs":{}},"additionalProperties":false}`, `{"epochz":1}`, ".epochz: not known here (did you mean epochs?); want one of epochs"},
		"typed members":        {`{"additionalProperties":{"type":"integer"}}`, `{"a":"x"}`, ".a: want a whole number"},
		"in a list":            {`{"type":"array","items":{"properties":{"a":{"type":"array","items":{"maximum":1}}}}}`, `[{},{"a":[0,2]}]`, "[1].a[1]: want at most 1"},
		"everything":           {`true`, `{"a":1}`, ""},
		"nothing":              {`false`, `1`, ": want another value: false schema"},
		"pairs":                {`{"items":[{"type":"integer"},{"type":"string"}]}`, `[1,"a"]`, ""},
		"another draft":        {`{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"boolean"}]}`, `["x"]`, "[0]: want true or false"},
		"a reference":          {`{"$ref":"https://vendor.example/schema.json"}`, `1`, ""},
		"references to itself": {`{"definitions":{"a":{"allOf":[{"$ref":"#/definitions/a"},{"$ref":"#/definitions/a"}]}},"properties":{"a":{"$ref":"#/definitions/a"}}}`, `{"a":1}`, ""},
		"a huge exponent":      {`{"type":"number","maximum":1}`, `1e999999999`, ": want a number"},
		"digits without end":   {`{"multipleOf":0.001}`, `1e-999999999`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var schema Schema
			require.NoError(t, json.Unmarshal([]byte(tc.schema), &schema))
			faults := schema.check(json.RawMessage(tc.value)).faults
			if tc.want == "" {
				require.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1)
			require.Contains(t, faults[0].path+": "+faults[0].want, tc.want)
		})
	}
}

func TestSchemasThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"a type that is none":   `{"type":"float"}`,
		"a bound that is text":  `{"minimum":"1"}`,
		"a pattern of others":   `{"pattern":"(?=a)"}`,
		"a number beyond":       `{"minimum":1e999}`,
		"an unknown draft":      `{"$schema":"https://vendor.example/draft"}`,
		"a list":                `[]`,
		"a file of the machine": `{"$schema":"file:///etc/passwd"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var schema Schema
			require.Error(t, json.Unmarshal([]byte(text), &schema))
		})
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(everyType, `{"whole":1}`)
	f.Add(`{"allOf":[{"if":{"properties":{"m":{"const":"x"}}},"then":{"properties":{"n":{"type":"integer"}},"required":["n"]}}]}`, `{"m":"x"}`)
	f.Add(`{"$ref":"#"}`, `[]`)
	fuzzing.Within(f, func(t *testing.T, text, value string) {
		var schema Schema
		if json.Unmarshal([]byte(text), &schema) != nil || !json.Valid([]byte(value)) {
			return
		}
		first := schema.check(json.RawMessage(value))
		require.Equal(t, first.faults, schema.check(json.RawMessage(value)).faults, "the same each time")
	})
}

func FuzzValues(f *testing.F) {
	f.Add(`{"whole":1,"deep":{"x":[]},"list":[null]}`)
	f.Add(`[]`)
	var schema Schema
	require.NoError(f, json.Unmarshal([]byte(everyType), &schema))
	fuzzing.Within(f, func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		for _, fault := range schema.check(json.RawMessage(text)).faults {
			require.NotEmpty(t, fault.want)
			require.LessOrEqual(t, len([]rune(fault.found)), 101)
		}
	})
}
