package base

import (
	"context"
	"io"

	"openflow"
	"openflow/site/folders"
)

// Files are the folders of this machine in which tasks of the site's own users may name files.
type Files struct {
	Uploads   folders.Folders // that an upload reads from
	Downloads folders.Folders // that a download writes into
}

// ofOwnUsers refuses a run of a job that another site has initiated: its word opens no file here.
func (s *Site) ofOwnUsers(ctx context.Context, t openflow.TaskRecord) error {
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err == nil && job.Initiator != t.Key.Party.ID {
		err = openflow.Errorf(openflow.CodePermission, "%s is a task of a job of party %s; only those of this site's own users reach its files", t.Key, job.Initiator)
	}
	return openflow.About(openflow.AboutTask, err)
}

// ReadFile opens the file that the parameters of an upload name. Errors: CodePermission, CodeNotFound.
func (s *Site) ReadFile(ctx context.Context, t openflow.TaskRecord) (io.ReadCloser, error) {
	name, reads := t.Spec.File()
	if !reads {
		return nil, openflow.Errorf(openflow.CodePermission, "%s reads no file of this machine: it is no upload", t.Key)
	}
	if err := s.ofOwnUsers(ctx, t); err != nil {
		return nil, err
	}
	return s.Files.Uploads.Open(name)
}

// written are the files that a download writes, below data in its folder.
//
// Spec: fate-components §3.2.
var written = []string{"0.csv", "0.meta"}

// WriteFile writes a file into the folder that the parameters of a download name, and counts it for the run. Errors:
// CodePermission, CodeInvalid, CodeNotFound; CodeSpent and CodeExhausted as of Put.
func (s *Site) WriteFile(ctx context.Context, t openflow.TaskRecord, name string, body io.Reader) error {
	folder, writes := t.Spec.Folder()
	if !writes {
		return openflow.Errorf(openflow.CodePermission, "%s writes no file of this machine: it is no download", t.Key)
	}
	if name != written[0] && name != written[1] {
		return openflow.Errorf(openflow.CodeInvalid, "a download writes %s and %s, not %.100q", written[0], written[1], name)
	}
	if err := s.ofOwnUsers(ctx, t); err != nil {
		return err
	}
	if err := s.room(); err != nil {
		return err
	}
	place, err := s.Files.Downloads.Place(folder)
	if err != nil {
		return err
	}
	defer func() { _ = place.Close() }() // its files are on the disk
	m := &metered{from: body, share: firstShare, take: func(bytes int64) error { return s.Store.TakeObjects(ctx, t.Key, bytes) }}
	if err := m.more(objectOverhead); err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	return place.Write("data/"+name, func(w io.Writer) error {
		_, err := io.Copy(w, m)
		return openflow.About(openflow.AboutTask, err)
	})
}
