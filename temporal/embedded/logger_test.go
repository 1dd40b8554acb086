package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/service/history/shard"

	"openflow/temporal/embedded"
)

var errBroken = errors.New("disk is broken")

func TestLoggerLevels(t *testing.T) {
	for name, c := range map[string]struct {
		write func(log.Logger)
		level string // empty: no line
	}{
		"debug":       {func(l log.Logger) { l.Debug("m") }, ""},
		"info":        {func(l log.Logger) { l.Info("m") }, ""},
		"warning":     {func(l log.Logger) { l.Warn("m") }, "DEBUG"},
		"error":       {func(l log.Logger) { l.Error("m", tag.Error(errBroken)) }, "ERROR"},
		"dpanic":      {func(l log.Logger) { l.DPanic("m") }, "ERROR"},
		"not ready":   {func(l log.Logger) { l.Error("m", tag.Error(shard.ErrShardStatusUnknown)) }, "DEBUG"},
		"answer lost": {func(l log.Logger) { l.Error("unable to add metrics baggage to gRPC trailer") }, "DEBUG"},
		"poll ended":  {func(l log.Logger) { l.Error("m", tag.Error(serviceerror.NewCanceled("context canceled"))) }, "DEBUG"},
		"read ended": {func(l log.Logger) {
			l.Error("m", tag.Error(serviceerror.NewUnavailable("GetTasks failed. Error: context canceled")))
		}, "DEBUG"},
		"read failed": {func(l log.Logger) {
			l.Error("m", tag.Error(serviceerror.NewUnavailable("GetTasks failed. Error: disk full")))
		}, "ERROR"},
		"caller left":  {func(l log.Logger) { l.Error("m", tag.Error(fmt.Errorf("poll: %w", context.Canceled))) }, "DEBUG"},
		"with a label": {func(l log.Logger) { log.With(l, tag.NewStringTag("k", "v")).Error("m") }, "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			l, _ := embedded.Loggers(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
			c.write(l)
			if c.level == "" {
				require.Empty(t, out.String())
				return
			}
			require.Contains(t, out.String(), "level="+c.level)
			if name == "error" {
				require.Contains(t, out.String(), `error="disk is broken"`)
			}
			if name == "with a label" {
				require.Contains(t, out.String(), "k=v")
			}
		})
	}
}

// A fatal line ends its goroutine, not the process, and is told once.
func TestFatalIsReported(t *testing.T) {
	l, failed := embedded.Loggers(slog.New(slog.DiscardHandler))
	for range 2 {
		ended := make(chan bool)
		go func() {
			defer close(ended)
			log.With(l, tag.NewInt("shard", 1)).Fatal("cannot go on", tag.Error(errBroken))
			ended <- true
		}()
		_, after := <-ended
		require.False(t, after, "the goroutine went on")
	}
	err := <-failed
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "cannot go on")
	require.Empty(t, failed)
}

func TestFatalDuringStartBecomesItsError(t *testing.T) {
	for name, start := range map[string]func(log.Logger) error{
		"here": func(l log.Logger) error { l.Fatal("port", tag.Error(errBroken)); return nil },
		"inside a once": func(l log.Logger) error {
			sync.OnceValue(func() int { l.Fatal("port", tag.Error(errBroken)); return 1 })()
			return nil
		},
		"elsewhere": func(l log.Logger) error {
			ended := make(chan struct{})
			go func() { defer close(ended); l.Fatal("port", tag.Error(errBroken)) }()
			<-ended
			return nil
		},
		"returned": func(log.Logger) error { return errBroken },
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, embedded.Await(start), errBroken) })
	}
	require.NoError(t, embedded.Await(func(log.Logger) error { return nil }))
	require.ErrorContains(t, embedded.Await(func(log.Logger) error { panic("no map") }), "no map")
}
