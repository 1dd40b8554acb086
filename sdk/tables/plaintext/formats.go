package plaintext

import (
	"bytes"
	"regexp"
)

// format is a kind of file that is no text.
type format struct{ name, remedy string }

const unpack = "unpack it first, and upload the CSV file; gzip is the only compression that is read"

// magics tell formats by how a file begins.
var magics = []struct {
	magic  string
	format format
}{
	{"\x1f\x8b", format{"gzip inside gzip", unpack}},
	{"\xfd7zXZ\x00", format{"packed with xz", unpack}},
	{"\x28\xb5\x2f\xfd", format{"packed with zstd", unpack}},
	{"BZh", format{"packed with bzip2", unpack}},
	{"7z\xbc\xaf\x27\x1c", format{"a 7z archive", unpack}},
	{"Rar!\x1a\x07", format{"a rar archive", unpack}},
	{"\x04\x22\x4d\x18", format{"packed with lz4", unpack}},
	{"\xff\x06\x00\x00sNaPpY", format{"packed with snappy", unpack}},
	{"\xd0\xcf\x11\xe0", format{"an old Excel workbook (xls)", "save the sheet as CSV UTF-8"}},
	{"PAR1", format{"Parquet", "write it as CSV: pandas.read_parquet(…).to_csv(…, index=False)"}},
	{"ORC", format{"ORC", "write it as CSV"}},
	{"ARROW1", format{"Arrow", "write it as CSV"}},
	{"FEA1", format{"Feather", "write it as CSV"}},
	{"Obj\x01", format{"Avro", "write it as CSV"}},
	{"\x89HDF", format{"HDF5", "write it as CSV: pandas.read_hdf(…).to_csv(…, index=False)"}},
	{"\x93NUMPY", format{"a NumPy array", "write it as CSV with the names of its columns"}},
	{"SQLite format 3\x00", format{"an SQLite database", "export the table as CSV"}},
	{"%PDF-", format{"PDF", "upload a CSV file"}},
	{"\x1f\x9d", format{"packed with compress (.Z)", unpack}},
	{"\x5d\x00\x00", format{"packed with lzma", unpack}},
	{"\x89PNG\r\n", format{"a picture", "upload a CSV file"}},
	{"\xff\xd8\xff", format{"a picture", "upload a CSV file"}},
	{"{\\rtf", format{"a text of a word processor (RTF)", "save the table as CSV UTF-8"}},
	{"$FL2", format{"data of SPSS", "write it as CSV: pandas.read_spss(…).to_csv(…, index=False)"}},
	{"<stata_dta>", format{"data of Stata", "write it as CSV: pandas.read_stata(…).to_csv(…, index=False)"}},
	{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc2\xea\x81\x60", format{"data of SAS", "write it as CSV: pandas.read_sas(…).to_csv(…, index=False)"}},
	{"X\n\x00\x00\x00", format{"an object of R", "write it as CSV: write.csv(…, row.names = FALSE)"}},
	{"\x80\x04\x95", format{"a pickle of Python", "write it as CSV: pandas.read_pickle(…).to_csv(…, index=False)"}},
	{"\x80\x05\x95", format{"a pickle of Python", "write it as CSV: pandas.read_pickle(…).to_csv(…, index=False)"}},
	{"version https://git-lfs", format{"a pointer of Git LFS", "fetch the file itself: git lfs pull"}},
}

// document is how JSON begins: an object with a key, or a list of anything.
var document = regexp.MustCompile(`^(\{\s*"|\[\s*[\[{"]|\[\s*$|\{\s*$)`)

// recognise names the format of a file that is no table of text.
func recognise(head []byte) (format, bool) {
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		switch {
		case bytes.Contains(head, []byte("[Content_Types].xml")) || bytes.Contains(head, []byte("xl/")):
			return format{"an Excel workbook (xlsx)", "save the sheet as CSV UTF-8"}, true
		case bytes.Contains(head, []byte("opendocument.spreadsheet")):
			return format{"an OpenDocument workbook (ods)", "save the sheet as CSV UTF-8"}, true
		}
		return format{"a zip archive", unpack}, true
	}
	for _, m := range magics {
		if !bytes.HasPrefix(head, []byte(m.magic)) {
			continue
		}
		if printable := m.magic == "BZh" || m.magic == "ORC"; printable && !binary(head) {
			continue // a column may be named so
		}
		return m.format, true
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return format{"a tar archive", unpack}, true
	}
	begin := bytes.ToLower(bytes.TrimSpace(head[:min(64, len(head))]))
	for _, page := range []string{"<!doctype", "<html", "<?xml", "<table"} {
		if bytes.HasPrefix(begin, []byte(page)) {
			return format{"a page of HTML or XML", "upload a CSV file; a download may have saved a login page instead"}, true
		}
	}
	if document.Match(begin) {
		return format{"JSON", "write it as CSV: pandas.read_json(…).to_csv(…, index=False)"}, true
	}
	return format{}, false
}

// binary reports bytes that text in no encoding has near its begin.
func binary(head []byte) bool {
	return bytes.ContainsFunc(head[:min(64, len(head))], func(r rune) bool { return r < '\t' })
}
