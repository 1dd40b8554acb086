package driver

import "fmt"

// HeadBytes is how much of the beginning of each output a runtime keeps that bounds what it keeps. What a program says first
// tells what it is and how it was started. A flood of words must not wash that away.
const HeadBytes = 64 << 10

// Missing is the line that stands where an output is not kept: between its beginning and its end. A negative number of bytes:
// nobody has counted.
func Missing(bytes int64) string {
	if bytes < 0 {
		return "\n[openflow: a part of this output is not kept]\n"
	}
	return fmt.Sprintf("\n[openflow: %d bytes of this output are not kept]\n", bytes)
}
