package users_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/tests/fuzzing"
)

// packed is a model package of one JSON member.
func packed(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []part{
		{"json_model", content},
		{"json_model.meta.yaml", "metadata: {}\nmodel_key: json_model\ntype_name: json_model\nindex: null\n"},
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.value))}))
		_, err := w.Write([]byte(f.value))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// zipped is an archive of these entries.
func zipped(t testing.TB, entries ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		require.NoError(t, err)
		_, err = io.WriteString(f, e.value)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// model records a model that task a of a job has made.
func (d *desk) model(job openflow.JobID, content string) {
	d.t.Helper()
	ref, err := d.objects.Put(d.t.Context(), bytes.NewReader(packed(d.t, content)))
	require.NoError(d.t, err)
	require.NoError(d.t, d.rows.SaveModel(d.t.Context(), openflow.ModelRecord{
		ModelID: string(job), Version: "0", Party: guest, Task: "a", OutputKey: "output_model", Job: job, Scheduler: "9999", Initiator: "9999",
		TypeName: "json_model", Object: ref.Digest, Bytes: ref.Bytes,
	}))
}

func run(job, more string) string {
	return `{"job_id":"` + job + `","role":"guest","party_id":"9999"` + more + `}`
}

// fate-flow-api §1.3 #17, #19: a model is shown and deleted by its task.
func TestModelOfATaskIsDeleted(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskSuccess, nil, "a")
	d.model("j1", `{"w":[1,2]}`)
	const ask = "GET /v2/output/model/query?job_id=j1&role=guest&party_id=9999&task_name=a"
	var shown map[string]any
	d.data(d.call(ask, ""), &shown)
	require.Equal(t, map[string]any{"output_model": map[string]any{"w": []any{1.0, 2.0}}}, shown)
	e := d.call("POST /v2/output/model/delete", run("j1", `,"task_name":"a"`))
	require.Zero(t, e.Code, e.Message)
	require.Empty(t, e.Data)
	require.Equal(t, 2005, d.call(ask, "").Code)
	require.Equal(t, 2005, d.call("POST /v2/output/model/delete", run("j1", `,"task_name":"a"`)).Code)
}

// fate-flow-api §1.7: what one site has exported is imported under another name, and deleted by that.
func TestModelsAreExportedAndImported(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskSuccess, nil, "a")
	d.model("j1", `{"w":[1,2]}`)
	var told struct {
		Path   string `json:"path"`
		Models int    `json:"models"`
	}
	const name = `,"model_id":"j1","model_version":"0","path":`
	for path, file := range map[string]string{
		"monthly/may":                    "monthly/may/j1_0_guest_9999.zip",
		".":                              "j1_0_guest_9999.zip",
		filepath.Join(d.exports, "june"): "june/j1_0_guest_9999.zip",
	} {
		d.data(d.call("POST /v2/model/export", run("j1", name+`"`+path+`"`)), &told)
		require.Equal(t, filepath.Join(d.exports, file), told.Path)
		require.Equal(t, 1, told.Models)
	}
	archive, err := os.ReadFile(told.Path)
	require.NoError(t, err)
	entries, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	require.Equal(t, "j1/0/guest/9999/a/output_model", entries.File[0].Name)

	for range 2 { // a repeat is the same
		require.Zero(t, d.form("/v2/model/import", archive, part{"model_id", "m2"}, part{"model_version", "7"}, part{"path", "/x/y.zip"}).Code)
	}
	list, err := d.rows.Models(t.Context(), catalogue.ModelFilter{ModelID: "m2"})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, []any{"7", guest, openflow.TaskName("a"), "output_model", "json_model", openflow.JobID("")},
		[]any{list[0].Version, list[0].Party, list[0].Task, list[0].OutputKey, list[0].TypeName, list[0].Job})
	require.Equal(t, openflow.ModelOwner{Initiator: "9999", Scheduler: "9999"}, list[0].Owner(), "jobs of this site may use it")

	other := zipped(t, part{"x/0/guest/9999/a/output_model", string(packed(t, `{"w":[3]}`))})
	e := d.form("/v2/model/import", other, part{"model_id", "m2"}, part{"model_version", "7"})
	require.Equal(t, 1003, e.Code, "another model is not replaced: %s", e.Message)

	require.Equal(t, 2005, d.call("POST /v2/model/delete", `{"model_id":"m2","model_version":"7","task_name":"b"}`).Code)
	e = d.call("POST /v2/model/delete", `{"model_id":"m2","model_version":7,"task_name":"a"}`)
	require.Zero(t, e.Code, e.Message)
	require.JSONEq(t, `{"count":true}`, string(e.Data))
	require.Equal(t, 2005, d.call("POST /v2/model/delete", `{"model_id":"m2","model_version":"7"}`).Code)
}

// An archive is checked as a whole before anything of it is kept.
func TestArchivesThatAreNotTaken(t *testing.T) {
	d := newDesk(t)
	good, at := string(packed(t, `{}`)), "m/0/guest/9999/a/output_model"
	for name, tc := range map[string]struct {
		file []byte
		code int
		says string
	}{
		"no file":                 {nil, 5007, `no part "file"`},
		"no archive":              {[]byte("PK nonsense"), 5001, "no zip archive"},
		"an empty archive":        {zipped(t), 5001, "no model"},
		"folders only":            {zipped(t, part{"m/", ""}), 5001, "no model"},
		"another layout":          {zipped(t, part{"model.json", "{}"}), 5001, "is no model"},
		"a way out":               {zipped(t, part{"m/0/guest/9999/../output_model", good}), 5001, "task_name"},
		"an absolute name":        {zipped(t, part{"/0/guest/9999/a/output_model", good}), 5001, "model_id"},
		"an unknown role":         {zipped(t, part{"m/0/king/9999/a/output_model", good}), 5001, "king"},
		"of another party":        {zipped(t, part{"m/0/guest/10000/a/output_model", good}), 5001, "party 10000"},
		"no package":              {zipped(t, part{at, "not a tar, but something else that is long enough"}), 5001, "not a tar"},
		"a package without words": {zipped(t, part{at, string(make([]byte, 1024))}), 5001, "model_key"},
		"a good and a bad one":    {zipped(t, part{at, good}, part{"m/0/guest/9999/b/output_model", "x"}), 5001, "not a tar"},
		"too many":                {zipped(t, make([]part, 1001)...), 5001, "1001 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			e := d.form("/v2/model/import", tc.file, part{"model_id", "m"}, part{"model_version", "1"})
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Contains(t, e.Message, tc.says)
		})
	}
	for _, fields := range [][]part{{{"model_id", "m"}}, {{"model_id", "../m"}, {"model_version", "1"}}, {{"model_id", "m"}, {"model_id", "m"}, {"model_version", "1"}}} {
		require.Equal(t, 5001, d.form("/v2/model/import", zipped(t, part{at, good}), fields...).Code)
	}
	list, err := d.rows.Models(t.Context(), catalogue.ModelFilter{})
	require.NoError(t, err)
	require.Empty(t, list)
}

// A link in the folder of exports leads nowhere else.
func TestExportsStayInTheirFolder(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskSuccess, nil, "a")
	d.model("j1", `{}`)
	outside := t.TempDir()
	require.NoError(t, os.MkdirAll(d.exports, 0o700))
	require.NoError(t, os.Symlink(outside, filepath.Join(d.exports, "link")))
	for _, path := range []string{"link", "link/deeper", "../x", "/", outside, strings.Repeat("x/", 3000)} {
		e := d.call("POST /v2/model/export", run("j1", `,"model_id":"j1","model_version":"0","path":"`+path+`"`))
		require.Equal(t, 5005, e.Code, "%.40s: %s", path, e.Message)
	}
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Whatever an archive is, it is taken whole or refused, and no model of another party comes of it.
func FuzzImportedArchive(f *testing.F) {
	f.Add(zipped(f, part{"m/0/guest/9999/a/output_model", string(packed(f, `{}`))}))
	f.Add([]byte("PK"))
	d := newDesk(f)
	fuzzing.Within(f, func(t *testing.T, archive []byte) {
		d := *d
		d.t = t
		e := d.form("/v2/model/import", archive, part{"model_id", "m"}, part{"model_version", "1"})
		list, err := d.rows.Models(t.Context(), catalogue.ModelFilter{})
		require.NoError(t, err)
		if e.Code != 0 {
			require.NotEmpty(t, e.Message)
		}
		for _, m := range list {
			require.Equal(t, openflow.PartyID("9999"), m.Party.ID)
		}
	})
}
