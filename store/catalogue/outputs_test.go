package catalogue_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

var ignoreTimes = cmpopts.IgnoreTypes(time.Time{})

func sampleTable(name, object string) openflow.TableRecord {
	return openflow.TableRecord{
		Name: openflow.TableName{Namespace: "ns", Name: name}, Object: object, Bytes: 1 << 40, Count: -1, DataType: "dataframe",
		Meta:   json.RawMessage(`{"schema_meta":{"b":1,"a":12345678901234567890.10}, "type":"fate.arch.dataframe"}`),
		Source: openflow.TableSource{TaskID: "j_reader_0", RunID: "e", TaskName: "reader_0", Component: "reader", OutputKey: "o", Index: 2},
		Header: []string{"id", "x"}, Samples: json.RawMessage(`[["1", 2]]`),
	}
}

func TestTables(t *testing.T) { onEngines(t, testTables) }

func testTables(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	want := sampleTable("t", "d")
	require.NoError(t, c.SaveTable(ctx, want))
	got, err := c.Table(ctx, want.Name)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, ignoreTimes))
	created := got.CreateTime

	want.Object, want.Meta, want.Header, want.Samples, want.URI, want.Count = "", nil, nil, nil, "file:///data", 7
	require.NoError(t, c.SaveTable(ctx, want))
	got, err = c.Table(ctx, want.Name)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, ignoreTimes))
	require.Equal(t, created, got.CreateTime)
	require.True(t, got.UpdateTime.After(created))

	for name, bad := range map[string]func(r *openflow.TableRecord){
		"meta":    func(r *openflow.TableRecord) { r.Meta = json.RawMessage(`{`) },
		"samples": func(r *openflow.TableRecord) { r.Samples = json.RawMessage(`[1] [2]`) },
		"name":    func(r *openflow.TableRecord) { r.Name.Namespace = "" },
	} {
		t.Run("bad "+name, func(t *testing.T) {
			r := sampleTable("bad", "d")
			bad(&r)
			requireCode(t, openflow.CodeInvalid, c.SaveTable(ctx, r))
		})
	}

	require.NoError(t, c.DeleteTable(ctx, want.Name))
	requireCode(t, openflow.CodeNotFound, c.DeleteTable(ctx, want.Name))
	_, err = c.Table(ctx, want.Name)
	requireCode(t, openflow.CodeNotFound, err)
}

func TestTableList(t *testing.T) { onEngines(t, testTableList) }

func testTableList(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for _, name := range []string{"c", "a", "b"} {
		r := sampleTable(name, "d")
		r.Intermediate = name == "b"
		require.NoError(t, c.SaveTable(t.Context(), r))
	}
	other := sampleTable("a", "d")
	other.Name.Namespace = "mine"
	require.NoError(t, c.SaveTable(t.Context(), other))
	for name, test := range map[string]struct {
		f    catalogue.TableFilter
		want []string
	}{
		"all":                  {catalogue.TableFilter{}, []string{"mine/a", "ns/a", "ns/b", "ns/c"}},
		"of a namespace":       {catalogue.TableFilter{Namespace: "ns"}, []string{"ns/a", "ns/b", "ns/c"}},
		"that people made":     {catalogue.TableFilter{Namespace: "ns", SkipIntermediate: true}, []string{"ns/a", "ns/c"}},
		"by part of the name":  {catalogue.TableFilter{NameContains: "A"}, []string{"mine/a", "ns/a"}},
		"a page":               {catalogue.TableFilter{Limit: 2}, []string{"mine/a", "ns/a"}},
		"the page after":       {catalogue.TableFilter{Limit: 2, After: openflow.TableName{Namespace: "ns", Name: "a"}}, []string{"ns/b", "ns/c"}},
		"the page after (end)": {catalogue.TableFilter{Limit: 2, After: openflow.TableName{Namespace: "ns", Name: "c"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tables, err := c.TableList(t.Context(), test.f)
			require.NoError(t, err)
			var got []string
			for _, r := range tables {
				got = append(got, r.Name.String())
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestOutputs(t *testing.T) { onEngines(t, testOutputs) }

func testOutputs(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	output := func(key string, index int, table string) openflow.OutputRecord {
		return openflow.OutputRecord{
			Task: k, OutputKey: key, Index: index, Table: openflow.TableName{Namespace: "ns", Name: table}, DataType: "dataframe", URI: "object:///sha256/x",
		}
	}
	table := sampleTable("t", "d")
	require.NoError(t, c.SaveOutput(ctx, output("b", 1, "t1"), nil))
	require.NoError(t, c.SaveOutput(ctx, output("b", 0, "t0"), nil))
	require.NoError(t, c.SaveOutput(ctx, output("a", 0, "old"), nil))
	require.NoError(t, c.SaveOutput(ctx, output("a", 0, "t"), &table), "a launch that is repeated replaces its output")

	got, err := c.Outputs(ctx, k)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]openflow.OutputRecord{output("a", 0, "t"), output("b", 0, "t0"), output("b", 1, "t1")}, got, ignoreTimes))
	_, err = c.Table(ctx, table.Name)
	require.NoError(t, err)

	bad := sampleTable("u", "d")
	bad.Meta = json.RawMessage(`{`)
	requireCode(t, openflow.CodeInvalid, c.SaveOutput(ctx, output("c", 0, "u"), &bad))
	unknown := output("c", 0, "u")
	unknown.Task.Version = 9
	good := sampleTable("u", "d")
	requireCode(t, openflow.CodeNotFound, c.SaveOutput(ctx, unknown, &good))
	_, err = c.Table(ctx, good.Name)
	requireCode(t, openflow.CodeNotFound, err)
}

func TestModels(t *testing.T) { onEngines(t, testModels) }

func testModels(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	m := openflow.ModelRecord{
		ModelID: "m", Version: "0", Party: guest, Task: "lr_0", OutputKey: "model", Job: "j", TypeName: "json_model", Object: "d1", Bytes: 5,
		Meta: json.RawMessage(`[{"model_key": "json_model"}]`),
	}
	require.NoError(t, c.SaveModel(ctx, m))
	m.Object = "d2"
	require.NoError(t, c.SaveModel(ctx, m))
	got, err := c.Model(ctx, "9999", openflow.ModelRef{ID: "m", Version: "0"}, guest, "lr_0", "model")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, got, ignoreTimes))
	theirs := m
	theirs.Initiator, theirs.Object = "8888", "d3"
	requireCode(t, openflow.CodePermission, c.SaveModel(ctx, theirs))
	got, err = c.Model(ctx, "9999", openflow.ModelRef{ID: "m", Version: "0"}, guest, "lr_0", "model")
	require.NoError(t, err)
	require.Equal(t, "d2", got.Object, "a model of another initiator is not replaced")
	owners, err := c.ModelOwners(ctx, openflow.ModelRef{ID: "m", Version: "0"}, guest.ID)
	require.NoError(t, err)
	require.Equal(t, []openflow.ModelOwner{{}}, owners)
	for i, change := range []func(m *openflow.ModelRecord){
		func(m *openflow.ModelRecord) { m.Party = host }, func(m *openflow.ModelRecord) { m.Task = "scale_0" },
		func(m *openflow.ModelRecord) { m.Version = "1" }, func(m *openflow.ModelRecord) { m.ModelID = "n" },
	} {
		other := m
		change(&other)
		require.NoError(t, c.SaveModel(ctx, other), i)
	}
	for name, test := range map[string]struct {
		f    catalogue.ModelFilter
		want int
	}{
		"all":            {catalogue.ModelFilter{}, 5},
		"by ID":          {catalogue.ModelFilter{ModelID: "m"}, 4},
		"by version":     {catalogue.ModelFilter{ModelID: "m", Version: "0"}, 3},
		"by role":        {catalogue.ModelFilter{Role: openflow.RoleHost, Party: "10000"}, 1},
		"by task":        {catalogue.ModelFilter{Task: "scale_0", OutputKey: "model", Job: "j"}, 1},
		"by another key": {catalogue.ModelFilter{OutputKey: "x"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			models, err := c.Models(ctx, test.f)
			require.NoError(t, err)
			require.Len(t, models, test.want)
		})
	}
	_, err = c.DeleteModels(ctx, catalogue.ModelFilter{Version: "0"})
	requireCode(t, openflow.CodeInvalid, err)
	for _, want := range []int{3, 0} {
		n, err := c.DeleteModels(ctx, catalogue.ModelFilter{ModelID: "m", Version: "0"})
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	_, err = c.Model(ctx, "9999", openflow.ModelRef{ID: "m", Version: "0"}, guest, "lr_0", "model")
	requireCode(t, openflow.CodeNotFound, err)
	requireCode(t, openflow.CodeInvalid, c.SaveModel(ctx, openflow.ModelRecord{ModelID: "m"}))
	m.Meta = json.RawMessage(`x`)
	requireCode(t, openflow.CodeInvalid, c.SaveModel(ctx, m))
}

func TestMetrics(t *testing.T) { onEngines(t, testMetrics) }

func testMetrics(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	step := func(i int) openflow.MetricRecord {
		return openflow.MetricRecord{
			Task: k, Name: "loss", Type: "loss", StepAxis: "iterations", Groups: json.RawMessage(`[{"name":"default","index":null}]`),
			Data: json.RawMessage(fmt.Sprintf(`[{"metric":0.10,"step":%d,"timestamp":1.5}]`, i)),
		}
	}
	var want []openflow.MetricRecord
	for i := range 12 { // in order of arrival, though "10" sorts before "9"
		want = append(want, step(i))
		require.NoError(t, c.AppendMetrics(ctx, k, []openflow.MetricRecord{step(i)}))
	}
	auc := openflow.MetricRecord{Task: k, Name: "auc", Data: json.RawMessage(`1`)}
	want = append(want, auc, step(12))
	require.NoError(t, c.AppendMetrics(ctx, k, []openflow.MetricRecord{auc, step(12)}))
	require.NoError(t, c.AppendMetrics(ctx, k, []openflow.MetricRecord{step(12), step(3), auc}), "sent twice, stored once")
	require.NoError(t, c.AppendMetrics(ctx, k, nil))
	got, err := c.Metrics(ctx, k)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, ignoreTimes))

	bad := step(99)
	bad.Data = json.RawMessage(`{`)
	requireCode(t, openflow.CodeInvalid, c.AppendMetrics(ctx, k, []openflow.MetricRecord{step(13), bad}))
	requireCode(t, openflow.CodeInvalid, c.AppendMetrics(ctx, tasks[1].Key, []openflow.MetricRecord{step(13)}))

	retry := tasks[0]
	retry.Key.Version = 1
	require.NoError(t, c.AddTask(ctx, retry))
	auc.Task = retry.Key
	require.NoError(t, c.AppendMetrics(ctx, retry.Key, []openflow.MetricRecord{auc}), "equal metrics of another version are others")
	n, err := c.DeleteMetrics(ctx, k.JobKey(), "reader_0")
	require.NoError(t, err)
	require.Equal(t, len(want)+1, n)
	got, err = c.Metrics(ctx, k)
	require.NoError(t, err)
	require.Empty(t, got)
}
