package wire

import (
	"encoding/json"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"openflow"
)

// What is read of a text that somebody else wrote. A value costs a hundred bytes once it is read, whatever it costs to write,
// and every level of nesting costs a piece of the stack. So both are counted before anything is read.
const (
	MaxValues     = 500_000               // members and items of one JSON text: a request, an answer, an event
	maxDAGValues  = 250_000               // of one DAG, of which every value is kept with its place
	maxDepth      = openflow.MaxJSONDepth // levels of nesting
	maxKey        = openflow.MaxJSONName  // bytes of the name of a member, which the path of everything below it begins with
	maxIndicators = 200                   // of YAML that nest on one line: lists of lists, tags of tags
	maxExpanded   = 256 << 10             // bytes of YAML whose aliases are written out
	nodeBytes     = 16                    // that one value of YAML counts at least
)

// Unmarshal is json.Unmarshal for what somebody else wrote: what is nested too deep, or has too many members, is refused
// before it is read. Errors: CodeInvalid for that, otherwise those of encoding/json.
func Unmarshal(data []byte, into any) error {
	if err := Bounded(data, MaxValues); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// Bounded refuses a JSON text with more values, levels or longer names than may be read; see openflow.BoundedJSON.
func Bounded(data []byte, values int) error { return openflow.BoundedJSON(data, values) }

func tooMuch(format string, args ...any) error {
	return openflow.TooMuch(format, args...)
}

// BoundedYAML is Bounded for YAML, in which a few bytes stand for many: an alias for all that its anchor has. What parses is
// judged as it would be with every alias written out. Errors: CodeInvalid.
func BoundedYAML(data []byte) error {
	_, err := boundedYAML(data)
	return err
}

// boundedYAML parses YAML that is bounded.
func boundedYAML(data []byte) (*ast.File, error) {
	if err := nestedYAML(data); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "not valid YAML: %w", err)
	}
	w := written{anchors: map[string]int{}, most: max(maxExpanded, 16*len(data))}
	for _, doc := range file.Docs {
		if w.node(doc.Body, 0) > w.most {
			return nil, tooMuch("with its aliases written out it has more than %d bytes", w.most)
		}
		if w.deep {
			return nil, tooMuch("nested deeper than %d levels", maxDepth)
		}
	}
	return file, nil
}

// nestedYAML refuses what would nest too deep for a parser. Of what looks like nesting and is text, as much is refused.
func nestedYAML(data []byte) error {
	flow := 0
	for line := range strings.Lines(string(data)) {
		indicators := 0
		for i := range len(line) {
			switch c := line[i]; {
			case c == '[' || c == '{':
				flow++
			case (c == ']' || c == '}') && flow > 0:
				flow--
			case c == '!' || c == '&', (c == '-' || c == '?') && i+1 < len(line) && line[i+1] == ' ':
				indicators++
			}
			if flow > maxIndicators || indicators > maxIndicators {
				return tooMuch("nested deeper than %d levels", maxDepth)
			}
		}
	}
	return nil
}

// written tells how many bytes YAML has with its aliases written out; once it is too much, no more is counted.
type written struct {
	anchors map[string]int
	most    int
	deep    bool
}

func (w *written) node(n ast.Node, depth int) int {
	if n == nil || w.deep {
		return 0
	}
	if depth > maxDepth {
		w.deep = true
		return 0
	}
	size := nodeBytes
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			size = w.add(size, w.node(v, depth))
		}
	case *ast.MappingValueNode:
		size = w.add(w.node(n.Key, depth+1), w.node(n.Value, depth+1))
	case *ast.MappingKeyNode:
		size = w.add(size, w.node(n.Value, depth+1))
	case *ast.SequenceNode:
		for _, v := range n.Values {
			size = w.add(size, w.node(v, depth+1))
		}
	case *ast.AnchorNode:
		size = w.node(n.Value, depth+1)
		w.anchors[nameOf(n.Name)] = size
	case *ast.AliasNode:
		size = w.add(size, w.anchors[nameOf(n.Value)])
	case *ast.TagNode:
		size = w.add(size, w.node(n.Value, depth+1))
	default:
		if tok := n.GetToken(); tok != nil {
			size = w.add(size, len(tok.Value))
		}
		if text, literal := n.(*ast.LiteralNode); literal && text.Value != nil {
			size = w.add(size, len(text.Value.Value))
		}
	}
	return size
}

func (w *written) add(a, b int) int { return min(a+b, w.most+1) }

// nameOf is what an anchor is called.
func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}
