package refusals_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// covered are the packages whose refusals can be part of a task's error.
var covered = []string{
	"components/reader", "components/noop", "components/psi", "components/psi/blind", "components/evaluation", "components/lr",
	"components/lr/he", "components/toy", "components/upload", "components/transformer", "components/download", "sdk/component", "sdk/tables", "sdk/tables/plaintext",
}

// untold are the files whose texts nobody marks, so that no other party reads them whatever they say, and why no case
// provokes them here. A text of theirs that is marked needs a case all the same.
var untold = map[string]string{
	"sdk/tables/columns.go":             "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/layout.go":              "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/fromcsv.go":             "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/lines.go":               "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/metajson.go":            "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/pairs.go":               "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/raw.go":                 "what marks it tells of a file that is not as it was described; tests of its own package",
	"sdk/tables/tocsv.go":               "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/upload.go":              "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/plaintext/checked.go":   "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/plaintext/encodings.go": "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/plaintext/gzip.go":      "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/plaintext/plaintext.go": "an upload is refused with it before there is a task; tests of its own package",
	"sdk/tables/decode.go":              "a table that the own node stores was written by the same package; fuzzed there",
	"sdk/tables/message.go":             "a table that the own node stores was written by the same package; fuzzed there",
	"sdk/tables/meta.go":                "a table that the own node stores was written by the same package; fuzzed there",
	"sdk/tables/reader.go":              "a table that the own node stores was written by the same package; fuzzed there",
	"sdk/tables/writer.go":              "a table that the own node stores was written by the same package; fuzzed there",
	"sdk/component/client.go":           "it tells of an answer of the own node that is none",
	"sdk/component/transport.go":        "it tells of an answer of the own node that is none",
	"sdk/component/topics.go":           "it passes on what another kit says; that kit's component hears of it, by FATE's launcher",
	"sdk/component/through.go":          "likewise",
	"sdk/component/config.go":           "nobody hears of a task without a configuration",
}

// harmless are the values that a text for others may hold, and why.
var harmless = map[string]string{
	"agreed":                       "what the parties of the task have agreed on",
	"peer":                         "a party of the task",
	"from":                         "a party of the task",
	"to":                           "a party of the task",
	"host":                         "a party of the task",
	"h":                            "a party of the task",
	"h.guest":                      "a party of the task",
	"openflow.Heard(reply.source)": "what the sender of a message calls itself",
	"self":                         "a party of the task",
	"self.ID":                      "a party of the task",
	"a.arbiter":                    "a party of the task",
	"t.Party()":                    "a party of the task",
	"t.Party().ID":                 "a party of the task",
	"h.task.Party()":               "a party of the task",
	"s.task.Party()":               "a party of the task",
	"p.Role":                       "a role of the task",
	"t.Role()":                     "a role of the task",
	"t.Stage()":                    "it is in the job",
	"t.Key()":                      "the run, of which all parties know",
	"t.component.Name":             "it is in the job",
	"t.config.Component":           "it is in the job",
	"key":                          "an input or output of the component",
	"a.Key":                        "an input of the component",
	"s.OutputKey":                  "an output of the component",
	"path":                         "the name of a parameter, from the field that it is read into",
	"tag":                          "a constant of the component",
	"tagCounts":                    "a constant of the component",
	"tagMatches":                   "a constant of the component",
	"tagQuestion":                  "a constant of the component",
	"len(bound)":                   "how many channels the job has for an input",
	"limit":                        "how long the message may be, by counts that both parties have",
	"models":                       "the guest has as many",
	"columns":                      "columns of a plan that all parties have",
	"args":                         "counts of the plan, parties and names of parameters",
	"p.fewest()":                   "rows of a batch, of a plan that all parties have",
	"a.parameters.EarlyStop":       "one of the choices of a parameter",
	"what":                         "a constant of the component",
	"want":                         "a type of the component's input",
	"fault":                        "made of public texts and constants, by the party itself",
	"e.Message":                    "the helper of whole texts in the kit; its callers are looked at",
}

// unreached are the refusals that no case can provoke, and why.
var unreached = map[string]string{
	"component %q has %d runs in a resident container, want 0 to %d":                "a mistake in a program, told to whoever registers it; sdk/component",
	"protocol %s not supported for component %q":                                    "the node tells a run only what its program speaks; sdk/component",
	"no component of this program is resident":                                      "a container of no run; sdk/component",
	"environment variable %s or %s is empty":                                        "a container of no run; sdk/component",
	"%s is %q, where this program cannot listen: %w":                                "a container of no run; sdk/component",
	"no randomness for the blinding key: %w":                                        "the kernel always has randomness",
	"hash to curve: %w":                                                             "every text has a point",
	"it is from %s, and that of %s is awaited":                                      "the node gives no such message; TestMessagesOfOthersAreRefused of sdk/component has a node that does",
	"metrics of %s: %w":                                                             "a program of another kit; dialect/fateflow/launcher",
	"output %q of %s: all models of one output are one archive":                     "a program of another kit, which makes one; dialect/fateflow/launcher",
	"blind a point: %w":                                                             "a key has the length of a scalar",
	"a blinded id is the point at infinity":                                         "P-256 has prime order, so no point but that one leads there, and a message cannot hold it",
	"no randomness for the check of points: %w":                                     "the kernel always has randomness",
	"there are no points to check":                                                  "an intersection that is empty is refused before",
	"%d more values would tell more of the key than it may: %d bits of %d are used": "an arbiter that deviates from itself; components/lr/he",
	"a sum is one number, not %d ciphertexts":                                       "the arbiter reads a sum of one ciphertext only",
	"no randomness: %w":                                                             "the kernel always has randomness",
	"a number is not below the modulus of the scheme":                               "constants, and no table; components/lr/he",
	"vectors of %d and %d blocks cannot be added":                                   "a vector of another length is not parsed",
	"a vector of %d blocks meets columns of %d":                                     "a vector of another length is not parsed",
	"an encrypted sum is one ciphertext, not %d":                                    "a defect",
	"an answer for %d columns meets a mask for %d":                                  "an answer of another length is not parsed",
	"encode a vector: %w":                                                           "values are checked before",
	"encrypt: %w":                                                                   "a key of another form is not parsed",
	"arguments %q are not understood":                                               "nobody hears of a process without a task",
	"OPENFLOW_CORES is %q, want a whole number from 1":                              "nobody hears of a task without a configuration",
	"OPENFLOW_PATIENCE is %q, want a duration such as 90s":                          "nobody hears of a task without a configuration",
	"it does not exist":                                                             "a node answers with its own refusal where there is no table; the text around it is a case",
	"component %q is not in this image":                                             "the tests' node runs the component that it has; sdk/component",
	"message %q to %s has %d bytes, more than %d":                                   "two thousand million bytes do not fit a test",
	"node gave message %d of topic %s after %d":                                     "a defect of the own node",
	"not a message of this kit":                                                     "a constant; a message that no kit has sent: sdk/component",
	"input %q of %s has %d models, want one":                                        "the tests' node binds one",
	"output %q of %s: the kit writes one model per output":                          "a constant and the names of the job; sdk/component",
	"its archive has no member %q":                                                  "the model is then not readable, which is a case",
	"no temporary file for an output: %w":                                           "needs a disk that refuses",
	"temporary file of an output: %w":                                               "needs a disk that refuses",
	"parameter %q has the bound %q, which is not a number":                          "a defect of the component",
	"table belongs to site %s and cannot be read as %s":                             "the tests' node stores tables without a site; it is not marked",
	"no temporary folder for input %q: %w":                                          "needs a disk that refuses",
	"noop was stopped: %w":                                                          "a run that is stopped reports nothing",
	"input of %s has %d rows; psi takes up to %d":                                   "two thousand million rows do not fit a test",
	"no randomness for the order of ids: %w":                                        "the kernel always has randomness",
	"no randomness for the initial coefficients: %w":                                "the kernel always has randomness",
	"input table had %d rows when it was read for its ids, now %d":                  "a node's tables never change",
	"no temporary file for the result: %w":                                          "needs a disk that refuses",
	"temporary file of the result: %w":                                              "needs a disk that refuses",
	"a stretch of the result has %d rows, not %d":                                   "a defect",
	"model: %w":         "numbers always have a JSON form",
	"training plan: %w": "numbers always have a JSON form",
}

// site is one place in the source that makes an error.
type site struct {
	file    string // from the root of the repository
	line    int
	formats []string // what its text is made of; several when the place does not tell which
	marked  bool     // other parties may read something of it
}

func (s site) String() string { return s.file + ":" + strconv.Itoa(s.line) }

const root = "../.."

// sources reads the code of a package.
func sources(t *testing.T, folder string, read func(file string, files *token.FileSet, code *ast.File)) {
	names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		code, err := parser.ParseFile(files, name, nil, 0)
		require.NoError(t, err)
		read(folder+"/"+filepath.Base(name), files, code)
	}
}

// sites lists the refusals of a package.
func sites(t *testing.T, folder string) []site {
	var list []site
	sources(t, folder, func(name string, files *token.FileSet, code *ast.File) {
		for _, d := range code.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || f.Recv == nil && f.Name.Name == "public" { // its callers are looked at
				continue
			}
			marked := map[ast.Expr]bool{}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				format := 1
				switch called(call) {
				case "WithPublic":
					marked[madeBy(call)] = true
					return true
				case "public":
					marked[call] = true
				case "openflow.Errorf":
				case "fmt.Errorf", "errors.New":
					format = 0
				default:
					return true
				}
				list = append(list, site{
					file: name, line: files.Position(call.Pos()).Line, formats: texts(call.Args[format], named(f, call.Pos())), marked: marked[call],
				})
				return true
			})
		}
	})
	return list
}

// madeBy is the call at the beginning of a chain of calls.
func madeBy(call *ast.CallExpr) ast.Expr {
	for {
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return call
		}
		inner, ok := f.X.(*ast.CallExpr)
		if !ok {
			return call
		}
		call = inner
	}
}

// called is the name of a function with its package, or that of a method.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && (x.Name == "openflow" || x.Name == "fmt" || x.Name == "errors") {
			return x.Name + "." + f.Sel.Name
		}
		return f.Sel.Name
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
	for _, folder := range covered {
		for _, s := range sites(t, folder) {
			if _, ok := unreached[s.formats[0]]; ok {
				excused[s.formats[0]] = true
				continue
			}
			if _, ok := untold[s.file]; ok && !s.marked {
				excused[s.file] = true
				continue
			}
			p, reached := s.pattern(), false
			for _, text := range seen {
				reached = reached || p.MatchString(text)
			}
			if !reached {
				t.Errorf("%s: no case of this package provokes the refusal %q; add one, or say in unreached why there is none", s, s.formats)
			}
		}
	}
	for _, list := range []map[string]string{unreached, untold} {
		for text := range list {
			if !excused[text] {
				t.Errorf("%q is excused, and nothing says it", text)
			}
		}
	}
}

// What others may read is made of constants and of values that say nothing of anybody's table. A new value needs a reason
// here.
func TestMarkedTextsHoldNoData(t *testing.T) {
	used := map[string]bool{}
	for _, folder := range covered {
		sources(t, folder, func(name string, files *token.FileSet, code *ast.File) {
			ast.Inspect(code, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				from := 1
				switch called(call) {
				case "public":
					from = 2
				case "WithPublic":
				default:
					return true
				}
				for _, arg := range call.Args[from:] {
					value := types.ExprString(arg)
					if _, ok := harmless[value]; !ok {
						t.Errorf("%s:%d tells other parties %s; say in harmless why they may know it", name, files.Position(call.Pos()).Line, value)
					}
					used[value] = true
				}
				return true
			})
		})
	}
	for value := range harmless {
		if !used[value] {
			t.Errorf("harmless names %s, which nobody is told", value)
		}
	}
}
