package tables

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"openflow"
	"openflow/sdk/tables/plaintext"
)

// Meta says what the columns of a file are: the meta object of FATE's upload, the two switches beside it, and some
// settings of ours.
//
// Spec: fate-components §3.1, §4.2.
type Meta struct {
	SampleID     string   // column that identifies rows; empty: the match id, or the first column when that is not named either
	MatchID      string   // column that parties match on; empty: the same as the sample id
	MatchIDList  []string // all columns that are match ids; those besides MatchID are left out
	Label        string   // empty: none
	LabelType    DType    // empty: Int32
	Weight       string   // empty: none
	WeightType   DType    // empty: Float32
	DType        DType    // of features that DTypes does not name; empty: Float32
	DTypes       map[string]DType
	Delimiter    string              // between cells; empty: it is guessed
	Decimal      string              // "." or ","; empty: a point
	Encoding     string              // of the file; empty: UTF-8, or what a byte order mark says
	Head         bool                // the first line names the columns
	HeadGuessed  bool                // nobody has said whether: a first line that looks otherwise is refused
	Header       []string            // names of the columns when Head is false
	NAValues     []string            // cells that mean "missing", besides "nan"; "" for the empty cell
	NAColumns    map[string][]string // the same for single columns
	Format       Format              // empty: Dense
	TagWithValue bool                // of Tags: a tag has a value
	TagValueSaid bool                // TagWithValue is not a default: tags that look otherwise are taken as they are
	TagDelimiter string              // between an index or a tag and its value; empty: a colon
	ExtendSID    bool                // make sample ids instead of reading them
	SampleIDSeed string              // what made sample ids begin with; empty: 32 random hex digits
}

// Format is how the features of a row are written.
type Format string

// The formats. A row of the last three has its ids and its label first, and then what it has: "3:0.5" in Sparse and
// LibSVM, "red" or "red:2" in Tags. LibSVM rows have a label and no ids.
const (
	Dense  Format = "dense"
	Sparse Format = "sparse"
	Tags   Format = "tag"
	LibSVM Format = "libsvm"
)

// ExtendedSampleID is the name of the column of made sample ids.
const ExtendedSampleID = "extend_sid"

// maxDelimiter is how many bytes a delimiter may have.
const maxDelimiter = 8

// Rereads reports whether the file is read twice: its columns are known at its end only.
func (m Meta) Rereads() bool { return m.Format != "" && m.Format != Dense }

// Validate refuses settings that contradict each other, whatever the file.
func (m Meta) Validate() error {
	for _, check := range []func() error{m.checkText, m.checkIDs, m.checkFormat} {
		if err := check(); err != nil {
			return err
		}
	}
	if m.WeightType != "" && m.WeightType.Kind() == Text {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the weight_type %s", m.WeightType.Word()).WithHint("weights are numbers")
	}
	if m.LabelType == Index || m.DType == Index {
		return openflow.Errorf(openflow.CodeInvalid, "meta has label_type %q and dtype %q", m.LabelType, m.DType).WithHint("index is for ids")
	}
	return nil
}

// checkText is about how the file is written.
func (m Meta) checkText() error {
	unfit := func(c rune) bool {
		return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("\r\n\"\uFFFD\x00", c)
	}
	if d := m.Delimiter; len(d) > maxDelimiter || strings.ContainsFunc(d, unfit) || !utf8.ValidString(d) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the delimiter %q", d).
			WithHint("a delimiter is one or a few signs, no letters, digits, quotes or ends of lines")
	}
	if !slices.Contains([]string{"", ".", ","}, m.Decimal) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has decimal %q", m.Decimal).WithHint(`use "." or ","`)
	}
	if m.Decimal != "" && m.Decimal == m.Delimiter {
		return openflow.Errorf(openflow.CodeInvalid, "meta has %q as the delimiter and as the decimal sign", m.Decimal)
	}
	if !m.Head && len(m.Header) == 0 && !m.Rereads() {
		return openflow.Errorf(openflow.CodeInvalid, "the file has no header line and meta has no header").
			WithHint("set head to true, or name the columns in header")
	}
	return plaintext.CheckEncoding(m.Encoding)
}

// checkIDs is about which columns are ids.
func (m Meta) checkIDs() error {
	if len(m.MatchIDList) > 0 && m.MatchID != "" && !slices.Contains(m.MatchIDList, m.MatchID) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the match_id_name %q, which is not in its match_id_list %q", m.MatchID, m.MatchIDList)
	}
	if len(m.MatchIDList) > 1 && m.MatchID == "" {
		return openflow.Errorf(openflow.CodeInvalid, "meta has several columns in match_id_list and no match_id_name").
			WithHint("say in match_id_name which one to match on")
	}
	if m.ExtendSID && m.SampleID != "" {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the sample_id_name %q although extend_sid makes the sample ids", m.SampleID)
	}
	return nil
}

// checkFormat is about sparse and tagged rows.
func (m Meta) checkFormat() error {
	if !slices.Contains([]Format{"", Dense, Sparse, Tags, LibSVM}, m.Format) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the input_format %q", m.Format).WithHint("formats are dense, sparse, tag and libsvm")
	}
	if m.TagWithValue && m.Format != Tags {
		return openflow.Errorf(openflow.CodeInvalid, "meta has tag_with_value, and its input_format is %q", m.format()).
			WithHint("set input_format to tag")
	}
	if d := m.TagDelimiter; d != "" && (len(d) > maxDelimiter || d == m.Delimiter || strings.ContainsAny(d, "\r\n\"")) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the tag_value_delimiter %q and the delimiter %q", d, m.Delimiter).
			WithHint("the two must differ")
	}
	if m.Format == LibSVM && !m.ExtendSID {
		return openflow.Errorf(openflow.CodeInvalid, "rows of libsvm have no ids").
			WithHint("put an id before the label and use input_format sparse, or set extend_sid (--extend-sid) to number the rows")
	}
	if m.Format == LibSVM && (m.MatchID != "" || m.SampleID != "" || m.Weight != "") {
		return openflow.Errorf(openflow.CodeInvalid, "rows of libsvm have neither ids nor weights, and meta names some").
			WithHint("put an id before the label and use input_format sparse")
	}
	return nil
}

func (m Meta) format() Format {
	if m.Format == "" {
		return Dense
	}
	return m.Format
}

func (m Meta) tagDelimiter() string {
	if m.TagDelimiter == "" {
		return ":"
	}
	return m.TagDelimiter
}
