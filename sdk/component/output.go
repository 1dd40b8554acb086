package component

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"openflow"
	"openflow/sdk/tables"
)

// spoolMemory is the size in bytes up to which an output waits for its upload in memory.
const spoolMemory = 8 << 20

// TableWriter writes one output table. Nothing is visible to anybody before Close has returned nil.
type TableWriter struct {
	*tables.Writer

	task  *Task
	key   string
	index int
	spool *spool
}

// WriteTable begins the output key with the columns of s. An output with Multi may be begun several times; its tables
// are numbered in that order. The caller ends with Close, or with Abort when it cannot finish.
//
// Errors: CodeInvalid (no such output at this role and stage, schema not valid), CodeConflict (begun twice).
func (t *Task) WriteTable(_ context.Context, key string, s tables.Schema) (*TableWriter, error) {
	s, err := s.AtSite(t.site())
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeOf(err), "output %q of %s: %w", key, t.Key(), err)
	}
	if err := s.Validate(); err != nil {
		return nil, openflow.Errorf(openflow.CodeOf(err), "output %q of %s: %w", key, t.Key(), err)
	}
	index, err := t.claimOutput(key)
	if err != nil {
		return nil, err
	}
	w := &TableWriter{task: t, key: key, index: index, spool: &spool{}}
	if w.Writer, err = tables.NewWriter(w.spool, s.Anonymize()); err != nil {
		return nil, openflow.Errorf(openflow.CodeOf(err), "output %q of %s: %w", key, t.Key(), err)
	}
	return w, nil
}

// SaveTable writes f as the output key; see WriteTable.
func (t *Task) SaveTable(ctx context.Context, key string, f *tables.Frame) error {
	w, err := t.WriteTable(ctx, key, f.Schema)
	if err != nil {
		return err
	}
	if err := w.Write(f); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Close(ctx)
}

// Close uploads the table and registers it as the output.
func (w *TableWriter) Close(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, w.spool.Close()) }()
	if err := w.Writer.Close(); err != nil {
		return err
	}
	t := w.task
	meta, err := w.Schema().DataMeta()
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "output %q of %s: %w", w.key, t.Key(), err)
	}
	return t.putOutput(ctx, w.key, w.index, Object{Type: Dataframe, Meta: meta, Overview: w.Overview(), Open: w.spool.open})
}

// Abort gives the output up; nothing of it is kept.
func (w *TableWriter) Abort() error { return w.spool.Close() }

// spool keeps an upload until it has succeeded, so that a node that restarts in the middle can be given it again: in
// memory while it is small, then in a temporary file.
type spool struct {
	memory bytes.Buffer
	file   *os.File
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "openflow-output-*")
		if err != nil {
			return 0, openflow.Errorf(openflow.CodeInternal, "no temporary file for an output: %w", err).
				WithHint("give the container a writable temporary directory")
		}
		s.file = f
		if _, err := s.memory.WriteTo(f); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// open gives the whole content from its beginning.
func (s *spool) open() (io.ReadCloser, error) {
	if s.file == nil {
		return io.NopCloser(bytes.NewReader(s.memory.Bytes())), nil
	}
	end, err := s.file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "temporary file of an output: %w", err)
	}
	return io.NopCloser(io.NewSectionReader(s.file, 0, end)), nil
}

// Close removes the file.
func (s *spool) Close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
