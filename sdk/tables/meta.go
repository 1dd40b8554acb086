package tables

import (
	"encoding/json"

	"openflow"
)

// dataMetaType marks metadata of a dataframe; consumers refuse everything else.
const dataMetaType = "fate.arch.dataframe"

type dataMeta struct {
	Type       string              `json:"type"`
	Schema     schemaMeta          `json:"schema_meta"`
	Partitions map[string]struct{} `json:"partition_order_mappings"`
}

type schemaMeta struct {
	Fields  []fieldMeta `json:"fields"`
	Summary struct {
		Numbered int     `json:"column_len"`
		Site     *string `json:"site_name"`
	} `json:"anonymous_summary"`
}

type fieldMeta struct {
	Property  string `json:"property"`
	Name      string `json:"name"`
	Anonymous string `json:"anonymous_name,omitempty"`
	DType     DType  `json:"dtype"`
	Compress  bool   `json:"should_compress"`
}

// DataMeta renders s as FATE keeps it with a table (data_meta).
//
// Spec: fate-components §1.6.
func (s Schema) DataMeta() (json.RawMessage, error) {
	m := dataMeta{Type: dataMetaType, Partitions: map[string]struct{}{}}
	m.Schema.Summary.Numbered = s.Numbered
	if s.Site != "" {
		m.Schema.Summary.Site = &s.Site
	}
	m.Schema.Fields = append(m.Schema.Fields,
		fieldMeta{Property: "sample_id", Name: s.SampleID, DType: Index},
		fieldMeta{Property: "match_id", Name: s.MatchID, DType: Index})
	add := func(property string, c Column, compress bool) {
		m.Schema.Fields = append(m.Schema.Fields, fieldMeta{property, c.Name, c.Anonymous, c.DType, compress})
	}
	if s.Label != nil {
		add("label", *s.Label, false)
	}
	if s.Weight != nil {
		add("weight", *s.Weight, false)
	}
	for _, c := range s.Features {
		add("column", c, c.DType.Kind() != Text)
	}
	return json.Marshal(m)
}

// ParseDataMeta reads what DataMeta, or FATE, has written. Unknown keys and the order of partitions are ignored, an
// unknown dtype is text, as upstream has it. Errors: CodeInvalid.
func ParseDataMeta(data []byte) (Schema, error) {
	var m struct {
		Type   string     `json:"type"`
		Schema schemaMeta `json:"schema_meta"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Schema{}, openflow.Errorf(openflow.CodeInvalid, "data meta of a table is not readable: %w", err)
	}
	if m.Type != dataMetaType {
		return Schema{}, openflow.Errorf(openflow.CodeInvalid, "data meta of a table has type %q, want %q", m.Type, dataMetaType)
	}
	s := Schema{Numbered: m.Schema.Summary.Numbered}
	if m.Schema.Summary.Site != nil {
		s.Site = *m.Schema.Summary.Site
	}
	for _, f := range m.Schema.Fields {
		if err := s.addField(f); err != nil {
			return Schema{}, err
		}
	}
	if err := s.Validate(); err != nil {
		return Schema{}, err
	}
	return s, nil
}

func (s *Schema) addField(f fieldMeta) error {
	if !f.DType.Valid() {
		f.DType = Object
	}
	c := Column{Name: f.Name, DType: f.DType, Anonymous: f.Anonymous}
	twice := false
	switch f.Property {
	case "sample_id":
		twice, s.SampleID = s.SampleID != "", f.Name
	case "match_id":
		twice, s.MatchID = s.MatchID != "", f.Name
	case "label":
		twice, s.Label = s.Label != nil, &c
	case "weight":
		twice, s.Weight = s.Weight != nil, &c
	case "column":
		s.Features = append(s.Features, c)
	default:
		return openflow.Errorf(openflow.CodeInvalid, "column %q has property %q, which is not known", f.Name, f.Property)
	}
	if twice {
		return openflow.Errorf(openflow.CodeInvalid, "table has two columns of property %s", f.Property)
	}
	return nil
}
