package cli

import "strings"

// Aligned is text as it is shown.
func Aligned(text string) string {
	var c columns
	_, _ = c.Write([]byte(text)) // memory takes everything
	var out strings.Builder
	_ = c.flush(&out) // memory takes everything
	return out.String()
}
