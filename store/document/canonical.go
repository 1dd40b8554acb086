package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"openflow"
)

// Canonical is the text by which two documents are compared: keys sorted, zero values of our own fields left out, and
// each number written in one way. What users write freely, such as parameters, is kept whole. Errors: CodeInvalid for
// what is no JSON.
func Canonical(v any) ([]byte, error) {
	var value any
	text, err := Marshal(v)
	if err == nil {
		err = Unmarshal(text, &value)
	}
	if err == nil {
		text, err = Marshal(plain(value)) // maps are written in the order of their keys
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the document cannot be written as JSON: %w", err)
	}
	return text, nil
}

// Hash names a document by its canonical text. A release that adds a field, or changes the order of fields, gives what
// does not use the field the same hash as before.
func Hash(v any) (string, error) {
	text, err := Canonical(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Equal compares two documents by value.
func Equal(a, b any) (bool, error) {
	one, err := Canonical(a)
	if err != nil {
		return false, err
	}
	other, err := Canonical(b)
	return bytes.Equal(one, other), err
}

// Marshal writes JSON without escaping HTML: the text is read by people.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Unmarshal reads one JSON value. Numbers in free-form values stay json.Number, so integers beyond 2^53 survive.
func Unmarshal(text []byte, into any) error {
	if !json.Valid(text) { // a decoder would read the first of several values
		return json.Unmarshal(text, new(any))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// plain writes every number of a value in one way.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = plain(member)
		}
	case []any:
		for i, item := range v {
			v[i] = plain(item)
		}
	case json.Number:
		return plainNumber(v)
	}
	return v
}

// exact is the size up to which every whole number is a float64.
const exact = 1 << 53

// plainNumber is the shortest form of a number. Whole numbers without a point keep all their digits.
func plainNumber(n json.Number) json.Number {
	if !strings.ContainsAny(n.String(), ".eE") {
		if n == "-0" {
			return "0"
		}
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n // out of range: only an equal text is equal
	}
	if f == math.Trunc(f) && math.Abs(f) < exact {
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
