package objects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// chunk is how much is copied at a time, in bytes.
const chunk = 256 << 10

// Copy copies r into w and says which object that makes. It stops between chunks once ctx has ended.
func Copy(ctx context.Context, w io.Writer, r io.Reader) (Ref, error) {
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, sum), reader{ctx, r}, make([]byte, chunk))
	if err != nil {
		return Ref{}, err
	}
	return Ref{Digest: hex.EncodeToString(sum.Sum(nil)), Bytes: n}, nil
}

// reader fails once its context has ended. It hides what else r can do, so that copying goes through it.
type reader struct {
	ctx context.Context //nolint:containedctx // lives as long as one Copy
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
