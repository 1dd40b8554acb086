package reply

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

type listenerKey struct{}

// listener notes what is not taken of the texts of a request.
type listener struct {
	log *slog.Logger
	who []any // attributes of the one who has written them
}

// Listening gives ctx a log for what [Read] cuts off the words of a caller; who are attributes of that caller.
func Listening(ctx context.Context, log *slog.Logger, who ...any) context.Context {
	return context.WithValue(ctx, listenerKey{}, listener{log, who})
}

// Read decodes a body that another party or a container has sent. What it says is cut or refused; see wire.Hear. The log has
// the rest of what is cut.
func Read(r *http.Request, into any) error {
	b, err := Body(r, MaxBody)
	if err != nil {
		return err
	}
	return ReadBody(r, b, into)
}

// ReadBody is Read of a body that has been read.
func ReadBody(r *http.Request, body []byte, into any) error {
	if err := wire.Decode(body, into); err != nil {
		return err
	}
	cut, err := wire.Hear(into)
	l, ok := r.Context().Value(listenerKey{}).(listener)
	for _, c := range cut {
		if !ok {
			break
		}
		shown := openflow.Readable(openflow.Cut(c.Text, logged.take(time.Now(), min(len(c.Text), maxLogged))))
		l.log.WarnContext(r.Context(), "a long text was cut", append([]any{"path", r.URL.Path, "field", c.Field, "bytes", len(c.Text), "text", shown}, l.who...)...)
	}
	return err
}

const (
	// maxLogged is how many bytes of one text are logged.
	maxLogged = 16 << 10
	// loggedAtOnce is how many bytes of all such texts are logged in an hour: others choose them, and the disk is ours.
	loggedAtOnce = 1 << 20
)

// logged counts them, for the whole process.
var logged budget

// budget is how many bytes were taken since the hour began.
type budget struct {
	mu    sync.Mutex
	began time.Time
	taken int
}

// least is what is always shown: who does not fit in any more is still told of.
const least = 80

// take takes what is left, n bytes at most.
func (b *budget) take(now time.Time, n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.began) >= time.Hour {
		b.began, b.taken = now, 0
	}
	n = max(min(n, loggedAtOnce-b.taken), least)
	b.taken += n
	return n
}
