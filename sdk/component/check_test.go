package component_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/sdk/component"
	"openflow/site/jobcheck"
	"openflow/tests/fuzzing"
)

// A node that checks a job from the description of a component refuses the parameters that the component would refuse,
// and no others.
func FuzzChecksAgree(f *testing.F) {
	for _, seed := range []string{
		`{"epochs":"7","tol":1e-3,"optimizer":{"optimizer_params":{}},"extra":{"optimizer_params":null},"names":["iv"],"free":[]}`,
		`{"epochs":0}`, `{"epochs":"x"}`, `{"epochs":1e30}`, `{"optimizer":{"method":"x"}}`, `{"optimizer":[]}`, `{"names":"iv"}`, `{"names":[1,null]}`,
		`{"batch_size":9.9}`, `{"batch_size":null}`, `{"optimizer":null}`, `{"optimizer":{"optimizer_params":null}}`, `{"tol":"-1"}`, `{"tol":true}`,
	} {
		f.Add([]byte(seed))
	}
	raw, err := component.Program{Provider: "acme", Version: "1", Components: []component.Component{
		{Name: "c", Roles: []openflow.Role{openflow.RoleGuest}, Parameters: paramDefaults()},
	}}.Describe("c")
	require.NoError(f, err)
	doc, err := description.Parse(raw)
	require.NoError(f, err)
	record, err := doc.Record(fate.Form{})
	require.NoError(f, err)
	described, err := jobcheck.Of(record)
	require.NoError(f, err)
	site := jobcheck.Site{Self: guest.ID, Find: func(openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
		return described, nil
	}}
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		var values map[string]json.RawMessage
		if json.Unmarshal(data, &values) != nil {
			return
		}
		parameters := openflow.Parameters{}
		for name, v := range values {
			if string(v) != "null" {
				parameters[name] = v
			}
		}
		d := &openflow.DAG{Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "c_0", Component: "c", Parameters: parameters}}}
		mistakes, _ := site.Check(d, d.Parties)
		p := paramDefaults()
		err := component.DecodeParameters(values, &p)
		require.Equal(t, err == nil, len(mistakes) == 0, "%s: %v, %v", data, err, mistakes)
	})
}
