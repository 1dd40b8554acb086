package deploy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"openflow/cli"
)

// mention is "openflow", a word, and what follows on the line: perhaps a command, perhaps a sentence about the program.
var mention = regexp.MustCompile(`\bopenflow +([a-z][a-z-]*)(.*)`)

// prose are words that follow "openflow" in sentences about the program itself.
var prose = []string{"and", "has", "is", "node", "reads", "runs", "with"}

// usage is what a command line may consist of.
type usage struct {
	flags    []string // with their dashes
	needs    []string // flags that the first line of its help names outside of brackets
	commands map[string]usage
}

// program is openflow with all its commands. Those that link the server are known by their settings, or read from their
// source.
func program(t *testing.T) usage {
	t.Helper()
	all := of(cli.NewRoot("v", nil))
	add := func(command string, names []string) {
		u := usage{flags: slices.Clone(all.flags)}
		for _, name := range names {
			u.flags = append(u.flags, "--"+name)
		}
		all.commands[command] = u
	}
	for _, command := range []string{"server", "worker", "temporal"} {
		add(command, append(slices.Collect(maps.Keys(settingsOf(t, command))), "config"))
	}
	for _, command := range []string{"demo", "image", "uninstall"} {
		add(command, flagsIn(t, "../../cmd/openflow/"+command+".go"))
	}
	return all
}

// flagsIn are the flags that a file of source registers.
func flagsIn(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasSuffix(sel.Sel.Name, "Var") {
			return true
		}
		if lit, ok := call.Args[1].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			name, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			names = append(names, name)
		}
		return true
	})
	return names
}

var named = regexp.MustCompile(`--[a-z-]+`)

func of(c *cobra.Command) usage {
	u := usage{flags: []string{"--help", "--version"}, commands: map[string]usage{}}
	for _, word := range regexp.MustCompile(`(?s)--[a-z-]+|-\w, `).FindAllString(c.LocalFlags().FlagUsages()+c.InheritedFlags().FlagUsages(), -1) {
		u.flags = append(u.flags, strings.TrimSuffix(word, ", "))
	}
	u.needs = named.FindAllString(regexp.MustCompile(`\[[^]]*\]`).ReplaceAllString(c.Use, ""), -1)
	for _, sub := range c.Commands() {
		u.commands[sub.Name()] = of(sub)
	}
	return u
}

// end is where a command line in a text ends.
var end = regexp.MustCompile("[`\"';|()#,]|\\.(\\s|$)|: | →| < | > |&&|…|\\\\n|\\\\$|<")

// wrong tells what a line that mentions the program asks for and is not there; empty: nothing.
func (u usage) wrong(line string) string {
	m := mention.FindStringSubmatch(line)
	if m == nil || slices.Contains(prose, m[1]) || strings.HasPrefix(m[2], "/") || strings.HasPrefix(m[2], ".") {
		return ""
	}
	text, continued := m[1]+m[2], strings.HasSuffix(strings.TrimSpace(line), `\`)
	if at := end.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	words := strings.Fields(text)
	for len(words) > 0 && len(u.commands) > 0 {
		sub, ok := u.commands[words[0]]
		if !ok {
			break
		}
		u, words = sub, words[1:]
	}
	if len(words) > 0 && len(u.commands) > 0 && !slices.Contains(prose, words[0]) && !strings.HasPrefix(words[0], "-") {
		return "there is no command " + words[0]
	}
	var given []string
	full := false // more than the name of a command
	for _, w := range words {
		if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(w, "-") && strings.Trim(w, "-") != "" {
			if !slices.Contains(u.flags, flag) {
				return "there is no flag " + flag
			}
			given = append(given, flag)
		}
		full = full || strings.HasPrefix(w, "-") || strings.ContainsAny(w, "%0123456789") || w == strings.ToUpper(w)
	}
	for _, flag := range u.needs {
		spared := flag == "--key" && (slices.Contains(given, "--unsigned-from") || slices.Contains(given, "--trust")) // a peer that signs nothing, or as FATE does, has none
		if full && !continued && !spared && !slices.Contains(given, flag) {
			return "it needs " + flag
		}
	}
	return ""
}

// The reading of command lines finds what it is there for.
func TestWrongAdviceIsFound(t *testing.T) {
	u := program(t)
	for line, want := range map[string]string{
		"openflow runs joint computations":                           "",
		`check it: openflow site list, openflow doctor`:              "",
		`"openflow job show" (at the other)`:                         "",
		`openflow job watch %s`:                                      "",
		`openflow data upload f.csv --namespace a --name b -o json`:  "",
		`openflow server --party 9999 --cores 2`:                     "",
		`openflow site add 10000 --url URL \`:                        "",
		`see openflow site rotate`:                                   "",
		`openflow jobs list`:                                         "there is no command jobs",
		`openflow job ls`:                                            "there is no command ls",
		`openflow job show 1 --verbose`:                              "there is no flag --verbose",
		`openflow server --port 1`:                                   "there is no flag --port",
		`openflow uninstall --all`:                                   "there is no flag --all",
		`run openflow site rotate %s (or ask)`:                       "it needs --key",
		`openflow site add 10000 --url http://10.0.0.2:9390`:         "it needs --key",
		`openflow site add 1 --url URL --unsigned-from 10.0.0.7`:     "",
		`openflow site add 1 --url URL --trust fate-site-signature`:  "",
		`openflow scores raise 9999 demo/credit`:                     "it needs --to",
		`openflow job output 1 -z`:                                   "there is no flag -z",
		`openflow uninstall --gone removes them, as does the start.`: "",
	} {
		require.Equal(t, want, u.wrong(line), line)
	}
}

// Every command that a message, a help text or a document names is there, with its flags.
func TestAdviceNamesCommandsThatExist(t *testing.T) {
	u, found := program(t), 0
	look := func(where, text string) {
		for line := range strings.Lines(text) {
			for i := strings.Index(line, "openflow "); i >= 0; { // several in a line
				rest := line[i:]
				if mention.MatchString(rest) {
					found++
				}
				if what := u.wrong(rest); what != "" {
					t.Errorf("%s: %s: %s", where, what, strings.TrimSpace(rest))
				}
				next := strings.Index(rest[1:], "openflow ")
				if next < 0 {
					break
				}
				i += 1 + next
			}
		}
	}
	const root = "../.."
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		case strings.HasSuffix(path, ".go"):
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					look(path, text)
				}
				return true
			})
		case strings.HasSuffix(path, ".md"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			look(path, code(string(text)))
		case strings.Contains(path, "/deploy/") && !strings.Contains(path, "/tests/"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			look(path, string(text))
		}
		return nil
	}))
	require.Greater(t, found, 150, "texts that name a command")
}

// span is text between backticks; a block of three is one too.
var span = regexp.MustCompile("(?s)```.*?```|`[^`]+`")

// code is what a page sets as code, each piece on lines of its own.
func code(page string) string {
	var b strings.Builder
	for _, s := range span.FindAllString(page, -1) {
		b.WriteString(strings.ReplaceAll(strings.Trim(s, "`"), "bin/openflow", "openflow") + "\n")
	}
	return b.String()
}
