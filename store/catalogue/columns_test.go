package catalogue_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each column is named by the tag of its field. A statement that lists more than two takes the list from there, so that a row
// is written and read in one order.
func TestNoStatementListsItsColumnsByHand(t *testing.T) {
	byHand := regexp.MustCompile(`insert into \w+ \(\w|(select|returning) \w+, \w+, \w+`)
	require.Regexp(t, byHand, "select run_id, name, data from x")
	require.Regexp(t, byHand, "insert into x (a, b) values ($1, $2)")
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				require.NotRegexp(t, byHand, text.Value, "%s", file)
			}
			return true
		})
	}
}
