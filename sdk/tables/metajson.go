package tables

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"openflow"
)

// metaJSON is Meta on the wire.
type metaJSON struct {
	SampleID     *string         `json:"sample_id_name"`
	MatchID      *string         `json:"match_id_name"`
	MatchIDList  textOrList      `json:"match_id_list"`
	MatchIDRange *int            `json:"match_id_range"`
	Label        *string         `json:"label_name"`
	LabelType    *string         `json:"label_type"`
	Weight       *string         `json:"weight_name"`
	WeightType   *string         `json:"weight_type"`
	Header       json.RawMessage `json:"header"`
	Delimiter    *string         `json:"delimiter"`
	DType        json.RawMessage `json:"dtype"`
	NAValues     json.RawMessage `json:"na_values"`
	InputFormat  *string         `json:"input_format"`
	TagWithValue *bool           `json:"tag_with_value"`
	TagDelimiter *string         `json:"tag_value_delimiter"`
	Head         *bool           `json:"head"`
	ExtendSID    *bool           `json:"extend_sid"`
	Encoding     *string         `json:"encoding"` // this one and the next are ours
	Decimal      *string         `json:"decimal"`
}

// textOrList is a list of texts, or one text alone. Numbers are taken as they are written, null is left out.
type textOrList struct {
	values []string
	alone  bool
}

func (t *textOrList) UnmarshalJSON(data []byte) error {
	*t = textOrList{}
	if one, given, err := cellText(data); err == nil {
		if given {
			t.values, t.alone = []string{one}, true
		}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return errNoText
	}
	for _, data := range list {
		one, given, err := cellText(data)
		if err != nil {
			return err
		}
		if given {
			t.values = append(t.values, one)
		}
	}
	return nil
}

var errNoText = errors.New("it must be a text, or a list of texts")

// cellText is a text or a number; not given: null.
func cellText(data json.RawMessage) (text string, given bool, err error) {
	var n json.Number
	switch {
	case string(data) == "null":
		return "", false, nil
	case json.Unmarshal(data, &text) == nil:
		return text, true, nil
	case !bytes.HasPrefix(data, []byte(`"`)) && json.Unmarshal(data, &n) == nil:
		return n.String(), true, nil
	}
	return "", false, errNoText
}

// ParseMeta reads a meta object. Keys that are not known are refused by name, null means the default. Head is true
// unless the object says otherwise or has a header; only an object that says so settles that.
//
// Errors: CodeInvalid; CodeUnimplemented for a range of match ids.
func ParseMeta(data []byte) (Meta, error) {
	var in metaJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return Meta{}, metaError(err)
	}
	if err := knownKeys(data); err != nil {
		return Meta{}, err
	}
	if n := value(in.MatchIDRange, 0); n < 0 || n > 1 {
		return Meta{}, openflow.Errorf(openflow.CodeUnimplemented, "meta asks for match_id_range %d", n).
			WithHint("name the match ids in match_id_list")
	}
	m := Meta{
		SampleID: value(in.SampleID, ""), MatchID: value(in.MatchID, ""), MatchIDList: in.MatchIDList.values,
		Label: value(in.Label, ""), Weight: value(in.Weight, ""), Delimiter: namedSign(value(in.Delimiter, "")),
		ExtendSID: value(in.ExtendSID, false), Encoding: value(in.Encoding, ""), Decimal: value(in.Decimal, ""),
		TagWithValue: value(in.TagWithValue, false), TagDelimiter: namedSign(value(in.TagDelimiter, "")),
	}
	for _, parse := range []func(metaJSON) error{m.parseFormat, m.parseHeader, m.parseTypes, m.parseMissing} {
		if err := parse(in); err != nil {
			return Meta{}, err
		}
	}
	return m, m.Validate()
}

// knownKeys refuses an object with a key that meta does not have, in the letters that meta has it.
func knownKeys(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return metaError(err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(MetaKeys(), name) {
			return openflow.Errorf(openflow.CodeInvalid, "meta has a key %q, which is not known", name).
				WithHint("its keys are %s", strings.Join(MetaKeys(), ", "))
		}
	}
	return nil
}

// MetaKeys are the keys that meta may have.
func MetaKeys() []string {
	t := reflect.TypeFor[metaJSON]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return keys
}

// metaError says what is wrong with the document in terms of JSON, not of Go.
func metaError(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return openflow.Errorf(openflow.CodeInvalid, "meta has a %s in %s; it must be %s", kind.Value, kind.Field, jsonKind(kind.Type.String()))
	case errors.As(err, &kind):
		return openflow.Errorf(openflow.CodeInvalid, "meta is a JSON %s; it must be an object", kind.Value)
	case errors.As(err, &syntax):
		return openflow.Errorf(openflow.CodeInvalid, "meta is not JSON: %v (at byte %d)", err, syntax.Offset)
	case errors.Is(err, errNoText):
		return openflow.Errorf(openflow.CodeInvalid, "meta has a wrong match_id_list: %w", err)
	}
	return openflow.Errorf(openflow.CodeInvalid, "meta is not JSON object: %v", err)
}

func jsonKind(goType string) string {
	switch goType {
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	}
	return "a text"
}

// namedSign is a delimiter as people write it where they cannot type it.
func namedSign(s string) string {
	switch s {
	case `\t`, "tab", "TAB":
		return "\t"
	case `\x01`, `\u0001`, `\001`:
		return "\x01"
	case "space":
		return " "
	}
	return s
}

// formats are the names of formats, upstream's and those that others write.
var formats = map[string]Format{
	"": "", "dense": Dense, "sparse": Sparse, "svm-light": Sparse, "svmlight": Sparse, "tag": Tags, "tag:value": Tags, "libsvm": LibSVM,
}

func (m *Meta) parseFormat(in metaJSON) error {
	name := strings.ToLower(strings.TrimSpace(value(in.InputFormat, "")))
	f, ok := formats[name]
	if !ok {
		f = Format(name) // Validate refuses it
	}
	m.Format = f
	m.TagWithValue = m.TagWithValue || name == "tag:value"
	m.TagValueSaid = in.TagWithValue != nil
	return nil
}

// parseHeader reads the names of columns, which FATE has as one text. false there means that the file has no header.
func (m *Meta) parseHeader(in metaJSON) error {
	var flag *bool
	var names textOrList
	if len(in.Header) > 0 && json.Unmarshal(in.Header, &flag) != nil {
		flag = nil // a failure leaves one behind
		if err := json.Unmarshal(in.Header, &names); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "meta has a wrong header: %w", err)
		}
	}
	if in.Head != nil {
		flag = in.Head
	}
	m.Header = names.values
	if names.alone {
		m.Header = splitNames(names.values[0], m.Delimiter)
	}
	m.HeadGuessed = flag == nil
	m.Head = value(flag, len(m.Header) == 0 && !m.Rereads())
	return nil
}

// splitNames splits a header that is one text: at the file's delimiter, which is a comma where it is not said.
func splitNames(header, delimiter string) []string {
	if delimiter == "" || !strings.Contains(header, delimiter) {
		delimiter = ","
	}
	return strings.Split(header, delimiter)
}

// anyColumn is the key of dtype and na_values for the columns that are not named.
const anyColumn = "*"

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
	if json.Unmarshal(in.DType, &each) != nil {
		return openflow.Errorf(openflow.CodeInvalid, "meta has a wrong dtype: it must be a type, or an object of columns and their types")
	}
	m.DTypes = make(map[string]DType, len(each))
	for column, name := range each {
		if m.DTypes[column], err = parseDType("dtype of column "+column, name); err != nil {
			return err
		}
	}
	m.DType = m.DTypes[anyColumn]
	delete(m.DTypes, anyColumn)
	return nil
}

// parseMissing reads na_values: a text, a list, or an object of columns with either.
func (m *Meta) parseMissing(in metaJSON) error {
	if len(in.NAValues) == 0 {
		return nil
	}
	var all textOrList
	if json.Unmarshal(in.NAValues, &all) == nil {
		m.NAValues = all.values
		return nil
	}
	var each map[string]textOrList
	if json.Unmarshal(in.NAValues, &each) != nil {
		return openflow.Errorf(openflow.CodeInvalid, "meta has wrong na_values: they must be a text, a list of texts, or an object of columns with either").
			WithHint(`write "na_values": ["", "NA"], or {"x0": [""]}`)
	}
	m.NAColumns = map[string][]string{}
	for column, values := range each {
		m.NAColumns[column] = values.values
	}
	m.NAValues = m.NAColumns[anyColumn]
	delete(m.NAColumns, anyColumn)
	return nil
}

// parseDType reads the name of a type. Python's names are understood; upstream would silently take them for text.
func parseDType(what, name string) (DType, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "":
		return "", nil
	case "int":
		return Int64, nil
	case "float":
		return Float64, nil
	case "str", "string", "text", "object", string(Index):
		return Object, nil
	}
	if d := DType(name); d.Valid() {
		return d, nil
	}
	return "", openflow.Errorf(openflow.CodeInvalid, "meta has %s %q, which is not known", what, name).
		WithHint("types are %s", strings.Join(typeNames, ", "))
}

// typeNames are the types that people may name.
var typeNames = []string{"int32", "int64", "float32", "float64", "bool", "str"}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

// names lists every column that m names, with the key that does.
func (m Meta) names() []string {
	return slices.DeleteFunc(append([]string{m.SampleID, m.MatchID, m.Label, m.Weight}, m.MatchIDList...), func(s string) bool { return s == "" })
}
