package forms

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"

	"openflow"
)

// Whole is a whole number, or its text.
//
// Spec: fate-flow-api §0.2.
type Whole int

// UnmarshalJSON implements json.Unmarshaler.
func (w *Whole) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(unquoted(b))
	if err != nil {
		return unread[Whole](b)
	}
	*w = Whole(n)
	return nil
}

// Wants says what is read, for a message about what is not.
func (Whole) Wants() string { return "a whole number" }

// Wants says what is read, for a message about what is not.
func (Percent) Wants() string { return "a number" }

// unread is that something else stands in the place of a T. The decoder adds the name of the field.
func unread[T any](found []byte) error {
	return &json.UnmarshalTypeError{Value: openflow.Cut(string(found), 40), Type: reflect.TypeFor[T]()}
}

// Percent is a share of a hundred, or its text. It is news for people: what is less than none or more than all is cut, so that
// no call is refused for it.
//
// Spec: fate-flow-api §0.2.
type Percent float64

// UnmarshalJSON implements json.Unmarshaler.
func (p *Percent) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(unquoted(b), 64)
	if err != nil || f != f { //nolint:staticcheck // not a number
		return unread[Percent](b)
	}
	*p = Percent(min(max(f, 0), 100))
	return nil
}

func unquoted(b []byte) string {
	var text string
	if bytes.HasPrefix(b, []byte(`"`)) && json.Unmarshal(b, &text) == nil {
		return text
	}
	return string(b)
}
