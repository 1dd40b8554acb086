package component_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/tests/fuzzing"
)

type optimizer struct {
	Method  string         `json:"method"           choices:"sgd,adam" default:"\"sgd\""`
	Penalty string         `json:"penalty"          choices:"l1,l2,none" default:"\"l2\""`
	Options map[string]any `json:"optimizer_params" required:"true"`
}

type everyParam struct {
	Epochs    int        `json:"epochs" gt:"0"`
	Tol       float64    `json:"tol" min:"0" max:"1"`
	Stop      string     `json:"early_stop" choices:"diff,weight_diff,abs"`
	Shuffle   bool       `json:"shuffle"`
	Batch     *int       `json:"batch_size" gt:"0"`
	Optimizer optimizer  `json:"optimizer"`
	Extra     *optimizer `json:"extra"`
	Names     []string   `json:"names" choices:"iv,mean"`
	Free      any        `json:"free"`
	Note      string     `json:"note"`
	hidden    int        //lint:ignore U1000 a field that is not exported must not become a parameter
}

func paramDefaults() everyParam {
	return everyParam{Epochs: 20, Tol: 1e-4, Stop: "diff", Shuffle: true, Optimizer: optimizer{Method: "adam", Penalty: "l1"}}
}

func TestParametersAreReadAsFATEDoes(t *testing.T) {
	for name, c := range map[string]struct {
		given string
		want  func(p *everyParam)
	}{
		"nothing":           {`{}`, func(*everyParam) {}},
		"null is default":   {`{"epochs":null,"batch_size":null,"optimizer":null,"names":null,"shuffle":null}`, func(*everyParam) {}},
		"unknown names":     {`{"epoch":3,"hidden":5,"HIDDEN":1}`, func(*everyParam) {}},
		"number as text":    {`{"epochs":"7","tol":"0.5","batch_size":"300"}`, func(p *everyParam) { p.Epochs, p.Tol, p.Batch = 7, 0.5, new(300) }},
		"fraction for int":  {`{"epochs":20.7}`, func(p *everyParam) { p.Epochs = 20 }},
		"upper case choice": {`{"early_stop":"WEIGHT_DIFF","names":["IV","mean"]}`, func(p *everyParam) { p.Stop, p.Names = "weight_diff", []string{"iv", "mean"} }},
		"bool as number":    {`{"shuffle":0}`, func(p *everyParam) { p.Shuffle = false }},
		"number for text":   {`{"note":5}`, func(p *everyParam) { p.Note = "5" }},
		"anything":          {`{"free":[1,{"a":null}]}`, func(p *everyParam) { p.Free = []any{1.0, map[string]any{"a": nil}} }},
		"members take their own default": {`{"optimizer":{"optimizer_params":{"lr":0.1}}}`, func(p *everyParam) {
			p.Optimizer = optimizer{Method: "sgd", Penalty: "l2", Options: map[string]any{"lr": 0.1}}
		}},
		"object without default": {`{"extra":{"method":"Adam","penalty":null,"optimizer_params":{}}}`, func(p *everyParam) {
			p.Extra = &optimizer{Method: "adam", Penalty: "l2", Options: map[string]any{}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var raw map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(c.given), &raw))
			got, want := paramDefaults(), paramDefaults()
			c.want(&want)
			require.NoError(t, component.DecodeParameters(raw, &got))
			require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(everyParam{})))
		})
	}
}

func TestParametersNameWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ given, message string }{
		"text for a number": {`{"epochs":"many"}`, "apply value `\"many\"` to parameter `epochs` failed: want a number"},
		"zero epochs":       {`{"epochs":0}`, "apply value `0` to parameter `epochs` failed: want more than 0"},
		"above max":         {`{"tol":1.5}`, "apply value `1.5` to parameter `tol` failed: want at most 1"},
		"below min":         {`{"tol":-1}`, "apply value `-1` to parameter `tol` failed: want at least 0"},
		"not a number":      {`{"tol":"nan"}`, "apply value `\"nan\"` to parameter `tol` failed: want at least 0"},
		"infinite":          {`{"epochs":"inf"}`, "apply value `\"inf\"` to parameter `epochs` failed: want a whole number"},
		"pointer's bound":   {`{"batch_size":-1}`, "apply value `-1` to parameter `batch_size` failed: want more than 0"},
		"no such choice":    {`{"early_stop":"never"}`, "apply value `\"never\"` to parameter `early_stop` failed: want one of diff, weight_diff, abs"},
		"text for bool":     {`{"shuffle":"perhaps"}`, "apply value `\"perhaps\"` to parameter `shuffle` failed: want true or false"},
		"list for object":   {`{"optimizer":[]}`, "apply value `[]` to parameter `optimizer` failed: want an object"},
		"object for list":   {`{"names":{}}`, "apply value `{}` to parameter `names` failed: want a list"},
		"object for text":   {`{"note":{}}`, "apply value `{}` to parameter `note` failed: want text"},
		"member missing":    {`{"optimizer":{"method":"sgd"}}`, `parameter "optimizer.optimizer_params" required`},
		"choice in a list":  {`{"names":["iv","x"]}`, "apply value `\"x\"` to parameter `names[1]` failed: want one of iv, mean"},
	} {
		t.Run(name, func(t *testing.T) {
			var raw map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(c.given), &raw))
			p := paramDefaults()
			err := component.DecodeParameters(raw, &p)
			require.EqualError(t, err, c.message)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func TestNumbersThatJSONLacksBecomeNull(t *testing.T) {
	type row struct {
		Value float64 `json:"value"`
		Next  *row    `json:"next"`
	}
	in := map[string]any{
		"list": []float64{1, math.NaN(), math.Inf(1)}, "rows": []row{{math.Inf(-1), &row{Value: 2}}}, "none": nil, "bytes": []byte{1},
		"pairs": [][2]float64{{math.NaN(), 3}}, "int": 5,
	}
	got, err := json.Marshal(component.Finite(in))
	require.NoError(t, err)
	require.JSONEq(t, `{"list":[1,null,null],"rows":[{"value":null,"next":{"value":2,"next":null}}],"none":null,"bytes":"AQ==",
		"pairs":[[null,3]],"int":5}`, string(got))
}

func FuzzParameters(f *testing.F) {
	f.Add([]byte(`{"epochs":"7","tol":1e-3,"optimizer":{"optimizer_params":{}},"extra":{"optimizer_params":null},"names":["iv"],"free":[]}`))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		var raw map[string]json.RawMessage
		if json.Unmarshal(data, &raw) != nil {
			return
		}
		p := paramDefaults()
		if err := component.DecodeParameters(raw, &p); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Positive(t, p.Epochs)
		require.GreaterOrEqual(t, p.Tol, 0.0)
		require.Contains(t, []string{"diff", "weight_diff", "abs"}, p.Stop)
	})
}

func TestObjectParametersAreDescribed(t *testing.T) {
	raw, err := component.Program{Provider: "acme", Version: "1", Components: []component.Component{{Name: "c", Parameters: paramDefaults()}}}.Describe("c")
	require.NoError(t, err)
	var d struct {
		Component struct {
			Parameters map[string]struct {
				Type     string
				Default  any
				Optional bool
				TypeMeta map[string]any `json:"type_meta"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &d))
	p := d.Component.Parameters
	require.Equal(t, "int", p["batch_size"].Type)
	require.Nil(t, p["batch_size"].Default)
	require.Equal(t, "List[str]", p["names"].Type)
	require.Equal(t, "dict", p["optimizer"].Type)
	require.Equal(t, map[string]any{"method": "adam", "penalty": "l1", "optimizer_params": nil}, p["optimizer"].Default)
	require.Equal(t, []any{"optimizer_params"}, p["optimizer"].TypeMeta["required"])
	require.Equal(t, map[string]any{"type": "string", "enum": []any{"sgd", "adam"}, "default": "sgd"}, p["optimizer"].TypeMeta["properties"].(map[string]any)["method"])
	require.NotContains(t, p, "hidden")
}
