package settings

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"

	"openflow"
	"openflow/site/trust"
)

// maxBytes bounds a file of settings.
const maxBytes = 1 << 20

// entry is what a file says of one setting.
type entry struct {
	line   int
	values []string // as the command line would have them; none: it is neither a value nor a list of values
}

// readFile reads the settings of a file by name. CodeInvalid: it is missing, or not a mapping. CodePermission: it is
// another user's.
func readFile(file string) (map[string]entry, error) {
	if info, err := os.Stat(file); err == nil {
		if err := trust.CheckOwner(file, info); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s does not exist", file)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s: %w", file, err)
	}
	return parse(file, b)
}

// at is where something is wrong.
func at(file string, line int) string {
	return "configuration " + file + ", line " + strconv.Itoa(line)
}

func parse(file string, data []byte) (map[string]entry, error) {
	if len(data) > maxBytes || !utf8.Valid(data) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s is not a text of at most %s", file, openflow.FormatBytes(maxBytes))
	}
	doc, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0)
	if err != nil {
		// Without the lines around it, which may hold passwords.
		return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s is not YAML: %s", file, yaml.FormatError(err, false, false))
	}
	entries := map[string]entry{}
	for i, d := range doc.Docs {
		if i > 0 {
			return nil, openflow.Errorf(openflow.CodeInvalid, "configuration %s has several documents, separated by ---", file)
		}
		for _, v := range pairs(d.Body) {
			key, line := name(v.Key), lineOf(v)
			if _, twice := entries[key]; twice {
				return nil, openflow.Errorf(openflow.CodeInvalid, "%s: %s is there twice", at(file, line), key)
			}
			entries[key] = entry{line, texts(v.Value)}
		}
		if len(entries) == 0 && !empty(d.Body) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%s: there are no keys with values", at(file, lineOf(d.Body))).
				WithHint("write each setting as NAME: VALUE")
		}
	}
	return entries, nil
}

func empty(n ast.Node) bool {
	if n == nil {
		return true
	}
	_, comment := n.(*ast.CommentGroupNode)
	return comment
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	return nil
}

// name is a key as it is meant; one that is no word is no setting either.
func name(n ast.MapKeyNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.String()
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// texts are the values of a key, each as it is written: 0010 stays 0010. None: it has no value, or a mapping.
func texts(n ast.Node) []string {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		if text, ok := scalar(n); ok {
			return []string{text}
		}
		return nil
	}
	values := make([]string, len(list.Values))
	for i, item := range list.Values {
		if values[i], ok = scalar(item); !ok {
			return nil
		}
	}
	return values
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode: // of several lines
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.TagNode: // as in !!str 9999
		return scalar(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// near says which setting a name that does not exist may have meant, as cobra does for commands.
func near(name string, list []Field) string {
	c := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, f := range list {
		c.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	}
	if found := c.SuggestionsFor(name); len(found) > 0 {
		return "did you mean " + strings.Join(found, " or ") + "?"
	}
	return "docs/settings.md lists the keys"
}
