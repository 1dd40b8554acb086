package wire

import (
	"reflect"
	"strings"

	"openflow"
)

// Excess is a text that was cut: where it was, and all of it.
type Excess struct{ Field, Text string }

// Hear leaves of every text in a form what is taken of another party's or a container's: see openflow.Heard. The form is what
// a pointer leads to. Texts that people read have the tag heard:"words" and are cut. Every other one is a name, a code or a
// reference, which would be another one if it were cut: too long, it makes the form CodeInvalid. So no field of a form is
// without a limit, whoever adds it. What is kept as it came, a json.RawMessage, and a Problem have limits of their own.
func Hear(form any) ([]Excess, error) {
	h := hearing{}
	err := h.value(reflect.ValueOf(form), "", false)
	return h.cut, err
}

type hearing struct{ cut []Excess }

var problemType = reflect.TypeFor[Problem]()

func (h *hearing) value(v reflect.Value, field string, words bool) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return h.value(v.Elem(), field, words)
		}
	case reflect.String:
		return h.text(v, field, words)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			if err := h.value(v.Index(i), field, words); err != nil {
				return err
			}
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			for _, part := range []reflect.Value{each.Key(), each.Value()} {
				if err := h.value(part, field, false); err != nil {
					return err
				}
			}
		}
	case reflect.Struct:
		if v.Type() == problemType {
			return nil // see Problem.Heard
		}
		return h.fields(v)
	}
	return nil
}

func (h *hearing) fields(v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if err := h.value(v.Field(i), name, f.Tag.Get("heard") == "words"); err != nil {
			return err
		}
	}
	return nil
}

func (h *hearing) text(v reflect.Value, field string, words bool) error {
	text := v.String()
	switch {
	case !words && len(text) > openflow.MaxHeard:
		return openflow.Errorf(openflow.CodeInvalid, "invalid request: %s has %d bytes, and %d are allowed", field, len(text), openflow.MaxHeard)
	case !words || !v.CanSet():
		return nil
	case len(text) > openflow.MaxHeard:
		h.cut = append(h.cut, Excess{field, text})
	}
	v.SetString(openflow.Heard(text))
	return nil
}
