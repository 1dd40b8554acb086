package cluster

import (
	"context"
	"errors"
	"log/slog"

	"go.temporal.io/sdk/temporal"
)

// Quiet keeps the SDK's warnings about retried activities, which say nothing that the job does not say, out of the log.
func Quiet(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) { // no request: this is asked once, at the start
		return log
	}
	return slog.New(errorsOnly{log.Handler()})
}

type errorsOnly struct{ slog.Handler }

// Handle implements slog.Handler. What ended because somebody left is no error: an activity at a stop, for instance. What
// activities themselves fail with is no error of the SDK's either, see activities.ToTemporal.
func (h errorsOnly) Handle(ctx context.Context, r slog.Record) error {
	left := false
	r.Attrs(func(a slog.Attr) bool {
		err, _ := a.Value.Any().(error)
		var canceled *temporal.CanceledError
		left = left || errors.Is(err, context.Canceled) || errors.As(err, &canceled)
		return !left
	})
	if left {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// Enabled implements slog.Handler.
func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h errorsOnly) WithAttrs(a []slog.Attr) slog.Handler { return errorsOnly{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
