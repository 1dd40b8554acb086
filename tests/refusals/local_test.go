package refusals_test

import (
	"archive/tar"
	"bytes"
	"context"

	"openflow"
	"openflow/components/download"
	"openflow/components/toy"
	"openflow/components/transformer"
	"openflow/components/upload"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// localCases are refusals of what a site does with its own files, and of the toy example.
func localCases() []refusalCase {
	at := func(c component.Component, in componenttest.Inputs, parameters object) componenttest.Case {
		return componenttest.Case{
			Component: c, Parties: []openflow.Party{guest, host}, Override: map[openflow.Party]map[string]any{host: parameters},
			Inputs: map[openflow.Party]componenttest.Inputs{host: in},
		}
	}
	const rows = "marked-id,marked-column\n1,2\n"
	file := func(content string) componenttest.Inputs { return componenttest.Inputs{File: content} }
	raw := func(meta, content string) componenttest.Inputs {
		return componenttest.Inputs{Objects: map[string]componenttest.Object{"table": {Type: component.RawTable, Meta: meta, Content: content}}}
	}
	frames := func(key string) componenttest.Inputs {
		return componenttest.Inputs{Data: map[string]*tables.Frame{key: marked(host, 3, 1, false)}}
	}
	two := componenttest.Inputs{Multi: map[string][]componenttest.Produced{
		"table": {{Task: "a", Table: marked(host, 3, 1, false)}, {Task: "b", Table: marked(host, 3, 1, false)}},
	}}
	folder := func(in componenttest.Object) componenttest.Case {
		return at(component.Component{
			Name: "own", Roles: []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
			Inputs: []component.Artifact{{Key: "files", Type: component.Directory, Roles: []openflow.Role{openflow.RoleHost}}},
			Run: func(ctx context.Context, t *component.Task) error {
				if t.Role() == openflow.RoleGuest {
					return nil
				}
				_, err := t.Directory(ctx, "files")
				return err
			},
		}, componenttest.Inputs{Objects: map[string]componenttest.Object{"files": in}}, nil)
	}
	stored := object{"namespace": "host_10000", "name": "before_table", "path": "x"}
	untaken := at(download.Component(), raw(`{"head":true}`, rows), stored)
	untaken.Faults = []componenttest.Fault{{Path: "/openflow/v1/container/data/file", Kind: componenttest.Verdict, Every: 1, Code: 7001}}
	toys := componenttest.Case{
		Component: toy.Component(), Parties: []openflow.Party{guest, host}, Parameters: map[string]any{"data_num": 9, "partition": 1},
		Override: map[openflow.Party]map[string]any{host: {"data_num": 10}},
	}
	alone := componenttest.Case{Component: toy.Component(), Parties: []openflow.Party{host, second}, Parameters: map[string]any{"data_num": 9, "partition": 1}}
	return []refusalCase{
		{name: "toy: other rows", c: toys, by: host, want: "are not the 10", public: "toy_example has made other ids at another party"},
		{name: "toy: no guest", c: alone, by: host, want: "needs one guest", public: "toy_example needs one guest and at least one host", too: everybody},
		{name: "upload: no file", c: at(upload.Component(), file(""), object{"file": "marked.csv"}), by: host, want: "may be named here",
			public: "its node does not give it the file", too: everybody},
		{name: "upload: temporary", c: at(upload.Component(), file(rows), object{"file": "marked.csv", "is_temp_file": true}), by: host,
			want: "never removed", public: "upload removes no files", too: everybody},
		{name: "upload: no object", c: at(upload.Component(), file(rows), object{"file": "marked.csv", "meta": 5}), by: host, want: "want an object",
			public: `parameter "meta" has a value that is not accepted`, too: everybody},
		{name: "upload: no rows", c: at(upload.Component(), file("marked-id,x\n"), object{"file": "marked.csv"}), by: host, want: "no rows below",
			public: "upload cannot read its file as it was described", too: everybody},
		{name: "transformer: another file", c: at(transformer.Component(), raw(`{"match_id_name":"marked-other"}`, rows), nil), by: host,
			want: "marked-other", public: "dataframe_transformer cannot read its raw table as it was described", too: everybody},
		{name: "kit: no raw table", c: at(transformer.Component(), frames("table"), nil), by: host, want: "is a dataframe, and a table is wanted",
			public: "its input is no table", too: everybody},
		{name: "kit: two raw tables", c: at(transformer.Component(), two, nil), by: host, want: "has 2 tables", public: `input "table" of task "task_0" of job 202401010000000000000 (host 10000) has 2 tables, want one`, too: everybody},
		{name: "download: no such table", c: at(download.Component(), componenttest.Inputs{}, object{"namespace": "marked", "name": "none", "path": "x"}), by: host,
			want: "marked/none", public: "its node does not give it the table to pass on", too: everybody},
		{name: "download: no rows", c: at(download.Component(), raw(`{"marked":5}`, rows), stored), by: host, want: `"marked"`,
			public: "download cannot write its table as CSV", too: everybody},
		{name: "download: not taken", c: untaken, by: host, want: "file 0.csv", public: "its node does not take the file", too: everybody},
		{name: "kit: a broken folder", c: folder(componenttest.Object{Type: component.Directory, Content: "marked-file"}), by: host, want: `input "files"`,
			public: `its input "files" cannot be read`},
		{name: "kit: a link", c: folder(componenttest.Object{Type: component.Directory, Content: link()}), by: host, want: "is neither a file nor a folder",
			public: `its input "files" cannot be read`},
	}
}

// link is an archive with a link to a file outside.
func link() string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "marked-link", Linkname: "/etc/passwd"}) // into memory
	_ = w.Close()
	return b.String()
}
