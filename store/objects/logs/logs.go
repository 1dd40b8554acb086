// Package logs keeps and shows what containers have written.
package logs

import (
	"context"
	"io"
	"sync/atomic"

	"openflow"
	"openflow/runtime/driver"
	"openflow/store/objects"
)

// Logs are those of a site's runs.
type Logs struct {
	Objects objects.Store
	Runtime driver.Runtime
}

// PutLog implements activities.LogStore. A container that has written nothing leaves no object.
func (l Logs) PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (string, error) {
	r, w := io.Pipe()
	var wrote atomic.Bool
	started := make(chan struct{})
	out := &firstWrite{w: w, began: func() { wrote.Store(true); close(started) }}
	failed := make(chan error, 1)
	go func() {
		err := write(out, out)
		_ = w.CloseWithError(err) // never fails
		failed <- err
	}()
	select {
	case err := <-failed:
		if !wrote.Load() {
			return "", err
		}
	case <-started:
	}
	ref, err := l.Objects.Put(ctx, r)
	_ = r.CloseWithError(err) // lets the writer end when the store has failed
	return ref.Digest, err
}

// firstWrite tells when something is written for the first time.
type firstWrite struct {
	w     io.Writer
	began func()
	once  bool
}

// Write implements io.Writer. A write of nothing is none: a pipe would wait for its reader all the same.
func (f *firstWrite) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !f.once {
		f.once = true
		f.began()
	}
	return f.w.Write(p)
}

// TaskLog implements application.Logs: the kept log, or what a living container has written so far.
func (l Logs) TaskLog(ctx context.Context, t openflow.TaskRecord, w io.Writer) error {
	if t.LogDigest != "" {
		body, _, err := l.Objects.Get(ctx, t.LogDigest, 0)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }() // reading only
		_, err = io.Copy(w, body)
		return err
	}
	if t.ContainerName == "" {
		return nil
	}
	err := l.Runtime.Logs(ctx, t.ContainerName, w, w)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // removed: it has left no log
	}
	return err
}
