package openflow

import "fmt"

// What a JSON text may have that somebody else wrote, besides its length. A value costs a hundred bytes once it is read, whatever
// it costs to write, and every level of nesting costs a piece of the stack.
const (
	MaxJSONDepth = 64      // levels of nesting
	MaxJSONName  = 1 << 10 // bytes of the name of a member
)

// BoundedJSON refuses a JSON text with more values, levels or longer names than may be read. It looks at every byte once, takes no
// memory, and does not say whether the text is JSON at all. Errors: CodeInvalid.
func BoundedJSON(data []byte, values int) error {
	depth, seen, last := 0, 1, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			begin := i
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			last = i - begin - 1
		case ':':
			if last > MaxJSONName {
				return TooMuch("a member's name has %d bytes, more than %d", last, MaxJSONName)
			}
		case '{', '[':
			seen++
			if depth++; depth > MaxJSONDepth {
				return TooMuch("nested deeper than %d levels", MaxJSONDepth)
			}
		case '}', ']':
			depth--
		case ',':
			seen++
		}
		if seen > values {
			return TooMuch("more than %d values", values)
		}
	}
	return nil
}

// TooMuch is the error of a text that is not read, because it would cost too much: CodeInvalid, also for other parties.
func TooMuch(format string, args ...any) error {
	text := "the text is too much to read: " + fmt.Sprintf(format, args...)
	return &Error{Code: CodeInvalid, Message: text, Public: text, Hint: "send less at a time, or split the job"}
}
