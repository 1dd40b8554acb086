package tables

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// DType names what one column holds, in FATE's words.
//
// Spec: fate-components §1.6.
type DType string

// The types of columns. Index is for ids only; Object is text.
const (
	Int32   DType = "int32"
	Int64   DType = "int64"
	Float32 DType = "float32"
	Float64 DType = "float64"
	Bool    DType = "bool"
	Index   DType = "index"
	Object  DType = "np_object"
)

// Kind says which slice of a Vector holds the values of a type.
type Kind int

// The kinds: text, whole numbers (bool is 0 or 1), numbers with NaN for "missing".
const (
	Text Kind = iota
	Integer
	Float
)

// Kind tells how values of d are kept; Text for an unknown type.
func (d DType) Kind() Kind {
	switch d {
	case Int32, Int64, Bool:
		return Integer
	case Float32, Float64:
		return Float
	case Index, Object:
		return Text
	}
	return Text
}

// bits is the width of the floats of d.
func (d DType) bits() int {
	if d == Float32 {
		return 32
	}
	return 64
}

// Word names d for people. FATE's own words for text stay in documents between programs.
func (d DType) Word() string {
	if d.Kind() == Text {
		return "text"
	}
	return string(d)
}

// Valid reports whether d is one of the seven types.
func (d DType) Valid() bool {
	return slices.Contains([]DType{Int32, Int64, Float32, Float64, Bool, Index, Object}, d)
}

// Column describes one column besides the ids.
type Column struct {
	Name      string
	DType     DType
	Anonymous string // the name that other parties may see, such as "guest_9999_x0"; empty where there is none
}

// Schema describes a table. Its columns are always in this order: sample id, match id, label, weight, features.
//
// Spec: fate-components §1.6.
type Schema struct {
	SampleID string  // name of the column that identifies a row; unique in the table
	MatchID  string  // name of the column that parties match on; may repeat
	Label    *Column // nil: the table has none
	Weight   *Column // nil: the table has none
	Features []Column
	Site     string // "<role>_<party>" of the first federated reader; empty before
	Numbered int    // how many anonymous feature names have been given out; grows, never shrinks
}

const anonymousSite = "AnonymousRole_AnonymousPartyId"

// SiteName is the site of a party in anonymous names: "guest_9999".
func SiteName(p openflow.Party) string { return string(p.Role) + "_" + string(p.ID) }

// Names lists all columns in order: what a CSV header says.
func (s Schema) Names() []string {
	names := []string{s.SampleID, s.MatchID}
	for _, c := range s.Columns() {
		names = append(names, c.Name)
	}
	return names
}

// Columns lists label, weight and features in order: every column besides the ids.
func (s Schema) Columns() []Column {
	columns := make([]Column, 0, 2+len(s.Features))
	if s.Label != nil {
		columns = append(columns, *s.Label)
	}
	if s.Weight != nil {
		columns = append(columns, *s.Weight)
	}
	return append(columns, s.Features...)
}

// Feature finds a feature by name.
func (s Schema) Feature(name string) (int, bool) {
	i := slices.IndexFunc(s.Features, func(c Column) bool { return c.Name == name })
	return i, i >= 0
}

// Clone copies s, so that the copy's columns can be changed.
func (s Schema) Clone() Schema {
	c := s
	if s.Label != nil {
		l := *s.Label
		c.Label = &l
	}
	if s.Weight != nil {
		w := *s.Weight
		c.Weight = &w
	}
	c.Features = slices.Clone(s.Features)
	return c
}

// Anonymize gives every column that has no anonymous name one: features the next numbers of Numbered, label and weight
// their fixed names. Columns keep the names they have.
func (s Schema) Anonymize() Schema {
	c := s.Clone()
	site := c.Site
	if site == "" {
		site = anonymousSite
	}
	if c.Label != nil && c.Label.Anonymous == "" {
		c.Label.Anonymous = site + "_y"
	}
	if c.Weight != nil && c.Weight.Anonymous == "" {
		c.Weight.Anonymous = site + "_weight"
	}
	for i := range c.Features {
		if c.Features[i].Anonymous == "" {
			c.Features[i].Anonymous = site + "_x" + strconv.Itoa(c.Numbered)
			c.Numbered++
		}
	}
	return c
}

// AtSite is the schema as the federated task of site sees it. A table that nobody has read yet takes the site into its
// anonymous names. One that belongs to another site is refused with CodeConflict.
//
// Spec: fate-components §1.6 (anonymous names).
func (s Schema) AtSite(site string) (Schema, error) {
	if s.Site == site {
		return s, nil
	}
	if s.Site != "" {
		return Schema{}, openflow.Errorf(openflow.CodeConflict, "table belongs to site %s and cannot be read as %s", s.Site, site)
	}
	c := s.Anonymize()
	c.Site = site
	rename := func(col *Column) {
		if rest, ok := strings.CutPrefix(col.Anonymous, anonymousSite); ok {
			col.Anonymous = site + rest
		}
	}
	if c.Label != nil {
		rename(c.Label)
	}
	if c.Weight != nil {
		rename(c.Weight)
	}
	for i := range c.Features {
		rename(&c.Features[i])
	}
	return c, nil
}

// Validate refuses a schema without ids, with a repeated or empty column name, or with an unknown type.
func (s Schema) Validate() error {
	seen := make(map[string]bool, 4+len(s.Features))
	for _, name := range s.Names() {
		if name == "" {
			return openflow.Errorf(openflow.CodeInvalid, "a column of the table has no name")
		}
		if seen[name] {
			return openflow.Errorf(openflow.CodeInvalid, "column %q appears twice in the table", name)
		}
		seen[name] = true
	}
	for _, c := range s.Columns() {
		if !c.DType.Valid() || c.DType == Index {
			return openflow.Errorf(openflow.CodeInvalid, "column %q has type %q", c.Name, c.DType).
				WithHint("types are %s", strings.Join(typeNames, ", "))
		}
	}
	if s.Weight != nil && s.Weight.DType.Kind() == Text {
		return openflow.Errorf(openflow.CodeInvalid, "weight column %q is %s; it must be a number", s.Weight.Name, s.Weight.DType.Word())
	}
	return nil
}

// String names the shape for people: "id, label y, 10 features".
func (s Schema) String() string {
	b := s.MatchID
	if s.Label != nil {
		b += ", label " + s.Label.Name
	}
	if s.Weight != nil {
		b += ", weight " + s.Weight.Name
	}
	return fmt.Sprintf("%s, %d features", b, len(s.Features))
}
