package docs

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The words that the glossary replaces by others are in no comment, in no document and in no name of a function.
func TestWordsOfTheGlossary(t *testing.T) {
	r := load(t)
	refused := refusedWords(r)
	require.NotEmpty(t, refused)
	for _, c := range r.comments {
		if dir := path.Dir(c.file); dir != "tests/docs" {
			refuse(t, refused, c.file, c.line, c.text)
		}
	}
	for _, f := range r.functions {
		refuse(t, refused, f.file, f.line, humps.ReplaceAllString(f.text, "$1 $2"))
	}
	for _, p := range r.pages {
		if path.Dir(p.file) == "docs/spec" || p.file == "docs/glossary.md" {
			continue
		}
		for i, line := range p.lines {
			refuse(t, refused, p.file, i+1, inlineCode.ReplaceAllString(line, ""))
		}
	}
}

func refuse(t *testing.T, refused map[string]string, file string, line int, text string) {
	for _, w := range wordLike.FindAllString(strings.ToLower(text), -1) {
		if better := refused[w]; better != "" {
			t.Errorf("%s:%d: the glossary has %q for %q", file, line, better, w)
		}
	}
}

// humps are the places at which a name in code begins a new word.
var humps = regexp.MustCompile(`([a-z0-9])([A-Z])`)

var wordLike = regexp.MustCompile(`[a-z_]+`)

// refusedWords are those of the third column of the glossary's tables, each with the word that replaces it.
func refusedWords(r *repository) map[string]string {
	refused := map[string]string{}
	for _, p := range r.pages {
		if p.file != "docs/glossary.md" {
			continue
		}
		for _, line := range p.lines {
			cells := strings.Split(line, "|")
			if len(cells) != 6 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "word" {
				continue
			}
			for _, w := range strings.Split(cells[3], ",") {
				if w = strings.TrimSpace(w); w != "" {
					refused[w] = strings.TrimSpace(cells[1])
				}
			}
		}
	}
	return refused
}

// verbs and nouns that end like adverbs, and names that end with one for another reason.
var noAdverbs = regexp.MustCompile(`(?i)(reply|apply|multiply|poly|only|assembly|supply|family|tally)$`)

// adverbs that do not end like one.
var adverbs = regexp.MustCompile(`^(again|ahead|alone|always|anew|apart|aside|away|below|everywhere|far|forever|here|later|never|often|once|seldom|soon|straight|there|together|twice)$`)

// A function is named for what it does or returns, not for the manner in which it does that.
func TestNoAdverbNamesAFunction(t *testing.T) {
	require.Regexp(t, noAdverbs, "DecodeReply")
	require.True(t, isAdverb("Again") && isAdverb("briefly") && isAdverb("closeQuietly") && isAdverb("Stepwise") && !isAdverb("Apply"))
	functions := load(t).functions
	require.NotEmpty(t, functions)
	for _, f := range functions {
		if !isTest(f.text) && isAdverb(f.text) {
			t.Errorf("%s:%d: %s is named by an adverb", f.file, f.line, f.text)
		}
	}
}

func isAdverb(name string) bool {
	lower := strings.ToLower(name)
	return adverbs.MatchString(lower) || (strings.HasSuffix(lower, "ly") || strings.HasSuffix(lower, "wise")) && !noAdverbs.MatchString(lower)
}
