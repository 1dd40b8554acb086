package docs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every section, path, test, heading and identifier that a document or a comment of ours names is there.
func TestCitationsResolve(t *testing.T) {
	r := load(t)
	specs, err := r.specifications()
	require.NoError(t, err)
	var wrong []string
	report := func(file string, line int, mistakes []string) {
		for _, m := range mistakes {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %s", file, line, m))
		}
	}
	for _, c := range r.comments {
		report(c.file, c.line, specs.check(c.text, ""))
		report(c.file, c.line, r.checkPaths(path.Dir(c.file), c.text))
		report(c.file, c.line, r.checkTests(c.text))
		report(c.file, c.line, r.checkHeadings(c.text))
		report(c.file, c.line, r.checkDocLinks(path.Dir(c.file), c.text))
		report(c.file, c.line, r.checkRoutes(c.text))
	}
	for _, l := range r.literals {
		report(l.file, l.line, r.checkPages(l.text))
	}
	for _, p := range r.pages {
		if path.Dir(p.file) == "docs/spec" && p.file != "docs/spec/README.md" {
			continue
		}
		of, fenced := "", false
		for i, line := range p.lines {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
			}
			if fenced {
				report(p.file, i+1, r.checkCommands(line))
				continue
			}
			for _, code := range inlineCode.FindAllString(line, -1) {
				report(p.file, i+1, r.checkCommands(strings.Trim(code, "`")))
			}
			if p.file == "docs/divergences.md" {
				of = specs.headingOf(line, of)
				report(p.file, i+1, specs.checkRow(line, of))
			}
			report(p.file, i+1, specs.check(line, of))
			report(p.file, i+1, r.checkCode(path.Dir(p.file), line))
			report(p.file, i+1, r.checkPaths(path.Dir(p.file), inlineCode.ReplaceAllString(line, "")))
			report(p.file, i+1, r.checkTests(line))
			report(p.file, i+1, r.checkHeadings(line+" "+following(p.lines, i)))
			report(p.file, i+1, r.checkLinks(p, line))
			if p.file != "docs/fate-routes.md" { // which has FATE-Flow's routes, and a test of its own: TestThePageHasEveryRoute
				report(p.file, i+1, r.checkRoutes(line))
			}
		}
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// following is the line after one, as far as it goes on with its paragraph.
func following(lines []string, i int) string {
	if i+1 < len(lines) && !strings.ContainsAny(lines[i], "|") {
		return lines[i+1]
	}
	return ""
}

// specifications are the sections of each text in docs/spec, with the numbers of its rows, by name without ending.
type specifications map[string]map[string]map[int]bool

var (
	heading  = regexp.MustCompile(`^#+ (?:Part )?(\d+(?:\.\d+)*)\.? `)
	numbered = regexp.MustCompile(`^(?:\| ?|#+ |)(\d+)(?:–(\d+))?(?: \||\. | [A-Z])`)
	// citation is a document (or the word before), a section or a range of them, and numbers of rows.
	citation = regexp.MustCompile(`(?:(RFC \d+|[\w./-]+) )?§(\d+(?:\.\d+)*)(?:–(\d+(?:\.\d+)*))?((?:,? #\d+(?:–\d+)?)*)`)
	defects  = regexp.MustCompile(`\b[Pp]art 7((?:,? #\d+(?:–#?\d+)?)+)`)
	number   = regexp.MustCompile(`#?(\d+)(?:–#?(\d+))?`)
)

func (r *repository) specifications() (specifications, error) {
	s := specifications{}
	for _, p := range r.pages {
		if path.Dir(p.file) == "docs/spec" {
			s[strings.TrimSuffix(path.Base(p.file), ".md")] = sections(p.lines)
		}
	}
	for _, p := range r.pages {
		if p.file == "docs/divergences.md" { // its rows are sections too: of the text under whose heading they stand
			s[p.file] = map[string]map[int]bool{}
			for _, line := range p.lines {
				for _, c := range rowSections(line) {
					s[p.file][c.section] = map[int]bool{}
				}
			}
		}
	}
	if len(s) < 2 {
		return nil, fmt.Errorf("no specifications in docs/spec")
	}
	return s, nil
}

// sections are the headings that have a number, each with the numbers of the rows, items and headings below it.
func sections(lines []string) map[string]map[int]bool {
	in, at, level := map[string]map[int]bool{}, []string{}, []int{}
	for _, line := range lines {
		if n := numbered.FindStringSubmatch(line); n != nil {
			first, last := bounds(n[1], n[2])
			for i := first; i <= last; i++ {
				for _, s := range at {
					in[s][i] = true
				}
			}
		}
		h := heading.FindStringSubmatch(line)
		if h == nil || strings.HasPrefix(line, "### ") && !strings.Contains(h[1], ".") {
			continue // a route with its number
		}
		depth := strings.Count(h[1], ".")
		for len(level) > 0 && level[len(level)-1] >= depth {
			at, level = at[:len(at)-1], level[:len(level)-1]
		}
		at, level = append(at, h[1]), append(level, depth)
		if in[h[1]] == nil {
			in[h[1]] = map[int]bool{}
		}
	}
	return in
}

func bounds(first, last string) (from, to int) {
	from, _ = strconv.Atoi(first) // only digits
	to = from
	if last != "" {
		to, _ = strconv.Atoi(last)
	}
	return from, to
}

// check lists what a text cites and the specifications do not have. A section without a document belongs to the one named
// last, or next; of is the document of a text that names none.
func (s specifications) check(text, of string) (wrong []string) {
	text = strings.Join(strings.Fields(text), " ")
	cited := citation.FindAllStringSubmatch(text, -1)
	for _, c := range cited {
		if of == "" {
			of = s.document(c[1])
		}
	}
	for _, c := range cited {
		if strings.Contains(text, "Spec: "+c[0]) && c[1] != "Spec:" && s.document(c[1]) == "" && c[1] != "" {
			wrong = append(wrong, fmt.Sprintf("docs/spec has no text %q", c[1]))
			continue
		}
		if d := s.document(c[1]); d != "" {
			of = d
		}
		if strings.HasPrefix(of, "RFC") {
			continue
		}
		if of == "" {
			wrong = append(wrong, fmt.Sprintf("%q names no text of docs/spec", c[0]))
			continue
		}
		for _, section := range []string{c[2], c[3]} {
			if section != "" {
				wrong = append(wrong, s.resolve(of, section, c[4])...)
			}
		}
	}
	for _, d := range defects.FindAllStringSubmatch(text, -1) {
		wrong = append(wrong, s.resolve("fate-flow-api", "7", d[1])...)
	}
	return wrong
}

// document is the text that a word names, or nothing.
func (s specifications) document(word string) string {
	switch {
	case word == "FC":
		return "fate-components"
	case strings.HasPrefix(word, "RFC "), s[word] != nil:
		return word
	}
	return ""
}

func (s specifications) resolve(of, section, rows string) (wrong []string) {
	have, ok := s[of][section]
	if !ok {
		return []string{fmt.Sprintf("%s has no section %s", of, section)}
	}
	for _, n := range number.FindAllStringSubmatch(rows, -1) {
		first, last := bounds(n[1], n[2])
		for i := first; i <= last; i++ {
			if !have[i] {
				wrong = append(wrong, fmt.Sprintf("section %s of %s has no #%d", section, of, i))
			}
		}
	}
	return wrong
}

// headingOf is the specification that the rows below a line are about.
func (s specifications) headingOf(line, before string) string {
	if name, ok := strings.CutPrefix(line, "## "); ok {
		return s.document(name)
	}
	return before
}

type rowSection struct{ document, section, rows string }

var rowCitation = regexp.MustCompile(`^(FC §)?(\d+(?:\.\d+)*)(?:–\d+(?:\.\d+)*)?((?: #\d+(?:–\d+)?)?)`)

// rowSections are the sections in the first cell of a row of docs/divergences.md.
func rowSections(line string) (cited []rowSection) {
	cells := strings.Split(line, "|")
	if len(cells) < 5 {
		return nil
	}
	for _, one := range strings.Split(cells[1], ",") {
		if c := rowCitation.FindStringSubmatch(strings.TrimSpace(one)); c != nil {
			cited = append(cited, rowSection{strings.TrimSuffix(c[1], " §"), c[2], c[3]})
		}
	}
	return cited
}

func (s specifications) checkRow(line, of string) (wrong []string) {
	for _, c := range rowSections(line) {
		if of == "" {
			return []string{"a row of sections below no text of docs/spec"}
		}
		in := of
		if c.document != "" {
			in = s.document(c.document)
		}
		wrong = append(wrong, s.resolve(in, c.section, c.rows)...)
	}
	return wrong
}

var (
	inlineCode = regexp.MustCompile("`[^`]+`")
	// pathLike is words with slashes between them, which no slash, dollar or tilde precedes: no URL, no route, no path of a machine.
	pathLike  = regexp.MustCompile(`(?:^|[^\w/.$~:-])([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.*{},-]+)+)`)
	fileLike  = regexp.MustCompile(`(?:^|[\s("])([\w-]+\.(?:go|lua|sql))\b`)
	codePath  = regexp.MustCompile(`^[a-z][\w.-]*(?:/[\w.*{},-]+)+/?$`)
	goName    = regexp.MustCompile(`^([a-z]\w*(?:/\w+)*)\.([A-Z]\w*(?:\.[A-Z]\w*)?)(?:\(.*\))?$`)
	camelCase = regexp.MustCompile(`^[A-Z][a-z]+[A-Z]\w*$`)
	testWord  = regexp.MustCompile(`\b(?:([a-z]\w*)\.)?((?:Test|Fuzz|Benchmark)[A-Z]\w*)\b`)
	pageLike  = regexp.MustCompile(`\bdocs/[\w/-]+\.md\b`)
	docLink   = regexp.MustCompile(`\[(?:([a-z]\w*)\.)?([A-Z]\w*(?:\.[A-Z]\w*)?|[a-z]\w*[A-Z]\w*)\]`)
	link      = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	titled    = regexp.MustCompile(`([\w/]+\.md), "([^"]+)"|"([^"]+)" in ([\w/]+\.md)`)
)

// routeLike is a route of the node, or the beginning of one. Several last segments may stand in braces.
var routeLike = regexp.MustCompile("(?:^|[\\s(\"`])(/(?:v2|openflow/v1)(?:/[a-z_]+)*)(?:/\\{([a-z,]+)\\})?")

// made are files that a run leaves behind.
var made = map[string]bool{"tests/bench/results.json": true}

// checkPaths lists paths in prose that are not there: those that begin with one of our folders, and names of source files.
func (r *repository) checkPaths(dir, text string) (wrong []string) {
	for _, m := range pathLike.FindAllStringSubmatch(text, -1) {
		name := strings.TrimRight(m[1], ".,-/")
		first, _, _ := strings.Cut(name, "/")
		if r.folders[first] && !r.exists(dir, name) && !r.isRoute(name) {
			wrong = append(wrong, name+" does not exist")
		}
	}
	for _, m := range fileLike.FindAllStringSubmatch(text, -1) {
		if !r.exists(dir, m[1]) {
			wrong = append(wrong, m[1]+" is not in this folder")
		}
	}
	return wrong
}

// exists tells whether a path from the root, or from a folder, exists. Its last segment may be a pattern.
func (r *repository) exists(dir, name string) bool {
	if made[name] || r.modules[name] {
		return true
	}
	for _, from := range []string{"", dir} {
		full := path.Join(from, name)
		if r.paths[full] {
			return true
		}
		if !strings.ContainsAny(name, "*") {
			continue
		}
		for p := range r.paths {
			if ok, err := path.Match(full, p); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// isRoute tells whether a name is one of the node's own routes, written without what all routes begin with.
func (r *repository) isRoute(name string) bool {
	for _, route := range r.routes {
		if strings.HasSuffix(route, "/"+name) {
			return true
		}
	}
	return false
}

// checkRoutes lists routes that no listener of the node has.
func (r *repository) checkRoutes(text string) (wrong []string) {
	for _, m := range routeLike.FindAllStringSubmatch(text, -1) {
		for _, last := range strings.Split(m[2], ",") {
			named := path.Join(m[1], last)
			if !slices.ContainsFunc(r.routes, func(route string) bool { return strings.HasPrefix(route+"/", named+"/") }) {
				wrong = append(wrong, "there is no route "+named)
			}
		}
	}
	return wrong
}

// checkCode lists paths and identifiers in the inline code of a line that are not there.
func (r *repository) checkCode(dir, line string) (wrong []string) {
	for _, quoted := range inlineCode.FindAllString(line, -1) {
		code := strings.Trim(quoted, "`")
		if camelCase.MatchString(code) && !r.names[code] {
			wrong = append(wrong, "nothing is called "+code)
		}
		if id := goName.FindStringSubmatch(code); id != nil && r.declared[id[1]] != nil {
			if !r.declared[id[1]][id[2]] {
				wrong = append(wrong, fmt.Sprintf("%s declares no %s", id[1], id[2]))
			}
			continue
		}
		if codePath.MatchString(code) && !r.exists(dir, strings.TrimSuffix(code, "/")) && !r.isRoute(code) {
			wrong = append(wrong, code+" does not exist")
		}
	}
	return wrong
}

var (
	commandLine = regexp.MustCompile(`(?:^|/|\s)openflow ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?`)
	flagName    = regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]+)`)
	othersTools = regexp.MustCompile(`^(docker|systemctl|go|git|curl|iptables) `)
)

// checkCommands lists commands and flags in code that the command line has in none of its texts.
func (r *repository) checkCommands(code string) (wrong []string) {
	if othersTools.MatchString(code) {
		return nil
	}
	code, _, _ = strings.Cut(code, "#")
	for _, m := range commandLine.FindAllStringSubmatch(code, -1) {
		for _, word := range m[1:] {
			if word != "" && !r.commandWords[word] {
				wrong = append(wrong, fmt.Sprintf("%q: there is no command %s", strings.TrimSpace(m[0]), word))
			}
		}
	}
	for _, m := range flagName.FindAllStringSubmatch(code, -1) {
		if !r.commandWords[m[1]] {
			wrong = append(wrong, "there is no flag --"+m[1])
		}
	}
	return wrong
}

// checkPages lists the documents that a text for users sends them to and that do not exist.
func (r *repository) checkPages(text string) (wrong []string) {
	for _, name := range pageLike.FindAllString(text, -1) {
		if !r.paths[name] {
			wrong = append(wrong, name+" does not exist")
		}
	}
	return wrong
}

// checkDocLinks lists the names in brackets that neither the package of a comment nor the package named with them declares.
func (r *repository) checkDocLinks(dir, text string) (wrong []string) {
	for _, m := range docLink.FindAllStringSubmatch(text, -1) {
		in := dir
		if m[1] != "" {
			in = m[1]
		}
		if r.declared[in] != nil && !r.declared[in][m[2]] {
			wrong = append(wrong, fmt.Sprintf("%s declares no %s", in, m[2]))
		}
	}
	return wrong
}

// checkTests lists names of tests that no test has, in the package that is named with them or in any.
func (r *repository) checkTests(text string) (wrong []string) {
	for _, m := range testWord.FindAllStringSubmatch(text, -1) {
		if !r.tests[m[1]][m[2]] {
			wrong = append(wrong, "no test "+m[0])
		}
	}
	return wrong
}

// checkHeadings lists headings of documents that are quoted with the document and do not exist.
func (r *repository) checkHeadings(text string) (wrong []string) {
	for _, m := range titled.FindAllStringSubmatch(strings.Join(strings.Fields(text), " "), -1) {
		file, title := m[1]+m[4], m[2]+m[3]
		if !r.hasHeading(file, title) {
			wrong = append(wrong, fmt.Sprintf("%s has no heading %q", file, title))
		}
	}
	return wrong
}

func (r *repository) hasHeading(file, title string) bool {
	for _, p := range r.pages {
		if p.file != file {
			continue
		}
		for _, line := range p.lines {
			if strings.HasPrefix(line, "#") && strings.HasPrefix(strings.TrimLeft(line, "# "), title) {
				return true
			}
		}
	}
	return false
}

// checkLinks lists links to files that do not exist.
func (r *repository) checkLinks(p page, line string) (wrong []string) {
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		if !strings.Contains(m[1], "://") && !r.paths[path.Join(path.Dir(p.file), m[1])] {
			wrong = append(wrong, "the link to "+m[1]+" leads nowhere")
		}
	}
	return wrong
}
