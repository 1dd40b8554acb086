package openflow

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cut is text in limit bytes at most, with a sign where something is left out.
func Cut(text string, limit int) string {
	const more = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

// Readable is text without what moves a terminal's cursor or turns the direction of writing. So a screen shows no words that
// are not in the text. Lines stay.
func Readable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// MaxHeard is how many bytes of one text of another party are taken.
const MaxHeard = 1 << 10

// Heard is what is taken of a text that another party or a container has written: the beginning of a long one, which says so,
// without the signs that are none to read. It may have several lines.
func Heard(text string) string {
	if len(text) > MaxHeard {
		sign := fmt.Sprintf("... cut, %d bytes; see the log", len(text))
		text = strings.ToValidUTF8(text[:MaxHeard-len(sign)], "") + sign
	}
	return Readable(text)
}

// maxLine is how many characters FirstLine takes.
const maxLine = 500

// FirstLine is the first line of the first text that is not blank. It is readable, and a long one is cut.
func FirstLine(texts ...string) string {
	for _, t := range texts {
		line, _, _ := strings.Cut(strings.TrimSpace(t), "\n")
		if line = strings.TrimSpace(Readable(Cut(line, maxLine*utf8.UTFMax))); line != "" {
			if r := []rune(line); len(r) > maxLine {
				line = string(r[:maxLine]) + "…"
			}
			return line
		}
	}
	return ""
}
