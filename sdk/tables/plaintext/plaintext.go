// Package plaintext turns a file as people have it, perhaps compressed or in another encoding, into UTF-8 text.
//
// Nothing is guessed here: gzip and byte order marks are sure, an encoding is named by the caller, and everything else
// must be UTF-8. What is no text is named and refused with what to do about it. All of it is streamed.
package plaintext

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"golang.org/x/text/transform"

	"openflow"
)

// Text reads a file as UTF-8, without a byte order mark and without NUL. Not safe for concurrent use.
type Text struct {
	Compression string // "gzip", or empty
	Encoding    string // of the file, in the names of the WHATWG: "utf-8", "gbk", "windows-1252"
	Marked      bool   // a byte order mark tells the encoding

	checked *checked
}

// peeked is how much of a file tells its format: the mark of a tar archive is the furthest, xlsx needs some more.
const peeked = 2048

// Open looks at the begin of r. encoding is what the caller says of it; empty: UTF-8, or what a byte order mark says.
//
// Errors: CodeInvalid for a file that is no text, and for an encoding that is not known or contradicts the file.
func Open(r io.Reader, encoding string) (*Text, error) {
	named, err := find(encoding)
	if err != nil {
		return nil, err
	}
	packed := &counted{r: r}
	b := bufio.NewReaderSize(packed, 1<<16)
	head, err := peek(b)
	if err != nil {
		return nil, err
	}
	t := &Text{}
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		t.Compression = "gzip"
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, gzipError(err)
		}
		b = bufio.NewReaderSize(&unpacked{r: z, packed: packed}, 1<<16)
		if head, err = peek(b); err != nil {
			return nil, err
		}
	}
	if f, ok := recognise(head); ok {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the file is %s, not text", f.name).WithHint("%s", f.remedy)
	}
	mark := markOf(head)
	if mark.length > 0 {
		if mark.encoding == nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the file is UTF-32").WithHint("save it as UTF-8")
		}
		if named != nil && !named.agrees(mark.encoding) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the file begins with the mark of %s, and its encoding is said to be %s",
				mark.encoding.name, named.name).WithHint("leave the encoding out")
		}
		_, _ = b.Discard(mark.length) // they have been peeked
		named, t.Marked = mark.encoding, true
	}
	var source io.Reader = b
	t.Encoding = utf8Name
	if named != nil && named.name != utf8Name {
		t.Encoding = named.name
		source = transform.NewReader(b, named.NewDecoder())
	}
	t.checked = &checked{r: source, encoding: t.Encoding, line: 1}
	return t, nil
}

// Read implements io.Reader. Errors: CodeInvalid, naming the line, where the file is not what Open took it for.
func (t *Text) Read(p []byte) (int, error) { return t.checked.Read(p) }

// Fault is what was found wrong with the text, and the line where; nil when nothing was. A reader that looks ahead may
// stumble over the cut text first and asks here for the cause.
func (t *Text) Fault() (line int, err error) {
	var e *openflow.Error
	if errors.As(t.checked.err, &e) {
		return t.checked.line, e
	}
	return 0, nil
}

func peek(b *bufio.Reader) ([]byte, error) {
	head, err := b.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	return head, nil
}

// readError passes on our own errors and says of others that the file cannot be read.
func readError(err error) error {
	var e *openflow.Error
	if errors.As(err, &e) {
		return err
	}
	return openflow.Errorf(openflow.CodeUnavailable, "the file cannot be read: %w", err)
}
