package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/moby/api/pkg/stdcopy"

	"openflow/runtime/driver"
)

// saveBeginning keeps the first frames of an output that is long. The daemon keeps the newest, so a flood would wash them away.
// A file outlives this process, as the container does. That it cannot be written is said, and hinders nothing.
func (r *Runtime) saveBeginning(ctx context.Context, name string, frames []byte) {
	if r.outputs == "" || driver.ValidateName(name) != nil {
		return
	}
	path := filepath.Join(r.outputs, name)
	err := os.MkdirAll(r.outputs, 0o700)
	if err == nil {
		err = os.WriteFile(path+".new", frames, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // part of it would take room for nothing
		r.log.WarnContext(ctx, "the beginning of a long output is not kept", "container", name, "err", err)
	}
}

// beginning is what saveBeginning has kept of both outputs; empty when they are short.
func (r *Runtime) beginning(name string) (stdout, stderr []byte) {
	if r.outputs == "" {
		return nil, nil
	}
	frames, err := os.ReadFile(filepath.Join(r.outputs, name))
	if err != nil {
		return nil, nil // there is none, or it cannot be read: the daemon has the rest
	}
	return demultiplex(frames)
}

func (r *Runtime) forgetBeginning(name string) {
	if r.outputs != "" {
		_ = os.Remove(filepath.Join(r.outputs, name)) // most containers have none
	}
}

// demultiplex tells the two outputs in frames of stdcopy apart. The last frame may be cut.
func demultiplex(frames []byte) (stdout, stderr []byte) {
	const header = 8 // the stream, three bytes of nothing, and the size
	for len(frames) >= header {
		size := min(uint64(binary.BigEndian.Uint32(frames[4:header])), uint64(len(frames)-header))
		text := frames[header : header+size]
		switch stdcopy.StdType(frames[0]) {
		case stdcopy.Stdout:
			stdout = append(stdout, text...)
		case stdcopy.Stderr:
			stderr = append(stderr, text...)
		}
		frames = frames[header+size:]
	}
	return stdout, stderr
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
