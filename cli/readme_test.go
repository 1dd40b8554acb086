package cli_test

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/store/catalogue"
	"openflow/store/objects/folder"
)

// uploadNode is the upload routes of a real node.
func uploadNode(t *testing.T) (url string, rows *catalogue.Catalogue) {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	api := &application.Site{
		Space: func() error { return nil }, Catalogue: rows, Objects: store, Log: slog.New(slog.DiscardHandler),
		NewID: func() openflow.JobID { return "20260102150405000000" },
		About: func() application.About { return application.About{Party: "9999"} },
	}
	srv := httptest.NewServer(server.Handler(api.Log, dialect.Mounts(fateflow.Dialect{}.Application(api))))
	t.Cleanup(srv.Close)
	return srv.URL, rows
}

// The command of README, on a file whose id is not the first column.
func TestUploadOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var command []string
	for line := range strings.Lines(string(readme)) {
		if rest, ok := strings.CutPrefix(line, "bin/openflow data upload "); ok {
			command = strings.Fields(strings.SplitN(rest, "#", 2)[0])
		}
	}
	require.NotEmpty(t, command)
	file := filepath.Join(t.TempDir(), command[0])
	require.NoError(t, os.WriteFile(file, []byte("age,income,id,y\n33,1.5,101,1\n33,2.5,102,0\n"), 0o600))
	url, rows := uploadNode(t)
	args := append([]string{"data", "upload", file}, command[1:]...)

	r := run(t, append(args, "--node", url, "-o", "json")...)
	require.Zero(t, r.code, r.stderr)
	var done sdk.Uploaded
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &done))
	require.Equal(t, []string{"sample_id", "id", "y", "age", "income"}, done.Columns)
	require.Equal(t, []wire.ReadColumn{
		{Name: "sample_id", Role: "sample id", DType: "text"}, {Name: "id", Role: "match id", DType: "text"},
		{Name: "y", Role: "label", DType: "int32"}, {Name: "age", Role: "feature", DType: "float32"}, {Name: "income", Role: "feature", DType: "float32"},
	}, done.Read.Columns)
	require.Equal(t, wire.Rows{{"101", "101", json.Number("1"), json.Number("33"), json.Number("1.5")}, {"102", "102", json.Number("0"), json.Number("33"), json.Number("2.5")}}, done.Read.FirstRows)
	list, err := rows.TableList(t.Context(), catalogue.TableFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, openflow.TableName{Namespace: "ns", Name: "people"}, list[0].Name)
}

func TestUploadShowsHowTheFileWasRead(t *testing.T) {
	url, _ := uploadNode(t)
	r := runWith(t, "编号;年龄;电话\n7 ;2,5;13800138000\n8;NA;1\n", "data", "upload", "-", "--namespace", "银行", "--name", "客户",
		"--match", "编号", "--decimal", ",", "--na", "NA", "--type", "电话=int64", "--node", url)
	require.Zero(t, r.code, r.stderr)
	for _, line := range []string{
		"table    银行/客户", "rows     2", `read as  dense, utf-8, split at ";", header in the first line`,
		"编号       match id   text     0", "年龄       feature    float32  1", "电话       feature    int64    0",
		"sample_id  编号  年龄  电话\n7          7     2.5   13800138000\n8          8     -     1\n",
		`note: columns are separated by ";" (guessed)`,
		`note: ids with blanks around them: 1 in "编号", first in line 2; the blanks were taken off`,
		`note: cells without a value in "年龄" (1, first in line 3)`,
	} {
		require.Contains(t, r.stdout, line)
	}
}

func TestUploadFlagsBecomeMeta(t *testing.T) {
	const route = "POST /v2/data/component/upload/file"
	f, url := newFake(t, map[string]string{route: `{"namespace":"demo","name":"t","count":1}`})
	r := runWith(t, "1,2\n", "data", "upload", "-", "--namespace", "demo", "--name", "t", "--head=false", "--header", "id,a=b", "--encoding", "gbk",
		"--decimal", ".", "--delimiter", "tab", "--dtype", "float64", "--type", "a=b=str", "--format", "tag", "--tag-with-value=false",
		"--tag-value-delimiter", "=", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, f.got(route), `{"delimiter":"tab","decimal":".","encoding":"gbk","head":false,"header":["id","a=b"],"input_format":"tag",`+
		`"tag_with_value":false,"tag_value_delimiter":"=","dtype":{"*":"float64","a=b":"str"}}`)
	r = runWith(t, "", "data", "upload", "-", "--namespace", "demo", "--name", "t", "--type", "x", "--node", url)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `--type "x" is not of the form COLUMN=TYPE`)
}
