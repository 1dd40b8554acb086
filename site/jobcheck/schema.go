package jobcheck

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"openflow"
)

// Schema says what a parameter may be, as JSON Schema has it. The zero value allows anything.
//
// Values are read before they are judged, as components read them: "20" and 20.7 are both 20 for a whole number, 1 is "1"
// for text. A component of others need not read them so, and gets values as they are: for it they are judged as they are, exactly.
// What the schema says of types, defaults and names serves that; the library judges the rest.
//
// Spec: fate-components §1.1 (type_meta).
type Schema struct {
	Default any

	kind       string // empty: anything
	enum       []string
	items      *Schema
	properties map[string]*Schema
	others     bool // it says what members without a schema are; otherwise nobody reads them
	rules      []rule
	exact      bool               // values are judged as they are
	judge      *jsonschema.Schema // of a whole parameter
	size       int                // of the whole schema, in values
}

// rule is what an object must be besides, when members of it have certain texts.
type rule struct {
	when map[string]string
	then *Schema
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Schema) UnmarshalJSON(data []byte) error {
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	doc = withoutReferences(doc)
	err := bounded(doc)
	var judge *jsonschema.Schema
	if err == nil {
		judge, err = compile(doc)
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "type_meta is no JSON Schema: %s", openflow.Heard(err.Error()))
	}
	*s = *reading(doc)
	s.judge, s.size = judge, size(doc)
	return nil
}

// withoutReferences is a schema in which whatever names another schema may be anything. So checking a value takes no longer
// than the sizes of schema and value allow; references could let it double with every level.
func withoutReferences(doc any) any {
	switch v := doc.(type) {
	case map[string]any:
		for _, name := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
			if _, refers := v[name].(string); refers {
				return map[string]any{}
			}
		}
		for name, member := range v {
			v[name] = withoutReferences(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withoutReferences(item)
		}
	}
	return doc
}

// compile takes a schema that names no draft for one of draft 7, as pydantic writes it. Nothing is loaded.
func compile(doc any) (*jsonschema.Schema, error) {
	const name = "openflow:type_meta" // whole, or it would be a file of the folder that the node was started in
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(jsonschema.SchemeURLLoader{}) // knows no scheme
	c.UseRegexpEngine(pattern)
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// reading is what of a schema is needed to read values.
func reading(doc any) *Schema {
	said, _ := doc.(map[string]any)
	s := &Schema{Default: said["default"]}
	s.kind, _ = said["type"].(string)
	for _, choice := range list(said["enum"]) {
		if text, ok := choice.(string); ok {
			s.enum = append(s.enum, text)
		}
	}
	if items, ok := said["items"].(map[string]any); ok {
		s.items = reading(items)
	}
	if members, ok := said["properties"].(map[string]any); ok {
		s.properties = map[string]*Schema{}
		for name, member := range members {
			s.properties[name] = reading(member)
		}
	}
	_, s.others = said["additionalProperties"]
	for _, one := range list(said["allOf"]) {
		both, _ := one.(map[string]any)
		when := texts(both["if"])
		if len(when) > 0 {
			s.rules = append(s.rules, rule{when, reading(both["then"])})
		}
	}
	return s
}

func list(v any) []any { l, _ := v.([]any); return l }

// texts are the members that a condition wants to have certain texts.
func texts(condition any) map[string]string {
	said, _ := condition.(map[string]any)
	members, _ := said["properties"].(map[string]any)
	when := map[string]string{}
	for name, member := range members {
		m, _ := member.(map[string]any)
		if text, ok := m["const"].(string); ok {
			when[name] = text
		}
	}
	return when
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
func (s Schema) check(value any) *values {
	c := &values{names: map[string][]string{}, exact: s.exact}
	text, err := json.Marshal(value)
	if err != nil {
		c.faults = []fault{{want: "want a value that JSON can hold"}}
		return c
	}
	if len(text) > maxValue {
		c.faults = []fault{{want: tooLarge}}
		return c
	}
	var given any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&given); err != nil || s.judge == nil {
		return c
	}
	if size(given) > maxWork/s.size {
		c.faults = []fault{{want: tooLarge}}
		return c
	}
	c.given = given
	err = s.judge.Validate(c.value("", given, &s))
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		c.judge(invalid)
	}
	slices.SortFunc(c.faults, func(a, b fault) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.want, b.want)) })
	c.faults = slices.Compact(c.faults)
	return c
}

// values is what is found about a value.
type values struct {
	faults  []fault
	ignored []skipped
	read    []string // such as ".lr: 2.5 is read as 2"

	given any
	exact bool
	names map[string][]string // of members with a schema, by the path of their object
}

// skipped is a member of an object that nobody reads, and those that are read there.
type skipped struct {
	path  string
	known []string
}

// value reads v as a component would. What cannot be read stays as it is, and the schema refuses it.
func (c *values) value(path string, v any, s *Schema) any {
	switch {
	case c.exact:
		if _, is := v.(json.Number); is && s.kind == "string" {
			return 0.0 // whatever its value, it is no text
		}
	case s.kind == "integer":
		return c.whole(path, v)
	case s.kind == "number":
		if n, ok := number(v); ok {
			return n
		}
	case s.kind == "boolean":
		return truth(v)
	case s.kind == "string":
		return s.text(v)
	}
	switch v := v.(type) {
	case json.Number: // bounded, as the judge computes with all digits that an exponent stands for
		if n, ok := number(v); ok {
			return n
		}
		return v.String()
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = c.value(fmt.Sprintf("%s[%d]", path, i), item, cmp.Or(s.items, &Schema{}))
		}
		return items
	case map[string]any:
		return c.object(path, v, s)
	}
	return v
}

func number(v any) (float64, bool) {
	text, ok := v.(string)
	if n, is := v.(json.Number); is {
		text, ok = n.String(), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, ok && err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

func (c *values) whole(path string, v any) any {
	f, ok := number(v)
	if !ok || !(f > -1<<63 && f < 1<<63) {
		if n, is := v.(json.Number); is {
			return n.String() // too large: no number that a component could read
		}
		return v
	}
	text := fmt.Sprint(v)
	whole, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		if whole = int64(f); float64(whole) != f {
			c.read = append(c.read, fmt.Sprintf("%s: %s is read as %d", path, clip(text), whole))
		}
	}
	return whole
}

func truth(v any) any {
	switch strings.ToLower(fmt.Sprint(v)) {
	case "true", "1", "yes", "on":
		return true
	case "false", "0", "no", "off":
		return false
	}
	return plainNumber(v)
}

func plainNumber(v any) any {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return v
}

// text compares choices in whatever case.
func (s *Schema) text(v any) any {
	text, ok := plainNumber(v).(string)
	if !ok {
		return v
	}
	if i := slices.IndexFunc(s.enum, func(choice string) bool { return strings.EqualFold(choice, text) }); i >= 0 {
		return s.enum[i]
	}
	return text
}

// object reads the members of an object, also as the rules that hold want them. A member that is null is not there.
func (c *values) object(path string, given map[string]any, s *Schema) map[string]any {
	known := slices.Sorted(maps.Keys(s.properties))
	c.names[path] = append(c.names[path], known...)
	read := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		member, has := s.properties[name]
		switch {
		case given[name] == nil:
		case has:
			read[name] = c.value(path+"."+name, given[name], member)
		default:
			if !s.others && len(known) > 0 {
				c.ignored = append(c.ignored, skipped{path + "." + name, known})
			}
			read[name] = c.value(path+"."+name, given[name], &Schema{others: true})
		}
	}
	if len(s.rules) == 0 {
		return read
	}
	for name, member := range s.properties { // rules look at what holds where the object says nothing
		if text, ok := member.Default.(string); ok && read[name] == nil {
			read[name] = text
		}
	}
	for _, r := range s.rules {
		if !r.holds(read) {
			continue
		}
		for name, member := range r.then.properties {
			if given[name] != nil {
				read[name] = c.value(path+"."+name, given[name], member)
			}
		}
	}
	return read
}

func (r rule) holds(members map[string]any) bool {
	for name, want := range r.when {
		if has, _ := members[name].(string); !strings.EqualFold(has, want) {
			return false
		}
	}
	return true
}

var english = message.NewPrinter(language.English)

func (c *values) judge(e *jsonschema.ValidationError) {
	if len(c.faults) >= openflow.MaxMistakes { // no answer lists more
		return
	}
	path, found := c.at(e.InstanceLocation)
	for _, f := range c.wants(path, e) {
		f.found = cmp.Or(f.found, found)
		if f.want == missing {
			f.found = ""
		}
		c.faults = append(c.faults, f)
	}
}

// at is a place in the value as it was given, and what is there.
func (c *values) at(location []string) (path, found string) {
	here := c.given
	for _, step := range location {
		switch inside := here.(type) {
		case []any:
			path += "[" + step + "]"
			if i, err := strconv.Atoi(step); err == nil && i < len(inside) {
				here = inside[i]
			}
		case map[string]any:
			path += "." + step
			here = inside[step]
		}
	}
	text, err := json.Marshal(here)
	if err != nil || here == nil {
		return path, ""
	}
	return path, clip(string(text))
}

func clip(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
