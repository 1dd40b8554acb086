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
	ExclusiveMaximum *float64          `json:"exclusiveMaximum"`
	Items            *Schema           `json:"items"`
	MinItems         int               `json:"minItems"`
	MaxItems         *int              `json:"maxItems"`
	Properties       map[string]Schema `json:"properties"`
	Required         []string          `json:"required"`
	Others           *bool             `json:"additionalProperties"` // members without a schema: true: read, false: refused, nil: ignored
	Default          any               `json:"default"`
	Rules            []Rule            `json:"allOf"`
}

// Rule is what an object must be besides, when members of it have certain texts.
type Rule struct {
	If struct {
		Properties map[string]struct {
			Const string `json:"const"`
		} `json:"properties"`
	} `json:"if"`
	Then Schema `json:"then"`
}

// fault is one thing that a value is not.
type fault struct {
	path  string // below the parameter: ".method", "[2]"
	want  string
	found string
}

// missing is what is wanted of a member that an object must have.
const missing = "required"

// check finds what is wrong with a value, which members of objects nobody reads, and what is read as something else.
// Values are coerced as components do: "20" and 20.7 are both 20 for a whole number, 1 is "1" for text.
func (s Schema) check(value any) *values {
	c := &values{}
	text, err := json.Marshal(value)
	if err != nil {
		c.faults = []fault{{want: "want a value that JSON can hold"}}
		return c
	}
	c.check("", text, s)
	return c
}

type values struct {
	faults  []fault
	ignored []skipped
	read    []string // such as ".lr: 2.5 is read as 2"
}

// skipped is a member of an object that nobody reads, and those that are read there.
type skipped struct {
	path  string
	known []string
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
		if len(items) < s.MinItems || s.MaxItems != nil && len(items) > *s.MaxItems {
			c.fail(path, raw, "want a list of another length")
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
		case known || isNull(members[name]):
		case s.Others == nil && len(s.Properties) > 0:
			c.ignored = append(c.ignored, skipped{path + "." + name, slices.Sorted(maps.Keys(s.Properties))})
		case s.Others != nil && !*s.Others:
			c.fail(path+"."+name, members[name], "not known here%s; want one of %s", near(name, maps.Keys(s.Properties)), listed(s.Properties))
		}
	}
	for _, rule := range s.Rules {
		if s.applies(rule, members) {
			c.object(path, raw, Schema{Type: "object", Properties: rule.Then.Properties, Required: rule.Then.Required, Others: new(true)})
		}
	}
}

// applies reports whether members, with the defaults of those that are missing, are as the rule wants them.
func (s Schema) applies(r Rule, members map[string]json.RawMessage) bool {
	for name, want := range r.If.Properties {
		has, _ := s.Properties[name].Default.(string)
		if raw := members[name]; raw != nil && !isNull(raw) {
			has = ""
			_ = json.Unmarshal(raw, &has) // what is no text is a fault of its own
		}
		if !strings.EqualFold(has, want.Const) {
			return false
		}
	}
	return true
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
		c.fail(path, raw, "want one of %s%s", strings.Join(s.Enum, ", "), near(text, slices.Values(s.Enum)))
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
			if float64(whole) != number {
				c.read = append(c.read, fmt.Sprintf("%s: %s is read as %d", path, clip(text), whole))
			}
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
	case s.ExclusiveMaximum != nil && !(number < *s.ExclusiveMaximum):
		c.fail(path, raw, "want less than %v", *s.ExclusiveMaximum)
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
