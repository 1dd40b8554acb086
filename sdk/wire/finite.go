package wire

import "bytes"

// unbounded are the words that Python writes for numbers which JSON does not have.
var unbounded = [][]byte{[]byte("-Infinity"), []byte("Infinity"), []byte("NaN")}

// Finite replaces the words that Python writes for numbers which JSON does not have, such as NaN, by null. What has none is not copied.
//
// Spec: fate-components §1.4.
func Finite(raw []byte) []byte {
	var out []byte // nil: nothing was replaced
	inText, from := false, 0
	for i := 0; i < len(raw); i++ {
		switch {
		case inText && raw[i] == '\\':
			i++
		case raw[i] == '"':
			inText = !inText
		case !inText && (raw[i] == 'N' || raw[i] == 'I' || raw[i] == '-'):
			for _, word := range unbounded {
				if bytes.HasPrefix(raw[i:], word) {
					out = append(append(out, raw[from:i]...), "null"...)
					i += len(word) - 1
					from = i + 1
					break
				}
			}
		}
	}
	if out == nil {
		return raw
	}
	return append(out, raw[from:]...)
}
