package embedded

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/service/history/shard"

	"openflow"
)

// lostBaggage is a line of the server's log that says only that a caller gave up. Its error has no type outside of gRPC.
const lostBaggage = "unable to add metrics baggage to gRPC trailer"

// serverLogger adapts a slog.Logger to the server's logger. The server is talkative below error, so its warnings become
// debug lines and the rest is dropped.
type serverLogger struct {
	log     *slog.Logger
	failure *failure
	tags    []tag.Tag // rendered when a line is written: the server makes many loggers and writes few lines
}

// With implements log.WithLogger.
func (l serverLogger) With(tags ...tag.Tag) log.Logger {
	l.tags = slices.Concat(l.tags, tags)
	return l
}

// Debug drops the line.
func (serverLogger) Debug(string, ...tag.Tag) {}

// Info drops the line.
func (serverLogger) Info(string, ...tag.Tag) {}

// Warn writes at debug level.
func (l serverLogger) Warn(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }

// Error writes at error level, except known noise and what goes wrong because a caller left or the server is stopped.
func (l serverLogger) Error(msg string, tags ...tag.Tag) {
	level := slog.LevelError
	if msg == lostBaggage || slices.ContainsFunc(tags, harmless) || l.failure.silenced() {
		level = slog.LevelDebug
	}
	l.write(level, msg, tags)
}

// DPanic is an error outside development.
func (l serverLogger) DPanic(msg string, tags ...tag.Tag) { l.Error(msg, tags...) }

// Panic does what its name says, as the server's callers rely on it; they recover at the edge of every request.
func (l serverLogger) Panic(msg string, tags ...tag.Tag) {
	l.Error(msg, tags...)
	panic(msg)
}

// Fatal reports the failure and ends the calling goroutine: the caller expects that nothing after this line runs, and
// ending the process is the right of main alone. Whoever gets the report logs it, or starts anew.
func (l serverLogger) Fatal(msg string, tags ...tag.Tag) {
	l.write(slog.LevelDebug, msg, tags)
	l.failure.report(fatalError(msg, tags))
	runtime.Goexit()
}

func (l serverLogger) write(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background() // the server's logger interface carries none
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.log.Log(ctx, level, msg, attrs(slices.Concat(l.tags, tags))...)
}

// fatalError is the server's message with the cause that its tags carry, so that errors.Is works on the cause.
func fatalError(msg string, tags []tag.Tag) error {
	for _, t := range tags {
		if err := tagError(t); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "embedded temporal server: %s: %w", msg, err)
		}
	}
	return openflow.Errorf(openflow.CodeInternal, "embedded temporal server: %s", msg)
}

// tagError returns the error inside t, or nil. A ZapTag hides it from Value, which renders it as text.
func tagError(t tag.Tag) error {
	if z, ok := t.(tag.ZapTag); ok {
		err, _ := z.Field().Interface.(error)
		return err
	}
	err, _ := t.Value().(error)
	return err
}

// harmless reports whether t holds an error that says that nothing is wrong. The caller of a request gave up, as every
// worker does with its polls when it stops. Or parts of the server, which start in parallel, asked before they were ready.
func harmless(t tag.Tag) bool {
	err := tagError(t)
	var left *serviceerror.Canceled
	var store *serviceerror.Unavailable
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &left), errors.Is(err, shard.ErrShardStatusUnknown):
		return true
	case errors.As(err, &store): // the server's stores keep the text of their database's error and drop the error
		return strings.HasSuffix(store.Error(), context.Canceled.Error())
	}
	return false
}

func attrs(tags []tag.Tag) []any {
	out := make([]any, len(tags))
	for i, t := range tags {
		if err := tagError(t); err != nil {
			out[i] = slog.String(t.Key(), err.Error())
			continue
		}
		out[i] = slog.Any(t.Key(), t.Value())
	}
	return out
}
