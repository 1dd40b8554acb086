package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"openflow"
)

// WrongFields is the cause of a request in which fields are of another type: by field, what it must be.
//
// Spec: fate-flow-api §0.2.
type WrongFields map[string]string

// Error lists the fields.
func (w WrongFields) Error() string {
	told := make([]string, 0, len(w))
	for _, field := range slices.Sorted(maps.Keys(w)) {
		told = append(told, field+" is no valid "+w[field])
	}
	return strings.Join(told, ", ")
}

// What a field may have to be, in FATE-Flow's words.
const (
	aString  = "string"
	anInt    = "integer"
	aNumber  = "number"
	aBoolean = "boolean"
	aMapping = "mapping type"
	aList    = "list"
)

// WrongNumber refuses an argument that is no whole number. Errors: CodeInvalid.
func WrongNumber(field, value string) error {
	return &openflow.Error{
		Code: openflow.CodeInvalid, Message: fmt.Sprintf("%s: %q is no whole number", field, openflow.Heard(value)), Err: WrongFields{field: anInt},
	}
}

// refusal says what is wrong with a body that does not fit into a form: each field that does not, or why it is no JSON.
func refusal(body []byte, into any, err error) error {
	wrong := wrongFields(body, reflect.TypeOf(into).Elem())
	var kind *json.UnmarshalTypeError
	if len(wrong) == 0 || errors.As(err, &kind) && kind.Field != "" {
		refused := openflow.Errorf(openflow.CodeInvalid, "invalid request body: %s", openflow.Heard(mistake(err)))
		if len(wrong) > 0 {
			refused.Err = wrong
		}
		return refused
	}
	told := strings.Join(slices.Sorted(maps.Keys(wrong)), ", ") + ": " + mistake(err)
	return &openflow.Error{Code: openflow.CodeInvalid, Message: "invalid request body: " + openflow.Heard(told), Err: wrong}
}

// wrongFields finds the fields of an object that do not fit into those of a struct.
func wrongFields(body []byte, form reflect.Type) WrongFields {
	var given map[string]json.RawMessage
	if form.Kind() != reflect.Struct || json.Unmarshal(body, &given) != nil {
		return nil
	}
	wrong := WrongFields{}
	for _, f := range reflect.VisibleFields(form) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, ok := given[name]
		if !ok || name == "" || name == "-" {
			continue
		}
		if json.Unmarshal(value, reflect.New(f.Type).Interface()) != nil {
			wrong[name] = mustBe(f.Type)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

// mustBe is what a field of that type has to hold.
func mustBe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return mustBe(t.Elem())
	case reflect.Bool:
		return aBoolean
	case reflect.Float32, reflect.Float64:
		return aNumber
	case reflect.Slice, reflect.Array:
		return aList
	case reflect.Map, reflect.Struct:
		return aMapping
	case reflect.String:
		return aString
	}
	return anInt
}
