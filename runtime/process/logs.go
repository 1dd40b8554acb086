//go:build linux

package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"openflow"
	"openflow/runtime/driver"
)

// logBytes is how much is kept of one output: the newest once or twice as much, as the Docker runtime has it.
const logBytes = 16 << 20

// older is the file beside an output that holds what came before it.
func older(file string) string { return file + ".old" }

// copyLog copies one output, the newest of it; a container that has not started has none.
func (f folder) copyLog(file string, w io.Writer) error {
	for _, part := range []string{older(file), file} {
		in, err := os.Open(f.file(part))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return failed(f.name, err)
		}
		if err := errors.Join(copyEnd(w, in), in.Close()); err != nil {
			return failed(f.name, err)
		}
	}
	return nil
}

// copyEnd copies the last logBytes of a file.
func copyEnd(w io.Writer, in *os.File) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if _, err := in.Seek(max(info.Size()-logBytes, 0), io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// Trim implements driver.Host. It bounds what programs that run have written: their files, in disk.go, and their outputs. Of an
// output with more than logBytes, the newest are set aside, and what was set aside before goes. What is written in that
// moment may be lost. Outputs are opened for appending, so a program goes on at the new end.
func (r *supervised) Trim(ctx context.Context) error {
	list, err := r.List(ctx, nil)
	if err != nil {
		return err
	}
	var running []folder
	for _, c := range list {
		if c.State != driver.StateRunning {
			continue
		}
		f, err := r.find(ctx, c.Name)
		if err == nil {
			err = errors.Join(f.trim(stdoutFile), f.trim(stderrFile))
		}
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			continue
		}
		if err != nil {
			return err
		}
		running = append(running, f)
	}
	return r.endTooLarge(running)
}

func (f folder) trim(file string) error {
	path := f.file(file)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= logBytes {
		return nil
	}
	if err != nil {
		return failed(f.name, err)
	}
	in, err := os.Open(path)
	if err != nil {
		return failed(f.name, err)
	}
	defer closeFile(in)
	next := f.file(older(file) + ".new")
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return failed(f.name, err)
	}
	if err := errors.Join(copyEnd(out, in), out.Close(), os.Rename(next, f.file(older(file))), os.Truncate(path, 0)); err != nil {
		return failed(f.name, err)
	}
	return nil
}
