package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/moby/api/pkg/stdcopy"

	"openflow/runtime/driver"
)

// unfinished ends the name of a folder that is being written.
const unfinished = ".new"

// saveBeginning keeps what came first of an output that is long. The daemon keeps the newest, so a flood would wash that away.
// A folder outlives this process, as the container does. That it cannot be written is said, and hinders nothing.
func (r *Runtime) saveBeginning(ctx context.Context, name string, stdout, stderr []byte) {
	if r.outputs == "" || driver.ValidateName(name) != nil {
		return
	}
	folder := filepath.Join(r.outputs, name)
	if _, err := os.Lstat(folder); err == nil {
		return // another process has started it, and has heard more
	}
	partly := folder + unfinished
	err := os.MkdirAll(partly, 0o700)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(partly, "stdout"), stdout, 0o600), os.WriteFile(filepath.Join(partly, "stderr"), stderr, 0o600))
	}
	if err == nil {
		err = os.Rename(partly, folder)
	}
	if err != nil {
		_ = os.RemoveAll(partly) // part of it would take room for nothing
		r.log.WarnContext(ctx, "the beginning of a long output is not kept", "container", name, "err", err)
	}
}

// begins is what saveBeginning has kept of both outputs; empty when they are short.
func (r *Runtime) begins(name string) (stdout, stderr []byte) {
	if r.outputs == "" {
		return nil, nil
	}
	folder := filepath.Join(r.outputs, name)
	stdout, _ = os.ReadFile(filepath.Join(folder, "stdout")) // there is none, or it cannot be read: the daemon has the rest
	stderr, _ = os.ReadFile(filepath.Join(folder, "stderr"))
	return stdout, stderr
}

func (r *Runtime) forgetBeginning(name string) {
	if r.outputs != "" {
		folder := filepath.Join(r.outputs, name) // most containers have none
		_, _ = os.RemoveAll(folder), os.RemoveAll(folder+unfinished)
	}
}

// begun writes on what the daemon still has of an output, behind the beginning of it where that has gone.
type begun struct {
	to    io.Writer
	first []byte       // the beginning
	held  bytes.Buffer // until it tells whether the beginning is in it
	on    bool         // it has
}

// Write implements io.Writer.
func (b *begun) Write(p []byte) (int, error) {
	if b.on {
		return b.to.Write(p)
	}
	_, _ = b.held.Write(p) // into memory
	if b.held.Len() < len(b.first) {
		return len(p), nil
	}
	return len(p), b.flush()
}

// flush writes what is held back. An output with less than its beginning has lost that.
func (b *begun) flush() error {
	if b.on {
		return nil
	}
	b.on = true
	text := b.held.Bytes()
	if !bytes.HasPrefix(text, b.first) {
		text = slices.Concat(b.first, []byte(driver.Missing(-1)), text)
	}
	_, err := b.to.Write(text)
	return err
}

// copyBegun copies an output from the daemon's frames, each behind its beginning.
func copyBegun(stdout, stderr io.Writer, frames io.Reader, firstOut, firstErr []byte) error {
	out, errs := &begun{to: stdout, first: firstOut}, &begun{to: stderr, first: firstErr}
	_, err := stdcopy.StdCopy(out, errs, frames)
	return errors.Join(err, out.flush(), errs.flush())
}
