package jobcheck

import (
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"openflow"
)

// wants says in our words what the judge's error wants at a place.
func (c *values) wants(path string, e *jsonschema.ValidationError) []fault {
	one := func(want string) []fault { return []fault{{path: path, want: want}} }
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return one("want " + kinds(k.Want))
	case *kind.Enum:
		return one(choices(k))
	case *kind.Minimum:
		return one("want at least " + short(k.Want))
	case *kind.Maximum:
		return one("want at most " + short(k.Want))
	case *kind.ExclusiveMinimum:
		return one("want more than " + short(k.Want))
	case *kind.ExclusiveMaximum:
		return one("want less than " + short(k.Want))
	case *kind.MinItems, *kind.MaxItems:
		return one("want a list of another length")
	case *kind.Required:
		var all []fault
		for _, name := range k.Missing {
			all = append(all, fault{path: path + "." + name, want: missing})
		}
		return all
	case *kind.AdditionalProperties:
		return c.strange(path, e.InstanceLocation, k.Properties)
	case *kind.AnyOf, *kind.OneOf, *kind.Not: // their causes are what each of the forms would want
		return one("want one of the forms that the component describes")
	}
	if len(e.Causes) == 0 {
		return one("want another value: " + e.ErrorKind.LocalizedString(english))
	}
	for _, cause := range e.Causes {
		c.judge(cause)
	}
	return nil
}

// strange refuses members that an object may not have.
func (c *values) strange(path string, location, members []string) []fault {
	known := slices.Compact(slices.Sorted(slices.Values(c.names[path])))
	var all []fault
	for _, name := range members[:min(len(members), openflow.MaxMistakes)] {
		_, found := c.at(append(slices.Clone(location), name))
		all = append(all, fault{path + "." + name, "not known here" + near(name, slices.Values(known)) + "; want one of " + strings.Join(known, ", "), found})
	}
	return all
}

func kinds(names []string) string {
	words := map[string]string{
		"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text", "array": "a list", "object": "an object",
	}
	said := map[string]bool{}
	for _, name := range names {
		if word := words[name]; word != "" {
			said[word] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(said)), " or ")
}

func choices(k *kind.Enum) string {
	var known []string
	for _, v := range k.Want {
		if text, ok := v.(string); ok {
			known = append(known, text)
		} else {
			return "want another value: " + k.LocalizedString(english)
		}
	}
	got, _ := k.Got.(string)
	return "want one of " + strings.Join(known, ", ") + near(got, slices.Values(known))
}

// short is a bound as people write it.
func short(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}
