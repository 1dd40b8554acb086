package residence

import (
	"io"
	"sync"
)

// piece is how many bytes of an output are kept and dropped together.
const piece = 64 << 10

// tail keeps the newest of what is written: most bytes, or all where that is less. The room grows with what is written.
type tail struct {
	most int

	mu     sync.Mutex
	pieces [][]byte
	size   int
}

// Write implements io.Writer, and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		last := len(t.pieces) - 1
		if last < 0 || len(t.pieces[last]) == piece {
			t.pieces = append(t.pieces, nil)
			last++
		}
		n := min(piece-len(t.pieces[last]), len(rest))
		t.pieces[last] = append(t.pieces[last], rest[:n]...)
		t.size += n
		rest = rest[n:]
		for t.size-len(t.pieces[0]) >= t.most {
			t.size -= len(t.pieces[0])
			t.pieces = t.pieces[1:]
			last--
		}
	}
	return len(p), nil
}

// copyTo writes what is kept. What comes meanwhile is not among it.
func (t *tail) copyTo(w io.Writer) error {
	t.mu.Lock()
	pieces, over := append([][]byte{}, t.pieces...), max(t.size-t.most, 0)
	t.mu.Unlock()
	for _, p := range pieces {
		skip := min(over, len(p))
		over -= skip
		if _, err := w.Write(p[skip:]); err != nil {
			return err
		}
	}
	return nil
}
