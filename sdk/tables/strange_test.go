package tables_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"openflow"
	"openflow/sdk/tables"
)

// Files that look right and are not quite: each is read as it is, and what will not match later is told.
func TestWhatIsReadAndTold(t *testing.T) {
	const unusual = "with characters that have a more usual form"
	for name, c := range map[string]readable{
		"UTF-16, big end first": {
			encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "编号;金额\r\n1;2,5\r\n"), `{"match_id_name":"编号","decimal":","}`,
			"sample_id,编号,金额\n1,1,2.5\n", "the file is utf-16be",
		},
		"a character of four bytes in GB18030": {encoded(t, simplifiedchinese.GB18030, "编号,年龄\n\U00020000,33\n"), `{"encoding":"gb18030"}`, "sample_id,编号,年龄\n\U00020000,\U00020000,33.0\n", ""},
		"a mark before a quoted header":        {"\uFEFF\"id\",\"x0\"\n\"1\",\"2\"\n", hm, "sample_id,id,x0\n1,1,2.0\n", ""},
		"a mark before sep=":                   {"\uFEFFsep=;\nid;x0\n1;2\n", hm, "sample_id,id,x0\n1,1,2.0\n", `the line "sep=;" says the delimiter`},
		"names that differ in capitals":        {"id,Age,age\n1,2,3\n", hm, "sample_id,id,Age,age\n1,1,2.0,3.0\n", `the columns "Age" and "age" have names that differ in capitals`},
		"names of other widths":                {"id,ａ1,a1\n1,2,3\n", hm, "", `the columns "ａ1" and "a1"`},
		"names with an accent of their own":    {"id,caf\u00e9,cafe\u0301\n1,2,3\n", hm, "", "characters that look alike"},
		"a name with a blank inside":           {"id,a b,a\u00a0b\n1,2,3\n", hm, "", "characters that look alike"},
		"ids are text":                         {"id,x0\n007,1\n+8613800138000,2\n-5,3\n86-138,4\n", hm, "sample_id,id,x0\n007,007,1.0\n+8613800138000,+8613800138000,2.0\n-5,-5,3.0\n86-138,86-138,4.0\n", ""},
		"ids with an exponent":                 {"id,x0\n1e5,1\n1.38E10,2\n", hm, "", `that look like numbers that a spreadsheet has shortened: 2 in "id"`},
		"a hash is no such number":             {"id,x0\n12e45678,1\n", hm, "", ""},
		"ids of 18 digits, rounded":            {"id,x0\n110101199001010000,1\n110101199001020000,2\n110101199001020017,3\n", hm, "", `have only zeros behind the 15th, as a spreadsheet rounds numbers: 2 in "id"`},
		"ids with signs around that take no place": {
			"id,x0\n\u202d13800138000\u202c,1\n\u200e7,2\n", hm, "sample_id,id,x0\n13800138000,13800138000,1.0\n7,7,2.0\n", `ids with blanks around them: 2 in "id"`,
		},
		"ids with signs inside that take none": {"id,x0\n13\u200b8,1\n13\u00ad9,2\n", hm, "", unusual},
		"ids with a blank inside":              {"id,x0\n13\u00a08,1\n", hm, "", unusual},
		"full-width ids":                       {"id,x0\n１２３,1\n123,2\n", hm, "sample_id,id,x0\n１２３,１２３,1.0\n123,123,2.0\n", unusual + ", such as full-width digits, other hyphens, or ones that cannot be seen: 1 in \"id\", first in line 2; they do not match"},
		"ids with other hyphens":               {"id,x0\nA‐1,1\nA−2,2\n", hm, "", unusual},
		"Chinese ids are usual":                {"id,x0\n张三,1\n", hm, "sample_id,id,x0\n张三,张三,1.0\n", ""},
		"ids that are none":                    {"id,x0\nNULL,1\nN/A,2\n########,3\n", hm, "", `that read like a word for a missing value: 3 in "id"`},
		"ids that lost a character":            {"id,x0\n1\uFFFD,2\n", hm, "", "with the sign U+FFFD"},
		"a missing number, written otherwise":  {"id,x0\n1,-9.0\n2,-9\n3,-9.00\n4,9\n", `{"match_id_name":"id","na_values":[-9]}`, "sample_id,id,x0\n1,1,nan\n2,2,nan\n3,3,nan\n4,4,9.0\n", `"x0" (3, first in line 2)`},
		"a missing number is an id":            {"id,x0\n0,1\n", `{"match_id_name":"id","na_values":[0]}`, "sample_id,id,x0\n0,0,1.0\n", ""},
		"a text has no missing value":          {"id,t\n1,NA\n", `{"match_id_name":"id","na_values":"NA","dtype":"text"}`, "sample_id,id,t\n1,1,NA\n", `texts that na_values lists stayed as they are in "t"`},
		"labels that are text":                 {"id,y\n1,yes\n2, yes \n3,no\n", `{"match_id_name":"id","label_name":"y","label_type":"str"}`, "sample_id,id,y\n1,1,yes\n2,2,yes\n3,3,no\n", `labels with blanks around them in "y" (1, first in line 3); the blanks were taken off`},
		"texts with blanks":                    {"id,t\n1,a\n2,a \n", `{"match_id_name":"id","dtype":"str"}`, "sample_id,id,t\n1,1,a\n2,2,a \n", `texts with blanks around them in "t" (1, first in line 3); the blanks stay`},
		"labels with signs and fractions":      {"id,y\n1,+1\n2,-1\n3,1.0\n4,\"1 \"\n", gm, "sample_id,id,y\n1,1,1\n2,2,-1\n3,3,1\n4,4,1\n", ""},
		"truths of all kinds":                  {"id,x0\n1,TRUE\n2,f\n3,1.0\n4,0\n", `{"match_id_name":"id","dtype":"bool"}`, "sample_id,id,x0\n1,1,True\n2,2,False\n3,3,True\n4,4,False\n", ""},
		"a number too small for its type":      {"id,x0\n1,1e-50\n2,0e-50\n", hm, "sample_id,id,x0\n1,1,0.0\n2,2,0.0\n", `too small for their type were read as 0 in "x0" (1, first in line 2)`},
		"and for every type":                   {"id,x0\n1,-1e-400\n", `{"match_id_name":"id","dtype":"float64"}`, "sample_id,id,x0\n1,1,-0.0\n", `read as 0 in "x0"`},
		"an amount that float32 rounds":        {"id,x0\n1,123456789.12\n", hm, "", `were rounded in "x0" (1, first in line 2)`},
		"nineteen digits":                      {"id,x0\n1,1234567890123456789\n", `{"match_id_name":"id","dtype":"int64"}`, "sample_id,id,x0\n1,1,1234567890123456789\n", ""},
		"negative zero":                        {"id,x0\n1,-0\n", hm, "sample_id,id,x0\n1,1,-0.0\n", ""},
		"points that may stand for thousands":  {"id;x0\n1;1.234\n2;13.500\n", hm, "sample_id,id,x0\n1,1,1.234\n2,2,13.5\n", `every point has three digits behind it in "x0" (2, first in line 2): a cell like 2.000 is read as 2`},
		"points that do not":                   {"id;x0\n1;1.234\n2;13.5\n", hm, "", `columns are separated by ";" (guessed)`},
		"a type of an id":                      {"id,x0\n1,2\n", `{"match_id_name":"id","dtype":{"id":"int32"}}`, "", `the dtype of "id" has no effect: ids are text`},
		"two types of a label":                 {"id,y\n1,2\n", `{"match_id_name":"id","label_name":"y","label_type":"int32","dtype":{"y":"str"}}`, "sample_id,id,y\n1,1,2\n", `the dtype of "y" has no effect beside label_type`},
		"a header beside head":                 {"id,x0\n1,2\n", `{"match_id_name":"id","head":true,"header":["a","b"]}`, "sample_id,id,x0\n1,1,2.0\n", "header has no effect: head says that the first line"},
		"a row of words, said":                 {"a,b\n1,c\n", `{"match_id_name":"i","head":false,"header":["i","t"],"dtype":"str"}`, "sample_id,i,t\na,a,b\n1,1,c\n", `the first line looks like names of columns ("a", "b") and was read as a row, as head says`},
		"indexes without order, and 0":         {"a 1 5:1 0:3 4:0.5\n", `{"input_format":"sparse","match_id_name":"id","label_name":"y"}`, "sample_id,id,y,0,4,5\na,a,1,3.0,0.5,1.0\n", ""},
		"a value that is missing":              {"a;red:;big:2\n", `{"input_format":"tag:value","match_id_name":"id","na_values":[""]}`, "sample_id,id,big,red\na,a,2.0,nan\n", `"red" (1, first in line 1)`},
	} {
		t.Run(name, c.check)
	}
}

func TestPlainFilesAreReadWithoutANote(t *testing.T) {
	for name, file := range map[string]string{
		"a hash":           "id,x0\n12e45678,1\n",
		"Chinese":          "id,x0\n张三,1\n",
		"eighteen digits":  "id,x0\n110101199001011234,1\n",
		"three decimals":   "id,x0\n1,1.234\n2,2.345\n",
		"a small number":   "id,x0\n1,1e-30\n2,0\n",
		"numbers as names": "id,1,2\na,3,4\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, notes, err := read(t, file, `{"match_id_name":"id","dtype":"float32"}`)
			require.NoError(t, err)
			require.Empty(t, notes)
		})
	}
}

// Files that cannot be read surely: the line, the cause, and a remedy that does it.
func TestStrangeFilesAreRefused(t *testing.T) {
	big5, sjis := encoded(t, traditionalchinese.Big5, "編號,年齡\n1,33\n"), encoded(t, japanese.ShiftJIS, "番号,年齢\n1,33\n")
	const thousands = "write thousands without"
	for name, c := range map[string]struct {
		file, meta string
		says       []string
	}{
		"Big5":                        {big5, `{}`, []string{"line 1 is not UTF-8", "it may be big5", "--encoding big5", "iconv -f BIG5"}},
		"Shift JIS":                   {sjis, `{}`, []string{"line 1 is not UTF-8", "shift_jis"}},
		"EUC-KR":                      {encoded(t, korean.EUCKR, "번호,나이\n1,33\n"), `{}`, []string{"line 1 is not UTF-8", "euc-kr"}},
		"a short name in GBK":         {"id,x0\n" + encoded(t, simplifiedchinese.GBK, "张") + "1,3\n", `{}`, []string{"line 2 is not UTF-8", "latin-1 or gbk"}},
		"German":                      {"id,x0\nGr\xf6\xdfe,3\n", `{}`, []string{"line 2 is not UTF-8", "latin-1"}},
		"CR and one LF at the end":    {"id,x0\r1,2\r2,3\n", hm, []string{`the name of column 2 has the end of a line in it: "x0\r1"`, "tr '\\r' '\\n'"}},
		"CR below the header":         {"id,x0\r\n1,2\r2,3\r\n", hm, []string{"line 2: the row has 3 cells, the header has 2", "a carriage return stands in it"}},
		"CR in a file of ids":         {"id\n1\r2\r3\n", hm, []string{`line 2: column "id": the id "1\r2\r3" has the end of a line in it`, "carriage return"}},
		"a line break in an id":       {"id,x0\n\"1\n2\",3\n", hm, []string{"has the end of a line in it", "a quote may be open"}},
		"other ends of lines":         {"id,x0\u20281,2\u2028", hm, []string{"the end of a line in it"}},
		"a quote in the middle":       {"id,t\n1,5\" disk\n", `{"dtype":"str"}`, []string{"line 2: a cell that does not begin with a quote has one in it", "each quote in it twice"}},
		"a quote that is not closed":  {"id,t\n1,\"abc\n2,d\n", `{"dtype":"str"}`, []string{"the quotes of the row that begins in line 2 do not match"}},
		"words behind a quote":        {"id,t\n1,\"ab\"c\n", `{"dtype":"str"}`, []string{"line 2: the quotes of a cell do not match"}},
		"quotes with a backslash":     {"id,t\n1,\"a\\\"b\"\n", `{"dtype":"str"}`, []string{"line 2: the quotes of a cell do not match"}},
		"a name twice, with blanks":   {"id,age, age\n1,2,3\n", hm, []string{`column "age" appears twice in the header, as column 2 and 3`}},
		"an id in other capitals":     {"ID,x0\n1,2\n", hm, []string{`names the column "id" (match_id_name)`, `its columns are ID, x0; is it "ID"?`}},
		"a name in other width":       {"ｉｄ,x0\n1,2\n", hm, []string{`is it "ｉｄ"?`}},
		"an id by a Chinese name":     {"姓名,编号\n张,1\n", `{}`, []string{`is it the first one, "姓名", or "编号"?`, "--match 编号"}},
		"an id that na_values lists":  {"id,x0\nNA,1\n", `{"match_id_name":"id","na_values":["NA"]}`, []string{`line 2: column "id": the id "NA" is one of na_values`, "give the row an id"}},
		"rounded ids that collide":    {"id,x0\n110101199001010000,1\n110101199001010000,2\n", hm, []string{"line 3", "has appeared before", "a spreadsheet seems to have rounded the ids"}},
		"missing ids that collide":    {"id,x0\nNULL,1\nNULL,2\n", hm, []string{"line 3", "reads like a word for a missing value"}},
		"trailing commas":             {"id,x0,,,\n1,2,,,\n", hm, []string{"columns 3 to 5 have no name (trailing commas?"}},
		"thousands and a hard blank":  {"id,x0\n1,1\u00a0234\n", hm, []string{`"1\u00a0234" is not float32`, thousands}},
		"thousands with apostrophes":  {"id,x0\n1,1’234\n", hm, []string{thousands}},
		"thousands with points":       {"id;x0\n1;1.234.567\n", hm, []string{thousands + " points"}},
		"a currency behind":           {"id,x0\n1,5 €\n", hm, []string{"without its unit or sign"}},
		"a currency before":           {"id,x0\n1,-$5\n", hm, []string{"without its unit or sign"}},
		"a currency in words":         {"id,x0\n1,EUR 5\n", hm, []string{"without its unit or sign"}},
		"yuan":                        {"id,x0\n1,￥5\n", hm, []string{"without its unit or sign"}},
		"ten thousands":               {"id,x0\n1,1.5万\n", hm, []string{"without its unit or sign"}},
		"kilograms":                   {"id,x0\n1,5kg\n", hm, []string{"without its unit or sign"}},
		"a bound":                     {"id,x0\n1,>90\n", hm, []string{"without its unit or sign"}},
		"per mille":                   {"id,x0\n1,5‰\n", hm, []string{"without its unit or sign"}},
		"a code is no unit":           {"id,x0\n1,A5\n", hm, []string{"a column of words is text"}},
		"an accountant's minus":       {"id,x0\n1,(5)\n", hm, []string{"the sign - before them"}},
		"a minus behind":              {"id,x0\n1,5-\n", hm, []string{"the sign - before them"}},
		"a date with a month's name":  {"id,x0\n1,2-Jan-24\n", hm, []string{"a date, a time or a range is not a number"}},
		"a time of a zone":            {"id,x0\n1,2024-01-02T10:00:00+08:00\n", hm, []string{"a date, a time or a range is not a number"}},
		"a time before noon":          {"id,x0\n1,10:30 AM\n", hm, []string{"a date, a time or a range is not a number"}},
		"a range":                     {"id,x0\n1,10-20\n", hm, []string{"a date, a time or a range is not a number"}},
		"a month's name is no date":   {"id,x0\n1,January\n", hm, []string{"a column of words is text"}},
		"a word for true":             {"id,x0\n1,yes\n", `{"match_id_name":"id","dtype":"bool"}`, []string{`"yes" is not bool (write true and false, or 1 and 0`}},
		"a true label":                {"id,y\n1,True\n", gm, []string{"write labels as 1 and 0", "--label-type) bool"}},
		"a word as label":             {"id,y\n1,good\n", gm, []string{"label_type (--label-type) str"}},
		"no label, in words":          {"id,y\n1,NA\n", `{"match_id_name":"id","label_name":"y","na_values":"NA"}`, []string{`the label "NA" means that there is none`, "every row needs a label"}},
		"no label of a float":         {"id,y\n1,nan\n", `{"match_id_name":"id","label_name":"y","label_type":"float32"}`, []string{`line 2: column "y": the label "nan" means that there is none`}},
		"no label of a text":          {"id,y\n1, \n", `{"match_id_name":"id","label_name":"y","label_type":"str"}`, []string{`line 2: column "y": the label is empty`}},
		"no number, with a sign":      {"id,x0\n1,-nan\n", hm, []string{`list "-nan" in na_values`}},
		"no number, of C":             {"id,x0\n1,-1.#IND\n", hm, []string{`list "-1.#IND" in na_values`}},
		"a sign for infinity":         {"id,x0\n1,∞\n", hm, []string{`"∞" is infinite`}},
		"an exponent of Fortran":      {"id,x0\n1,1.5D+03\n", hm, []string{"write the exponent with e"}},
		"twenty digits":               {"id,x0\n1,12345678901234567890\n", `{"match_id_name":"id","dtype":"int64"}`, []string{"read the column as float64"}},
		"the header once more":        {"id,x0\n1,2\nid,x0\n2,3\n", `{"match_id_name":"id","dtype":"str"}`, []string{"line 3: the row is the header once more", "joined"}},
		"a second header":             {"id,x0\n编号,金额\n1,2\n", hm, []string{`line 2: column "x0": "金额" is not float32`, "a second header? take it out"}},
		"another header beside":       {"ID,X\n1,2\n", `{"match_id_name":"a","header":["a","b"]}`, []string{`the first line looks like names of columns, not like a row: "ID", "X"`, "leave header out"}},
		"a comment above":             {"# exported\nid,x0\n1,2\n", hm, []string{"comments are not read"}},
		"a comment above, no meta":    {"# exported\nid,x0\n1,2\n", `{}`, []string{"line 2: the row has 2 cells, the header has 1", "a title or a comment above the header"}},
		"a comment in the middle":     {"id,x0\n1,2\n# end\n", hm, []string{"line 3: the row has 1 cell", "comments and totals are not read"}},
		"a line of blanks":            {"id,x0\n1,2\n   \n", hm, []string{"line 3: the row has 1 cell", "the line is blank"}},
		"sparse rows, not said":       {"a 1 1:5 2:3\nb 0 1:2\n", `{}`, []string{"look like pairs of an index and a value", "--format sparse"}},
		"libsvm, not said":            {"1 1:5 2:3\n0 1:2 2:5\n", `{}`, []string{"look like pairs of an index and a value", "libsvm"}},
		"a comment of libsvm":         {"1 1:0.5 # c\n", `{"input_format":"libsvm","extend_sid":true}`, []string{`line 1: "#" begins a comment`}},
		"a group of libsvm":           {"1 qid:1 1:0.5\n", `{"input_format":"libsvm","extend_sid":true}`, []string{`"qid:1" is a group of a ranking`}},
		"a header of sparse":          {"id y features\na 1 1:5\n", `{"input_format":"sparse","match_id_name":"id","label_name":"y"}`, []string{`line 1: "features" is not of the form index:value`, "is the line a header? say --head"}},
		"an index twice":              {"a 2:1 2:3\n", `{"input_format":"sparse","match_id_name":"id"}`, []string{`line 1: "2" appears twice`}},
		"a value that is not there":   {"a;red:;big:2\n", `{"input_format":"tag:value","match_id_name":"id"}`, []string{`line 1: column "red": the cell is empty`, "na_values"}},
		"a tag called sample_id":      {"a;sample_id\n", `{"input_format":"tag","match_id_name":"id"}`, []string{`"sample_id" is the name of the id`}},
		"an OpenDocument workbook":    {"PK\x03\x04\x00mimetypeapplication/vnd.oasis.opendocument.spreadsheet", hm, []string{"an OpenDocument workbook (ods)"}},
		"lzma":                        {"\x5d\x00\x00\x80\x00\xff", hm, []string{"packed with lzma"}},
		"a pickle":                    {"\x80\x04\x95\x00", hm, []string{"pickle"}},
		"a picture":                   {"\x89PNG\r\n\x1a\n", hm, []string{"a picture"}},
		"SPSS":                        {"$FL2@(#) SPSS", hm, []string{"data of SPSS", "read_spss"}},
		"JSON on several lines":       {"[\n  {\n \"id\": 1}]", hm, []string{"JSON"}},
		"a JSON list of lists":        {"[[1,2],[3,4]]", hm, []string{"JSON"}},
		"a pointer of Git LFS":        {"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n", `{}`, []string{"git lfs pull"}},
		"gzip with words behind":      {gzipped(t, "id,x0\n1,2\n") + "garbage", hm, []string{"damaged or not whole"}},
		"half a character of UTF-16":  {encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "id,x0\n1,2\n") + "1", `{}`, []string{"line 3 is not utf-16le"}},
		"a name in brackets is a row": {"[a],x0\n1,2\n", hm, []string{`names the column "id"`}},
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

// The rows that are shown stand in one row of a catalogue: long cells are cut there, and wide rows are few.
func TestShownRowsAreBounded(t *testing.T) {
	var b bytes.Buffer
	long := strings.Repeat("客", 10<<20)
	m, err := tables.ParseMeta([]byte(`{"match_id_name":"id","dtype":"str"}`))
	require.NoError(t, err)
	s, err := tables.FromCSV(t.Context(), strings.NewReader("id,t\n1,"+long+"\n2,b\n"), m, &b)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("客", 341)+"…", s.Samples[0][2])
	require.Equal(t, "b", s.Samples[1][2])
	f, err := tables.ReadAll(&b)
	require.NoError(t, err)
	require.Equal(t, long, f.Features[0].Strings[0], "the table has all of it")

	var wide strings.Builder
	wide.WriteString("id")
	for i := range 5000 {
		wide.WriteString(",c" + strconv.Itoa(i))
	}
	for row := range 150 {
		wide.WriteString("\n" + strconv.Itoa(row) + strings.Repeat(",0.5", 5000))
	}
	f, s, err = fromCSV(t, wide.String(), hm)
	require.NoError(t, err)
	require.Len(t, f.Features, 5000)
	require.Equal(t, 150, s.Rows)
	require.Less(t, len(s.Samples), 150)
	require.GreaterOrEqual(t, len(s.Samples), 50)
}
