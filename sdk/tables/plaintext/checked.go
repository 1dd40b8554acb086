package plaintext

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"openflow"
)

// checked passes text on and ends with an error at the first byte that is none.
type checked struct {
	r        io.Reader
	encoding string // what the text was decoded from
	line     int    // of the next byte
	column   int    // bytes of that line already passed on
	cut      []byte // the begin of a character whose rest has not come; passed on already
	err      error  // how the text ended
}

func (c *checked) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	good := c.accept(p[:n])
	if good < n {
		return good, c.failAfter(good)
	}
	switch {
	case errors.Is(err, io.EOF) && len(c.cut) > 0:
		c.err = c.fault(c.cut)
	case errors.Is(err, io.EOF):
		c.err = io.EOF
	case err != nil:
		c.err = readError(err)
	}
	return n, c.failAfter(n)
}

// failAfter holds an error back while there is something to pass on.
func (c *checked) failAfter(n int) error {
	if n > 0 {
		return nil
	}
	return c.err
}

// accept tells how many bytes of b are text, and sets err when that is not all of them.
func (c *checked) accept(b []byte) int {
	rest := b
	if len(c.cut) > 0 {
		need := min(utf8.UTFMax-len(c.cut), len(b))
		joined := append(bytes.Clone(c.cut), b[:need]...)
		if !utf8.FullRune(joined) {
			c.cut = joined
			return len(b)
		}
		r, size := utf8.DecodeRune(joined)
		if r == utf8.RuneError && (size == 1 || c.encoding != utf8Name) {
			c.err = c.fault(joined)
			return 0
		}
		rest = b[size-len(c.cut):]
		c.column += size
		c.cut = nil
	}
	whole := rest
	if tail := cutTail(rest); tail > 0 {
		whole, c.cut = rest[:len(rest)-tail], bytes.Clone(rest[len(rest)-tail:])
	}
	if bad := c.bad(whole); bad >= 0 {
		c.move(whole[:bad])
		c.err = c.fault(whole[bad:])
		c.cut = nil
		return len(b) - len(rest) + bad
	}
	c.move(whole)
	return len(b)
}

// bad is where b is no text; −1: nowhere.
func (c *checked) bad(b []byte) int {
	if utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 && (c.encoding == utf8Name || !bytes.Contains(b, []byte("\uFFFD"))) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == 0 || r == utf8.RuneError && (size == 1 || c.encoding != utf8Name) {
			return i
		}
		i += size
	}
	return -1
}

// cutTail is the length of a character that begins at the end of b and is not whole.
func cutTail(b []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if at := b[len(b)-back:]; utf8.RuneStart(at[0]) {
			if utf8.FullRune(at) {
				return 0
			}
			return back
		}
	}
	return 0
}

func (c *checked) move(b []byte) {
	if n := bytes.Count(b, []byte("\n")); n > 0 {
		c.line += n
		c.column = len(b) - bytes.LastIndexByte(b, '\n') - 1
		return
	}
	c.column += len(b)
}

// fault tells of text that begins with a bad byte.
func (c *checked) fault(text []byte) error {
	switch {
	case len(text) > 0 && text[0] == 0:
		return openflow.Errorf(openflow.CodeInvalid, "line %d has a zero byte, which no text has", c.line).
			WithHint("a UTF-16 file without a byte order mark? say its encoding, utf-16le or utf-16be (--encoding, or encoding in meta)")
	case c.encoding != utf8Name:
		return openflow.Errorf(openflow.CodeInvalid, "line %d is not %s", c.line, c.encoding).
			WithHint("say another encoding (--encoding, or encoding in meta)")
	}
	end := len(text)
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		end = n
	}
	guesses := guessed(text[:end])
	return openflow.Errorf(openflow.CodeInvalid, "line %d is not UTF-8: byte %d of it is 0x%02x", c.line, c.column+1, text[0]).
		WithHint("it may be %s: say its encoding (--encoding %s, or encoding in meta), or convert it (iconv -f %s -t UTF-8)",
			strings.Join(guesses, " or "), guesses[0], iconv[guesses[0]])
}

// iconv is how the program of that name calls what likely gives.
var iconv = map[string]string{"gbk": "GBK", "big5": "BIG5", "shift_jis": "SHIFT_JIS", "euc-kr": "EUC-KR", "latin-1": "ISO-8859-1"}
