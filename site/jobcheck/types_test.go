package jobcheck_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/components/transformer"
	"openflow/components/upload"
	"openflow/site/jobcheck"
)

// What an input takes is compared with what fills it, as far as that can be followed.
func TestTypesOfTables(t *testing.T) {
	list := describe(t, reader.Component(), psi.Component(), upload.Component(), transformer.Component())
	types := map[string]string{"people": openflow.TypeDataframe, "file": openflow.TypeRaw, "pictures": openflow.TypeDirectory}
	site := jobcheck.Site{
		Self: "9999",
		Find: func(s openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
			c, known := list[s.Component]
			if !known {
				return c, &jobcheck.Unresolved{}
			}
			return c, nil
		},
		Type: func(n openflow.TableName) (string, bool) { has, known := types[n.Name]; return has, known },
	}
	file := openflow.Task{Name: "upload_0", Component: "upload", Parameters: openflow.Parameters{"file": "a"}}
	read := func(name string) openflow.Task {
		return openflow.Task{Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "bank", "name": name}}
	}
	transform := func(in openflow.Input) openflow.Task {
		return openflow.Task{Name: "transformer_0", Component: "dataframe_transformer", Inputs: []openflow.Input{in}}
	}
	psiOf := func(in openflow.Input) openflow.Task {
		return openflow.Task{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{in}}
	}
	for name, c := range map[string]struct {
		tasks []openflow.Task
		says  string
	}{
		"a transformed file":       {[]openflow.Task{file, transform(from("table", "upload_0", "table")), psiOf(from("input_data", "transformer_0", "dataframe_output"))}, ""},
		"a file as it is":          {[]openflow.Task{file, psiOf(from("input_data", "upload_0", "table"))}, `it takes a dataframe, and task "upload_0" writes a table (make a dataframe of the raw table first: dataframe_transformer)`},
		"a dataframe again":        {[]openflow.Task{file, transform(from("table", "upload_0", "table")), {Name: "again_0", Component: "dataframe_transformer", Inputs: []openflow.Input{from("table", "transformer_0", "dataframe_output")}}}, `writes a dataframe`},
		"a dataframe by its name":  {[]openflow.Task{psiOf(warehouse("input_data", "people"))}, ""},
		"a raw table by its name":  {[]openflow.Task{psiOf(warehouse("input_data", "file"))}, "table bank/file is a table, and a dataframe is wanted"},
		"a folder by its name":     {[]openflow.Task{transform(warehouse("table", "pictures"))}, "table bank/pictures is a data_directory, and a table is wanted"},
		"a raw table by a reader":  {[]openflow.Task{read("file"), psiOf(from("input_data", "reader_0", "output_data"))}, "table bank/file is a table, and a dataframe is wanted"},
		"and one that it takes":    {[]openflow.Task{read("file"), transform(from("table", "reader_0", "output_data"))}, ""},
		"a table of another site":  {[]openflow.Task{psiOf(warehouse("input_data", "unknown"))}, ""},
		"a component of elsewhere": {[]openflow.Task{{Name: "other_0", Component: "other"}, psiOf(from("input_data", "other_0", "x"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &openflow.DAG{SchemaVersion: "2.2.0", Parties: []openflow.Party{guest}, Stage: openflow.StageDefault, Tasks: c.tasks}
			mistakes, _ := site.Check(d, d.Parties)
			told := ""
			for _, m := range mistakes {
				if m.Private != "" {
					told += m.Private
				}
				told += m.Message + " (" + m.Remedy + ")"
			}
			switch {
			case c.says != "":
				require.Contains(t, told, c.says)
			default:
				require.NotContains(t, told, "wanted")
				require.NotContains(t, told, "writes a")
			}
		})
	}
}
