package docs

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a reader takes in at once. A sentence of the documents has meanWords on average; none, in a comment and a message
// neither, has more than mostWords.
const (
	meanWords = 16
	mostWords = 35
)

// The documents' sentences are short. The texts of docs/spec are others' and are not measured; cells of tables count for the
// longest sentence only, since they would make any mean small.
func TestSentences(t *testing.T) {
	r := load(t)
	measured := 0
	for _, p := range r.pages {
		if path.Dir(p.file) == "docs/spec" {
			continue
		}
		measured++
		prose, cells := split(p.lines)
		words, count := 0, 0
		for _, s := range prose {
			words, count = words+length(s.text), count+1
		}
		if count > 0 && words > meanWords*count {
			t.Errorf("%s: %d sentences have %.1f words on average, more than %d", p.file, count, float64(words)/float64(count), meanWords)
		}
		for _, s := range append(prose, cells...) {
			tooLong(t, p.file, s.line, s.text)
		}
	}
	require.Greater(t, measured, 10, "documents measured")
}

// Comments and messages have short sentences too, each kind on average over all code.
func TestSentencesInCode(t *testing.T) {
	r := load(t)
	var messages []passage
	for _, l := range r.literals {
		if isMessage(l) {
			messages = append(messages, l)
		}
	}
	for what, texts := range map[string][]passage{"comments": r.comments, "messages": messages} {
		words, count := 0, 0
		for _, p := range texts {
			for _, s := range sentencesOf(p.text) {
				words, count = words+length(s), count+1
				tooLong(t, p.file, p.line, s)
			}
		}
		require.Positive(t, count, what)
		require.LessOrEqual(t, float64(words)/float64(count), float64(meanWords), "words of a sentence in %s", what)
	}
}

func tooLong(t *testing.T, file string, line int, sentence string) {
	if n := length(sentence); n > mostWords {
		t.Errorf("%s:%d: a sentence of %d words: %s", file, line, n, sentence)
	}
}

// sentence is one sentence of a document and where its paragraph begins.
type sentence struct {
	line int
	text string
}

var (
	item    = regexp.MustCompile(`^\s*(?:[-*]|\d+\.) `)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	ending  = regexp.MustCompile(`[^.][.!?][)"'*”]*\s+\S`)
	inQuote = regexp.MustCompile("`[^`]*`")
)

// split makes sentences of a document: of its paragraphs, items and headings, and of the cells of its tables.
func split(lines []string) (prose, cells []sentence) {
	var paragraph []string
	begin, fenced := 0, false
	flush := func() {
		for _, s := range sentencesOf(strings.Join(paragraph, " ")) {
			prose = append(prose, sentence{begin + 1, s})
		}
		paragraph = nil
	}
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence || fenced:
			flush()
			fenced = fenced != fence
			continue
		case strings.HasPrefix(line, "|"):
			flush()
			for _, cell := range strings.Split(strings.ReplaceAll(line, `\|`, " "), "|") {
				for _, s := range sentencesOf(cell) {
					cells = append(cells, sentence{i + 1, s})
				}
			}
			continue
		case strings.HasPrefix(line, "#"): // a heading is no sentence
			flush()
			continue
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "    "):
			flush()
			continue
		case item.MatchString(line):
			flush()
		}
		if len(paragraph) == 0 {
			begin = i
		}
		paragraph = append(paragraph, item.ReplaceAllString(line, ""))
	}
	flush()
	return prose, cells
}

// sentencesOf splits text at full stops, at empty lines and before items. A piece of code is one word.
func sentencesOf(text string) (found []string) {
	for _, block := range blocks(text) {
		block = linked.ReplaceAllString(inQuote.ReplaceAllString(block, "`"), "$1")
		for {
			at := ending.FindStringIndex(block)
			if at == nil {
				break
			}
			end := at[0] + 1 + strings.IndexAny(block[at[0]+1:], " \n\t")
			found = append(found, oneLine(block[:end]))
			block = block[end:]
		}
		if block = oneLine(block); block != "" {
			found = append(found, block)
		}
	}
	return found
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// blocks are the paragraphs and items of a text, each on one line. Indented lines are code, and so are examples of commands.
func blocks(text string) (list []string) {
	open := false
	for _, line := range strings.Split(text, "\n") {
		code := strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "  openflow ")
		if strings.TrimSpace(line) == "" || code {
			open = false
			continue
		}
		if !open || item.MatchString(line) {
			list, open = append(list, ""), true
		}
		list[len(list)-1] += item.ReplaceAllString(line, "") + " "
	}
	return list
}

var word = regexp.MustCompile("[A-Za-z0-9`§…%]")

// length counts words: what has a letter, a digit or code in it.
func length(sentence string) (n int) {
	for _, f := range strings.Fields(sentence) {
		if word.MatchString(f) {
			n++
		}
	}
	return n
}

var statement = regexp.MustCompile(`(?i)^\s*(select|insert|update|delete|with|create|alter|drop|pragma)\s|function|local `)

// isMessage tells whether a literal is for people: words of a program that is no test, and no statement of SQL.
func isMessage(l passage) bool {
	return !strings.HasSuffix(l.file, "_test.go") && !strings.HasPrefix(l.file, "tests/") &&
		strings.Count(l.text, " ") > 5 && !statement.MatchString(l.text)
}

// What is measured, and how.
func TestSentencesAreCounted(t *testing.T) {
	require.Equal(t, []string{"One `.", "Two (three).", "Four: five; six 1.5 seven."},
		sentencesOf("One `a. B`. Two\n(three). Four: five; six 1.5 seven."))
	require.Equal(t, []string{"intro:", "a b.", "C d", "next"}, sentencesOf("intro:\n- a b. C\n  d\n\n\tcode code\n\nnext"))
	prose, cells := split([]string{"# Title", "a b", "c [d](e.md).", "", "```", "x y", "```", "| f g | h. I |", "- j", "- k", "  l"})
	require.Equal(t, []sentence{{2, "a b c d."}, {9, "j"}, {10, "k l"}}, prose)
	require.Equal(t, []sentence{{8, "f g"}, {8, "h."}, {8, "I"}}, cells)
	require.Equal(t, 5, length("a – b, `: 5 words."))
	long := passage{"a.go", 1, strings.Repeat("word ", mostWords+1)}
	require.True(t, isMessage(long))
	require.False(t, isMessage(passage{"a.go", 1, "select a, b, c, d, e, f, g from t"}))
	require.Greater(t, length(sentencesOf(long.text)[0]), mostWords, fmt.Sprint(mostWords))
}

// ARCHITECTURE.md is read in one sitting. What is longer has a page per topic. Two lines of three are rows of packages.
func TestArchitectureIsShort(t *testing.T) {
	const mostLines = 280
	for _, p := range load(t).pages {
		if p.file == "ARCHITECTURE.md" {
			require.LessOrEqual(t, len(p.lines), mostLines, "move a topic to a page in docs")
			life := lifeInLines(p.lines)
			require.Len(t, life, 10, "a job's life in ten lines")
			for _, line := range life {
				require.LessOrEqual(t, len([]rune(line)), 130, line)
			}
			return
		}
	}
	t.Error("no ARCHITECTURE.md")
}

// lifeInLines are the numbered lines of the first section, without lines that continue one.
func lifeInLines(lines []string) (life []string) {
	sections := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "## ") {
			sections++
		}
		if sections == 1 && item.MatchString(line) {
			life = append(life, line)
		}
	}
	return life
}
