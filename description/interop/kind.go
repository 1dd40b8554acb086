package interop

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"openflow"
	"openflow/description"
)

// kind is a type of parameters: what the standard calls it, and what JSON Schema does. An empty one may be anything.
type kind struct {
	name, json string
	raw        bool // it is not known: values are passed on as they are
}

// kinds are the types that are known, by the words that descriptors have for them.
var kinds = map[string]kind{
	"string": {name: "string", json: "string"}, "str": {name: "string", json: "string"}, "text": {name: "string", json: "string"},
	"int": {name: "int", json: "integer"}, "integer": {name: "integer", json: "integer"}, "long": {name: "int", json: "integer"},
	"float": {name: "float", json: "number"}, "double": {name: "float", json: "number"}, "number": {name: "number", json: "number"},
	"boolean": {name: "boolean", json: "boolean"}, "bool": {name: "boolean", json: "boolean"},
	"object": {name: "object"},
}

// typeOf reads the type of a parameter. The standard's list is open: of one that is not known, any value is passed on.
func typeOf(o *description.Object, name string) kind {
	text := strings.ToLower(strings.TrimSpace(o.Text("type")))
	k, known := kinds[text]
	if !known {
		o.Warn("parameter %q has a type that is not known here, %q; any value is passed on", openflow.Cut(name, 80), openflow.Cut(text, 80))
		return kind{name: text, raw: true}
	}
	return k
}

// schema is the type as JSON Schema.
func (k kind) schema() map[string]any {
	if k.json == "" {
		return map[string]any{}
	}
	return map[string]any{"type": k.json}
}

// convert reads a value as one of the type, whatever it was written as. Not ok: it is none, or there is none.
//
// Spec: interop-component §2.2 (defaultValue), §4.
func (k kind) convert(v any) (any, bool) {
	if v == nil || v == "" && k.json != "string" {
		return nil, false
	}
	if k.raw {
		return v, true
	}
	switch k.json {
	case "string":
		return text(v)
	case "integer":
		n, whole, ok := number(v)
		return n, ok && whole
	case "number":
		n, _, ok := number(v)
		return n, ok
	case "boolean":
		truth, ok := description.Truth(v)
		return truth, ok
	}
	return anything(v)
}

func text(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return nil, false
}

// maxDigits is how many characters a number has that is written without an exponent, and that one in quotes may have.
const maxDigits = 40

// number reads a number as JSON has it, and tells whether it is a whole one. It keeps every digit of a whole number, and writes it
// without an exponent: programs read one with an exponent as a fraction.
//
// Spec: interop-component §4.
func number(v any) (n json.Number, whole, ok bool) {
	var said string
	switch v := v.(type) {
	case json.Number:
		said = v.String()
	case string:
		said = strings.TrimSpace(v)
	}
	f, err := strconv.ParseFloat(said, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || len(said) > maxDigits || strings.ContainsAny(said, "xXpP_") {
		return "", false, false
	}
	size := math.Abs(f)
	if size == 0 {
		return "0", true, true
	}
	if size >= 1 { // otherwise it may have an exponent that takes long to calculate
		exact, ok := new(big.Rat).SetString(said)
		if ok && exact.IsInt() && len(exact.Num().String()) <= maxDigits {
			return json.Number(exact.Num().String()), true, true
		}
	}
	if size >= 1e-6 && size < 1e21 {
		return json.Number(strconv.FormatFloat(f, 'f', -1, 64)), false, true
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), f == math.Trunc(f), true
}

// anything is a value of a type that says nothing. A text has to hold JSON, also with Python's quotes and words. Otherwise there is
// no value, because the text would be passed on as if somebody had meant it.
func anything(v any) (any, bool) {
	written, isText := v.(string)
	if !isText {
		return v, true
	}
	value, ok := description.Value(written)
	if !ok && !strings.ContainsRune(written, '"') {
		value, ok = description.Value(fromPython(written))
	}
	return value, ok && value != nil
}

// python matches what Python writes otherwise than JSON: texts, and three words.
var python = regexp.MustCompile(`'[^']*'|\b(?:True|False|None)\b`)

// fromPython is a text of Python's as JSON.
func fromPython(s string) string {
	words := map[string]string{"True": "true", "False": "false", "None": "null"}
	return python.ReplaceAllStringFunc(s, func(m string) string {
		if word, is := words[m]; is {
			return word
		}
		return `"` + strings.Trim(m, "'") + `"`
	})
}

// Validators: a pattern, or the two ends of an interval, of which either may be left out.
var (
	pattern  = regexp.MustCompile(`^regular\s*:\s*'(.*)'$`)
	interval = regexp.MustCompile(`^([(\[])\s*([^,\s]*)\s*,\s*([^,\s]*)\s*([)\]])$`)
)

// How large a pattern may be that is looked at: in bytes, and in steps and ranges of the program that it becomes.
const (
	maxPattern = 1 << 10
	maxSteps   = 1_000
)

// simple reports whether a pattern can be matched here at little cost. The standard does not say whose patterns it means.
func simple(expression string) bool {
	if len(expression) > maxPattern {
		return false
	}
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return false
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return false
	}
	steps := len(program.Inst)
	for _, one := range program.Inst {
		steps += len(one.Rune) / 8
	}
	return steps <= maxSteps
}

// validate adds a validator to a schema. It reports whether it has understood it.
//
// Spec: interop-component §2.2 (validator).
func (k kind) validate(text string, schema map[string]any) bool {
	text = strings.TrimSpace(text)
	if m := pattern.FindStringSubmatch(text); m != nil {
		whole := "^(?:" + m[1] + ")$"
		if k.json != "string" || !simple(whole) {
			return false
		}
		schema["pattern"] = whole
		return true
	}
	m := interval.FindStringSubmatch(text)
	if m == nil || k.json != "integer" && k.json != "number" {
		return false
	}
	low, isLow := end(m[2])
	high, isHigh := end(m[3])
	if !isLow || !isHigh || low == nil && high == nil {
		return false
	}
	if low != nil {
		schema[map[string]string{"(": "exclusiveMinimum", "[": "minimum"}[m[1]]] = low
	}
	if high != nil {
		schema[map[string]string{")": "exclusiveMaximum", "]": "maximum"}[m[4]]] = high
	}
	return true
}

// end reads an end of an interval; nil: it is open.
func end(s string) (any, bool) {
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "", "inf", "infinity", "∞":
		return nil, true
	}
	n, _, ok := number(json.Number(s))
	return n, ok
}
