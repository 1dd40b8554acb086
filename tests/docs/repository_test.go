// Package docs checks documents and comments against the repository: what they cite exists, and how they are written.
//
// Start reading at [TestCitationsResolve].
package docs

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// repository is what a citation may name.
type repository struct {
	paths        map[string]bool            // files and folders, from the root, with slashes
	folders      map[string]bool            // the last segments of folders
	declared     map[string]map[string]bool // package name or folder → what it declares; methods as Type.Method
	tests        map[string]map[string]bool // the same for tests, fuzz targets and benchmarks; "" is all packages
	names        map[string]bool            // everything that is declared, without its package or type, and names that are literals
	commandWords map[string]bool            // the words of the command line's texts: its commands and flags
	routes       []string
	modules      map[string]bool
	comments     []passage
	literals     []passage
	functions    []passage // their names, methods without their type
	pages        []page
}

// passage is a piece of text and where it begins.
type passage struct {
	file string
	line int
	text string
}

// page is a document for people, line by line.
type page struct {
	file  string
	lines []string
}

var repo = sync.OnceValues(readRepository)

func load(t *testing.T) *repository {
	r, err := repo()
	require.NoError(t, err)
	return r
}

func readRepository() (*repository, error) {
	r := &repository{
		paths: map[string]bool{}, folders: map[string]bool{}, modules: map[string]bool{},
		names: map[string]bool{}, commandWords: map[string]bool{},
		declared: map[string]map[string]bool{}, tests: map[string]map[string]bool{"": {}},
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (d.Name() == ".git" || rel == "bin") {
			return filepath.SkipDir
		}
		r.paths[rel] = true
		switch {
		case d.IsDir():
			r.folders[d.Name()] = true
		case strings.HasSuffix(rel, ".go"):
			return r.readGo(rel)
		case strings.HasSuffix(rel, ".md"):
			return r.readPage(rel)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"server/testdata/routes.txt", "go.mod"} {
		lines, err := readLines(name)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if f := strings.Fields(line); name == "go.mod" {
				for _, w := range f {
					r.modules[w] = true
				}
			} else if len(f) == 3 { // owner, method, path
				r.routes = append(r.routes, f[2])
			}
		}
	}
	return r, nil
}

func readLines(name string) (lines []string, err error) {
	f, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines, s.Err()
}

func (r *repository) readPage(name string) error {
	lines, err := readLines(name)
	r.pages = append(r.pages, page{name, lines})
	return err
}

func (r *repository) readGo(name string) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, c := range f.Comments {
		r.comments = append(r.comments, passage{name, files.Position(c.Pos()).Line, c.Text()})
	}
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok {
			r.functions = append(r.functions, passage{name, files.Position(d.Pos()).Line, d.Name.Name})
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		text, ok := words(e)
		if ok {
			r.names[text] = true
			if !strings.HasSuffix(name, "_test.go") && (strings.HasPrefix(name, "cli/") || strings.HasPrefix(name, "cmd/")) {
				for _, w := range commandWord.FindAllString(text, -1) {
					r.commandWords[w] = true
				}
			}
			r.literals = append(r.literals, passage{name, files.Position(n.Pos()).Line, text})
		}
		return !ok
	})
	for _, of := range []string{strings.TrimSuffix(f.Name.Name, "_test"), path.Dir(name), path.Base(path.Dir(name))} {
		for _, d := range f.Decls {
			for _, id := range names(d) {
				note(r.declared, of, id)
				r.names[id[strings.LastIndex(id, ".")+1:]] = true
				if isTest(id) && strings.HasSuffix(name, "_test.go") {
					note(r.tests, of, id)
					note(r.tests, "", id)
				}
			}
		}
	}
	return nil
}

// words is the text of a literal or of a sum of literals and other things, each of which is one word.
func words(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, a := words(e.X)
		right, b := words(e.Y)
		if e.Op != token.ADD || !a && !b {
			return "", false
		}
		if !a {
			left = "…"
		}
		if !b {
			right = "…"
		}
		return left + right, true
	}
	return "", false
}

var commandWord = regexp.MustCompile(`[a-z][a-z-]+`)

func note(in map[string]map[string]bool, of, id string) {
	if in[of] == nil {
		in[of] = map[string]bool{}
	}
	in[of][id] = true
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)

func isTest(id string) bool { return testName.MatchString(id) }

// names are the identifiers of a declaration.
func names(d ast.Decl) (ids []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		of := d.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if generic, ok := of.(*ast.IndexExpr); ok {
			of = generic.X
		}
		if id, ok := of.(*ast.Ident); ok {
			ids = append(ids, id.Name+"."+d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				ids = append(ids, s.Name.Name)
				ids = append(ids, members(s.Name.Name, s.Type)...)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					ids = append(ids, n.Name)
				}
			}
		}
	}
	return ids
}

// members are the fields of a struct and the methods of an interface.
func members(of string, in ast.Expr) (ids []string) {
	var list *ast.FieldList
	switch in := in.(type) {
	case *ast.StructType:
		list = in.Fields
	case *ast.InterfaceType:
		list = in.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, n := range f.Names {
			ids = append(ids, of+"."+n.Name)
		}
	}
	return ids
}
