package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"openflow"
)

// tree is a parsed JSON or YAML document that still knows the order of its keys and, from YAML, its lines. Go maps
// know neither, and the order of party_tasks decides which override wins.
type tree struct {
	value   any    // nil, bool, string, json.Number, []*tree or *object
	line    int    // 1-based; 0 when the source had no lines worth naming
	literal string // a whole number as YAML has it, where that is more than its digits: 007, 0x10
}

type object struct {
	keys   []string
	values map[string]*tree
}

func parseJSON(data []byte) (*tree, error) {
	if err := Bounded(data, maxDAGValues); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	t, err := jsonValue(dec, 0)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "not valid JSON at byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "not valid JSON: text after the document at byte %d", dec.InputOffset())
	}
	return t, nil
}

func jsonValue(dec *json.Decoder, depth int) (*tree, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := &object{values: map[string]*tree{}}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			if err := o.add(k.(string), v); err != nil { // a JSON key is a string, or Token had failed
				return nil, err
			}
		}
		_, err := dec.Token()
		return &tree{value: o}, err
	case json.Delim('['):
		list := []*tree{}
		for dec.More() {
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return &tree{value: list}, err
	}
	return &tree{value: tok}, nil
}

func (o *object) add(key string, v *tree) error {
	if len(key) > maxKey {
		return fmt.Errorf("a key has %d bytes, more than %d", len(key), maxKey)
	}
	if _, ok := o.values[key]; ok {
		return fmt.Errorf("key %q is there twice", key)
	}
	o.keys = append(o.keys, key)
	o.values[key] = v
	return nil
}

func parseYAML(data []byte) (*tree, error) {
	file, err := boundedYAML(data)
	if err != nil {
		return nil, err
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected exactly one YAML document, found %d", len(file.Docs))
	}
	t, err := yamlValue(file.Docs[0].Body, 0)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "not usable YAML: %w", err)
	}
	return t, nil
}

func yamlValue(n ast.Node, depth int) (*tree, error) {
	line := 0
	if tok := n.GetToken(); tok != nil && tok.Position != nil {
		line = tok.Position.Line
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nested deeper than %d levels", line, maxDepth)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return yamlMapping(n.Values, line, depth)
	case *ast.MappingValueNode:
		return yamlMapping([]*ast.MappingValueNode{n}, line, depth)
	case *ast.SequenceNode:
		list := []*tree{}
		for _, item := range n.Values {
			v, err := yamlValue(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return &tree{value: list, line: line}, nil
	case *ast.NullNode:
		return &tree{line: line}, nil
	case *ast.BoolNode:
		return &tree{value: n.Value, line: line}, nil
	case *ast.StringNode:
		if n.Token.Type == token.StringType && exponent.MatchString(n.Value) {
			return &tree{value: json.Number(n.Value), line: line}, nil
		}
		return &tree{value: n.Value, line: line}, nil
	case *ast.LiteralNode:
		return &tree{value: n.Value.Value, line: line}, nil
	case *ast.IntegerNode:
		t := &tree{value: json.Number(fmt.Sprint(n.Value)), line: line}
		if literal := n.GetToken().Value; literal != fmt.Sprint(n.Value) {
			t.literal = literal
		}
		return t, nil
	case *ast.FloatNode:
		return &tree{value: float(n), line: line}, nil
	}
	return nil, fmt.Errorf("line %d: %s is not supported here; write plain values", line, n.Type())
}

// exponent matches an unquoted float without a point, such as 1e-6, which the parser takes for a string.
var exponent = regexp.MustCompile(`^-?(0|[1-9][0-9]*)[eE][-+]?[0-9]{1,2}$`)

// float keeps the number as written, so that version 1.0 does not become 1, unless JSON has no such number.
func float(n *ast.FloatNode) json.Number {
	if literal := []byte(n.Token.Value); json.Valid(literal) {
		return json.Number(literal)
	}
	return json.Number(strconv.FormatFloat(n.Value, 'g', -1, 64))
}

func yamlMapping(values []*ast.MappingValueNode, line, depth int) (*tree, error) {
	o := &object{values: map[string]*tree{}}
	for _, mv := range values {
		key, ok := mv.Key.(ast.ScalarNode)
		if !ok {
			return nil, fmt.Errorf("line %d: a key must be a plain value", line)
		}
		v, err := yamlValue(mv.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if err := o.add(fmt.Sprint(key.GetValue()), v); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.GetToken().Position.Line, err)
		}
	}
	return &tree{value: o, line: line}, nil
}

// plain turns t into what encoding/json would have made of it, numbers as json.Number.
func (t *tree) plain() any {
	switch v := t.value.(type) {
	case *object:
		m := make(map[string]any, len(v.keys))
		for _, k := range v.keys {
			m[k] = v.values[k].plain()
		}
		return m
	case []*tree:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = item.plain()
		}
		return list
	}
	return t.value
}

// reader walks a tree and collects the faults, so that decoding reads as a list of fields. In lenient mode keys that
// nobody asked for are passed over and noted, in strict mode they are faults.
type reader struct {
	lenient  bool
	mistakes []openflow.Mistake
	broken   bool // a value could not be read, so that what follows from it is not to be judged
	ignored  ignored
	top      *tree
}

func (r *reader) fail(t *tree, path, remedy, format string, args ...any) {
	r.broken = true
	r.note(t, path, remedy, format, args...)
}

// failed is fail with an error's words.
func (r *reader) failed(t *tree, path string, err error) {
	var e *openflow.Error
	if errors.As(err, &e) {
		r.fail(t, path, e.Hint, "%s", e.Message)
		return
	}
	r.fail(t, path, "", "%v", err)
}

// note adds a mistake that spoils no value.
func (r *reader) note(t *tree, path, remedy, format string, args ...any) {
	if len(r.mistakes) > openflow.MaxMistakes {
		return
	}
	where := path
	if where == "" {
		where = "document"
	}
	if t != nil && t.line > 0 {
		where += fmt.Sprintf(" (line %d)", t.line)
	}
	r.mistakes = append(r.mistakes, openflow.Mistake{
		Code: openflow.CodeInvalid, Path: where, Message: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

// fields is the object under decoding: keys are taken from it one by one, done complains about the rest.
type fields struct {
	r    *reader
	t    *tree
	o    *object
	path string
	used map[string]bool
	bad  bool // it is no object
}

// object starts reading t as an object. Null counts as an empty one, as pydantic models with defaults have it.
func (r *reader) object(t *tree, path string) *fields {
	f := &fields{r: r, t: t, o: &object{}, path: path, used: map[string]bool{}}
	if t == nil || t.value == nil {
		return f
	}
	o, ok := t.value.(*object)
	if !ok {
		r.fail(t, path, "write {key: value}", "expected an object, found %s", kindOf(t))
		f.bad = true
		return f
	}
	f.o = o
	return f
}

func (f *fields) at(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

// take returns the value of key, nil when it is absent or null.
func (f *fields) take(key string) *tree {
	f.used[key] = true
	v := f.o.values[key]
	if v == nil || v.value == nil {
		return nil
	}
	return v
}

// done judges the keys that nobody has taken.
func (f *fields) done() {
	for _, k := range f.o.keys {
		switch {
		case f.used[k]:
		case !f.r.lenient:
			f.r.note(f.o.values[k], f.at(k), remedyFor(k), "unknown key %q", k)
		case f.o.values[k].value != nil:
			f.r.ignored.add(f.at(k), k)
		}
	}
}

// missing notes that a key is needed and not there.
func (f *fields) missing(key, remedy string) {
	if !f.bad {
		f.r.fail(f.t, f.at(key), remedy, "missing")
	}
}

// strange reports whether done will complain of a key, which likely stands for one that is missing.
func (f *fields) strange() bool {
	return !f.r.lenient && slices.ContainsFunc(f.o.keys, func(k string) bool { return !f.used[k] })
}

// unreadable reports whether key has a value that is no list.
func (f *fields) unreadable(key string) bool {
	v := f.take(key)
	if v == nil {
		return false
	}
	_, list := v.value.([]*tree)
	return !list
}

// text reads a string; a number is taken as its digits, because ids are written both ways (part 7 #40).
func (f *fields) text(key string) string {
	v := f.take(key)
	if v == nil {
		return ""
	}
	return f.r.text(v, f.at(key))
}

func (r *reader) text(t *tree, path string) string {
	switch v := t.value.(type) {
	case string:
		return v
	case json.Number:
		if t.literal != "" {
			return t.literal
		}
		return v.String()
	}
	r.fail(t, path, "write text in quotes", "expected a string, found %s", kindOf(t))
	return ""
}

// id reads a text that may be written as a whole number.
func (r *reader) id(t *tree, path string) string {
	if n, ok := t.value.(json.Number); ok && strings.ContainsAny(n.String(), ".eE") {
		r.fail(t, path, "write it in quotes", "expected a string, found %s", kindOf(t))
		return ""
	}
	return r.text(t, path)
}

func (f *fields) integer(key string) *int {
	v := f.take(key)
	if v == nil {
		return nil
	}
	var digits string
	switch x := v.value.(type) {
	case json.Number:
		digits = x.String()
	case string:
		digits = x
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		f.r.fail(v, f.at(key), "write a whole number", "expected an integer, found %s", kindOf(v))
		return nil
	}
	return &n
}

func (f *fields) intOr(key string, def int) int {
	if n := f.integer(key); n != nil {
		return *n
	}
	return def
}

func (f *fields) list(key string) []*tree {
	v := f.take(key)
	if v == nil {
		return nil
	}
	list, ok := v.value.([]*tree)
	if !ok {
		f.r.fail(v, f.at(key), "write [..]", "expected a list, found %s", kindOf(v))
	}
	return list
}

func (f *fields) mapping(key string) map[string]any {
	v := f.take(key)
	if v == nil {
		return nil
	}
	m, ok := v.plain().(map[string]any)
	if !ok {
		f.r.fail(v, f.at(key), "write {key: value}", "expected an object, found %s", kindOf(v))
	}
	return m
}

func kindOf(t *tree) string {
	switch v := t.value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return fmt.Sprintf("the string %q", clip(v))
	case json.Number:
		return "the number " + clip(v.String())
	case []*tree:
		return "a list"
	}
	return "an object"
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// Plain reads a JSON or YAML text of somebody else as encoding/json would read JSON: maps, lists, texts, and numbers as
// json.Number. It is bounded as a DAG is; a member that is there twice is refused, and so is a text of several documents.
// Errors: CodeInvalid.
func Plain(data []byte) (any, error) {
	parse := parseYAML
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		parse = parseJSON
	}
	t, err := parse(data)
	if err != nil {
		return nil, err
	}
	return t.plain(), nil
}
