package interop_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/interop"
	"openflow/tests/fuzzing"
)

func read(raw []byte) (openflow.ComponentRecord, error) {
	doc, err := description.Parse(raw)
	if err != nil {
		return openflow.ComponentRecord{}, err
	}
	return doc.Record(interop.Form{})
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return raw
}

func parameter(t *testing.T, c openflow.ComponentRecord, name string) openflow.ComponentParameter {
	t.Helper()
	for _, p := range c.Parameters {
		if p.Name == name {
			return p
		}
	}
	require.FailNow(t, "no parameter "+name)
	return openflow.ComponentParameter{}
}

func TestAResidentComponent(t *testing.T) {
	c, err := read([]byte(`{"componentName":"a","provider":"acme","version":"1","roleList":["guest"],"way":"resident","resident":{"runs":2}}`))
	require.NoError(t, err)
	require.Equal(t, openflow.WayResident, c.Way)
	require.Equal(t, 2, c.Runs)
}

// Ours in it has the names that it has in FATE's form, at the top; what is elsewhere in the document is none.
func TestWishes(t *testing.T) {
	c, err := read([]byte(`{"componentName":"a","provider":"acme","version":"1","roleList":["guest"],"wishes":{"mounts":["/models"]}}`))
	require.NoError(t, err)
	require.Equal(t, openflow.Wishes{Mounts: []string{"/models"}}, c.Wishes)
	c, err = read([]byte(`{"componentName":"a","provider":"acme","version":"1","roleList":["guest"],"COMPONENT":{"wishes":{"mounts":["/models"]}},"Wishes":{"mounts":["/x"]}}`))
	require.NoError(t, err)
	require.Zero(t, c.Wishes)
	require.Contains(t, c.Warnings, "Wishes is not known here; it is ignored")
}

// Spec: interop-component §2.5.
func TestTheStandardsExamples(t *testing.T) {
	c, err := read(file(t, "psi.json"))
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	require.Equal(t, []string{"EcdhPsi", "ECDH private set intersection", "Intersects two id columns", "interop"}, []string{c.Name, c.Title, c.Summary, c.Form})
	require.Equal(t, openflow.ProviderRef{Name: "acme", Version: "1.4.0"}, c.Provider)
	require.Equal(t, []openflow.Role{openflow.RoleGuest, openflow.RoleHost}, c.Roles)
	require.Equal(t, []openflow.Stage{openflow.StageDefault}, c.Stages)
	require.Equal(t, []openflow.Protocol{{Name: "acme/EcdhPsi", Version: "1.4"}}, c.Protocols)
	require.False(t, parameter(t, c, "key_column").Optional)
	curve := parameter(t, c, "curve")
	require.True(t, curve.Optional)
	require.Equal(t, "p256", curve.Default)
	require.JSONEq(t, `{"type":"string","default":"p256","enum":["p256","c25519"]}`, string(curve.Schema))
	require.Equal(t, []openflow.ComponentArtifact{{
		Kind: openflow.InputData, Key: "ids", Summary: "id table", Types: []string{"csv"}, Optional: true, Stages: c.Stages, Roles: c.Roles,
	}}, c.Inputs)
	require.Equal(t, []openflow.InputKind{openflow.InputData, openflow.OutputMetric}, []openflow.InputKind{c.Outputs[0].Kind, c.Outputs[1].Kind})

	c, err = read(file(t, "lr.json"))
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	epochs := parameter(t, c, "epochs")
	require.Equal(t, json.Number("5"), epochs.Default)
	require.JSONEq(t, `{"type":"integer","default":5,"exclusiveMinimum":0,"exclusiveMaximum":1000}`, string(epochs.Schema))
	require.Equal(t, true, parameter(t, c, "shuffle").Default)
	require.Empty(t, parameter(t, c, "penalty").Schema, "an object may be anything")
}

// What vendors write instead of what the standard says.
//
// Spec: interop-component §2.2, §17.
func TestDescriptorsInCirculation(t *testing.T) {
	c, err := read(file(t, "circulating.json"))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		optional bool
		value    any
		schema   string
	}{
		"epochs":     {true, json.Number("20"), `{"type":"integer","default":20}`},
		"tol":        {true, json.Number("0.0001"), `{"type":"number","default":0.0001,"exclusiveMinimum":0,"maximum":1}`},
		"early_stop": {false, "diff", `{"type":"string","default":"diff","enum":["diff","abs"]}`},
		"init_param": {true, map[string]any{"method": "random_uniform", "fill_val": json.Number("0.0"), "fit_intercept": true, "random_state": nil},
			`{"default":{"method":"random_uniform","fill_val":0.0,"fit_intercept":true,"random_state":null}}`},
		"floating-point": {true, nil, `{"type":"integer","minimum":0}`},
		"shuffle":        {true, false, `{"type":"boolean","default":false}`},
		"label":          {true, nil, `{"type":"string"}`},
		"level":          {true, nil, `{"type":"integer"}`},
		"solver":         {true, "newton", `{"default":"newton"}`},
		"phone":          {true, nil, `{"type":"string","pattern":"^(?:[0-9]{4,11})$"}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := parameter(t, c, name)
			require.Equal(t, tc.optional, p.Optional)
			require.Equal(t, tc.value, p.Default)
			require.JSONEq(t, tc.schema, string(p.Schema))
		})
	}
	require.Equal(t, []string{"csv"}, c.Inputs[0].Types)
	require.True(t, c.Inputs[2].Multi)
	require.Equal(t, []string{"json"}, c.Outputs[0].Types)
	for i, want := range []string{
		"title is missing",
		`the validator of parameter "epochs" is not understood; it is ignored: regular-`,
		`the defaultValue of parameter "level" is none of its type, int; nothing is passed for it`,
		`parameter "solver" has a type that is not known here, "choice"; any value is passed on`,
		`the dataFormat of "train_data" is missing; it is taken for csv`,
		`the dataFormat of "train-loss" is missing; it is taken for json`,
		"desktopIcon is not known here; it is ignored",
	} {
		require.Contains(t, c.Warnings[i], want)
	}
	require.Len(t, c.Warnings, 7)
	require.Contains(t, string(c.Description), "desktopIcon", "what is not known is kept")
}

// one is a descriptor with one parameter.
func one(parameter string) []byte {
	return []byte(`{"componentName":"a","title":"A","provider":"p","version":"1","roleList":["guest"],"inputParam":[{"name":"x","type":` + parameter +
		`}],"inputData":[],"outputData":[]}`)
}

// Spec: interop-component §2.2 (validator), §4 (values).
func TestParameters(t *testing.T) {
	for raw, tc := range map[string]struct {
		schema  string
		warning string
	}{
		`"int","validator":"(,5)"`:                                      {`{"type":"integer","exclusiveMaximum":5}`, ""},
		`"int","validator":"[-inf, 5]"`:                                 {`{"type":"integer","maximum":5}`, ""},
		`"float","validator":"(1e-3,∞)"`:                                {`{"type":"number","exclusiveMinimum":0.001}`, ""},
		`"int","validator":"(,)"`:                                       {`{"type":"integer"}`, "validator"},
		`"int","validator":"(a,b)"`:                                     {`{"type":"integer"}`, "validator"},
		`"string","validator":"(1,2)"`:                                  {`{"type":"string"}`, "validator"},
		`"int","validator":"regular:'[0-9]'"`:                           {`{"type":"integer"}`, "validator"},
		`"string","validator":"regular:'(?<=a)b'"`:                      {`{"type":"string"}`, "validator"},
		`"string","validator":"regular:'([^a]{99}){99}'"`:               {`{"type":"string"}`, "validator"},
		`"string","validator":7`:                                        {`{"type":"string"}`, ""},
		`"string","bindingData":"no list"`:                              {`{"type":"string"}`, "bindingData"},
		`"string","bindingData":{"a":1}`:                                {`{"type":"string"}`, "bindingData"},
		`"int","bindingData":[{"label":"one","value":"1"},{"value":2}]`: {`{"type":"integer","enum":[1,2]}`, ""},
		`"int","bindingData":[{"value":"x"}]`:                           {`{"type":"integer"}`, "bindingData"},
		`"string","defaultValue":"c","bindingData":[{"value":"a"}]`:     {`{"type":"string","default":"c"}`, ""}, // the list is not whole
		`"int","defaultValue":2.5`:                                      {`{"type":"integer"}`, "defaultValue"},
		`"int","defaultValue":"0x10"`:                                   {`{"type":"integer"}`, "defaultValue"},
		`"int","defaultValue":"1000000"`:                                {`{"type":"integer","default":1000000}`, ""},
		`"int","defaultValue":9007199254740993`:                         {`{"type":"integer","default":9007199254740993}`, ""},
		`"int","defaultValue":"2.5e7","validator":"[-1e6,)"`:            {`{"type":"integer","default":25000000,"minimum":-1000000}`, ""},
		`"int","defaultValue":"+05.0"`:                                  {`{"type":"integer","default":5}`, ""},
		`"int","defaultValue":-0`:                                       {`{"type":"integer","default":0}`, ""},
		`"int","bindingData":[{"value":"100000000000000000000000"}]`:    {`{"type":"integer","enum":[100000000000000000000000]}`, ""},
		`"float","defaultValue":"1e-3"`:                                 {`{"type":"number","default":0.001}`, ""},
		`"float","defaultValue":"123456789.25"`:                         {`{"type":"number","default":123456789.25}`, ""},
		`"float","defaultValue":"1e-300"`:                               {`{"type":"number","default":1e-300}`, ""},
		`"float","defaultValue":"1e-999999999"`:                         {`{"type":"number","default":0}`, ""},
		`"float","defaultValue":"1e300"`:                                {`{"type":"number","default":1e+300}`, ""},
		`"float","defaultValue":"NaN"`:                                  {`{"type":"number"}`, "defaultValue"},
		`"boolean","defaultValue":1`:                                    {`{"type":"boolean","default":true}`, ""},
		`"string","defaultValue":12`:                                    {`{"type":"string","default":"12"}`, ""},
		`"object","defaultValue":"[1, 2"`:                               {``, "defaultValue"},
		`"object","defaultValue":"[1] [2]"`:                             {``, "defaultValue"},
		`"object","defaultValue":"[\"\\u001b\"]"`:                       {``, "defaultValue"}, // it would do something where people read it
		`"object","defaultValue":"1e999999999"`:                         {``, "defaultValue"},
		`"object","defaultValue":"12"`:                                  {`{"default":12}`, ""},
		`"object","defaultValue":"{'a': 'None', 'b': None}"`:            {`{"default":{"a":"None","b":null}}`, ""},
	} {
		t.Run(raw, func(t *testing.T) {
			c, err := read(one(raw))
			require.NoError(t, err)
			if tc.schema == "" {
				require.Empty(t, c.Parameters[0].Schema)
			} else {
				require.JSONEq(t, tc.schema, string(c.Parameters[0].Schema))
				require.Equal(t, digits(t, tc.schema), digits(t, string(c.Parameters[0].Schema)), "numbers keep their digits")
			}
			require.Equal(t, tc.warning != "", len(c.Warnings) > 0, "%v", c.Warnings)
			require.Contains(t, strings.Join(c.Warnings, "\n"), tc.warning)
		})
	}
}

// digits are the numbers of a document as they are written.
func digits(t *testing.T, document string) (list []string) {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(document))
	in.UseNumber()
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			slices.Sort(list)
			return list
		}
		require.NoError(t, err)
		if n, is := token.(json.Number); is {
			list = append(list, n.String())
		}
	}
}

func TestWrongDescriptorsAreRefused(t *testing.T) {
	whole := string(file(t, "psi.json"))
	for name, tc := range map[string]struct{ from, to, says string }{
		"no version":            {`"version": "1.4.0",`, "", `in version "", which no provider can be: want 1 to 64 letters`},
		"no provider":           {`"provider": "acme",`, "", `provider ""`},
		"a name with a colon":   {`"EcdhPsi"`, `"acme:psi"`, "which none can be called: want 1 to 128 letters a–z and A–Z, digits"},
		"no roles":              {`["guest", "host"]`, `[]`, "names no role in roleList"},
		"an unknown role":       {`["guest", "host"]`, `["king"]`, `role that there is not in roleList: "king"`},
		"a category of nothing": {`"category": "report"`, `"category": "song"`, `category that there is not at "overlap": "song"`},
		"an output as an input": {`"category": "dataset", "dataFormat": ["csv"]}],`, `"category": "report"}],`, `category that there is not at "ids": "report"`},
		"a parameter twice":     {`"name": "curve"`, `"name": "key_column"`, `parameter "key_column" twice`},
		"an output twice":       {`"name": "overlap"`, `"name": "aligned"`, `artifact "aligned" twice among its outputs`},
		"a name with a blank":   {`"name": "curve"`, `"name": "the curve"`, `parameter "the curve", which none can be called: want 1 to 128 letters a–z and A–Z, digits, '_', '-' and '.', first a letter or '_'`},
		"a name in Chinese":     {`"name": "curve"`, `"name": "学习率"`, `first a letter or '_'`},
		"an output's name":      {`"name": "overlap"`, `"name": "2nd"`, `first a letter or '_'`},
		"no truth":              {`"optional": false`, `"optional": "perhaps"`, "neither true nor false in inputParam[0].optional"},
		"parameters as a text":  {`"inputParam": [`, `"inputParam": "none", "x": [`, "no list in inputParam"},
		"a list of texts":       {`"result": [`, `"inputData": ["ids"], "result": [`, `key "inputData" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, whole, tc.from)
			_, err := read([]byte(strings.Replace(whole, tc.from, tc.to, 1)))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"psi.json", "lr.json", "circulating.json"} {
		f.Add(file(f, name))
	}
	f.Add(one(`"int","validator":"(0,9]","bindingData":"[{\"value\": 1}]","defaultValue":"1"`))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		c, err := read(raw)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.NoError(t, openflow.CheckIdentifier("component", c.Name))
		require.NotEmpty(t, c.Roles)
		for _, p := range c.Parameters {
			require.True(t, len(p.Schema) == 0 || json.Valid(p.Schema), "%s", p.Schema)
		}
		again, err := read(c.Description)
		require.NoError(t, err, "what is kept says the same")
		require.Equal(t, c, again)
	})
}
