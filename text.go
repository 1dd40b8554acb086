package openflow

import (
	"fmt"
	"strconv"
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

// Hidden reports whether a screen would do something at r, or show nothing. That is so of control characters, those of C1 too, of
// breaks of lines, of what turns the direction of writing, and of what has no width, with which two names look alike.
func Hidden(r rune) bool {
	switch {
	case ' ' <= r && r <= '~':
		return false
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // of category Cf, and seen
		return false
	}
	return breaks(r) || unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// breaks reports whether r ends a word at the least: a blank can stand for it.
func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Readable is text without what is [Hidden]. So a screen shows no words that are not in the text, and all that are. Lines
// stay. It is for texts of others on their way into rows, workflows and terminals.
func Readable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || !Hidden(r):
			return r
		case breaks(r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
}

// Line is Readable for a place of one line.
func Line(text string) string { return strings.ReplaceAll(Readable(text), "\n", " ") }

// Visible is text with everything that is [Hidden] written out, as \x1b for an escape, and with every byte that is no UTF-8.
// Lines and tabs stay. It is for what a program has written, of which nothing may be lost.
func Visible(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' || r == '\t' || !Hidden(r) && (r != utf8.RuneError || n > 1):
			b.WriteString(text[i : i+n])
		default:
			quoted := strconv.QuoteToASCII(text[i : i+n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
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
