package policy

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"openflow"
)

// Parse reads the content of a policy file on top of the defaults. where names the file in messages. CodeInvalid: it is
// no YAML, or a key or value is not one of the schema; the message names file and line.
func Parse(where string, data []byte) (openflow.SitePolicy, error) {
	p := openflow.DefaultSitePolicy()
	if len(data) > maxBytes {
		return p, tooLarge(where)
	}
	if !utf8.Valid(data) {
		return p, openflow.Errorf(openflow.CodeInvalid, "policy file %s is not UTF-8 text", where)
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0)
	if err != nil {
		return p, openflow.Errorf(openflow.CodeInvalid, "policy file %s is not YAML: %w", where, err)
	}
	r := reading{where: where, fields: map[string]reflect.Value{}, sections: map[string]bool{}, seen: map[string]bool{}}
	each(&p, func(path string, v reflect.Value) {
		section, _, _ := strings.Cut(path, ".")
		r.fields[path], r.sections[section] = v, true
		r.paths = append(r.paths, path)
	})
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if err := r.top(doc.Body); err != nil {
			return openflow.DefaultSitePolicy(), err
		}
	}
	return p, nil
}

// reading is the state of one Parse.
type reading struct {
	where    string
	fields   map[string]reflect.Value // by path
	sections map[string]bool
	paths    []string
	seen     map[string]bool
}

func (r *reading) refuse(n ast.Node, format string, args ...any) *openflow.Error {
	e := openflow.Errorf(openflow.CodeInvalid, format, args...)
	place := r.where
	if t := n.GetToken(); t != nil && t.Position != nil {
		place += ", line " + strconv.Itoa(t.Position.Line)
	}
	e.Message = "policy file " + place + ": " + e.Message
	return e
}

// top reads the sections of a document.
func (r *reading) top(n ast.Node) error {
	if _, comment := n.(*ast.CommentGroupNode); comment {
		return nil
	}
	return r.mapping(n, "", func(section string, v *ast.MappingValueNode) error {
		if !r.sections[section] {
			return r.unknown(v, section)
		}
		if _, empty := v.Value.(*ast.NullNode); empty {
			return nil
		}
		return r.mapping(v.Value, section, func(key string, v *ast.MappingValueNode) error {
			path := section + "." + key
			field, ok := r.fields[path]
			if !ok {
				return r.unknown(v, path)
			}
			return r.set(path, field, v.Value)
		})
	})
}

// mapping visits the keys of n, which must be a mapping in which none is twice.
func (r *reading) mapping(n ast.Node, of string, f func(key string, v *ast.MappingValueNode) error) error {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		what := "the file"
		if of != "" {
			what = strconv.Quote(of)
		}
		return r.refuse(n, "%s holds no keys with values", what).WithHint("docs/policy.md shows how it is written")
	}
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			return r.refuse(v, "a key must be a plain word")
		}
		path := strings.TrimPrefix(of+"."+key.Value, ".")
		if r.seen[path] {
			return r.refuse(v, "key %q is there twice", path)
		}
		r.seen[path] = true
		if err := f(key.Value, v); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) unknown(n ast.Node, path string) error {
	return r.refuse(n, "there is no key %q", path).WithHint("keys are %s; docs/policy.md says what each does", strings.Join(r.paths, ", "))
}

// set reads the value of a key.
func (r *reading) set(path string, field reflect.Value, n ast.Node) error {
	switch {
	case field.Kind() == reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			return r.refuse(n, "%s must be true or false", path)
		}
		field.SetBool(b.Value)
		return nil
	case field.Kind() == reflect.String:
		s, ok := n.(*ast.StringNode)
		if !ok {
			return r.refuse(n, "%s must be a text", path)
		}
		return r.text(path, field, n, s.Value)
	case field.Kind() == reflect.Slice:
		return r.list(path, field, n)
	case field.Type() == reflect.TypeFor[openflow.Bytes]():
		if amount, ok := whole(n); ok {
			return r.within(path, field, n, amount)
		}
		s, ok := n.(*ast.StringNode)
		if !ok {
			return r.refuse(n, "%s must be an amount of bytes", path).WithHint("write it like 512MiB or 4GiB")
		}
		amount, err := openflow.ParseBytes(s.Value)
		if err != nil {
			return r.refuse(n, "%s: %w", path, err)
		}
		return r.within(path, field, n, amount)
	case field.Type() == reflect.TypeFor[time.Duration]():
		s, ok := n.(*ast.StringNode)
		if !ok {
			return r.refuse(n, "%s must be a duration", path).WithHint("write it like 30d or 36h")
		}
		d, err := ParseDuration(s.Value)
		if err != nil {
			return r.refuse(n, "%s: %w", path, err)
		}
		return r.within(path, field, n, int64(d))
	}
	number, ok := whole(n)
	if !ok {
		return r.refuse(n, "%s must be a whole number", path)
	}
	return r.within(path, field, n, number)
}

// text sets a text, or an entry of a list, that fits.
func (r *reading) text(path string, field reflect.Value, n ast.Node, s string) error {
	if err := checks[path](s); err != nil {
		return r.refuse(n, "%s: %w", path, err)
	}
	field.SetString(s)
	return nil
}

// list reads a list of texts. An empty one is written too: [] takes the place of the default.
func (r *reading) list(path string, field reflect.Value, n ast.Node) error {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return r.refuse(n, "%s must be a list of texts", path).WithHint(`write it like ["one", "two"], or one entry a line behind "- "`)
	}
	if len(list.Values) > maxEntries {
		return r.refuse(n, "%s has %d entries, more than %d", path, len(list.Values), maxEntries)
	}
	out := reflect.MakeSlice(field.Type(), len(list.Values), len(list.Values))
	for i, v := range list.Values {
		s, ok := v.(*ast.StringNode)
		if !ok {
			return r.refuse(v, "%s: an entry must be a text", path).WithHint("put it into quotation marks")
		}
		if err := r.text(path, out.Index(i), v, s.Value); err != nil {
			return err
		}
	}
	if out.Len() == 0 {
		out = reflect.Zero(field.Type())
	}
	field.Set(out)
	return nil
}

// whole is the value of an integer; one beyond 64 bits is the largest.
func whole(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(min(v, math.MaxInt64)), true
	}
	return 0, false
}

func (r *reading) within(path string, field reflect.Value, n ast.Node, v int64) error {
	if b := limits[path]; v < b.least || v > b.most {
		return r.refuse(n, "%s is %s, it must be %s to %s", path, textOf(field, v), textOf(field, b.least), textOf(field, b.most))
	}
	field.SetInt(v)
	return nil
}
