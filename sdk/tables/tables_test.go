package tables_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

var sameNaN = cmpopts.EquateNaNs()

// every has one column of each type.
func every() *tables.Frame {
	return &tables.Frame{
		Schema: tables.Schema{
			SampleID: "sid", MatchID: "id",
			Label:  &tables.Column{Name: "y", DType: tables.Int32, Anonymous: "guest_9999_y"},
			Weight: &tables.Column{Name: "w", DType: tables.Float32, Anonymous: "guest_9999_weight"},
			Features: []tables.Column{
				{Name: "big", DType: tables.Int64, Anonymous: "guest_9999_x0"}, {Name: "f", DType: tables.Float64, Anonymous: "guest_9999_x1"},
				{Name: "yes", DType: tables.Bool, Anonymous: "guest_9999_x2"}, {Name: "predict_detail", DType: tables.Object, Anonymous: "guest_9999_x4"},
			},
			Site: "guest_9999", Numbered: 5,
		},
		SampleID: []string{"a", "b", ""}, MatchID: []string{"1", "1", "3"},
		Label:  tables.NewInts(tables.Int32, []int64{0, -1, math.MaxInt32}),
		Weight: tables.NewFloats(tables.Float32, []float64{0.5, math.NaN(), -2}),
		Features: []tables.Vector{
			tables.NewInts(tables.Int64, []int64{math.MaxInt64, math.MinInt64, 0}),
			tables.NewFloats(tables.Float64, []float64{math.Inf(1), 0.1, math.NaN()}),
			tables.NewInts(tables.Bool, []int64{1, 0, 1}),
			tables.NewStrings([]string{`"{'0': 0.19, '1': 0.81}"`, "", "ü\n"}),
		},
	}
}

func encode(t testing.TB, f *tables.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := f.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return b.Bytes()
}

func TestFrameSurvivesWritingAndReading(t *testing.T) {
	f := every()
	require.NoError(t, f.Validate())
	got, err := tables.ReadAll(bytes.NewReader(encode(t, f)))
	require.NoError(t, err)
	if d := cmp.Diff(f, got, sameNaN); d != "" {
		t.Fatal(d)
	}
}

func TestEmptyTableSurvivesWritingAndReading(t *testing.T) {
	f := every().Take(nil)
	got, err := tables.ReadAll(bytes.NewReader(encode(t, f)))
	require.NoError(t, err)
	require.Zero(t, got.Rows())
	require.Equal(t, f.Schema, got.Schema)
	require.NoError(t, got.Validate())
}

func TestSchemaSurvivesDataMeta(t *testing.T) {
	s := every().Schema
	meta, err := s.DataMeta()
	require.NoError(t, err)
	got, err := tables.ParseDataMeta(meta)
	require.NoError(t, err)
	require.Equal(t, s, got)
}

// The example of fate-components §1.6.
const specMeta = `{"type": "fate.arch.dataframe", "schema_meta": {"fields": [
 {"property": "sample_id", "name": "extend_sid", "dtype": "index", "should_compress": false},
 {"property": "match_id",  "name": "id",         "dtype": "index", "should_compress": false},
 {"property": "label",     "name": "y",  "anonymous_name": "guest_9999_y",  "dtype": "int32",   "should_compress": false},
 {"property": "weight",    "name": "w",  "anonymous_name": "guest_9999_weight", "dtype": "float32", "should_compress": false},
 {"property": "column",    "name": "x0", "anonymous_name": "guest_9999_x0", "dtype": "float32", "should_compress": true}],
 "anonymous_summary": {"column_len": 1, "site_name": "guest_9999"}},
 "partition_order_mappings": {"00": {"start_index": 0, "end_index": 141, "start_block_id": 0, "end_block_id": 1}}}`

func TestParseDataMetaReadsTheSpecsExample(t *testing.T) {
	s, err := tables.ParseDataMeta([]byte(specMeta))
	require.NoError(t, err)
	require.Equal(t, tables.Schema{
		SampleID: "extend_sid", MatchID: "id", Site: "guest_9999", Numbered: 1,
		Label:    &tables.Column{Name: "y", DType: tables.Int32, Anonymous: "guest_9999_y"},
		Weight:   &tables.Column{Name: "w", DType: tables.Float32, Anonymous: "guest_9999_weight"},
		Features: []tables.Column{{Name: "x0", DType: tables.Float32, Anonymous: "guest_9999_x0"}},
	}, s)
	written, err := s.DataMeta()
	require.NoError(t, err)
	// the order of partitions is a storage's affair and is not kept
	require.JSONEq(t, strings.Replace(specMeta, `{"00": {"start_index": 0, "end_index": 141, "start_block_id": 0, "end_block_id": 1}}`, `{}`, 1), string(written))
}

func TestParseDataMetaRefuses(t *testing.T) {
	for name, meta := range map[string]string{
		"another type":    `{"type":"table"}`,
		"no ids":          `{"type":"fate.arch.dataframe","schema_meta":{"fields":[]}}`,
		"two labels":      strings.Replace(specMeta, `"weight"`, `"label"`, 1),
		"unknown purpose": strings.Replace(specMeta, `"weight"`, `"offset"`, 1),
		"repeated name":   strings.Replace(specMeta, `"x0"`, `"y"`, 1),
		"not JSON":        `{`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tables.ParseDataMeta([]byte(meta))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		})
	}
}

func TestSiteFillsInAnonymousNamesOnce(t *testing.T) {
	s := tables.Schema{SampleID: "s", MatchID: "id", Label: &tables.Column{Name: "y", DType: tables.Int32},
		Features: []tables.Column{{Name: "a", DType: tables.Float32}, {Name: "b", DType: tables.Float32}}}.Anonymize()
	require.Equal(t, "AnonymousRole_AnonymousPartyId_x1", s.Features[1].Anonymous)
	require.Equal(t, 2, s.Numbered)

	at, err := s.AtSite("host_10000")
	require.NoError(t, err)
	require.Equal(t, "host_10000_x1", at.Features[1].Anonymous)
	require.Equal(t, "host_10000_y", at.Label.Anonymous)
	require.Equal(t, "AnonymousRole_AnonymousPartyId_y", s.Label.Anonymous, "the original stays")

	at.Features = append(at.Features[1:], tables.Column{Name: "c", DType: tables.Float64})
	grown := at.Anonymize()
	require.Equal(t, []string{"host_10000_x1", "host_10000_x2"}, []string{grown.Features[0].Anonymous, grown.Features[1].Anonymous})

	_, err = at.AtSite("guest_9999")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
}

func TestWriterBoundsBatches(t *testing.T) {
	wide := &tables.Frame{Schema: tables.Schema{SampleID: "s", MatchID: "id"}}
	const rows = 20000
	ids := make([]string, rows)
	for i := range ids {
		ids[i] = strings.Repeat("x", 100)
	}
	wide.SampleID, wide.MatchID = ids, ids
	var b bytes.Buffer
	w, err := tables.NewWriter(&b, wide.Schema)
	require.NoError(t, err)
	for i := range rows { // one row at a time still makes big batches
		require.NoError(t, w.Write(wide.Slice(i, i+1)))
	}
	require.NoError(t, w.Close())
	require.Equal(t, rows, w.Overview().Rows)
	require.Len(t, w.Overview().Samples, 100)

	r, err := tables.NewReader(&b)
	require.NoError(t, err)
	batches, total := 0, 0
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.LessOrEqual(t, f.Rows(), 8192)
		require.LessOrEqual(t, f.Rows()*200, 1<<20+200)
		batches, total = batches+1, total+f.Rows()
	}
	require.Equal(t, rows, total)
	require.LessOrEqual(t, batches, 5)
}

func TestWriterRefusesRowsThatDoNotFit(t *testing.T) {
	for name, change := range map[string]func(f *tables.Frame){
		"a column too short":  func(f *tables.Frame) { f.Features[0].Ints = f.Features[0].Ints[1:] },
		"another type":        func(f *tables.Frame) { f.Label = tables.NewFloats(tables.Float64, []float64{1, 2, 3}) },
		"a column missing":    func(f *tables.Frame) { f.Features = f.Features[1:] },
		"a match id missing":  func(f *tables.Frame) { f.MatchID = f.MatchID[1:] },
		"too large for int32": func(f *tables.Frame) { f.Label.Ints[0] = math.MaxInt32 + 1 },
		"too small for int32": func(f *tables.Frame) { f.Label.Ints[0] = math.MinInt32 - 1 },
		"another column name": func(f *tables.Frame) { f.Schema = f.Schema.Clone(); f.Schema.Features[0].Name = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			f := every()
			w, err := tables.NewWriter(io.Discard, f.Schema)
			require.NoError(t, err)
			change(f)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(w.Write(f)))
		})
	}
}

func TestReaderNoticesEveryTruncation(t *testing.T) {
	whole := encode(t, every())
	for n := range whole {
		if _, err := tables.ReadAll(bytes.NewReader(whole[:n])); err == nil && n < len(whole) {
			t.Fatalf("a stream cut after %d of %d bytes was read without an error", n, len(whole))
		} else if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		}
	}
}

func TestTakeAndAppend(t *testing.T) {
	f := every()
	g := f.Take([]int{2, 0})
	require.Equal(t, []string{"", "a"}, g.SampleID)
	require.Equal(t, []int64{0, math.MaxInt64}, g.Features[0].Ints)
	require.NoError(t, g.Append(f.Slice(1, 2)))
	require.NoError(t, g.Validate())
	require.Equal(t, []string{"", "a", "b"}, g.SampleID)
	require.Equal(t, []float64{1, 1, 0}, g.Features[2].Float64s())
	require.Error(t, g.Append(&tables.Frame{Schema: tables.Schema{SampleID: "s", MatchID: "id"}}))
	_, err := g.Feature("none")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func FuzzParseDataMeta(f *testing.F) {
	f.Add([]byte(specMeta))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		s, err := tables.ParseDataMeta(data)
		if err != nil {
			return
		}
		meta, err := s.DataMeta()
		require.NoError(t, err)
		again, err := tables.ParseDataMeta(meta)
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}

func FuzzReader(f *testing.F) {
	f.Add(encode(f, every()))
	f.Add(encode(f, every().Take(nil)))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		frame, err := tables.ReadAll(bytes.NewReader(data))
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.NoError(t, frame.Validate())
		encode(t, frame)
	})
}

// A row is named by what is in its owner's file.
func TestRowName(t *testing.T) {
	f := &tables.Frame{SampleID: []string{"7", "a"}, MatchID: []string{strings.Repeat("9", 100), "a"}}
	require.Equal(t, `the row of match id "`+strings.Repeat("9", 60)+`…" (sample id "7")`, f.RowName(0))
	require.Equal(t, `the row of sample id "a"`, f.RowName(1))
}
