package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ours visits the files of the product and of the programs that test it, but no test.
func ours(t *testing.T, visit func(name string, f *ast.File)) {
	const top = "../.."
	require.NoError(t, filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != top && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, file)
		visit(filepath.ToSlash(name), f)
		return err
	}))
}

// of returns what an expression takes from a package, as Client of http.Client; empty: nothing.
func of(pkg string, e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
			return s.Sel.Name
		}
	}
	return ""
}

// makesClient tells whether a piece of code makes an HTTP client or a transport, or uses one that everybody shares.
func makesClient(n ast.Node) bool {
	var name string
	switch n := n.(type) {
	case *ast.CompositeLit: // http.Client{…}
		name = of("http", n.Type)
		return name == "Client" || name == "Transport"
	case *ast.ValueSpec: // var c http.Client
		name = of("http", n.Type)
		return name == "Client" || name == "Transport"
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "new" {
			name = of("http", n.Args[0])
			return name == "Client" || name == "Transport"
		}
		return slices.Contains([]string{"Get", "Head", "Post", "PostForm"}, of("http", n.Fun))
	case *ast.SelectorExpr:
		name = of("http", n)
		return name == "DefaultClient" || name == "DefaultTransport"
	}
	return false
}

// clients lists who makes HTTP clients besides sdk/httpclient, with the reason.
var clients = map[string]string{
	"sdk/httpclient/httpclient.go": "this is the place",
	"residence/trial/trial.go":     "the core calls a container, and the client of sdk/httpclient stands above the core",
	"dialect/dialecttest/world.go": "the suite loses and repeats calls, and so stands below the client",
	"tests/env/client.go":          "tests ask a node as a foreign program would",
	"tests/env/balance.go":         "the balancer of tests is no node of ours",
	"tests/fatesite/site.go":       "a stand-in of a foreign site calls from an address of its own",
	"tests/env/proxy.go":           "the proxy of tests is no node of ours, and opens a connection for each call",
	"tests/bench/client.go":        "the bench keeps hundreds of connections open",
}

// Who calls over HTTP has the client of sdk/httpclient: it follows no redirection and knows no proxy, unless it is told to.
func TestHTTPClientsAreMadeInOnePlace(t *testing.T) {
	requireListed(t, clients, makesClient)
}

// texts lists where the text of an error decides, with the reason.
var texts = map[string]string{
	"temporal/embedded/logger.go": "the server's stores keep the text of their database's error only",
}

// Errors are told apart by their types and codes: a text changes with the next release of whoever wrote it.
func TestErrorsAreNotToldApartByTheirText(t *testing.T) {
	requireListed(t, texts, matchesText)
}

// matchesText tells whether a function looks into the text of an error, also by way of a variable.
func matchesText(n ast.Node) bool {
	f, ok := n.(*ast.FuncDecl)
	if !ok || f.Body == nil {
		return false
	}
	names := map[string]bool{}
	isText := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return names[e.Name]
		case *ast.CallExpr:
			s, ok := e.Fun.(*ast.SelectorExpr)
			return ok && s.Sel.Name == "Error" && len(e.Args) == 0
		}
		return false
	}
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, value := range n.Rhs {
				if name, ok := n.Lhs[i].(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) && isText(value) {
					names[name.Name] = true
				}
			}
		case *ast.BinaryExpr:
			found = found || (n.Op == token.EQL || n.Op == token.NEQ) && isText(n.X) != isText(n.Y) && !empty(n.X) && !empty(n.Y)
		case *ast.SwitchStmt:
			found = found || n.Tag != nil && isText(n.Tag)
		case *ast.CallExpr:
			looks := slices.Contains([]string{
				"Contains", "ContainsAny", "HasPrefix", "HasSuffix", "EqualFold", "Index", "LastIndex", "Cut", "CutPrefix", "CutSuffix",
				"Fields", "Split", "SplitN",
			}, of("strings", n.Fun))
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && strings.Contains(s.Sel.Name, "Match") {
				looks = true // of a regular expression
			}
			found = found || looks && slices.ContainsFunc(n.Args, isText)
		}
		return true
	})
	return found
}

// empty is "": whether there is a text says nothing about it.
func empty(e ast.Expr) bool {
	text, ok := e.(*ast.BasicLit)
	return ok && text.Value == `""`
}

// requireListed checks that what a rule forbids is found in the listed files, in each of them, and nowhere else.
func requireListed(t *testing.T, listed map[string]string, forbidden func(ast.Node) bool) {
	t.Helper()
	found := map[string]bool{}
	ours(t, func(name string, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			found[name] = found[name] || n != nil && forbidden(n)
			return true
		})
	})
	maps.DeleteFunc(found, func(_ string, is bool) bool { return !is })
	require.Equal(t, slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(found)))
}

// The rules find what they are for.
func TestRulesOfUse(t *testing.T) {
	for code, want := range map[string]struct{ client, text bool }{
		`c := &http.Client{}`:                                    {client: true},
		`var c http.Client`:                                      {client: true},
		`c := new(http.Transport)`:                               {client: true},
		`http.DefaultClient.Do(nil)`:                             {client: true},
		`http.Get("x")`:                                          {client: true},
		`var c *http.Client`:                                     {},
		`r.Header.Get("x")`:                                      {},
		`if strings.Contains(err.Error(), "x") {}`:               {text: true},
		`text := err.Error(); if text == "x" {}`:                 {text: true},
		`text := err.Error(); a, _, _ := strings.Cut(text, " ")`: {text: true},
		`switch err.Error() { case "x": }`:                       {text: true},
		`if busy.MatchString(err.Error()) {}`:                    {text: true},
		`if a.Error() != b.Error() {}`:                           {}, // whether something is said once or twice
		`text := err.Error(); if text == "" {}`:                  {},
		`return fmt.Errorf("x: %s", err.Error())`:                {},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {"+code+"}", parser.SkipObjectResolution)
		require.NoError(t, err, code)
		var client, text bool
		ast.Inspect(f, func(n ast.Node) bool {
			client, text = client || n != nil && makesClient(n), text || n != nil && matchesText(n)
			return true
		})
		require.Equal(t, want, struct{ client, text bool }{client, text}, code)
	}
}
