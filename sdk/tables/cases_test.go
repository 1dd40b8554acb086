package tables_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"openflow"
	"openflow/sdk/tables"
)

const (
	gm = `{"match_id_name":"id","label_name":"y"}`
	hm = `{"match_id_name":"id"}`
)

func encoded(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	s, err := e.NewEncoder().String(text)
	require.NoError(t, err)
	return s
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func zipped(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(w, "id,x0\n1,2\n")
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.String()
}

// read is what became of a file.
func read(t testing.TB, file, meta string) (csv string, notes string, err error) {
	t.Helper()
	f, s, err := fromCSV(t, file, meta)
	if err != nil {
		return "", "", err
	}
	var out bytes.Buffer
	_, err = tables.ToCSV(t.Context(), &out, bytes.NewReader(encode(t, f)))
	require.NoError(t, err)
	return out.String(), strings.Join(s.Reading.Notes, "\n"), nil
}

// readable is a file that is read: the table that comes of it, empty for any, and a note that is made.
type readable struct{ file, meta, table, note string }

func (c readable) check(t *testing.T) {
	table, notes, err := read(t, c.file, c.meta)
	require.NoError(t, err)
	if c.table != "" {
		require.Equal(t, c.table, table)
	}
	require.Contains(t, notes, c.note)
}

// The numbers are those of the cases that people met; the others of each kind are our own.
func TestFilesAreReadAsTheyAre(t *testing.T) {
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	for name, c := range map[string]readable{
		"4: missing values of one column": {
			"id,y,x0\n1,1,\n2,0,0.5\n", `{"match_id_name":"id","label_name":"y","na_values":{"x0":[""]}}`,
			"sample_id,id,y,x0\n1,1,1,nan\n2,2,0,0.5\n", `cells without a value in "x0" (1, first in line 2): coordinated_lr does not train on such columns`,
		},
		"4: a mapping to one text": {
			"id,y,x0\n1,1,?\n2,0,0.5\n", `{"match_id_name":"id","label_name":"y","na_values":{"x0":"?"}}`,
			"sample_id,id,y,x0\n1,1,1,nan\n2,2,0,0.5\n", `"x0" (1, first in line 2)`,
		},
		"4: blanks around markers and cells": {
			"id,x0\n1, NA\n2,NA \n3,-9\n", `{"match_id_name":"id","na_values":[" NA ",-9,null]}`,
			"sample_id,id,x0\n1,1,nan\n2,2,nan\n3,3,nan\n", `"x0" (3, first in line 2)`,
		},
		"7: blanks around ids": {
			"id,y,x0\n1001 ,1,1\n 1002,0,2\n1003,1,3\n", gm,
			"sample_id,id,y,x0\n1001,1001,1,1.0\n1002,1002,0,2.0\n1003,1003,1,3.0\n", `ids with blanks around them: 2 in "id", first in line 2; the blanks were taken off`,
		},
		"7: blanks that cannot be seen": {
			"id,x0\n\u00a01,1\n\u30002,2\n\u200b3,3\n", hm,
			"sample_id,id,x0\n1,1,1.0\n2,2,2.0\n3,3,3.0\n", `ids with blanks around them: 3 in "id"`,
		},
		"7: leading zeros stay": {"id,x0\n007,1\n7,2\n", hm, "sample_id,id,x0\n007,007,1.0\n7,7,2.0\n", ""},
		"7: capitals":           {"id,x0\nab1,1\nAB1,2\n", hm, "sample_id,id,x0\nab1,ab1,1.0\nAB1,AB1,2.0\n", `ids that differ from another one in capitals only: 1 in "id", first in line 3`},
		"7: capitals in both":   {"id,x0\nAb1,1\nAB1,2\n", hm, "", `in capitals only: 1 in "id", first in line 3`},
		"7: a spreadsheet's ids": {
			"id,x0\n1.38001E+10,1\n", hm, "sample_id,id,x0\n1.38001E+10,1.38001E+10,1.0\n", `ids that look like numbers that a spreadsheet has shortened: 1 in "id"`,
		},
		"7: ids kept as text":      {"id,x0\n\"=\"\"007\"\"\",1\n'8,2\n", hm, "", `ids that begin with =" or ', which keep a spreadsheet from reading a number: 2 in "id"`},
		"7: tabs that keep digits": {"id,x0\n110101199001011234\t,1\n", hm, "sample_id,id,x0\n110101199001011234,110101199001011234,1.0\n", "ids with blanks around them: 1"},
		"7: pandas' ids":           {"id,x0\n1001.0,1\n", hm, "sample_id,id,x0\n1001.0,1001.0,1.0\n", "ids that end with .0"},
		"15: semicolons":           {"id;y;x0\n1;0;2.5\n", `{}`, "sample_id,id,y,x0\n1,1,0.0,2.5\n", `columns are separated by ";" (guessed)`},
		"15: tabs":                 {"id\ty\tx0\n1\t0\t2.5\n", gm, "sample_id,id,y,x0\n1,1,0,2.5\n", `columns are separated by "\t" (guessed)`},
		"15: pipes":                {"id|y|x0\n1|0|2.5\n", gm, "sample_id,id,y,x0\n1,1,0,2.5\n", `columns are separated by "|" (guessed)`},
		"15: Hive's 0x01":          {"id\x01y\x01x0\n1\x010\x012.5\n", gm, "sample_id,id,y,x0\n1,1,0,2.5\n", `columns are separated by "\x01" (guessed)`},
		"15: two pipes":            {"id||y||x0\n1||0||2.5\n", gm, "sample_id,id,y,x0\n1,1,0,2.5\n", `columns are separated by "||" (guessed)`},
		"15: two, said":            {"id||x0\n\"1||2\"||2.5\n", `{"match_id_name":"id","delimiter":"||"}`, "sample_id,id,x0\n1||2,1||2,2.5\n", ""},
		"15: tab in words":         {"id\tx0\n1\t2.5\n", `{"match_id_name":"id","delimiter":"\\t"}`, "sample_id,id,x0\n1,1,2.5\n", ""},
		"15: sep=":                 {"sep=;\r\nid;x0\r\n1;2.5\r\n", hm, "sample_id,id,x0\n1,1,2.5\n", `the line "sep=;" says the delimiter`},
		"15: decimal comma, said": {
			"id;y;x0\n1;0;2,5\n2;1;-0,25\n", `{"match_id_name":"id","label_name":"y","decimal":","}`,
			"sample_id,id,y,x0\n1,1,0,2.5\n2,2,1,-0.25\n", `columns are separated by ";" (guessed)`,
		},
		"16: GBK, named":          {encoded(t, simplifiedchinese.GBK, "编号,标签,年龄\n甲1,0,33\n"), `{"match_id_name":"编号","label_name":"标签","encoding":"gbk"}`, "sample_id,编号,标签,年龄\n甲1,甲1,0,33.0\n", ""},
		"16: GB18030, by cp936":   {encoded(t, simplifiedchinese.GBK, "编号,年龄\n1,33\n"), `{"encoding":"CP936"}`, "sample_id,编号,年龄\n1,1,33.0\n", ""},
		"16: Big5":                {encoded(t, traditionalchinese.Big5, "編號,年齡\n1,33\n"), `{"encoding":"big5"}`, "sample_id,編號,年齡\n1,1,33.0\n", ""},
		"16: Shift JIS":           {encoded(t, japanese.ShiftJIS, "番号,年齢\n1,33\n"), `{"encoding":"shift_jis"}`, "sample_id,番号,年齢\n1,1,33.0\n", ""},
		"16: Latin-1, named":      {encoded(t, charmap.ISO8859_1, "id,Zürich\n1,2\n"), `{"encoding":"latin-1"}`, "sample_id,id,Zürich\n1,1,2.0\n", ""},
		"16: UTF-16 by its mark":  {encoded(t, utf16, "id,Zürich\n1,2\n"), `{}`, "sample_id,id,Zürich\n1,1,2.0\n", "the file is utf-16le, as its byte order mark says"},
		"16: UTF-16, named too":   {encoded(t, utf16, "id,x0\n1,2\n"), `{"encoding":"utf-16"}`, "sample_id,id,x0\n1,1,2.0\n", "as its byte order mark says"},
		"16: UTF-16 without mark": {encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "id,x0\n1,2\n"), `{"encoding":"utf-16le"}`, "sample_id,id,x0\n1,1,2.0\n", ""},
		"20: the id is not the first column": {
			"x0,x1,id,y\n0.5,7,101,1\n0.25,8,102,0\n", gm,
			"sample_id,id,y,x0,x1\n101,101,1,0.5,7.0\n102,102,0,0.25,8.0\n", "no type was said",
		},
		"20: only one column has a type": {
			"id,y,x0,x1\n101,1,7,8\n", `{"match_id_name":"id","label_name":"y","dtype":{"x0":"int64"}}`,
			"sample_id,id,y,x0,x1\n101,101,1,7,8.0\n", `no type was said of some columns: "y" as int32, "x1" as float32 (default)`,
		},
		"20: and the first one repeats": {"x0,id,y\n0.5,101,1\n0.5,102,0\n", gm, "sample_id,id,y,x0\n101,101,1,0.5\n102,102,0,0.5\n", ""},
		"20: the label comes first":     {"y,id\n1,101\n", gm, "sample_id,id,y\n101,101,1\n", ""},
		"20: a table that was downloaded": {
			"sample_id,id,y,x0\na,101,1,2\nb,101,0,2\n", gm, "sample_id,id,y,x0\na,101,1,2.0\nb,101,0,2.0\n", `column "sample_id" was taken for the sample id, by its name (guessed)`,
		},
		"20: nothing is said":  {"phone,x0\n139,2\n", `{}`, "sample_id,phone,x0\n139,139,2.0\n", `the first column, "phone", was taken for the id (guessed)`},
		"20: repeated by made": {"id,x0\n1,2\n1,3\n", `{"match_id_name":"id","extend_sid":true}`, "", `ids that repeat an earlier one: 1 in "id", first in line 3`},
		"21: gzip":             {gzipped(t, "id,y,x0\n1,0,2.5\n"), gm, "sample_id,id,y,x0\n1,1,0,2.5\n", "the file was unpacked (gzip)"},
		"21: gzip in two parts": {
			gzipped(t, "id,y,x0\n1,0,2.5\n") + gzipped(t, "2,1,3.5\n"), gm, "sample_id,id,y,x0\n1,1,0,2.5\n2,2,1,3.5\n", "",
		},
		"21: gzip of GBK": {gzipped(t, encoded(t, simplifiedchinese.GBK, "编号,年龄\n1,33\n")), `{"encoding":"gbk"}`, "sample_id,编号,年龄\n1,1,33.0\n", ""},
		"header as text and separated by the file's delimiter": {"1;5\n", `{"head":false,"header":"id;x0","delimiter":";"}`, "sample_id,id,x0\n1,1,5.0\n", ""},
		"no header, false in header's place":                   {"1,5\n", `{"head":false,"header":["id","x0"]}`, "sample_id,id,x0\n1,1,5.0\n", ""},
		"a header of numbers, said": {
			"1,2\n10,20\n", `{"head":true}`, "sample_id,1,2\n10,10,20.0\n", `the first line looks like data ("1", "2") and was taken for the names of the columns, as head says`,
		},
		"numbers as names beside a word":  {"id,0,1\n7,0.5,0.25\n", `{}`, "sample_id,id,0,1\n7,7,0.5,0.25\n", "the first line was taken for the names of the columns (guessed)"},
		"a quoted line break":             {"id,t\n1,\"a\nb\"\n", `{"dtype":"str"}`, "sample_id,id,t\n1,1,\"a\nb\"\n", ""},
		"input_format in capitals":        {"id,x0\n1,2\n", `{"input_format":"DENSE"}`, "sample_id,id,x0\n1,1,2.0\n", ""},
		"types in capitals":               {"id,x0\n1,2\n", `{"dtype":"Float64"}`, "sample_id,id,x0\n1,1,2.0\n", ""},
		"one type for all and one of its": {"id,a,b\n1,x,2\n", `{"dtype":{"*":"int64","a":"str"}}`, "sample_id,id,a,b\n1,1,x,2\n", ""},
		"long whole numbers": {
			"id,x0\n1,13800138001\n", hm, "sample_id,id,x0\n1,1,13800138000.0\n", `whole numbers with more digits than their type holds were rounded in "x0" (1, first in line 2)`,
		},
		"a whole number that is one too long":  {"id,x0\n1,16777217\n", hm, "sample_id,id,x0\n1,1,16777216.0\n", `were rounded in "x0" (1, first in line 2)`},
		"the same below zero, with .0":         {"id,x0\n1,-16777217.0\n", hm, "sample_id,id,x0\n1,1,-16777216.0\n", `were rounded in "x0" (1, first in line 2)`},
		"the same for float64":                 {"id,x0\n1,9007199254740993\n", `{"dtype":"float64"}`, "", `were rounded in "x0" (1, first in line 2)`},
		"commas that may mean thousands, said": {"id;x0;x1\n1;2,000;0,125\n2;13,500;2,000\n", `{"match_id_name":"id","decimal":","}`, "sample_id,id,x0,x1\n1,1,2.0,0.125\n2,2,13.5,2.0\n", `every comma has three digits behind it in "x0" (2, first in line 2): a cell like 2,000 is read as 2`},
		"a full-width comma, said":             {"id，年龄\n1，33\n", `{"delimiter":"，"}`, "sample_id,id,年龄\n1,1,33.0\n", ""},
		"a written index of pandas":            {"Unnamed: 0,id\n0,1\n", hm, "sample_id,id,Unnamed: 0\n1,1,0.0\n", `column "Unnamed: 0" looks like an index of pandas`},
		"a column of ids alone":                {"id\n1\n2\n", hm, "sample_id,id\n1,1\n2,2\n", ""},
	} {
		t.Run(name, c.check)
	}
}

func TestWhatCannotBeReadSurelyIsRefused(t *testing.T) {
	gbk := encoded(t, simplifiedchinese.GBK, "编号,标签,年龄\n1,0,33\n")
	for name, c := range map[string]struct {
		file, meta string
		says       []string
	}{
		"4: empty label":                     {"id,y,x0\n1,,1\n2,0,0.5\n", `{"match_id_name":"id","label_name":"y","na_values":[""]}`, []string{`line 2: column "y": the label is empty`, "fill it, or take the row out"}},
		"4: empty whole number":              {"id,x0\n1,\n", `{"dtype":"int64","na_values":[""]}`, []string{`line 2: column "x0": the cell is empty`, "na_values", "--type x0=float64"}},
		"4: NA in a whole number":            {"id,x0\n1,NA\n", `{"dtype":"int32"}`, []string{`line 2: column "x0": "NA" is not int32`, "float64", "na_values"}},
		"4: na_values of no column":          {"id,x0\n1,2\n", `{"na_values":{"x9":[""]}}`, []string{`"x9" (na_values)`, "id, x0"}},
		"4: na_values as a number":           {"id,x0\n1,2\n", `{"na_values":true}`, []string{"na_values", `{"x0": [""]}`}},
		"15: said and wrong":                 {"id;y;x0\n1;0;2.5\n", `{"delimiter":","}`, []string{`one column when it is split at ","`, `it looks split at ";"`, `--delimiter ";"`}},
		"15: two that fit":                   {"id;a,b;c\n1;2,3;4\n", `{}`, []string{`may be split at "," or at ";"`, "--delimiter"}},
		"15: blanks":                         {"id y x0\n1 0 2\n", `{}`, []string{"3 words", `--delimiter " "`}},
		"15: decimal comma":                  {"id;y;x0\n1;0;2,5\n", gm, []string{`line 2: column "x0": "2,5" is not float32`, "decimal comma", "--decimal ,"}},
		"15: decimal of two kinds":           {"id;x0\n1;2,5\n2;2.5\n", `{"match_id_name":"id","decimal":","}`, []string{`line 3: column "x0": "2.5" is not float32`, "has a point"}},
		"15: thousands":                      {"id,x0\n1,\"1,234,567\"\n", hm, []string{`line 2: column "x0": "1,234,567"`, "thousands without commas"}},
		"15: thousands or a fraction":        {"id,x0\n1,\"2,000\"\n", hm, []string{`"2,000" is not float32 (write thousands without commas; say --decimal , `, "only if 2,000 means 2,"}},
		"15: thousands, two figures":         {"id;x0\n1;13,500\n", hm, []string{"write thousands without commas", "only if 13,500 means 13,"}},
		"15: thousands below zero":           {"id;x0\n1;-2,000\n", hm, []string{"only if -2,000 means -2,"}},
		"15: thousands with a fraction":      {"id,x0\n1,\"1,000.5\"\n", hm, []string{`"1,000.5" is not float32 (write thousands without commas)`}},
		"15: thousands of India":             {"id,x0\n1,\"12,34,567\"\n", hm, []string{"(write thousands without commas)"}},
		"15: thousands with points":          {"id;x0\n1;1.000,5\n", hm, []string{`"1.000,5" is not float32 (write thousands without points; `, "--decimal ,"}},
		"15: thousands beside decimal comma": {"id;x0\n1;1,000,5\n", `{"match_id_name":"id","decimal":","}`, []string{"(write thousands without commas)"}},
		"15: thousands in whole numbers":     {"id;x0\n1;2,000\n", `{"match_id_name":"id","dtype":"int32"}`, []string{`"2,000" is not int32 (write whole numbers without commas)`}},
		"a full-width comma":                 {"id，年龄\n1，33\n", `{}`, []string{`the sign "，", which is a full-width comma`, "--delimiter ，"}},
		"a full-width semicolon":             {"id；年龄\n1；33\n", hm, []string{`"；", which is a full-width semicolon`}},
		"an ideographic comma":               {"id、年龄\n1、33\n", `{}`, []string{"ideographic comma"}},
		"a full-width comma in the header":   {"id，年龄\n1,33\n", `{}`, []string{"full-width comma"}},
		"a full-width comma in a row":        {"id,年龄\n1，33\n", `{}`, []string{"line 2: the row has 1 cell, the header has 2", `the sign "，", which is a full-width comma`}},
		"a full-width comma in pairs":        {"1，a\n", `{"input_format":"tag","match_id_name":"id"}`, []string{"full-width comma"}},
		"16: GBK":                            {gbk, `{}`, []string{"line 1 is not UTF-8: byte 1 of it is 0xb1", "--encoding gbk", "iconv -f GBK -t UTF-8"}},
		"16: GBK id":                         {"id,x0\n1,2\n" + encoded(t, simplifiedchinese.GBK, "张三") + ",3\n", `{}`, []string{"line 3 is not UTF-8", "--encoding gbk"}},
		"16: Latin-1":                        {encoded(t, charmap.ISO8859_1, "id,town\n1,Zürich\n"), `{"dtype":"str"}`, []string{"line 2 is not UTF-8: byte 4 of it is 0xfc", "--encoding latin-1"}},
		"16: far down":                       {"id,x0\n" + strings.Repeat("a,1\n", 50_000) + "\xff,2\n", `{"extend_sid":true}`, []string{"line 50002 is not UTF-8"}},
		"16: UTF-16 without mark":            {encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "id,x0\n1,2\n"), `{}`, []string{"line 1 has a zero byte", "utf-16le"}},
		"16: UTF-8 that is named GBK":        {"id,x0\nZürich,2\n1é\xff,3\n", `{"encoding":"gbk"}`, []string{"is not gbk", "another encoding"}},
		"16: mark against name":              {"\uFEFFid,x0\n1,2\n", `{"encoding":"gbk"}`, []string{"begins with the mark of utf-8", "gbk"}},
		"19: trailing comma":                 {"id,y,x0,\n1,0,1,\n", gm, []string{"column 4 has no name (a trailing comma?"}},
		"19: index of pandas":                {",id,y,x0\n0,1,0,1\n", gm, []string{"column 1 has no name (an index of pandas? write the file with index=False"}},
		"too many columns":                   {"id" + strings.Repeat(",a", 100_000) + "\n", hm, []string{"the header has 100001 columns"}},
		"a quote that is open in the header": {"id,\"x0\n" + strings.Repeat("1,2\n", 500) + "\"\n", hm, []string{"the name of column 2 has more than 1000 bytes", "a quote may be open"}},
		"a decimal comma among commas":       {"id,x0\n1,2,5\n", hm, []string{"line 2: the row has 3 cells, the header has 2", "a decimal comma?"}},
		"a title above the header":           {"Customers of May\nid,x0\n1,2\n", `{}`, []string{"line 2: the row has 2 cells, the header has 1"}},
		"a space before a quote":             {"id,t\n1, \"a\"\n", `{"dtype":"str"}`, []string{"line 2:", "quotes"}},
		"only a mark":                        {"\uFEFF", `{}`, []string{"the file is empty"}},
		"an empty gzip":                      {gzipped(t, ""), `{}`, []string{"the file is empty"}},
		"19: in the middle":                  {"id,,x0\n1,2,3\n", hm, []string{`column 2 has no name, between "id" and "x0"`}},
		"20: which is the id":                {"x0,id\n0.5,101\n", `{}`, []string{`no column is named as id; is it the first one, "x0", or "id"?`, "--match id"}},
		"21: zip":                            {zipped(t, "a.csv"), gm, []string{"the file is a zip archive, not text", "unpack it first"}},
		"21: xlsx":                           {zipped(t, "[Content_Types].xml", "xl/workbook.xml"), gm, []string{"an Excel workbook (xlsx)", "CSV UTF-8"}},
		"21: xls":                            {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", gm, []string{"xls"}},
		"21: xz":                             {"\xfd7zXZ\x00\x00", gm, []string{"packed with xz", "gzip is the only"}},
		"21: zstd":                           {"\x28\xb5\x2f\xfd\x00", gm, []string{"packed with zstd"}},
		"21: bzip2":                          {"BZh91AY&SY\x00\x01", gm, []string{"packed with bzip2"}},
		"21: Parquet":                        {"PAR1\x15\x04", gm, []string{"Parquet", "to_csv"}},
		"21: a page":                         {"<!DOCTYPE html><html>", gm, []string{"HTML"}},
		"21: JSON":                           {`[{"id":1,"x0":2}]`, gm, []string{"JSON"}},
		"21: gzip inside gzip":               {gzipped(t, gzipped(t, "id\n1\n")), gm, []string{"gzip inside gzip"}},
		"21: gzip of a zip":                  {gzipped(t, zipped(t, "a.csv")), gm, []string{"a zip archive"}},
		"21: gzip that is cut":               {gzipped(t, strings.Repeat("id,x0\n1,2\n", 1000))[:40], gm, []string{"damaged or not whole"}},
		"68: inf":                            {"id,x0\n1,2\n2,inf\n", hm, []string{`line 3: column "x0": "inf" is infinite`}},
		"68: -Infinity":                      {"id,x0\n1,-Infinity\n", hm, []string{`line 2: column "x0": "-Infinity" is infinite`}},
		"68: too large for its type":         {"id,x0\n1,1e39\n", hm, []string{`line 2: column "x0": "1e39" is not float32: it is too large`, "float64"}},
		"68: behind a quoted break":          {"id,t,x0\n1,\"a\nb\",inf\n", `{"dtype":{"t":"str"}}`, []string{`line 3: column "x0": "inf" is infinite`}},
		"81: a word":                         {"id,job\n1,engineer\n", hm, []string{`line 2: column "job": "engineer" is not float32`, `dtype {"job": "str"}`, "--type job=str"}},
		"81: a date":                         {"id,day\n1,2024-02-30\n", hm, []string{`"2024-02-30" is not float32`, "a date, a time or a range is not a number"}},
		"81: a time":                         {"id,at\n1,12:30\n", hm, []string{"a date, a time or a range is not a number"}},
		"81: a truth":                        {"id,x0\n1,TRUE\n", hm, []string{`"TRUE" is not float32`, "--type x0=bool"}},
		"81: thousands with blanks":          {"id,x0\n1,1 000\n", hm, []string{`"1 000" is not float32`, "thousands without signs"}},
		"81: a wide number":                  {"id,x0\n1,１２\n", hm, []string{`"１２" is not float32`, "the digits 0 to 9"}},
		"81: another minus":                  {"id,x0\n1,−5\n", hm, []string{`"−5" is not float32`, "the sign -"}},
		"81: an error of a spreadsheet":      {"id,x0\n1,#DIV/0!\n", hm, []string{`list "#DIV/0!" in na_values`}},
		"68: too large for every type":       {"id,x0\n1,1e400\n", hm, []string{`"1e400" is not float32: it is too large`, "correct the value"}},
		"81: a percentage":                   {"id,x0\n1,12%\n", hm, []string{`"12%" is not float32`, "without its unit"}},
		"81: a word as label":                {"id,y\n1,yes\n", gm, []string{`"yes" is not int32`, "labels as whole numbers"}},
		"hexadecimal":                        {"id,x0\n1,0x1F\n", hm, []string{`"0x1F" is not float32`, "decimal digits"}},
		"hexadecimal fraction":               {"id,x0\n1,0x1p-2\n", hm, []string{`"0x1p-2" is not float32`, "decimal digits"}},
		"underscores":                        {"id,x0\n1,1_000\n", hm, []string{`"1_000" is not float32`, "decimal digits"}},
		"octal with a prefix":                {"id,x0\n1,0o17\n", `{"dtype":"int32"}`, []string{`"0o17" is not int32`}},
		"no header":                          {"1,0,0.5\n2,1,0.25\n", `{}`, []string{"the first line looks like data", `"1", "0", "0.5"`, "--header id,y,x0", "--head"}},
		"no header, and head says so":        {"1,0,0.5\n2,1,0.25\n", `{"head":true,"match_id_name":"id"}`, []string{`"id" (match_id_name)`, "its first line is 1, 0, 0.5; if that is a row"}},
		"no header, with words":              {"u001,Berlin,0.5\nu002,Rome,0.25\n", `{"dtype":{"*":"str"}}`, []string{"the first line looks like data"}},
		"no header, ids alone":               {"13800138000\n13800138001\n", `{}`, []string{"the first line looks like data"}},
		"no header, nothing below":           {"1,2\n", `{}`, []string{"the first line looks like data"}},
		"header beside a header":             {"id,x0\n1,2\n", `{"header":["id","x0"]}`, []string{"the first line of the file is the header"}},
		"one row is longer, far down":        {"id,x0\n" + strings.Repeat("a,1\n", 30_000) + "b,1,2\n", `{"extend_sid":true}`, []string{"line 30002: the row has 3 cells"}},
		"a type that fails far down":         {"id,x0\n" + strings.Repeat("a,1\n", 30_000) + "b,x\n", `{"extend_sid":true}`, []string{`line 30002: column "x0": "x" is not float32`}},
		"lines end with CR":                  {"id,x0\r1,2\r", `{}`, []string{"carriage return"}},
		"tag_with_value in dense":            {"id,x0\n1,2\n", `{"tag_with_value":true}`, []string{"tag_with_value", "input_format to tag"}},
		"a tag that looks like a pair":       {"1,a:2\n", `{"input_format":"tag","match_id_name":"id"}`, []string{`line 1: "a:2" looks like a tag with a value`, "--tag-with-value"}},
		"libsvm without ids":                 {"1 1:0.5\n", `{"input_format":"libsvm"}`, []string{"no ids", "extend_sid"}},
		"sparse without its label":           {"1 1:0.5\n", `{"input_format":"sparse","match_id_name":"id","label_name":"y","delimiter":" "}`, []string{`line 1: "1:0.5" stands where "y" is expected`}},
		"sparse with a label unnamed":        {"1 0 1:0.5\n", `{"input_format":"sparse","match_id_name":"id","delimiter":" "}`, []string{`line 1: "0" is not of the form index:value`, "label_name"}},
		"sparse with a word":                 {"1 red:3\n", `{"input_format":"sparse","match_id_name":"id"}`, []string{`line 1: the index "red"`}},
		"sparse, twice":                      {"1 3:1 03:2\n", `{"input_format":"sparse","match_id_name":"id"}`, []string{`line 1: "3" appears twice`}},
		"sparse, no number":                  {"1 3:one\n", `{"input_format":"sparse","match_id_name":"id"}`, []string{`line 1: column "3": "one" is not float32`}},
		"sparse, not declared":               {"1 3:1\n", `{"input_format":"sparse","match_id_name":"id","header":["id","1","2"]}`, []string{`line 1: "3" is not among the columns of the header`}},
		"a tag called like the label":        {"1,0,y\n", `{"input_format":"tag","match_id_name":"id","label_name":"y"}`, []string{`"y" is the name of the id, the label`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := fromCSV(t, c.file, c.meta)
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func TestPairsBecomeDenseTables(t *testing.T) {
	for name, c := range map[string]readable{
		"sparse": {
			"a 1 3:0.5 10:2\nb 0  1:-1 \n", `{"input_format":"sparse","match_id_name":"id","label_name":"y"}`,
			"sample_id,id,y,1,3,10\na,a,1,0.0,0.5,2.0\nb,b,0,-1.0,0.0,0.0\n", "each index or tag that occurs became a column, 3 of them",
		},
		"sparse, commas and no label": {"a,3:0.5\nb,1:2,3:4\n", `{"input_format":"svm-light","match_id_name":"id"}`, "sample_id,id,1,3\na,a,0.0,0.5\nb,b,2.0,4.0\n", ""},
		"sparse, columns declared":    {"a,3:0.5\n", `{"input_format":"sparse","match_id_name":"id","header":["id","3","1","2"]}`, "sample_id,id,3,1,2\na,a,0.5,0.0,0.0\n", ""},
		"sparse, another sign":        {"a 3=0.5\n", `{"input_format":"sparse","tag_value_delimiter":"=","delimiter":" "}`, "sample_id,id,3\na,a,0.5\n", ""},
		"libsvm": {
			"+1 1:0.5 2:1\n-1 2:3\n", `{"input_format":"libsvm","extend_sid":true}`, "", "rows have no ids and were numbered from 0",
		},
		"tag": {
			"a,red,big\nb,red\nc\n", `{"input_format":"tag","match_id_name":"id","dtype":"int32"}`,
			"sample_id,id,big,red\na,a,1,1\nb,b,0,1\nc,c,0,0\n", "",
		},
		"tag, a header line":  {"id,y,tags\na,1,red\n", `{"input_format":"tag","match_id_name":"id","label_name":"y","head":true}`, "sample_id,id,y,red\na,a,1,1.0\n", ""},
		"tag, twice in a row": {"a;red;red\n", `{"input_format":"TAG","match_id_name":"id"}`, "sample_id,id,red\na,a,1.0\n", `cells are separated by ";" (guessed)`},
		"tag:value": {
			"a;red:2;big:0.5\nb;red:3\n", `{"input_format":"tag","tag_with_value":true,"match_id_name":"id"}`,
			"sample_id,id,big,red\na,a,0.5,2.0\nb,b,0.0,3.0\n", "",
		},
		"tag:value, a colon in the tag": {"a;u:red:2\n", `{"input_format":"tag:value","match_id_name":"id"}`, "sample_id,id,u:red\na,a,2.0\n", ""},
		"gzip":                          {gzipped(t, "a 1:2\n"), `{"input_format":"sparse"}`, "sample_id,id,1\na,a,2.0\n", ""},
	} {
		t.Run(name, c.check)
	}
}

func TestLibSVMRowsAreNumbered(t *testing.T) {
	f, _, err := fromCSV(t, "+1 1:0.5 2:1\n-1 2:3\n", `{"input_format":"libsvm","extend_sid":true}`)
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, f.MatchID)
	require.Equal(t, []float64{1, -1}, f.Label.Float64s())
	require.Equal(t, []float64{0.5, 0}, f.Features[0].Floats)
	require.Equal(t, []float64{1, 3}, f.Features[1].Floats)
}

func TestPairsAreBounded(t *testing.T) {
	var many strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&many, "r%d %d:1\n", i, i)
	}
	_, _, err := fromCSV(t, many.String(), `{"input_format":"sparse","match_id_name":"id"}`)
	require.ErrorContains(t, err, `line 10001: "10000" would be column 10001, and at most 10000 are made`)
}

func TestAGzipBombIsRefused(t *testing.T) {
	bomb, zeros := &bytes.Buffer{}, make([]byte, 1<<20)
	z := gzip.NewWriter(bomb)
	_, err := io.WriteString(z, "id,x0\n1,2\n2,")
	require.NoError(t, err)
	for i := range zeros {
		zeros[i] = '0'
	}
	for range 200 {
		_, err := z.Write(zeros)
		require.NoError(t, err)
		_, err = io.WriteString(z, "\n3,")
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	_, err = tables.FromCSV(t.Context(), bomb, tables.Meta{Head: true, DType: tables.Object, ExtendSID: true}, io.Discard)
	require.ErrorContains(t, err, "more than 250 times larger unpacked")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}

func TestTheFirstRowsAreShown(t *testing.T) {
	_, s, err := fromCSV(t, "id;y;x0\n1 ;0;2.5\n2;1;NA\n", `{"match_id_name":"id","label_name":"y","na_values":"NA"}`)
	require.NoError(t, err)
	require.Equal(t, tables.Reading{
		Encoding: "utf-8", Delimiter: ";", Format: tables.Dense, Header: true,
		Columns: []tables.ReadColumn{
			{Name: "sample_id", Role: "sample id", DType: tables.Index}, {Name: "id", Role: "match id", DType: tables.Index},
			{Name: "y", Role: "label", DType: tables.Int32}, {Name: "x0", Role: "feature", DType: tables.Float32, Missing: 1},
		},
		Notes: []string{
			`columns are separated by ";" (guessed)`,
			"no type was said: labels are read as int32, features and weights as float32 (default)",
			`ids with blanks around them: 1 in "id", first in line 2; the blanks were taken off`,
			`cells without a value in "x0" (1, first in line 3): coordinated_lr does not train on such columns; fill them, or leave the rows or columns out`,
		},
	}, s.Reading)
	require.Equal(t, [][]any{{"1", "1", int64(0), float32(2.5)}, {"2", "2", int64(1), nil}}, s.Samples)
}
