package folder

import "os"

// BreakWrites makes every write of later puts fail with err after the first n bytes.
func (s *Store) BreakWrites(n int, err error) {
	s.create = func(dir string) (temporary, error) {
		f, ferr := os.CreateTemp(dir, "put-*")
		return &broken{f, n, err}, ferr
	}
}

type broken struct {
	*os.File
	left int
	err  error
}

func (b *broken) Write(p []byte) (int, error) {
	if len(p) > b.left {
		n, err := b.File.Write(p[:b.left])
		b.left = 0
		if err != nil {
			return n, err
		}
		return n, &os.PathError{Op: "write", Path: b.Name(), Err: b.err}
	}
	b.left -= len(p)
	return b.File.Write(p)
}
