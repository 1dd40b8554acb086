package application_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/catalogue"
	"openflow/objects/folder"
	"openflow/sdk/wire"
	"openflow/server/application"
)

// uploads is the upload routes of a node on a catalogue and a store of their own.
type uploads struct {
	t    *testing.T
	url  string
	rows *catalogue.Catalogue
	dir  string // the upload folder
}

func newUploads(t *testing.T) *uploads {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	u := &uploads{t: t, rows: rows, dir: t.TempDir()}
	var jobs atomic.Int64
	api := &application.API{
		Space: func() error { return nil }, Catalogue: rows, Objects: store, Log: slog.New(slog.DiscardHandler), Uploads: u.dir,
		NewID: func() openflow.JobID { return openflow.JobID(fmt.Sprintf("202601021504050%05d", jobs.Add(1)-1)) },
		About: func() application.About { return application.About{Party: "9999"} },
	}
	r := chi.NewRouter()
	api.Routes(r)
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	u.url = srv.URL
	return u
}

type part struct{ name, value string }

// send posts a form whose parts come in that order; the part "file" is the file.
func (u *uploads) send(parts ...part) (wire.Envelope, wire.Uploaded) {
	u.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		if p.name != "file" {
			require.NoError(u.t, form.WriteField(p.name, p.value))
			continue
		}
		w, err := form.CreateFormFile("file", "rows.csv")
		require.NoError(u.t, err)
		_, err = w.Write([]byte(p.value))
		require.NoError(u.t, err)
	}
	require.NoError(u.t, form.Close())
	return u.post("/v2/data/component/upload/file", form.FormDataContentType(), &body)
}

func (u *uploads) post(path, contentType string, body *bytes.Buffer) (wire.Envelope, wire.Uploaded) {
	u.t.Helper()
	resp, err := http.Post(u.url+path, contentType, body)
	require.NoError(u.t, err)
	defer func() { require.NoError(u.t, resp.Body.Close()) }()
	var e wire.Envelope
	require.NoError(u.t, json.NewDecoder(resp.Body).Decode(&e))
	var done wire.Uploaded
	if e.Code == 0 {
		require.NoError(u.t, json.Unmarshal(e.Data, &done))
	}
	return e, done
}

// stored lists the tables that are there.
func (u *uploads) stored() []string {
	u.t.Helper()
	list, err := u.rows.TableList(u.t.Context(), catalogue.TableFilter{Limit: 10})
	require.NoError(u.t, err)
	var names []string
	for _, rec := range list {
		names = append(names, rec.Name.String())
	}
	return names
}

// Case 24.
func TestFieldsOfAFormComeInAnyOrder(t *testing.T) {
	file := part{"file", "x0,x1,id,y\n0.5,7,101,1\n0.25,8,102,0\n"}
	namespace, name, meta := part{"namespace", "ns"}, part{"name", "t"}, part{"meta", `{"match_id_name":"id","label_name":"y"}`}
	for order, parts := range map[string][]part{
		"before": {namespace, name, meta, file}, "after": {file, namespace, name, meta}, "around": {namespace, file, meta, name},
		"meta alone after": {namespace, name, file, meta}, "with what FATE sends": {part{"head", "True"}, part{"partitions", "4"}, file, meta, name, namespace},
	} {
		t.Run(order, func(t *testing.T) {
			u := newUploads(t)
			e, done := u.send(parts...)
			require.Zero(t, e.Code, e.Message)
			require.Equal(t, []string{"sample_id", "id", "y", "x0", "x1"}, done.Columns)
			require.Equal(t, []string{"ns/t"}, u.stored())
			require.Equal(t, [][]any{{"101", "101", 1.0, 0.5, 7.0}, {"102", "102", 0.0, 0.25, 8.0}}, done.Read.FirstRows)
		})
	}
}

func TestFormsThatAreNotSureStoreNothing(t *testing.T) {
	file := part{"file", "id,y\n1,0\n"}
	namespace, name, meta := part{"namespace", "ns"}, part{"name", "t"}, part{"meta", "{}"}
	for why, c := range map[string]struct {
		parts []part
		says  string
	}{
		"a field after a streamed file": {[]part{namespace, name, meta, file, {"head", "False"}}, `the form has the field "head" after its file`},
		"a field twice":                 {[]part{namespace, name, name, meta, file}, `the form has the field "name" twice`},
		"two files":                     {[]part{file, namespace, name, meta, file}, "two files"},
		"a second file when streamed":   {[]part{namespace, name, meta, file, file}, `"file" after its file`},
		"no file":                       {[]part{namespace, name, meta}, `no part "file"`},
		"a wrong boolean":               {[]part{file, namespace, name, {"head", "maybe"}}, "not a boolean"},
		"broken meta":                   {[]part{file, namespace, name, {"meta", "{"}}, "not valid JSON"},
		"a file that is none":           {[]part{{"file", "PK\x03\x04"}, namespace, name, meta}, "a zip archive"},
	} {
		t.Run(why, func(t *testing.T) {
			u := newUploads(t)
			e, _ := u.send(c.parts...)
			require.NotZero(t, e.Code)
			require.Contains(t, e.Message, c.says)
			require.Empty(t, u.stored())
		})
	}
}

func TestAnUploadTellsWhatItTookForGranted(t *testing.T) {
	u := newUploads(t)
	e, done := u.send(part{"metta", "{}"}, part{"file", "id;x0\n1 ;2\n"})
	require.Zero(t, e.Code, e.Message)
	require.Equal(t, "upload", done.Namespace)
	require.Equal(t, []string{
		"no namespace and name were said for the table, so it is called upload/20260102150405000000",
		`the form field "metta" is not known and has no effect`,
		`columns are separated by ";" (guessed)`,
		"the first line was taken for the names of the columns (guessed)",
		`the first column, "id", was taken for the id (guessed)`,
		"no type was said: labels are read as int32, features and weights as float32 (default)",
		`ids with blanks around them: 1 in "id", first in line 2; the blanks were taken off`,
	}, done.Read.Notes)
	job, err := u.rows.Job(t.Context(), openflow.JobKey{Scheduler: "9999", Job: "20260102150405000000", Party: openflow.Party{Role: openflow.RoleLocal, ID: "0"}})
	require.NoError(t, err)
	require.Equal(t, done.Read.Notes, job.Warnings)
}

func TestAFileOfPairsIsReadTwice(t *testing.T) {
	u := newUploads(t)
	e, done := u.send(part{"namespace", "ns"}, part{"name", "t"}, part{"meta", `{"input_format":"sparse","match_id_name":"id","label_name":"y"}`},
		part{"file", "a 1 3:0.5\nb 0 1:2\n"})
	require.Zero(t, e.Code, e.Message)
	require.Equal(t, []string{"sample_id", "id", "y", "1", "3"}, done.Columns)

	require.NoError(t, os.WriteFile(filepath.Join(u.dir, "p.txt"), []byte("a 1 3:0.5\nb 0 1:2\n"), 0o600))
	e, done = u.post("/v2/data/component/upload", "application/json", bytes.NewBufferString(
		`{"file":"p.txt","head":false,"partitions":4,"namespace":"ns","name":"p","meta":{"input_format":"sparse","match_id_name":"id","label_name":"y"}}`))
	require.Zero(t, e.Code, e.Message)
	require.Equal(t, []string{"sample_id", "id", "y", "1", "3"}, done.Columns)
}

func TestNamesInAnyScript(t *testing.T) {
	u := newUploads(t)
	for _, name := range []string{"客户表", "Größe", "таблица_2", "ตาราง", "जमा", "عملاء", "a.b-c_d"} {
		e, done := u.send(part{"namespace", "银行"}, part{"name", name}, part{"meta", "{}"}, part{"file", "id,x0\n1,2\n"})
		require.Zero(t, e.Code, "%s: %s", name, e.Message)
		require.Equal(t, name, done.Name)

		query := "?" + url.Values{"namespace": {"银行"}, "name": {name}}.Encode()
		resp, err := http.Get(u.url + "/v2/table/query" + query)
		require.NoError(t, err)
		var answer struct {
			Data wire.TableInfo `json:"data"`
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, name, answer.Data.Name)
		uri, err := url.Parse(answer.Data.Path)
		require.NoError(t, err)
		require.Equal(t, "/银行/"+name, uri.Path)

		resp, err = http.Get(u.url + "/v2/data/download" + query)
		require.NoError(t, err)
		require.Equal(t, "application/gzip", resp.Header.Get("Content-Type"))
		_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
		require.NoError(t, err)
		require.Equal(t, "download_data_银行_"+name+".tar.gz", params["filename"])
		require.NoError(t, resp.Body.Close())
	}
	for _, name := range []string{" a", "a ", "a b", "../a", "a/b", `a\b`, "a\x00", "a\u202eb", "a\u200bb", "a\u2066b", "ㅤ", "客\n户", strings.Repeat("客", 129), "\xff", "́a"} {
		e, _ := u.send(part{"namespace", "ns"}, part{"name", name}, part{"meta", "{}"}, part{"file", "id,x0\n1,2\n"})
		require.NotZero(t, e.Code, "%q", name)
		require.Contains(t, e.Message, "not a valid name")
	}
}
