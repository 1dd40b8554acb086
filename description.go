package openflow

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// anyOrder are lists of a description whose order says nothing. FATE writes its stages as they come out of a set.
//
// Spec: fate-components §1.1.
var anyOrder = []string{"stages", "roles", "roleList", "labels"}

// values are members below which all is as its author means it.
var values = map[string]bool{"parameters": true, "inputParam": true}

// DescribedAs reports whether two descriptions of a component say the same. Members may be in any order.
func (c ComponentRecord) DescribedAs(o ComponentRecord) bool {
	if bytes.Equal(c.Description, o.Description) {
		return true
	}
	read := func(text json.RawMessage) (value any, ok bool) {
		in := json.NewDecoder(bytes.NewReader(text))
		in.UseNumber()
		ok = in.Decode(&value) == nil
		sortLists("", value)
		return value, ok
	}
	first, ok := read(c.Description)
	second, also := read(o.Description)
	return ok && also && reflect.DeepEqual(first, second)
}

// sortLists sorts the lists of texts below a member whose order says nothing.
func sortLists(member string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, one := range value {
			if !values[name] {
				sortLists(name, one)
			}
		}
	case []any:
		for _, one := range value {
			sortLists("", one)
		}
		if slices.Contains(anyOrder, member) {
			slices.SortFunc(value, func(x, y any) int { return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
		}
	}
}
