package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readers are the packages that read JSON or YAML without counting its values first, and why they may. Whatever another node, a
// container, a worker or a user has written is read by wire.Unmarshal, wire.Decode or reply.Decode, which count.
var readers = map[string]string{
	"sdk/wire":     "it is the place that counts; the rest is of what has been counted",
	"sdk/wire/ptp": "fields without members: a message of a fixed form",

	".":                      "descriptions of components, which description.Parse has counted",
	"dialect/forms":          "single texts, of a body that has been counted",
	"dialect/fateflow/users": "a text within a body or form field that has been counted",
	"sdk/tables":             "the metadata of a table, of a body that has been counted",
	"site/jobcheck":          "schemas and parameters, counted by its own bounds",
	"site/registry":          "what programs say of themselves, counted by its own bounds",
	"site/osv":               "records, counted by openflow.BoundedJSON",
	"site/sbom":              "lists of parts, counted by openflow.BoundedJSON",
	"residence":              "requests of the container's own node, counted by openflow.BoundedJSON",
	"residence/trial":        "answers of a container, counted by openflow.BoundedJSON",
	"store/document":         "what this node keeps, and DAGs that have been read before",
	"store/catalogue":        "its own rows, and cursors of a few values",
	"store/events/redis":     "its own entries",
	"node/home":              "its own file",
	"runtime/process":        "its own files",
	"runtime/resident":       "its own files, and answers of containers that openflow.BoundedJSON has counted",
	"docker/engine":          "answers of the Docker daemon",
	"docker/image":           "documents of archives, counted by openflow.BoundedJSON",
	"temporal/embedded":      "its own files",
	"site/policy":            "the operator's own file",
	"cmd/openflow/settings":  "the operator's own file",
	"sdk":                    "answers of the user's own node",
	"cli":                    "answers of the user's own node",
	"examples/demo":          "answers of the user's own node",
	"sdk/component":          "answers of the container's own node, and what its partners send, within their own limits",
	"components/evaluation":  "parameters of its own run",
	"components/lr":          "parameters and models of its own run, and messages within the limits of the kit",
	"components/noop":        "parameters of its own run",
	"components/psi":         "messages within the limits of the kit",

	"dialect/fateflow/launcher": "what the node has told the container; and what a component writes, counted by openflow.BoundedJSON and wire.BoundedYAML",
	"components/upload":         "parameters of its own run",
	"dialect/fateflow/packets":  "the headers of a packet: texts of a flat object, counted while they are read",
	"server/models":             "YAML that wire.BoundedYAML has counted",
}

// decoders are the functions that read without counting.
var decoders = map[string][]string{
	"encoding/json":                   {"Unmarshal", "NewDecoder"},
	"github.com/goccy/go-yaml":        {"Unmarshal", "NewDecoder", "YAMLToJSON", "UnmarshalWithOptions"},
	"github.com/goccy/go-yaml/parser": {"ParseBytes", "ParseFile"},
}

// TestForeignTextIsCounted holds that nobody reads what somebody else wrote without counting it first.
func TestForeignTextIsCounted(t *testing.T) {
	found := map[string]bool{}
	require.NoError(t, filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, err := filepath.Rel("../..", filepath.Dir(path))
		if err != nil || strings.HasPrefix(name, "tests/") || strings.HasSuffix(name, "test") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for pkg, functions := range decoders {
			if uses(file, pkg, functions) {
				found[name] = true
				if readers[name] == "" {
					t.Errorf("%s reads JSON or YAML without counting it: use wire.Unmarshal, wire.Decode or reply.Decode, or say in this test why it may", path)
				}
			}
		}
		return nil
	}))
	for name := range readers {
		if !found[name] {
			t.Errorf("%s reads nothing by itself: take it out of the list", name)
		}
	}
}

// uses reports whether a file calls, or names, one of a package's functions.
func uses(file *ast.File, pkg string, functions []string) bool {
	local := ""
	for _, imp := range file.Imports {
		if strings.Trim(imp.Path.Value, `"`) == pkg {
			local = pkg[strings.LastIndex(pkg, "/")+1:]
			local = strings.TrimPrefix(local, "go-")
			if imp.Name != nil {
				local = imp.Name.Name
			}
		}
	}
	used := false
	ast.Inspect(file, func(n ast.Node) bool {
		s, is := n.(*ast.SelectorExpr)
		if !is {
			return true
		}
		if x, plain := s.X.(*ast.Ident); plain && local != "" && x.Name == local && slices.Contains(functions, s.Sel.Name) {
			used = true
		}
		return true
	})
	return used
}
