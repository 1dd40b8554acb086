package tables

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"openflow"
)

// Meta says what the columns of a CSV file are: the meta object of FATE's upload, and the two switches beside it.
//
// Spec: fate-components §3.1, §4.2.
type Meta struct {
	SampleID     string   // column that identifies rows; empty: the first one, or the match id when that is the first
	MatchID      string   // column that parties match on; empty: the same as the sample id
	MatchIDList  []string // all columns that are match ids; those besides MatchID are left out
	Label        string   // empty: none
	LabelType    DType    // empty: Int32
	Weight       string   // empty: none
	WeightType   DType    // empty: Float32
	DType        DType    // of features that DTypes does not name; empty: Float32
	DTypes       map[string]DType
	Delimiter    string   // one character; empty: a comma
	Head         bool     // the first line names the columns
	Header       []string // names of the columns when Head is false
	NAValues     []string // cells that mean "missing", besides "nan"; "" for the empty cell
	ExtendSID    bool     // make sample ids instead of reading them
	SampleIDSeed string   // what made sample ids begin with; empty: 32 random hex digits
}

// ExtendedSampleID is the name of the column of made sample ids.
const ExtendedSampleID = "extend_sid"

// metaJSON is Meta on the wire.
type metaJSON struct {
	SampleID     *string         `json:"sample_id_name"`
	MatchID      *string         `json:"match_id_name"`
	MatchIDList  []string        `json:"match_id_list"`
	MatchIDRange *int            `json:"match_id_range"`
	Label        *string         `json:"label_name"`
	LabelType    *string         `json:"label_type"`
	Weight       *string         `json:"weight_name"`
	WeightType   *string         `json:"weight_type"`
	Header       textOrList      `json:"header"`
	Delimiter    *string         `json:"delimiter"`
	DType        json.RawMessage `json:"dtype"`
	NAValues     textOrList      `json:"na_values"`
	InputFormat  *string         `json:"input_format"`
	TagWithValue *bool           `json:"tag_with_value"`
	TagDelimiter *string         `json:"tag_value_delimiter"`
	Head         *bool           `json:"head"`
	ExtendSID    *bool           `json:"extend_sid"`
}

// textOrList is a list of texts, or one text alone.
type textOrList struct {
	values []string
	alone  bool
}

func (t *textOrList) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, &t.values)
	}
	var one *string
	if err := json.Unmarshal(data, &one); err != nil || one == nil {
		return err
	}
	t.values, t.alone = []string{*one}, true
	return nil
}

// ParseMeta reads a meta object. Keys that FATE does not know are refused by name, null means the default. Head is
// true unless the object says otherwise or has a header.
//
// Errors: CodeInvalid; CodeUnimplemented for sparse and tagged input, which upstream declares and does not read either.
func ParseMeta(data []byte) (Meta, error) {
	var in metaJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return Meta{}, openflow.Errorf(openflow.CodeInvalid, "meta has a key %s, which is not known", name)
		}
		return Meta{}, openflow.Errorf(openflow.CodeInvalid, "meta is not readable: %w", err)
	}
	if value(in.InputFormat, "dense") != "dense" || value(in.TagWithValue, false) {
		return Meta{}, openflow.Errorf(openflow.CodeUnimplemented, "meta asks for input_format %q, tag_with_value %t; only dense input is read",
			value(in.InputFormat, "dense"), value(in.TagWithValue, false))
	}
	if n := value(in.MatchIDRange, 0); n < 0 || n > 1 {
		return Meta{}, openflow.Errorf(openflow.CodeUnimplemented, "meta asks for match_id_range %d", n).
			WithHint("name the match ids in match_id_list")
	}
	m := Meta{
		SampleID: value(in.SampleID, ""), MatchID: value(in.MatchID, ""), MatchIDList: in.MatchIDList,
		Label: value(in.Label, ""), Weight: value(in.Weight, ""), Delimiter: value(in.Delimiter, ""),
		Head: value(in.Head, len(in.Header.values) == 0), NAValues: in.NAValues.values, ExtendSID: value(in.ExtendSID, false),
	}
	m.Header = in.Header.values
	if in.Header.alone {
		m.Header = strings.Split(in.Header.values[0], m.delimiter())
	}
	if err := m.parseTypes(in); err != nil {
		return Meta{}, err
	}
	return m, m.Validate()
}

func (m *Meta) parseTypes(in metaJSON) (err error) {
	if m.LabelType, err = parseDType("label_type", value(in.LabelType, "")); err != nil {
		return err
	}
	if m.WeightType, err = parseDType("weight_type", value(in.WeightType, "")); err != nil {
		return err
	}
	if len(in.DType) == 0 || string(in.DType) == "null" {
		return nil
	}
	var one string
	if json.Unmarshal(in.DType, &one) == nil {
		m.DType, err = parseDType("dtype", one)
		return err
	}
	var each map[string]string
	if err := json.Unmarshal(in.DType, &each); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "meta has a dtype that is neither a name nor an object of names: %w", err)
	}
	m.DTypes = make(map[string]DType, len(each))
	for column, name := range each {
		if m.DTypes[column], err = parseDType("dtype of column "+column, name); err != nil {
			return err
		}
	}
	return nil
}

// parseDType reads the name of a type. Python's names are understood; upstream would silently take them for text.
func parseDType(what, name string) (DType, error) {
	switch name {
	case "":
		return "", nil
	case "int":
		return Int64, nil
	case "float":
		return Float64, nil
	case "str", "string", "object", string(Index):
		return Object, nil
	}
	if d := DType(name); d.Valid() {
		return d, nil
	}
	return "", openflow.Errorf(openflow.CodeInvalid, "meta has %s %q, which is not known", what, name).
		WithHint("types are int32, int64, float32, float64, bool, str")
}

// Validate refuses settings that contradict each other, whatever the file.
func (m Meta) Validate() error {
	d := m.delimiter()
	if c, n := utf8.DecodeRuneInString(d); n != len(d) || strings.ContainsRune("\r\n\"\uFFFD\x00", c) {
		return openflow.Errorf(openflow.CodeInvalid, "meta has the delimiter %q; it must be one character", d)
	}
	if !m.Head && len(m.Header) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "the file has no header line and meta has no header").
			WithHint("set head to true, or name the columns in header")
	}
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
	if (m.WeightType != "" && m.WeightType.Kind() == Text) || m.LabelType == Index || m.DType == Index {
		return openflow.Errorf(openflow.CodeInvalid, "meta has weight_type %q, label_type %q, dtype %q", m.WeightType, m.LabelType, m.DType).
			WithHint("weights are numbers, and index is for ids")
	}
	return nil
}

func (m Meta) delimiter() string {
	if m.Delimiter == "" {
		return ","
	}
	return m.Delimiter
}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
