package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"openflow"
)

// How many choices of a value are shown, and how many bytes of what is said of it.
const (
	maxChoices = 12
	maxAllowed = 200
)

// limits are what a schema says that people want to know of a value.
type limits struct {
	Type     any               `json:"type"` // a name, or several
	Const    any               `json:"const"`
	Enum     []any             `json:"enum"`
	Least    any               `json:"minimum"`
	Most     any               `json:"maximum"`
	Above    any               `json:"exclusiveMinimum"`
	Below    any               `json:"exclusiveMaximum"`
	Shortest any               `json:"minLength"`
	Longest  any               `json:"maxLength"`
	Fewest   any               `json:"minItems"`
	Many     any               `json:"maxItems"`
	Pattern  string            `json:"pattern"`
	Items    json.RawMessage   `json:"items"`
	AnyOf    []json.RawMessage `json:"anyOf"`
	OneOf    []json.RawMessage `json:"oneOf"`
}

// allowed tells people what a schema lets a value be: its type, its bounds, its choices. It is brief, and -o json has all.
func allowed(schema json.RawMessage) string { return within(schema, 3) }

// within is allowed, so many schemas deep.
func within(schema json.RawMessage, deep int) string {
	var s limits
	d := json.NewDecoder(bytes.NewReader(schema))
	d.UseNumber()
	if deep == 0 || d.Decode(&s) != nil {
		return ""
	}
	for of, excluded := range map[*any]*any{&s.Least: &s.Above, &s.Most: &s.Below} { // as drafts before 6 have it
		if *excluded == true {
			*of, *excluded = nil, *of
		}
	}
	var said []string
	add := func(format string, v any) {
		switch v.(type) {
		case json.Number, string:
			said = append(said, fmt.Sprintf(format, v))
		}
	}
	switch kind := s.kind(deep); {
	case s.Const != nil:
		said = append(said, choices([]any{s.Const}))
	case len(s.Enum) > 0:
		said = append(said, choices(s.Enum))
	case kind != "":
		said = append(said, kind)
	}
	add("at least %v", s.Least)
	add("above %v", s.Above)
	add("at most %v", s.Most)
	add("below %v", s.Below)
	add("%v characters or more", s.Shortest)
	add("%v characters at most", s.Longest)
	add("%v or more of them", s.Fewest)
	add("%v of them at most", s.Many)
	if s.Pattern != "" {
		said = append(said, "matching "+s.Pattern)
	}
	return openflow.Cut(strings.Join(said, ", "), maxAllowed)
}

// kind is the type of a value, and of what is in it.
func (s limits) kind(deep int) string {
	var kinds []string
	switch t := s.Type.(type) {
	case string:
		kinds = []string{t}
	case []any:
		for _, one := range t {
			kinds = append(kinds, fmt.Sprint(one))
		}
	}
	if slices.Equal(kinds, []string{"array"}) {
		if of := within(s.Items, deep-1); of != "" {
			return "array of " + of
		}
	}
	if len(kinds) == 0 {
		for _, one := range append(slices.Clone(s.AnyOf), s.OneOf...) {
			if text := within(one, deep-1); text != "" && len(kinds) < maxChoices {
				kinds = append(kinds, text)
			}
		}
	}
	return strings.Join(kinds, " or ")
}

// choices are values as JSON has them.
func choices(list []any) string {
	var texts []string
	for _, v := range list[:min(len(list), maxChoices)] {
		if text, err := json.Marshal(v); err == nil {
			texts = append(texts, string(text))
		}
	}
	if len(texts) == 1 {
		return texts[0]
	}
	said := "one of " + strings.Join(texts, ", ")
	if more := len(list) - len(texts); more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}
