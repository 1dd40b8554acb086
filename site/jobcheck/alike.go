package jobcheck

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// alike checks that parameters which all parties of a task must have in common are so, where several of them are looked
// at. Where a model comes in, it may bring parameters of its own: then nothing is said.
func (s Site) alike(d *openflow.DAG, views map[openflow.TaskName][]*view) {
	for _, t := range d.Tasks {
		here := views[t.Name]
		if len(here) < 2 {
			continue
		}
		c, _ := s.Find(here[0].specs[t.Name])
		for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
			if p := c.Parameters[name]; p.Alike {
				compare(t.Name, name, p, here)
			}
		}
	}
}

// compare notes the first of the parties that run a task whose value of a parameter is another one.
func compare(task openflow.TaskName, name string, p Parameter, views []*view) {
	var first *view
	var has string
	for _, v := range views {
		spec := v.specs[task]
		if brings(spec, openflow.InputModel) {
			continue
		}
		value := p.plain(spec.Parameters[name])
		switch {
		case first == nil:
			first, has = v, value
		case value != has:
			v.add(spec, openflow.Mistake{
				Path:    v.origin(spec, name) + ".parameters." + name,
				Message: "it has to be alike at all parties of the task, and differs between " + first.party.String() + " and " + v.party.String(),
				Remedy:  "set it in dag.tasks." + string(task) + ".parameters for all",
			})
			return
		}
	}
}

// plain writes a value so that equal ones are equal texts, whatever the document has left out or in quotes.
func (p Parameter) plain(value any) string {
	if value == nil {
		value = p.Schema.Default
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	text, err := json.Marshal(p.Schema.plain(raw))
	if err != nil {
		return ""
	}
	return string(text)
}

func (s *Schema) plain(raw json.RawMessage) any {
	var value any
	if json.Unmarshal(raw, &value) != nil || value == nil {
		return nil
	}
	word := strings.ToLower(strings.Trim(string(raw), `"`))
	switch s.kind {
	case "integer", "number":
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			if s.kind == "integer" {
				return int64(n)
			}
			return n
		}
	case "boolean":
		return slices.Contains([]string{"true", "1", "yes", "on"}, word)
	case "string":
		return word
	case "object":
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return value
		}
		return s.members(members)
	}
	return value
}

func (s *Schema) members(given map[string]json.RawMessage) map[string]any {
	out := map[string]any{}
	for name, raw := range given {
		out[name] = cmp.Or(s.properties[name], &Schema{}).plain(raw)
	}
	for name, member := range s.properties {
		if out[name] == nil && member.Default != nil {
			out[name] = member.Default
		}
	}
	return out
}
