package users_test

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

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/folders"
	"openflow/store/catalogue"
	"openflow/store/objects/folder"
)

// uploads is the upload routes of a node on a catalogue and a store of their own.
type uploads struct {
	t    *testing.T
	url  string
	rows *catalogue.Catalogue
	dir  string // the upload folder
	out  string // the download folder
}

func newUploads(t *testing.T) *uploads {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	u := &uploads{t: t, rows: rows, dir: t.TempDir(), out: t.TempDir()}
	var jobs atomic.Int64
	api := &application.Site{
		Space: func() error { return nil }, Catalogue: rows, Objects: store, Log: slog.New(slog.DiscardHandler), Uploads: folders.Folders{Home: u.dir, Flag: "--upload-folder"}, Downloads: folders.Folders{Home: u.out, Flag: "--download-folder"},
		NewID: func() openflow.JobID { return openflow.JobID(fmt.Sprintf("202601021504050%05d", jobs.Add(1)-1)) },
		About: func() application.About { return application.About{Party: "9999"} },
	}
	srv := httptest.NewServer(server.Handler(api.Log, dialect.All{native.Dialect{}, fateflow.Dialect{}}.Application(api)))
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
			require.Equal(t, wire.Rows{{"101", "101", json.Number("1"), json.Number("0.5"), json.Number("7")}, {"102", "102", json.Number("0"), json.Number("0.25"), json.Number("8")}}, done.Read.FirstRows)
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

func TestFieldsWithoutEffectAreTold(t *testing.T) {
	file := part{"file", "id,y\n1,0\n"}
	namespace, name, meta := part{"namespace", "ns"}, part{"name", "t"}, part{"meta", `{"match_id_name":"id"}`}
	for why, c := range map[string]struct {
		parts []part
		note  string
	}{
		"partitions, which every client sends": {[]part{namespace, name, meta, {"partitions", "4"}, file}, ""},
		"an engine":                            {[]part{namespace, name, meta, {"storage_engine", "eggroll"}, file}, `the form field "storage_engine" has no effect: tables are kept in the store of this node`},
		"a table that is to stay":              {[]part{namespace, name, {"drop", "0"}, file, meta}, `the form field "drop" has no effect: a table of that name is always replaced`},
		"a version":                            {[]part{namespace, name, meta, {"schema_version", "9.9"}, file}, `the form field "schema_version" is not known and has no effect`},
		"a long name":                          {[]part{namespace, name, meta, {strings.Repeat("x", 5000), "1"}, file}, `the form field "` + strings.Repeat("x", 97) + `…" is not known`},
	} {
		t.Run(why, func(t *testing.T) {
			e, done := newUploads(t).send(c.parts...)
			require.Zero(t, e.Code, e.Message)
			notes := strings.Join(done.Read.Notes, "\n")
			require.Contains(t, notes, c.note)
			require.Equal(t, c.note != "", strings.Contains(notes, "no effect"))
		})
	}
}

// What describes the columns is honoured or refused, never dropped.
func TestMetaOfAFormIsMeta(t *testing.T) {
	file, namespace, name := part{"file", "x0,id,y\n0.5,1,0\n"}, part{"namespace", "ns"}, part{"name", "t"}
	for why, c := range map[string]struct {
		parts []part
		says  string
	}{
		"a JSON object":           {[]part{namespace, name, {"meta", `{"match_id_name":"id","label_name":"y"}`}, file}, ""},
		"JSON in JSON":            {[]part{namespace, name, {"meta", `"{\"match_id_name\":\"id\",\"label_name\":\"y\"}"`}, file}, ""},
		"a field of its own":      {[]part{namespace, name, {"match_id_name", "id"}, {"meta", `{"label_name":"y"}`}, file}, `the form field "match_id_name" is one of meta (write it there: meta={"match_id_name": …})`},
		"and none else":           {[]part{file, {"delimiter", ";"}}, `the form field "delimiter" is one of meta`},
		"a list":                  {[]part{namespace, name, {"meta", `[]`}, file}, "meta is a JSON array; it must be an object"},
		"a number for a text":     {[]part{namespace, name, {"meta", `{"match_id_name":5}`}, file}, "meta has a number in match_id_name; it must be a text"},
		"a text for true":         {[]part{namespace, name, {"meta", `{"match_id_name":"id","extend_sid":"True"}`}, file}, "meta has a string in extend_sid; it must be true or false"},
		"an object for a text":    {[]part{namespace, name, {"meta", `{"label_name":{"name":"y"}}`}, file}, "meta has a object in label_name; it must be a text"},
		"a list of types":         {[]part{namespace, name, {"meta", `{"dtype":["int32"]}`}, file}, "meta has a wrong dtype"},
		"a type that is a number": {[]part{namespace, name, {"meta", `{"dtype":{"x0":32}}`}, file}, "meta has a wrong dtype"},
		"a version":               {[]part{namespace, name, {"meta", `{"schema_version":"2.0.0"}`}, file}, `meta has a key "schema_version", which is not known (its keys are`},
		"two objects":             {[]part{namespace, name, {"meta", `{} {}`}, file}, "not valid JSON"},
	} {
		t.Run(why, func(t *testing.T) {
			u := newUploads(t)
			e, done := u.send(c.parts...)
			if c.says == "" {
				require.Zero(t, e.Code, e.Message)
				require.Equal(t, []string{"sample_id", "id", "y", "x0"}, done.Columns)
				return
			}
			require.NotZero(t, e.Code)
			require.Contains(t, e.Message, c.says)
			require.Empty(t, u.stored())
		})
	}
}

func TestBodiesOfAnUploadByPath(t *testing.T) {
	for why, c := range map[string]struct{ body, says, note string }{
		"truths of all kinds": {`{"file":"a.csv","head":1,"extend_sid":"False","partitions":"4","meta":{}}`, "", "the first column"},
		"an unknown key":      {`{"file":"a.csv","head":true,"schema_version":"9.9","meta":{}}`, "", `the key "schema_version" is not known and has no effect`},
		"a key of meta":       {`{"file":"a.csv","head":true,"label_name":"x0"}`, `the key "label_name" is one of meta`, ""},
		"no truth":            {`{"file":"a.csv","head":"maybe","meta":{}}`, "true or false is wanted", ""},
		"no object":           {`[]`, "invalid request body", ""},
		"another file":        {`{"file":"../a.csv","head":true,"meta":{}}`, `there is no "../a.csv" in the folders that may be named here`, ""},
	} {
		t.Run(why, func(t *testing.T) {
			u := newUploads(t)
			require.NoError(t, os.WriteFile(filepath.Join(u.dir, "a.csv"), []byte("id,x0\n1,2\n"), 0o600))
			e, done := u.post("/v2/data/component/upload", "application/json", bytes.NewBufferString(c.body))
			if c.says != "" {
				require.NotZero(t, e.Code)
				require.Contains(t, e.Message, c.says)
				return
			}
			require.Zero(t, e.Code, e.Message)
			require.Contains(t, strings.Join(done.Read.Notes, "\n"), c.note)
		})
	}
}

// Numbers are shown as they were written, and types in people's words.
func TestAnUploadShowsCellsAsTheyWere(t *testing.T) {
	u := newUploads(t)
	e, done := u.send(part{"namespace", "ns"}, part{"name", "t"}, part{"meta", `{"match_id_name":"id","dtype":{"n":"int64","t":"text"}}`},
		part{"file", "id,x0,n,t\n007,1004.02,1234567890123456789,a\n"})
	require.Zero(t, e.Code, e.Message)
	require.Equal(t, wire.Rows{{"007", "007", json.Number("1004.02"), json.Number("1234567890123456789"), "a"}}, done.Read.FirstRows)
	var types []string
	for _, c := range done.Read.Columns {
		types = append(types, c.DType)
	}
	require.Equal(t, []string{"text", "text", "float32", "int64", "text"}, types)

	resp, err := http.Get(u.url + "/v2/table/query?display=true&namespace=ns&name=t")
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	var answer struct {
		Data wire.TableInfo `json:"data"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.JSONEq(t, `[["007","007",1004.02,1234567890123456789,"a"]]`, string(answer.Data.Display))
	require.Contains(t, string(answer.Data.Display), "1004.02,1234567890123456789")
	columns, err := answer.Data.Columns()
	require.NoError(t, err)
	require.Equal(t, wire.TableColumn{Name: "t", Type: "text", Property: "column"}, columns[4])
}
