package plaintext

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"

	"openflow"
)

// A table of constant columns packs 100 times smaller, a bomb 1000 times. The ratio counts from some size on only,
// because a small file harms nobody.
const (
	maxRatio     = 250
	ratioCounted = 64 << 20
)

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// unpacked is the content of a gzip file, refused when it grows as no table does.
type unpacked struct {
	r      io.Reader
	packed *counted
	n      int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.n += int64(n)
	if u.n > ratioCounted && u.n/maxRatio > u.packed.n {
		return 0, openflow.Errorf(openflow.CodeInvalid, "the gzip file is more than %d times larger unpacked", maxRatio).
			WithHint("unpack it and upload the CSV file")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, gzipError(err)
	}
	return n, err
}

func gzipError(err error) error {
	var damaged flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &damaged) {
		return openflow.Errorf(openflow.CodeInvalid, "the gzip file is damaged or not whole: %w", err).
			WithHint("pack it again, or upload the CSV file itself")
	}
	return readError(err)
}
