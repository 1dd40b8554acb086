package tables_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

func fromCSV(t testing.TB, file, meta string) (*tables.Frame, tables.Summary, error) {
	t.Helper()
	m, err := tables.ParseMeta([]byte(meta))
	if err != nil {
		return nil, tables.Summary{}, err
	}
	var b bytes.Buffer
	s, err := tables.FromCSV(t.Context(), strings.NewReader(file), m, &b)
	if err != nil {
		return nil, s, err
	}
	f, err := tables.ReadAll(&b)
	require.NoError(t, err)
	require.Equal(t, f.Rows(), s.Rows)
	return f, s, nil
}

func TestFromCSVFindsColumns(t *testing.T) {
	for name, c := range map[string]struct {
		file, meta            string
		header                string
		sample, match         []string
		label, weight, values []float64
	}{
		"both ids": {
			"sid,id,y,x0\na,1,0,0.5\nb,2,1,nan\n", `{"sample_id_name":"sid","match_id_name":"id","label_name":"y"}`,
			"sid,id,y,x0", []string{"a", "b"}, []string{"1", "2"}, []float64{0, 1}, nil, []float64{0.5, math.NaN()},
		},
		"one id column, named as match id": {
			"id,x0\n1,0.5\n", `{"match_id_name":"id"}`,
			"sample_id,id,x0", []string{"1"}, []string{"1"}, nil, nil, []float64{0.5},
		},
		"one id column, named as sample id": {
			"id,x0\n1,0.5\n", `{"sample_id_name":"id"}`,
			"sample_id,id,x0", []string{"1"}, []string{"1"}, nil, nil, []float64{0.5},
		},
		"one id column, called sample_id, no meta at all": {
			"sample_id,x0\n1,0.5\n", `{}`,
			"sample_id,match_id,x0", []string{"1"}, []string{"1"}, nil, nil, []float64{0.5},
		},
		"a column called sample_id is the sample id": {
			"sample_id,id\na,1\n", `{"match_id_name":"id"}`,
			"sample_id,id", []string{"a"}, []string{"1"}, nil, nil, nil,
		},
		"the first column is the label": {
			"y,id\n1,a\n", `{"match_id_name":"id","label_name":"y"}`,
			"sample_id,id,y", []string{"a"}, []string{"a"}, []float64{1}, nil, nil,
		},
		"made sample ids": {
			"x0,id,w\n3,1,1\n4,1,2\n", `{"match_id_name":"id","extend_sid":true,"weight_name":"w"}`,
			"extend_sid,id,w,x0", nil, []string{"1", "1"}, nil, []float64{1, 2}, []float64{3, 4},
		},
		"several match ids": {
			"sid,id,id2,x0\na,1,2,3\n", `{"sample_id_name":"sid","match_id_name":"id2","match_id_list":["id","id2"]}`,
			"sid,id2,x0", []string{"a"}, []string{"2"}, nil, nil, []float64{3},
		},
		"no header line, header as text": {
			"1|5\n2|6\n", `{"head":false,"header":"id|x0","delimiter":"|"}`,
			"sample_id,id,x0", []string{"1", "2"}, []string{"1", "2"}, nil, nil, []float64{5, 6},
		},
		"no header line, header as a list": {
			"1,5\n", `{"header":["id","x0"]}`,
			"sample_id,id,x0", []string{"1"}, []string{"1"}, nil, nil, []float64{5},
		},
		"byte order mark, CRLF, quotes, spaces around numbers": {
			"\uFEFFid,\"x0\"\r\n\"1\",\" 5 \"\r\n\r\n2,6", `{}`,
			"sample_id,id,x0", []string{"1", "2"}, []string{"1", "2"}, nil, nil, []float64{5, 6},
		},
		"missing values": {
			"id,x0\n1,\n2,NA\n3,-999\n4,NaN\n", `{"na_values":["","NA","-999"]}`,
			"sample_id,id,x0", []string{"1", "2", "3", "4"}, []string{"1", "2", "3", "4"}, nil, nil,
			[]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()},
		},
		"whole numbers as spreadsheets write them": {
			"id,y\n1,1.0\n2,-3.00\n", `{"label_name":"y"}`,
			"sample_id,id,y", []string{"1", "2"}, []string{"1", "2"}, []float64{1, -3}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, err := fromCSV(t, c.file, c.meta)
			require.NoError(t, err)
			require.Equal(t, c.header, strings.Join(s.Schema.Names(), ","))
			if c.sample != nil {
				require.Equal(t, c.sample, f.SampleID)
			}
			require.Equal(t, c.match, f.MatchID)
			require.Equal(t, c.label, f.Label.Float64s())
			require.Equal(t, c.weight, f.Weight.Float64s())
			if c.values != nil {
				require.Empty(t, cmp.Diff(c.values, f.Features[0].Float64s(), sameNaN))
			}
		})
	}
}

func TestFromCSVRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, meta, message string }{
		"no such label":        {"id,x0,x1\n1,2,3\n", `{"label_name":"y"}`, `meta names the column "y" (label_name), which the file does not have (its columns are id, x0, x1)`},
		"no such match id":     {"id,x0\n1,2\n", `{"match_id_name":"ID"}`, `meta names the column "ID" (match_id_name), which the file does not have (its columns are id, x0; is it "id"? names are compared letter by letter)`},
		"no such typed column": {"id,x0\n1,2\n", `{"dtype":{"x9":"int"}}`, `meta names the column "x9" (dtype), which the file does not have (its columns are id, x0)`},
		"word in a number":     {"id,x0\n1,2\n2,abc\n", `{}`, `line 3: column "x0": "abc" is not float32 (a column of words is text: say dtype {"x0": "str"}, --type x0=str, or write its values as numbers)`},
		"empty cell":           {"id,x0\n1,\n", `{}`, `line 2: column "x0": the cell is empty (if it means that the value is missing, list "" in na_values or --na)`},
		"fraction as label":    {"id,y\n1,0.5\n", `{"label_name":"y"}`, `line 2: column "y": "0.5" is not int32 (write labels as small whole numbers, or say label_type (--label-type) float64)`},
		"too large for int32":  {"id,y\n1,3000000000\n", `{"label_name":"y"}`, `line 2: column "y": "3000000000" is not int32 (write labels as small whole numbers, or say label_type (--label-type) int64)`},
		"too large for bool":   {"id,y\n1,2\n", `{"label_name":"y","label_type":"bool"}`, `line 2: column "y": "2" is not bool (write labels as small whole numbers, or say label_type (--label-type) int32)`},
		"short row":            {"id,x0\n1,2\n3\n", `{}`, `line 3: the row has 1 cell, the header has 2 (an empty cell needs its delimiter too; a row that is cut short may be the end of a broken file)`},
		"long row":             {"id,x0\n1,2,3\n", `{}`, `line 2: the row has 3 cells, the header has 2 (a cell that has the delimiter in it (a decimal comma?) is written in quotes)`},
		"trailing comma below": {"id,x0\n1,2,\n", `{}`, `line 2: the row has 3 cells, the header has 2 (take the delimiter off the end of the line)`},
		"repeated sample id":   {"id,x0\n1,2\n\n1,3\n", `{}`, `line 4: column "id": sample id "1" has appeared before (take the repeated row out, or let sample ids be made: --extend-sid, or extend_sid)`},
		"empty id":             {"id,x0\n,2\n", `{}`, `line 2: column "id": the id is empty (give the row an id, or take it out)`},
		"repeated column":      {"id,x0,x0\n1,2,3\n", `{}`, `column "x0" appears twice in the header, as column 2 and 3 (give one of them another name)`},
		"two jobs for one":     {"id,y\n1,2\n", `{"label_name":"id"}`, `column "id" is named as match id and as label (name the column of the ids: --match, or match_id_name in meta)`},
		"broken quotes":        {"id,x0\n1,\"2\"3\n", `{}`, `line 2: the quotes of a cell do not match (a cell with quotes is written in quotes, and each quote in it twice)`},
		"empty file":           {"", `{}`, `the file is empty`},
		"unknown key":          {"id\n1\n", `{"lable_name":"y"}`, `meta has a key "lable_name", which is not known (its keys are sample_id_name, match_id_name, match_id_list, match_id_range, label_name, label_type, weight_name, weight_type, header, delimiter, dtype, na_values, input_format, tag_with_value, tag_value_delimiter, head, extend_sid, encoding, decimal)`},
		"unknown type":         {"id\n1\n", `{"dtype":"decimal"}`, `meta has dtype "decimal", which is not known (types are int32, int64, float32, float64, bool, str)`},
		"letter as delimiter":  {"id\n1\n", `{"delimiter":"x"}`, `meta has the delimiter "x" (a delimiter is one or a few signs, no letters, digits, quotes or ends of lines)`},
		"no header":            {"1,2\n", `{"head":false}`, `the file has no header line and meta has no header (set head to true, or name the columns in header)`},
		"unchosen match id":    {"a,b\n1,2\n", `{"match_id_list":["a","b"]}`, `meta has several columns in match_id_list and no match_id_name (say in match_id_name which one to match on)`},
		"not an object":        {"id\n1\n", `[]`, `meta is a JSON array; it must be an object`},
		"no JSON":              {"id\n1\n", `{"label_name":}`, `meta is not JSON: invalid character '}' looking for beginning of value (at byte 15)`},
		"number for a name":    {"id\n1\n", `{"label_name":3}`, `meta has a number in label_name; it must be a text`},
		"unknown encoding":     {"id\n1\n", `{"encoding":"klingon"}`, `the encoding "klingon" is not known (encodings are utf-8, gbk, gb18030, big5, shift_jis, euc-kr, latin-1, windows-1252, utf-16 and others of the WHATWG)`},
		"unknown format":       {"id\n1\n", `{"input_format":"xml"}`, `meta has the input_format "xml" (formats are dense, sparse, tag and libsvm)`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := fromCSV(t, c.file, c.meta)
			require.EqualError(t, err, c.message)
		})
	}
}

func TestFromCSVTypesColumns(t *testing.T) {
	f, _, err := fromCSV(t, "id,a,b,c,d\n1,true,x,7,0.1\n2,0,,-8,0.1\n",
		`{"dtype":{"a":"bool","b":"str","c":"int64","d":"float64"}}`)
	require.NoError(t, err)
	require.Equal(t, []tables.Vector{
		tables.NewInts(tables.Bool, []int64{1, 0}), tables.NewStrings([]string{"x", ""}),
		tables.NewInts(tables.Int64, []int64{7, -8}), tables.NewFloats(tables.Float64, []float64{0.1, 0.1}),
	}, f.Features)
}

func TestMadeSampleIDsAreDistinctAndCanBeRepeated(t *testing.T) {
	m := tables.Meta{Head: true, MatchID: "id", ExtendSID: true, SampleIDSeed: "0123456789abcdef0123456789abcdef"}
	var b bytes.Buffer
	_, err := tables.FromCSV(t.Context(), strings.NewReader("id\n7\n7\n"), m, &b)
	require.NoError(t, err)
	f, err := tables.ReadAll(&b)
	require.NoError(t, err)
	require.Equal(t, []string{m.SampleIDSeed + "0", m.SampleIDSeed + "1"}, f.SampleID)

	m.SampleIDSeed = ""
	b.Reset()
	_, err = tables.FromCSV(t.Context(), strings.NewReader("id\n7\n"), m, &b)
	require.NoError(t, err)
	f, err = tables.ReadAll(&b)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{32}0$", f.SampleID[0])
}

func TestFromCSVStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tables.FromCSV(ctx, strings.NewReader("id\n1\n"), tables.Meta{Head: true}, io.Discard)
	require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(err))
}

func TestAQuoteThatNeverEndsIsNotReadIntoMemory(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("id,x0\n1,\""), &repeated{text: "0123456789\n", times: 1 << 40})
	_, err := tables.FromCSV(t.Context(), endless, tables.Meta{Head: true}, io.Discard)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "a quote may be open")
}

func TestToCSVWritesAsPythonDoes(t *testing.T) {
	f := &tables.Frame{
		Schema: tables.Schema{SampleID: "sid", MatchID: "id", Features: []tables.Column{
			{Name: "f32", DType: tables.Float32}, {Name: "f64", DType: tables.Float64}, {Name: "b", DType: tables.Bool},
			{Name: "predict_detail", DType: tables.Object},
		}},
	}
	f32 := []float64{0.254879, 1, 1e-5, math.NaN(), -0.0001}
	f64 := []float64{1e16, 123456789012345680, 1e15, math.Inf(-1), math.Copysign(0, -1)}
	f.SampleID = []string{"a", "b", "c", "d", "e"}
	f.MatchID = f.SampleID
	f.Features = []tables.Vector{
		tables.NewFloats(tables.Float32, f32), tables.NewFloats(tables.Float64, f64), tables.NewInts(tables.Bool, []int64{1, 0, 1, 0, 1}),
		tables.NewStrings([]string{`"{'0': 0.19, '1': 0.81}"`, "plain", "a,b", `say "x"`, ""}),
	}
	var out bytes.Buffer
	s, err := tables.ToCSV(t.Context(), &out, bytes.NewReader(encode(t, f)))
	require.NoError(t, err)
	require.Equal(t, f.Schema, s)
	require.Equal(t, strings.Join([]string{ // the numbers are what CPython prints
		`sid,id,f32,f64,b,predict_detail`,
		`a,a,0.254879,1e+16,True,"{'0': 0.19, '1': 0.81}"`,
		`b,b,1.0,1.2345678901234568e+17,False,plain`,
		`c,c,1e-05,1000000000000000.0,True,"a,b"`,
		`d,d,nan,-inf,False,"say ""x"""`,
		`e,e,-0.0001,-0.0,True,`,
		``,
	}, "\n"), out.String())
}

// repeated is a text many times over.
type repeated struct {
	text  string
	times int
	rest  string
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.times == 0 {
				break
			}
			r.times--
			r.rest = r.text
		}
		c := copy(p[n:], r.rest)
		n, r.rest = n+c, r.rest[c:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// lines is a CSV file of that many rows with ten features.
type lines struct {
	row, rows int
	rest      []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.row == l.rows {
			return 0, io.EOF
		}
		if l.row == 0 {
			l.rest = append(l.rest, "id,y,x0,x1,x2,x3,x4,x5,x6,x7,x8,x9\n"...)
		}
		for range min(1000, l.rows-l.row) {
			l.rest = fmt.Appendf(l.rest, "user%d,1,0.254879,-1.046633,0.209656,0.074214,-0.441366,-0.377645,-0.485934,0.347072,-0.287570,-0.733474\n", l.row)
			l.row++
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func TestAMillionRowsStreamInBoundedMemory(t *testing.T) {
	const rows, bound = 1_000_000, 96 << 20 // the table has 60 MB, the file 120 MB; the ids take 24 MB while they grow
	runtime.GC()                            // what earlier tests left would let the heap grow before it is collected
	peak := &peakHeap{}
	s, err := tables.FromCSV(t.Context(), &lines{rows: rows}, tables.Meta{Head: true, Label: "y"}, peak)
	require.NoError(t, err)
	require.Equal(t, rows, s.Rows)
	require.Equal(t, rows, s.Unique)
	require.Len(t, s.Samples, 100)
	require.Greater(t, peak.bytes, 40<<20)
	require.Less(t, peak.heap, uint64(bound))
}

// peakHeap watches the heap while bytes are written to it.
type peakHeap struct {
	bytes int
	next  int
	heap  uint64
}

func (p *peakHeap) Write(b []byte) (int, error) {
	p.bytes += len(b)
	if p.bytes > p.next {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.heap, p.next = max(p.heap, m.HeapAlloc), p.bytes+1<<20
	}
	return len(b), nil
}

func TestIDsBeyondTheLimitAreStillCompared(t *testing.T) {
	const limit = 5000 // more than the set begins with
	ids := tables.NewIDSet(limit)
	for i := range limit {
		require.True(t, ids.Add(fmt.Sprint("u", i)))
	}
	require.True(t, ids.Add("new"))
	require.True(t, ids.Add("new"), "it was not remembered")
	for i := range limit {
		require.False(t, ids.Add(fmt.Sprint("u", i)))
	}
}

func FuzzFromCSV(f *testing.F) {
	f.Add("id,y,x0\n1,0,0.5\n", `{"label_name":"y"}`)
	f.Add("\uFEFF1|\"a\"\"b\"\r\n", `{"head":false,"header":"id|x","delimiter":"|","dtype":{"x":"str"},"extend_sid":true}`)
	f.Add("id;y;x0\n1;0;2,5\n", `{"label_name":"y","decimal":","}`)
	f.Add("a 1 3:0.5 10:2\nb 0 1:1\n", `{"input_format":"sparse","match_id_name":"id","label_name":"y"}`)
	f.Add("a;red:2;big:0.5\n", `{"input_format":"tag:value","na_values":{"red":[""]}}`)
	f.Add("1 1:1\n", `{"input_format":"libsvm","extend_sid":true,"header":["y","1","2"]}`)
	f.Add("id||x\n1||2\n", `{"delimiter":"||","encoding":"gbk","dtype":{"*":"int64"}}`)
	f.Add("sep=;\nid;x\n1;2\n", `{}`)
	fuzzing.Within(f, func(t *testing.T, file, meta string) {
		begin := time.Now()
		frame, s, err := fromCSV(t, file, meta)
		require.Less(t, time.Since(begin), time.Minute)
		if err != nil {
			require.NotEqual(t, openflow.CodeInternal, openflow.CodeOf(err), "%v", err)
			return
		}
		require.NoError(t, frame.Validate())
		var out bytes.Buffer
		_, err = tables.ToCSV(t.Context(), &out, bytes.NewReader(encode(t, frame)))
		require.NoError(t, err)
		require.Equal(t, s.Rows, frame.Rows())
	})
}

func FuzzParseMeta(f *testing.F) {
	f.Add([]byte(`{"sample_id_name":null,"match_id_name":"id","match_id_list":null,"match_id_range":0,"label_name":"y","label_type":"int32",
		"weight_name":null,"weight_type":"float32","header":null,"delimiter":",","dtype":{"x":"float"},"na_values":{"x":["",null],"*":-9},
		"input_format":"dense","tag_with_value":false,"tag_value_delimiter":":","head":true,"extend_sid":false}`))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		if m, err := tables.ParseMeta(data); err == nil {
			require.NoError(t, m.Validate())
		}
	})
}

func BenchmarkFromCSV(b *testing.B) {
	const rows = 100_000
	file, err := io.ReadAll(&lines{rows: rows})
	require.NoError(b, err)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := tables.FromCSV(b.Context(), bytes.NewReader(file), tables.Meta{Head: true, Label: "y"}, io.Discard)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadAll(b *testing.B) {
	var table bytes.Buffer
	_, err := tables.FromCSV(b.Context(), &lines{rows: 100_000}, tables.Meta{Head: true, Label: "y"}, &table)
	require.NoError(b, err)
	b.SetBytes(int64(table.Len()))
	for b.Loop() {
		_, err := tables.ReadAll(bytes.NewReader(table.Bytes()))
		require.NoError(b, err)
	}
}

// A float32 is shown in the digits that people wrote, and reads back as the same number.
func TestFloat32IsShownAsItWasWritten(t *testing.T) {
	file := "id,a,b,c,d,e\n1,1004.02,0.1,16777216,3.4028235e+38,1e-45\n2,-1004.02,0.3333333,0.0001,1e+16,-0.0\n"
	f, s, err := fromCSV(t, file, `{"match_id_name":"id"}`)
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = tables.ToCSV(t.Context(), &out, bytes.NewReader(encode(t, f)))
	require.NoError(t, err)
	require.Equal(t, "sample_id,id,a,b,c,d,e\n1,1,1004.02,0.1,16777216.0,3.4028235e+38,1e-45\n2,2,-1004.02,0.3333333,0.0001,1e+16,-0.0\n", out.String())
	shown, err := json.Marshal(s.Samples)
	require.NoError(t, err)
	require.JSONEq(t, `[["1","1",1004.02,0.1,16777216,3.4028235e+38,1e-45],["2","2",-1004.02,0.3333333,0.0001,1e+16,-0.0]]`, string(shown))
	require.Contains(t, string(shown), `1004.02,0.1,`)
	again, _, err := fromCSV(t, out.String(), `{"match_id_name":"id"}`)
	require.NoError(t, err)
	require.Equal(t, f.Features, again.Features)
}

func TestEveryFloat32ReadsBackFromItsText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		values := rapid.SliceOfN(rapid.Float32(), 1, 50).Draw(r, "values")
		f := &tables.Frame{
			Schema:   tables.Schema{SampleID: "sid", MatchID: "id", Features: []tables.Column{{Name: "x", DType: tables.Float32}}},
			Features: []tables.Vector{{DType: tables.Float32}},
		}
		for i, v := range values {
			f.SampleID = append(f.SampleID, strconv.Itoa(i))
			f.Features[0].Floats = append(f.Features[0].Floats, float64(v))
		}
		f.MatchID = f.SampleID
		var out bytes.Buffer
		_, err := tables.ToCSV(t.Context(), &out, bytes.NewReader(encode(t, f)))
		require.NoError(r, err)
		again, _, err := fromCSV(t, out.String(), `{"sample_id_name":"sid","match_id_name":"id"}`)
		require.NoError(r, err)
		require.Equal(r, f.Features, again.Features)
	})
}
