package jobcheck

import (
	"fmt"
	"iter"
	"strings"
)

// near is " (did you mean X?)" for the known name that is most like this one; empty when none is.
func near(name string, known iter.Seq[string]) string {
	best, least := "", 1+min(3, len(name)/3)
	plain := strings.NewReplacer("_", "", "-", "", " ", "")
	wrong := strings.ToLower(plain.Replace(name))
	if len(wrong) > 64 {
		return ""
	}
	for right := range known {
		if d := distance(wrong, strings.ToLower(plain.Replace(right))); d < least || d == least && right < best {
			best, least = right, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is how many letters are to be put in, taken out or changed to make b of a.
func distance(a, b string) int {
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		left := above[0]
		above[0] = i + 1
		for j := range len(b) {
			change := left
			if a[i] != b[j] {
				change++
			}
			left = above[j+1]
			above[j+1] = min(change, above[j+1]+1, above[j]+1)
		}
	}
	return above[len(b)]
}
