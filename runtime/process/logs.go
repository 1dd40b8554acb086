//go:build linux

package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"openflow/runtime/driver"
)

// logBytes is how much is kept of the end of one output: the newest once or twice as much, as the Docker runtime has it.
const logBytes = 16 << 20

// Beside an output that was trimmed are its beginning, what came before its file, and how many bytes are gone in between.
func first(file string) string { return file + ".first" }
func older(file string) string { return file + ".old" }
func gone(file string) string  { return file + ".gone" }

// copyLog copies one output: its beginning, the newest of it, and what is missing in between as a line. A container that has not
// started has none.
func (f folder) copyLog(file string, w io.Writer) error {
	trimmed, err := f.copyPart(first(file), w, 0)
	if err != nil {
		return err
	}
	missing := f.missing(file)
	if trimmed && missing > 0 {
		if _, err := io.WriteString(w, driver.Missing(missing)); err != nil {
			return err
		}
	}
	if _, err := f.copyPart(older(file), w, 0); err != nil {
		return err
	}
	head := int64(0)
	if !trimmed {
		head = driver.HeadBytes
	}
	_, err = f.copyPart(file, w, head)
	return err
}

// copyPart copies a file of an output: its head, and the last logBytes of the rest. It tells whether there is one.
func (f folder) copyPart(file string, w io.Writer, head int64) (bool, error) {
	in, err := f.open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed(f.name, err)
	}
	defer closeFile(in)
	if err := copyBounded(w, in, head); err != nil {
		return true, failed(f.name, err)
	}
	return true, nil
}

func copyBounded(w io.Writer, in *os.File, head int64) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, io.LimitReader(in, head)); err != nil {
		return err
	}
	begin := min(head, info.Size())
	if skipped := info.Size() - begin - logBytes; skipped > 0 {
		if _, err := io.WriteString(w, driver.Missing(skipped)); err != nil {
			return err
		}
		begin += skipped
	}
	if _, err := in.Seek(begin, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// missing is how many bytes of an output are gone between its beginning and what is kept of its end.
func (f folder) missing(file string) int64 {
	text, err := f.read(gone(file))
	n, err2 := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || err2 != nil {
		return 0
	}
	return n
}

// Trim implements driver.Host. It bounds what programs that run have written: their files, in disk.go, and their outputs. Of an
// output with more than logBytes, the newest are set aside, and what was set aside before goes; the beginning stays. What is
// written in that moment may be lost. Outputs are opened for appending, so a program goes on at the new end. What fails for one
// program keeps no other from its bounds, and a disk that takes no more is no reason to end nobody.
func (r *supervised) Trim(ctx context.Context) error {
	list, err := r.List(ctx, nil)
	var running []folder
	for _, c := range list {
		if c.State != driver.StateRunning {
			continue
		}
		f := r.folder(c.Name)
		running = append(running, f)
		for _, file := range []string{stdoutFile, stderrFile} { // one that cannot be trimmed keeps no other
			err = errors.Join(err, f.trim(file))
		}
	}
	return errors.Join(err, r.endTooLarge(running))
}

func (f folder) trim(file string) error {
	in, err := f.open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(f.name, err)
	}
	defer closeFile(in)
	info, err := in.Stat()
	if err == nil && info.Size() > logBytes {
		err = f.setAside(file, in, info.Size())
	}
	if err != nil {
		return failed(f.name, err)
	}
	return nil
}

// setAside keeps the beginning of an output, when it is the first time, and the end, and empties its file. Where the disk has no
// room for the beginning, nothing is touched. Where it has none for the end, that is lost.
func (f folder) setAside(file string, in *os.File, size int64) error {
	lost, begin := f.missing(file), int64(0)
	_, err := os.Lstat(f.file(first(file)))
	if errors.Is(err, fs.ErrNotExist) {
		begin = driver.HeadBytes
		err = f.keep(first(file), io.NewSectionReader(in, 0, begin))
	}
	if err != nil {
		return err
	}
	before := int64(0)
	if info, err := os.Lstat(f.file(older(file))); err == nil {
		before = info.Size()
	}
	end := max(begin, size-logBytes)
	if err = f.keep(older(file), io.NewSectionReader(in, end, size-end)); err != nil {
		before, end = 0, size
	}
	lost += before + end - begin
	return errors.Join(err, os.Truncate(f.file(file), 0), f.keep(gone(file), strings.NewReader(strconv.FormatInt(lost, 10))))
}

// keep writes a file whole, or leaves the one that was there, and nothing beside it.
func (f folder) keep(name string, from io.Reader) error {
	next := f.file(name + ".new")
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(next, f.file(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}
