package jobcheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Schema says what a parameter may be, as JSON Schema has it. Without a type it may be anything.
//
// Spec: fate-components §1.1 (type_meta).
type Schema struct {
	Type             string            `json:"type"`
	Enum             []string          `json:"enum"`
	Minimum          *float64          `json:"minimum"`
	Maximum          *float64          `json:"maximum"`
	ExclusiveMinimum *float64          `json:"exclusiveMinimum"`
	Items            *Schema           `json:"items"`
	Properties       map[string]Schema `json:"properties"`
	Required         []string          `json:"required"`
	Open             bool              `json:"additionalProperties"` // an object may have other members
}

// fault is one thing that a value is not.
type fault struct {
	path  string // below the parameter: ".method", "[2]"
	want  string
	found string
}

// missing is what is wanted of a member that an object must have.
const missing = "required"

// check finds what is wrong with a value, and which members of objects nobody reads. Values are coerced as components do:
// "20" and 20.7 are both 20 for a whole number, 1 is "1" for text.
func (s Schema) check(value any) (faults []fault, ignored []string) {
	text, err := json.Marshal(value)
	if err != nil {
		return []fault{{want: "want a value that JSON can hold"}}, nil
	}
	c := &values{}
	c.check("", text, s)
	return c.faults, c.ignored
}

type values struct {
	faults  []fault
	ignored []string
}

func (c *values) fail(path string, raw json.RawMessage, format string, args ...any) {
	c.faults = append(c.faults, fault{path, fmt.Sprintf(format, args...), clip(string(raw))})
}

func (c *values) check(path string, raw json.RawMessage, s Schema) {
	switch s.Type {
	case "integer", "number":
		c.number(path, raw, s)
	case "boolean":
		word := strings.ToLower(strings.Trim(string(raw), `"`))
		if !slices.Contains([]string{"true", "1", "yes", "on", "false", "0", "no", "off"}, word) {
			c.fail(path, raw, "want true or false")
		}
	case "string":
		c.text(path, raw, s)
	case "array":
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			c.fail(path, raw, "want a list")
			return
		}
		for i, item := range items {
			if s.Items != nil {
				c.check(fmt.Sprintf("%s[%d]", path, i), item, *s.Items)
			}
		}
	case "object":
		c.object(path, raw, s)
	}
}

func (c *values) object(path string, raw json.RawMessage, s Schema) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		c.fail(path, raw, "want an object")
		return
	}
	for _, name := range s.Required {
		if m, given := members[name]; !given || isNull(m) {
			c.fail(path+"."+name, nil, missing)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		member, known := s.Properties[name]
		switch {
		case known && !isNull(members[name]):
			c.check(path+"."+name, members[name], member)
		case !known && len(s.Properties) > 0 && !s.Open:
			c.ignored = append(c.ignored, path+"."+name)
		}
	}
}

func (c *values) text(path string, raw json.RawMessage, s Schema) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		var n json.Number
		if json.Unmarshal(raw, &n) != nil {
			c.fail(path, raw, "want text")
			return
		}
		text = n.String()
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, strings.ToLower(text)) {
		c.fail(path, raw, "want one of %s", strings.Join(s.Enum, ", "))
	}
}

func (c *values) number(path string, raw json.RawMessage, s Schema) {
	text := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		c.fail(path, raw, "want a number")
		return
	}
	if s.Type == "integer" {
		whole, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			if !(number > -1<<63 && number < 1<<63) {
				c.fail(path, raw, "want a whole number")
				return
			}
			whole = int64(number)
		}
		number = float64(whole)
	}
	switch {
	case s.Minimum != nil && !(number >= *s.Minimum):
		c.fail(path, raw, "want at least %v", *s.Minimum)
	case s.Maximum != nil && !(number <= *s.Maximum):
		c.fail(path, raw, "want at most %v", *s.Maximum)
	case s.ExclusiveMinimum != nil && !(number > *s.ExclusiveMinimum):
		c.fail(path, raw, "want more than %v", *s.ExclusiveMinimum)
	}
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func clip(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
