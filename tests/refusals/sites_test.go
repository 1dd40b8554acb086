package refusals_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// covered are the packages whose refusals speak of tables. The mathematics below them see numbers only.
var covered = []string{"reader", "noop", "psi", "evaluation", "lr"}

// unreached are the refusals that no case can provoke, and why.
var unreached = map[string]string{
	"noop was stopped: %w":                                         "a run that is stopped reports nothing",
	"input of %s has %d rows; psi takes up to %d":                  "two thousand million rows do not fit a test",
	"no randomness for the order of ids: %w":                       "the kernel always has randomness",
	"no randomness for the initial coefficients: %w":               "the kernel always has randomness",
	"input table had %d rows when it was read for its ids, now %d": "a node's tables never change",
	"no temporary file for the result: %w":                         "needs a disk that refuses",
	"temporary file of the result: %w":                             "needs a disk that refuses",
	"a stretch of the result has %d rows, not %d":                  "a defect",
	"model: %w":         "numbers always have a JSON form",
	"training plan: %w": "numbers always have a JSON form",
}

// site is one place in the source that makes an error.
type site struct {
	at      string
	formats []string // what its text is made of; several when the place does not tell which
}

// sites lists the refusals of a package.
func sites(t *testing.T, folder string) []site {
	var list []site
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				return true
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || called(call) != "Errorf" {
					return true
				}
				at := files.Position(call.Pos())
				list = append(list, site{
					at: filepath.Base(folder) + "/" + filepath.Base(at.Filename) + ":" + strconv.Itoa(at.Line), formats: texts(call.Args[1], named(f, call.Pos())),
				})
				return true
			})
			return false
		})
	}
	return list
}

func called(call *ast.CallExpr) string {
	if f, ok := call.Fun.(*ast.SelectorExpr); ok {
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "openflow" {
			return f.Sel.Name
		}
	}
	return ""
}

// named are the texts that a function has given a name before that place.
func named(f *ast.FuncDecl, before token.Pos) map[string]string {
	m := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		note := func(name, value ast.Expr) {
			n, ok := name.(*ast.Ident)
			if l, literal := value.(*ast.BasicLit); ok && literal && l.Kind == token.STRING && l.Pos() < before {
				m[n.Name], _ = strconv.Unquote(l.Value) // the parser has read it
			}
		}
		switch x := n.(type) {
		case *ast.ValueSpec:
			for i := range x.Values {
				note(x.Names[i], x.Values[i])
			}
		case *ast.AssignStmt:
			if len(x.Lhs) == len(x.Rhs) {
				for i := range x.Lhs {
					note(x.Lhs[i], x.Rhs[i])
				}
			}
		}
		return true
	})
	return m
}

// texts are the constant parts of an expression.
func texts(e ast.Expr, constants map[string]string) []string {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(x.Value) // the parser has read it
		return []string{s}
	case *ast.Ident:
		return []string{constants[x.Name]}
	case *ast.BinaryExpr:
		return append(texts(x.X, constants), texts(x.Y, constants)...)
	}
	return []string{""}
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// pattern is what a text made of the site's formats looks like.
func (s site) pattern() *regexp.Regexp {
	var parts []string
	for _, f := range s.formats {
		for i, literal := range verb.Split(f, -1) {
			if i > 0 {
				parts = append(parts, `[\s\S]*`)
			}
			parts = append(parts, regexp.QuoteMeta(strings.ReplaceAll(literal, "%%", "%")))
		}
		parts = append(parts, `[\s\S]*`)
	}
	return regexp.MustCompile(strings.Join(parts, ""))
}

// everyRefusalIsReached fails on a refusal that made none of these texts, and on an excuse that is not needed.
func everyRefusalIsReached(t *testing.T, seen []string) {
	excused := map[string]bool{}
	for _, name := range covered {
		for _, s := range sites(t, filepath.Join("..", "..", "components", name)) {
			if _, ok := unreached[s.formats[0]]; ok {
				excused[s.formats[0]] = true
				continue
			}
			p, reached := s.pattern(), false
			for _, text := range seen {
				reached = reached || p.MatchString(text)
			}
			if !reached {
				t.Errorf("%s: no case of this package provokes the refusal %q; add one, or say in unreached why there is none", s.at, s.formats)
			}
		}
	}
	for text := range unreached {
		if !excused[text] {
			t.Errorf("unreached names %q, which no component says", text)
		}
	}
}
