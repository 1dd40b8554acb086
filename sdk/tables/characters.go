package tables

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unseen reports characters that take no place: marks of the direction of writing, joiners, soft hyphens.
func unseen(c rune) bool { return unicode.Is(unicode.Cf, c) }

// usual is s as most programs write it: full-width and compatible characters, letters with accents of their own, other
// hyphens and blanks are replaced, and characters that cannot be seen are left out. Ids and names that differ in nothing
// else look the same.
func usual(s string) string {
	if ascii(s) {
		return s
	}
	return strings.Map(func(c rune) rune {
		switch {
		case unseen(c):
			return -1
		case unicode.Is(unicode.Pd, c) || c == '−':
			return '-'
		case unicode.IsSpace(c):
			return ' '
		}
		return c
	}, norm.NFKC.String(s))
}

// trim takes blanks off both ends, also those that cannot be seen.
func trim(s string) string {
	return strings.TrimFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unseen(c) })
}
