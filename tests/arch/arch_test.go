// Package arch checks the package table of ARCHITECTURE.md against the imports of the code.
package arch

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "openflow"

// anything in the third column of a row lifts the check for that row only.
const anything = "everything above but components and the kit"

var code = regexp.MustCompile("`([^`]+)`")

// table reads package → allowed imports from ARCHITECTURE.md.
func table(t *testing.T) map[string][]string {
	f, err := os.Open("../../ARCHITECTURE.md")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	rows := map[string][]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(s.Text(), "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		name := code.FindStringSubmatch(cells[1])[1]
		require.NotContains(t, rows, name, "two rows for one package")
		allowed := []string{}
		if strings.TrimSpace(cells[3]) == anything {
			allowed = append(allowed, anything)
		}
		for _, m := range code.FindAllStringSubmatch(cells[3], -1) {
			allowed = append(allowed, m[1])
		}
		rows[name] = allowed
	}
	require.NotEmpty(t, rows)
	return rows
}

// imports lists, per package of ours with non-test code, what of ours it imports.
func imports(t *testing.T) map[string][]string {
	out, err := exec.Command("go", "list", "-f", `{{if .GoFiles}}{{.ImportPath}} {{join .Imports ","}}{{end}}`, "../../...").Output()
	require.NoError(t, err)
	got := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		name, list, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, module+"/tests/") {
			continue
		}
		got[short(name)] = []string{}
		for _, imp := range strings.Split(list, ",") {
			if imp == module || strings.HasPrefix(imp, module+"/") {
				got[short(name)] = append(got[short(name)], short(imp))
			}
		}
	}
	return got
}

func short(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func TestPackageTable(t *testing.T) {
	want, got := table(t), imports(t)
	for name, list := range got {
		allowed, ok := want[name]
		if !ok {
			t.Errorf("package %s has no row in ARCHITECTURE.md", name)
			continue
		}
		for _, imp := range list {
			if !permits(allowed, imp) {
				t.Errorf("package %s imports %s, which its row in ARCHITECTURE.md does not allow", name, imp)
			}
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("ARCHITECTURE.md has a row for %s, which does not exist", name)
		}
	}
}

func permits(allowed []string, imp string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if a == anything {
			return !strings.HasPrefix(imp, "components/") && !strings.HasPrefix(imp, "sdk/component")
		}
		ok, err := path.Match(a, imp)
		return err == nil && ok
	})
}

// above are the packages that know a dialect, or a wire form: nothing of the core reaches up to them.
var above = []string{"dialect", "server", "sdk", "cli", "node", "cmd", "examples", "tests"}

// core is what a dialect speaks for: it runs jobs and knows no words but those of the domain.
var core = []string{".", "site", "activities", "workflows", "worker", "runtime", "docker", "store"}

// callers of the core know the contract of dialects, and no dialect: they find the one that a peer's record names. A worker's
// client reads the envelope of its node's answers, and the registry reads descriptions, counted as on the wire.
var callers = []string{"site/peers", "site/doctor/examine", "site/registry", "worker/client"}

// TestTheCoreKnowsNoDialect holds that a dialect is added without a change of the core: not even what the core imports
// knows one. Tables and their plain text are data, not dialects.
func TestTheCoreKnowsNoDialect(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{if .GoFiles}}{{.ImportPath}} {{join .Deps ","}}{{end}}`, "../../...").Output()
	require.NoError(t, err)
	checked := 0
	for line := range strings.Lines(string(out)) {
		name, deps, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || !isBelow(core, short(name)) || isBelow(callers, short(name)) {
			continue
		}
		checked++
		for _, dep := range strings.Split(deps, ",") {
			if (dep == module || strings.HasPrefix(dep, module+"/")) && isBelow(above, short(dep)) && !isBelow([]string{"sdk/tables"}, short(dep)) {
				t.Errorf("%s knows %s, which stands above the core", short(name), short(dep))
			}
		}
	}
	require.Greater(t, checked, len(core))
}

// TestDialectsDoNotKnowEachOther: each is one folder, and what they share is the contract.
func TestDialectsDoNotKnowEachOther(t *testing.T) {
	checked := 0
	for name, list := range imports(t) {
		own, ok := dialectOf(name)
		if !ok {
			continue
		}
		checked++
		for _, imp := range list {
			if of, ok := dialectOf(imp); ok && of != own {
				t.Errorf("%s of the dialect %s imports %s, which is another's", name, own, imp)
			}
		}
	}
	require.Greater(t, checked, 6)
}

// dialectOf is the folder of the dialect that a package belongs to.
func dialectOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "dialect/")
	own, _, _ := strings.Cut(rest, "/")
	return own, ok && !slices.Contains([]string{"peer", "forms", "verbs", "dialecttest"}, own)
}

// isBelow reports whether a package is one of these, or in a folder of them.
func isBelow(folders []string, name string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return name == f || f != "." && strings.HasPrefix(name, f+"/") })
}

// TestOnlyOnePackageLinksTheServer holds the reason why most tests build in seconds.
func TestOnlyOnePackageLinksTheServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`, "../../...").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(line, " ")
		if strings.Contains(rest, "go.temporal.io/server") && name != module+"/temporal/embedded" {
			t.Errorf("%s imports the Temporal server; only temporal/embedded may", name)
		}
	}
}

// runtimes are the packages of each runtime, and whoever lists them.
var runtimes = []string{"docker", "runtime/process", "runtime/fake"}

// TestRuntimesAreListedInOnePlace holds that a runtime is added by one line: nobody but the program's table knows any.
func TestRuntimesAreListedInOnePlace(t *testing.T) {
	listed := 0
	for name, list := range imports(t) {
		if isBelow(runtimes, name) {
			continue
		}
		for _, imp := range list {
			if !isBelow(runtimes, imp) {
				continue
			}
			if name != "cmd/openflow" {
				t.Errorf("%s imports %s: what differs between runtimes is an answer of runtime/driver", name, imp)
			}
			listed++
		}
	}
	require.NotZero(t, listed)
}

// TestNobodyAsksForTheRuntimesName: no decision is made by what a runtime is called.
func TestNobodyAsksForTheRuntimesName(t *testing.T) {
	names := []string{`"docker"`, `"process"`, `"fake"`}
	named := func(e ast.Expr) bool {
		lit, ok := e.(*ast.BasicLit)
		return ok && slices.Contains(names, lit.Value)
	}
	checked := 0
	require.NoError(t, filepath.WalkDir("../..", func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, file, nil, 0)
		if err != nil {
			return err
		}
		checked++
		ast.Inspect(parsed, func(n ast.Node) bool {
			var asks bool
			switch n := n.(type) {
			case *ast.BinaryExpr:
				asks = (n.Op == token.EQL || n.Op == token.NEQ) && (named(n.X) || named(n.Y))
			case *ast.CaseClause:
				asks = slices.ContainsFunc(n.List, named)
			}
			if asks {
				t.Errorf("%s asks for the name of a runtime", files.Position(n.Pos()))
			}
			return true
		})
		return nil
	}))
	require.Greater(t, checked, 100)
}

// TestDomainKnowsNoTechnology: the root package imports the standard library only.
func TestDomainKnowsNoTechnology(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "../..").Output()
	require.NoError(t, err)
	for imp := range strings.Lines(string(out)) {
		if strings.Contains(strings.Split(strings.TrimSpace(imp), "/")[0], ".") {
			t.Errorf("the domain imports %s", strings.TrimSpace(imp))
		}
	}
}

// TestNodeOnlyWires: what is done now and then, and what waits, is in the packages that node connects.
func TestNodeOnlyWires(t *testing.T) {
	timers := []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick"}
	files, err := filepath.Glob("../../node/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if p, ok := sel.X.(*ast.Ident); ok && p.Name == "time" && slices.Contains(timers, sel.Sel.Name) {
					t.Errorf("%s uses time.%s: it belongs into upkeep, or into the package that it is about", file, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestModulesOfAVendorsProgram: a program that imports the kit, or the client, is built of these modules. None of them is
// Temporal, Docker or a driver of a database.
func TestModulesOfAVendorsProgram(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{.Path}}{{end}}`, "../../sdk/component", "../../sdk").Output()
	require.NoError(t, err)
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	require.Equal(t, []string{
		"github.com/apache/arrow-go/v18", "github.com/cenkalti/backoff/v5", "github.com/goccy/go-json", "github.com/goccy/go-yaml", "github.com/google/flatbuffers",
		"github.com/klauspost/compress", "github.com/klauspost/cpuid/v2", "github.com/pierrec/lz4/v4", "github.com/tmaxmax/go-sse", "github.com/zeebo/xxh3",
		"golang.org/x/exp", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/protobuf", module,
	}, slices.Compact(modules))
}
