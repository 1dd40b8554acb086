package upload_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/transformer"
	"openflow/components/upload"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
)

var local = openflow.Party{Role: openflow.RoleLocal, ID: "9999"}

func take(t *testing.T, file string, parameters map[string]any) *componenttest.Result {
	t.Helper()
	parameters["file"] = "rows.csv"
	return componenttest.Run(t, componenttest.Case{
		Component: upload.Component(), Parties: []openflow.Party{local}, Parameters: parameters,
		Inputs: map[openflow.Party]componenttest.Inputs{local: {File: file}},
	})
}

// Every parameter that says what the file becomes has its effect in the dataframe that is made of it.
func TestAFileBecomesARawTableAndThatADataframe(t *testing.T) {
	for name, c := range map[string]struct {
		file       string
		parameters map[string]any
		columns    []string
		ids        []string // sample ids; nil: made ones
	}{
		"dense": {
			"id,y,x0\nb,1,0.5\na,0,NA\n", map[string]any{"head": true, "partitions": 4, "meta": map[string]any{"match_id_name": "id", "label_name": "y", "na_values": []string{"NA"}}},
			[]string{"sample_id", "id", "y", "x0"}, []string{"b", "a"},
		},
		"made ids": {
			"id,x0\na,1\na,2\n", map[string]any{"extend_sid": true, "meta": map[string]any{"match_id_name": "id"}}, []string{"extend_sid", "id", "x0"}, nil,
		},
		"a sample id, a weight, types": {
			"s;id;w;x0;x1\n1;a;0.5;7;text\n", map[string]any{"meta": map[string]any{
				"sample_id_name": "s", "match_id_list": []string{"id"}, "weight_name": "w", "weight_type": "float64", "delimiter": ";", "dtype": map[string]any{"x1": "str", "*": "int64"},
			}},
			[]string{"s", "id", "w", "x0", "x1"}, []string{"1"},
		},
		"no header": {
			"a,1\nb,2\n", map[string]any{"head": false, "meta": map[string]any{"header": "id,x0", "match_id_name": "id"}}, []string{"sample_id", "id", "x0"}, []string{"a", "b"},
		},
		"tags": {
			"a,red:2\nb,big:1\n", map[string]any{"meta": map[string]any{"input_format": "tag", "tag_with_value": true, "tag_value_delimiter": ":", "match_id_name": "id"}},
			[]string{"sample_id", "id", "big", "red"}, []string{"a", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := take(t, c.file, c.parameters)
			require.Equal(t, openflow.TaskSuccess, r.Parties[local].Status, r.Parties[local].Error)
			raw := r.Object(local, "table")
			require.Equal(t, component.RawTable, raw.Type)
			require.Equal(t, c.file, raw.Content)
			metric := r.MetricsNamed(local, "upload")
			require.Len(t, metric, 1)
			require.Equal(t, json.RawMessage("null"), orNull(metric[0].Type))

			made := componenttest.RunOK(t, componenttest.Case{
				Component: transformer.Component(), Parties: []openflow.Party{local},
				Inputs: map[openflow.Party]componenttest.Inputs{local: {Objects: map[string]componenttest.Object{"table": raw}}},
			})
			f := made.Table(local, "dataframe_output")
			require.Equal(t, c.columns, f.Schema.Names())
			if c.ids != nil {
				require.Equal(t, c.ids, f.SampleID)
			}
		})
	}
}

func orNull(s *string) json.RawMessage {
	b, _ := json.Marshal(s) // texts always encode
	return b
}

func TestWhatAnUploadRefuses(t *testing.T) {
	for says, c := range map[string]struct {
		file       string
		parameters map[string]any
	}{
		"files of users are never removed":                   {"id\n1\n", map[string]any{"is_temp_file": true}},
		"in the folders that may be named here":              {"", map[string]any{}},
		`meta has a key "colour", which is not known`:        {"id\n1\n", map[string]any{"meta": map[string]any{"colour": "red"}}},
		"no rows below its header":                           {"id,x0\n", map[string]any{"meta": map[string]any{"match_id_name": "id"}}},
		"want an object":                                     {"id\n1\n", map[string]any{"meta": []int{1}}},
		"the file has no header line and meta has no header": {"id\n1\n", map[string]any{"head": false}},
		"meta asks for match_id_range 5":                     {"id\n1\n", map[string]any{"meta": map[string]any{"match_id_range": 5}}},
	} {
		r := take(t, c.file, c.parameters)
		require.Equal(t, openflow.TaskFailed, r.Parties[local].Status)
		require.Contains(t, r.Parties[local].Error, says)
		require.Nil(t, r.Output(local, "table"))
	}
}

func TestWhatHasNoEffectIsTold(t *testing.T) {
	r := take(t, "id,x0\n1,2\n", map[string]any{"storage_engine": "eggroll", "address": map[string]any{"a": 1}, "meta": map[string]any{"match_id_name": "id"}})
	require.Equal(t, openflow.TaskSuccess, r.Parties[local].Status, r.Parties[local].Error)
	require.Contains(t, r.Parties[local].Warnings, "storage_engine and address have no effect: tables are kept in the store of the node")
}
