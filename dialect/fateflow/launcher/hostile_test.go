package launcher

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"context"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

func workIn(t *testing.T) *wrapper {
	t.Helper()
	w := &wrapper{work: t.TempDir(), log: io.Discard}
	for _, folder := range []string{inputsFolder, outputsFolder, tablesFolder} {
		require.NoError(t, os.Mkdir(filepath.Join(w.work, folder), 0o700))
	}
	var err error
	w.root, err = os.OpenRoot(w.work)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.root.Close()) })
	return w
}

// Nothing outside of the run's folder is read as a component's output, whatever the component puts in its place.
func TestOutputsThatAreElsewhere(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(`{"secret":1}`), 0o600))
	for name, make := range map[string]func(w *wrapper, at string) error{
		"a link":           func(_ *wrapper, at string) error { return os.Symlink(secret, at) },
		"a link in a path": func(w *wrapper, at string) error { return os.Symlink(filepath.Dir(secret), at) },
		"a folder":         func(_ *wrapper, at string) error { return os.Mkdir(at, 0o700) },
		"nothing":          func(*wrapper, string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := workIn(t)
			at := filepath.Join(w.work, outputsFolder, "m")
			require.NoError(t, make(w, at))
			p := pack{tar.NewWriter(io.Discard), maxModel, 0}
			uri := at
			if name == "a link in a path" {
				uri = filepath.Join(at, "secret")
			}
			a := writtenArtifact{URI: "file://" + uri, TypeName: component.JSONModel}
			require.Error(t, w.packModel(&p, a, 0, false))
			a.TypeName = component.ModelDirectory
			if name == "a link" {
				require.Error(t, w.packModel(&p, a, 0, false))
			}
		})
	}
	w := workIn(t)
	p := pack{tar.NewWriter(io.Discard), maxModel, 0}
	for _, uri := range []string{"file://" + secret, "file://" + w.work + "/../secret", "http://x/y", "", "file:///"} {
		require.Error(t, w.packModel(&p, writtenArtifact{URI: uri, TypeName: component.JSONModel}, 0, false), uri)
	}
	folder := filepath.Join(w.work, outputsFolder, "d")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.Symlink(secret, filepath.Join(folder, "s")))
	require.ErrorContains(t, w.packModel(&p, writtenArtifact{URI: "file://" + folder, TypeName: component.ModelDirectory}, 0, false), "not a regular file")
}

// The archive of a model is another party's, or another provider's: no member of it leaves its folder.
func TestArchivesThatAreHostile(t *testing.T) {
	for name, of := range map[string]tar.Header{
		"out of the folder": {Name: "../../x", Typeflag: tar.TypeReg},
		"a whole path":      {Name: "/tmp/x", Typeflag: tar.TypeReg},
		"a link":            {Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"too large":         {Name: "x", Typeflag: tar.TypeReg, Size: maxModel + 1},
	} {
		t.Run(name, func(t *testing.T) {
			var raw bytes.Buffer
			to := tar.NewWriter(&raw)
			require.NoError(t, to.WriteHeader(&of))
			_, err := workIn(t).unpack(&raw, "input/m")
			require.Error(t, err)
		})
	}
}

// The component's metrics are known by where they come: below a path that was told to nobody else.
func TestMetricsOfOthers(t *testing.T) {
	var got int
	m, err := serveMetrics(t.Context(), "run", func(_ context.Context, records []json.RawMessage) error { got += len(records); return nil }, io.Discard)
	require.NoError(t, err)
	t.Cleanup(m.close)
	post := func(uri, body string) (int, string) {
		answer, err := http.Post(uri, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		raw, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(raw)
	}
	host, secret, _ := strings.Cut(strings.TrimPrefix(m.uri, "http://"), "/")
	code, _ := post("http://"+host+"/v2/worker/metric/save/run", `{"data":[{}]}`)
	require.Equal(t, http.StatusNotFound, code)
	code, _ = post(m.uri+"x", `{"data":[{}]}`)
	require.Equal(t, http.StatusNotFound, code)
	require.Zero(t, got)
	require.NoError(t, m.failed())

	_, text := post("http://"+host+"/"+strings.Replace(secret, "/v2/", "/v2//", 1), `{"data":[{"data":NaN}]}`)
	require.JSONEq(t, `{"code":0,"message":"success"}`, text, "the worker library writes two slashes")
	require.Equal(t, 1, got)
	_, text = post(m.uri, `{"data":[`+strings.Repeat("{},", maxSeries)+`{}]}`)
	require.Contains(t, text, fmt.Sprint(maxSeries+1))
	require.Error(t, m.failed(), "a metric that is lost is no success")
	require.Equal(t, 1, got)
	_, text = post(m.uri, strings.Repeat(" ", maxMetrics+1))
	require.Contains(t, text, "5008")
}

// What a component writes as its final meta, types and rows is refused, or is read within bounds.
func FuzzFinalMeta(f *testing.F) {
	f.Add([]byte(`{"status":{"code":0},"io_meta":{"outputs":{"data":{"k":[{"uri":"standalone:///a/b","consumed":true,"metadata":{"metadata":{"schema":{}}}}]},"model":{"m":{"uri":"file:///x"}},"metric":{}}}}`))
	f.Add([]byte(`{"status":{"code":-1,"exceptions":"Traceback"}}`))
	f.Add([]byte(`{"status":{"code":NaN},"io_meta":null}`))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		m, err := readFinalMeta(raw)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		for _, list := range m.IOMeta.Outputs.Data {
			require.LessOrEqual(t, len(list), maxWritten)
		}
	})
}

func FuzzArtifactTypes(f *testing.F) {
	f.Add([]byte("inputs:\n  data:\n    - name: table\n      is_multi: false\n      types: [{type_name: dataframe}]\noutputs: {data: [], model: [], metric: []}\n"))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		types, err := readTypes(raw)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		for _, a := range types.Outputs.Data {
			require.NoError(t, openflow.CheckIdentifier("artifact", a.Name))
		}
	})
}

type counted int

func (c *counted) Write(f *tables.Frame) error { *c += counted(f.Rows()); return f.Validate() }

func FuzzRows(f *testing.F) {
	f.Add([]byte("a,1,0,0.5,x\nb,2,1,nan,\"y\nz\"\n"))
	f.Add([]byte("a,1,True,1,x\n"))
	schema := tables.Schema{SampleID: "s", MatchID: "m", Label: &tables.Column{Name: "y", DType: tables.Int32},
		Features: []tables.Column{{Name: "x", DType: tables.Float64}, {Name: "t", DType: tables.Object}}}
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		var got counted
		n, err := copyRows(t.Context(), &got, bytes.NewReader(raw), schema, []int{0, 1, 2, 3, 4})
		if err == nil {
			require.EqualValues(t, got, n)
		}
	})
}
