package sdk_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

const rows = "id,y,x0\na,1,0.5\nb,0,1.5\n"

func upload(tb testing.TB, c *sdk.Client, name string) sdk.Uploaded {
	tb.Helper()
	done, err := c.Upload(tb.Context(), sdk.Upload{
		Table: openflow.TableName{Namespace: "demo", Name: name}, Columns: sdk.Columns{SampleID: "id", Label: "y"},
		Rows: strings.NewReader(rows), Size: int64(len(rows)),
	})
	require.NoError(tb, err)
	return done
}

func TestUpload(t *testing.T) {
	s, c := start(t, "")
	done := upload(t, c, "t")
	require.Equal(t, wire.Reading{
		Encoding: "utf-8", Delimiter: ",", Format: "dense", Header: true,
		Columns: []wire.ReadColumn{
			{Name: "sample_id", Role: "sample id", DType: "text"}, {Name: "id", Role: "match id", DType: "text"},
			{Name: "y", Role: "label", DType: "int32"}, {Name: "x0", Role: "feature", DType: "float32"},
		},
		FirstRows: wire.Rows{{"a", "a", json.Number("1"), json.Number("0.5")}, {"b", "b", json.Number("0"), json.Number("1.5")}},
		Notes:     []string{"no type was said: labels are read as int32, features and weights as float32 (default)"},
	}, done.Read)
	done.Read = wire.Reading{}
	require.Equal(t, sdk.Uploaded{JobID: s.next, Uploaded: wire.Uploaded{
		Namespace: "demo", Name: "t", Count: 2, Columns: []string{"sample_id", "id", "y", "x0"},
	}}, done)
	list, err := c.Tables(t.Context(), "demo")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.EqualValues(t, 2, *list[0].Count)
	list, err = c.Tables(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, list)
}

// A file that cannot be read is a fault of this machine, not of the node.
func TestUploadOfWhatCannotBeRead(t *testing.T) {
	_, c := start(t, "")
	_, err := c.Upload(t.Context(), sdk.Upload{
		Table: openflow.TableName{Namespace: "demo", Name: "t"}, Rows: io.MultiReader(strings.NewReader(rows), iotest.ErrReader(errors.New("bad sector"))),
	})
	requireCode(t, openflow.CodeInvalid, err)
	require.ErrorContains(t, err, "the rows cannot be read: bad sector")
	list, err := c.Tables(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestUploadRefusesWhatIsNoTable(t *testing.T) {
	cases := map[string]sdk.Upload{
		"no such column": {Table: openflow.TableName{Namespace: "demo", Name: "t"}, Columns: sdk.Columns{SampleID: "nope"}, Rows: strings.NewReader(rows)},
		"name":           {Table: openflow.TableName{Namespace: "demo", Name: "../t"}, Rows: strings.NewReader(rows)},
		"type":           {Table: openflow.TableName{Namespace: "demo", Name: "t"}, Columns: sdk.Columns{DType: "complex"}, Rows: strings.NewReader(rows)},
	}
	for name, u := range cases {
		t.Run(name, func(t *testing.T) {
			_, c := start(t, "")
			_, err := c.Upload(t.Context(), u)
			requireCode(t, openflow.CodeInvalid, err)
			list, err := c.Tables(t.Context(), "")
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
}

// endless is a CSV file without an end, so that a client that keeps it would not come back.
type endless struct{ header bool }

func (e *endless) Read(p []byte) (int, error) {
	if !e.header {
		e.header = true
		return copy(p, "id,x0\n"), nil
	}
	n := 0
	for n+4 <= len(p) {
		n += copy(p[n:], "a,1\n")
	}
	return n, nil
}

func TestUploadIsStreamed(t *testing.T) {
	const enough = 64 << 20
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.CopyN(io.Discard, r.Body, enough); err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(`{"code":5001,"message":"enough"}`))
	})
	var sent atomic.Int64
	_, err := c.Upload(t.Context(), sdk.Upload{
		Table: openflow.TableName{Namespace: "demo", Name: "t"}, Rows: &endless{}, Progress: sent.Store,
	})
	requireCode(t, openflow.CodeInvalid, err)
	require.Greater(t, sent.Load(), int64(enough-(1<<20)))
}

func TestUploadOfABrokenSourceLeavesNoTable(t *testing.T) {
	_, c := start(t, "")
	broken := errors.New("disk is gone")
	_, err := c.Upload(t.Context(), sdk.Upload{
		Table: openflow.TableName{Namespace: "demo", Name: "t"},
		Rows:  io.MultiReader(strings.NewReader(rows), readError{broken}),
	})
	require.ErrorIs(t, err, broken)
	list, err := c.Tables(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, list)
}

type readError struct{ err error }

func (r readError) Read([]byte) (int, error) { return 0, r.err }

// trained is a site with a job whose task psi_0 has made a table, a model and a metric.
func trained(t *testing.T) (*site, *sdk.Client) {
	t.Helper()
	s, c := start(t, "")
	ctx := t.Context()
	upload(t, c, "t")
	s.next = "20260102150405000001"
	_, err := c.Submit(ctx, sampleDAG(t), "")
	require.NoError(t, err)
	k := s.task("psi_0")
	require.NoError(t, s.rows.SaveOutput(ctx, openflow.OutputRecord{
		Task: k, OutputKey: "output_data", Table: openflow.TableName{Namespace: "demo", Name: "t"}, DataType: "dataframe",
	}, nil))
	var model bytes.Buffer
	w := tar.NewWriter(&model)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "model.json", Size: int64(len(`{"w":1}`)), Mode: 0o600}))
	_, err = w.Write([]byte(`{"w":1}`))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	ref, err := s.objects.Put(ctx, &model)
	require.NoError(t, err)
	require.NoError(t, s.rows.SaveModel(ctx, openflow.ModelRecord{
		Scheduler: "9999",
		ModelID:   "m", Version: "0", Party: guest, Task: "psi_0", OutputKey: "output_model", Job: s.next, TypeName: "json_model",
		Object: ref.Digest, Bytes: ref.Bytes,
	}))
	require.NoError(t, s.rows.AppendMetrics(ctx, k, []openflow.MetricRecord{{Task: k, Name: "auc", Type: "auc", Data: raw("0.9")}}))
	return s, c
}

func TestOutputs(t *testing.T) {
	s, c := trained(t)
	ctx, k := t.Context(), s.task("psi_0")
	metrics, err := c.Metrics(ctx, k)
	require.NoError(t, err)
	require.Len(t, metrics, 1)
	require.JSONEq(t, "0.9", string(metrics[0].Data))

	models, err := c.Model(ctx, k)
	require.NoError(t, err)
	require.JSONEq(t, `{"w":1}`, string(models["output_model"]))
	var pack bytes.Buffer
	require.NoError(t, c.ModelPackage(ctx, k, "output_model", &pack))
	require.Contains(t, pack.String(), "model.json")
	requireCode(t, openflow.CodeNotFound, c.ModelPackage(ctx, k, "nope", &pack))

	tables, err := c.OutputTables(ctx, k)
	require.NoError(t, err)
	require.Equal(t, map[string][]openflow.TableName{"output_data": {{Namespace: "demo", Name: "t"}}}, tables)
	_, err = c.OutputTables(ctx, s.task("nope"))
	requireCode(t, openflow.CodeNotFound, err)

	dir := filepath.Join(t.TempDir(), "out")
	files, err := c.OutputData(ctx, k, "", dir)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "output_data", "0.csv"), filepath.Join(dir, "output_data", "0.meta")}, files)
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.Contains(t, string(text), "0.5")
}

func TestOutputsThatAreNotThere(t *testing.T) {
	s, c := trained(t)
	ctx, k := t.Context(), s.task("reader_0")
	_, err := c.Model(ctx, k)
	requireCode(t, openflow.CodeNotFound, err)
	_, err = c.OutputData(ctx, k, "", t.TempDir())
	requireCode(t, openflow.CodeNotFound, err)
	metrics, err := c.Metrics(ctx, k)
	require.NoError(t, err)
	require.Empty(t, metrics)
}

func archive(tb testing.TB, members map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for name, text := range members {
		require.NoError(tb, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600}))
		_, err := io.WriteString(w, text)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	require.NoError(tb, zip.Close())
	return b.Bytes()
}

func TestOutputDataStaysInItsFolder(t *testing.T) {
	for _, name := range []string{"../outside.csv", "/outside.csv", "a/../../outside.csv"} {
		t.Run(name, func(t *testing.T) {
			body := archive(t, map[string]string{name: "x"})
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/gzip")
				_, _ = w.Write(body)
			})
			parent := t.TempDir()
			_, err := c.OutputData(t.Context(), openflow.TaskKey{}, "", filepath.Join(parent, "in"))
			require.Error(t, err)
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, entries, 1)
		})
	}
}

func TestOutputDataThatBreaksOffIsNoSuccess(t *testing.T) {
	whole := archive(t, map[string]string{"data/0.csv": strings.Repeat("some text, ", 1000)})
	for name, cut := range map[string]int{"in the rows": len(whole) / 2, "before the end mark": len(whole) - 4} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/gzip")
				_, _ = w.Write(whole[:cut])
				panic(http.ErrAbortHandler)
			})
			_, err := c.OutputData(t.Context(), openflow.TaskKey{}, "", t.TempDir())
			requireCode(t, openflow.CodeUnavailable, err)
		})
	}
}
