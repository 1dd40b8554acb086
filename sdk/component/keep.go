package component

import (
	"errors"
	"io"
	"os"

	"openflow"
)

// Kept is a temporary file of a run. It is read from its beginning when it has been made.
type Kept struct{ *os.File }

// Keep makes a temporary file of what fill writes. The caller closes it. Errors: those of fill; CodeInternal.
func Keep(fill func(io.Writer) error) (Kept, error) {
	f, err := os.CreateTemp("", "openflow-kept-*")
	if err != nil {
		return Kept{}, openflow.Errorf(openflow.CodeInternal, "no temporary file for an output: %w", err).
			WithHint("give the container a writable temporary directory")
	}
	k := Kept{f}
	err = fill(f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return Kept{}, errors.Join(err, k.Close())
	}
	return k, nil
}

// Open gives the whole content from its beginning, beside other readers.
func (k Kept) Open() (io.ReadCloser, error) {
	info, err := k.Stat()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "temporary file of an output: %w", err)
	}
	return io.NopCloser(io.NewSectionReader(k.File, 0, info.Size())), nil
}

// Close removes the file.
func (k Kept) Close() error { return errors.Join(k.File.Close(), os.Remove(k.Name())) }
