package component

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"openflow"
	"openflow/sdk/tables"
)

// Object is an output that is no table of this kit's writing, such as a raw table.
type Object struct {
	Type ArtifactType
	Meta json.RawMessage // a JSON object; the node keeps it unchanged
	tables.Overview

	Open func() (io.ReadCloser, error) // gives the content from its beginning, as often as it is asked
}

// SaveObject writes o as the output key.
//
// Errors: CodeInvalid (no such output at this role and stage), CodeConflict (written twice).
func (t *Task) SaveObject(ctx context.Context, key string, o Object) error {
	index, err := t.claimOutput(key)
	if err != nil {
		return err
	}
	return t.putOutput(ctx, key, index, o)
}

// putOutput uploads an object and registers it as an output.
func (t *Task) putOutput(ctx context.Context, key string, index int, o Object) error {
	var object struct {
		URI string `json:"uri"`
	}
	contentType := contentBytes
	if o.Type == Dataframe {
		contentType = contentArrow
	}
	put := request{method: http.MethodPut, path: "/openflow/v1/container/data/object", body: o.Open, contentType: contentType}
	if err := t.node.call(ctx, put, &object); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "output %q of %s cannot be uploaded: %w", key, t.Key(), err).
			WithPublic("its node did not take output %q", key)
	}
	return t.saveTracking(ctx, tracking{
		URI: object.URI, OutputKey: key, Namespace: string(t.config.TaskID), Name: t.outputName(key, index),
		DataType: o.Type, Meta: o.Meta, Overview: overview{Count: &o.Rows, Samples: o.Samples},
		Source: t.source(key, index), Index: index,
	})
}

// Raw opens the one raw table that is bound to the data input key: a file as it was uploaded, with what was said of its columns
// (tables.ParseRawMeta). The caller closes it.
//
// Errors: CodeNotFound (nothing bound, or it does not exist), CodeInvalid (it is no raw table, or there are several).
func (t *Task) Raw(ctx context.Context, key string) (meta json.RawMessage, rows io.ReadCloser, err error) {
	b, err := t.one(ctx, key, RawTable)
	if err != nil {
		return nil, nil, err
	}
	return b.Meta, b.Bytes(ctx), nil
}

// Directory copies the files of the one directory that is bound to the data input key into a folder of its own, and returns its
// path. The caller removes it.
//
// Errors: CodeNotFound (nothing bound, or it does not exist), CodeInvalid (it is no directory, or there are several).
func (t *Task) Directory(ctx context.Context, key string) (dir string, err error) {
	b, err := t.one(ctx, key, Directory)
	if err != nil {
		return "", err
	}
	files := b.Bytes(ctx)
	defer func() { _ = files.Close() }() // it was only read
	if dir, err = os.MkdirTemp("", "openflow-directory-*"); err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "no temporary folder for input %q: %w", key, err).
			WithHint("give the container a writable temporary directory")
	}
	if err := unpack(files, dir); err != nil {
		err = openflow.Errorf(openflow.CodeOf(err), "input %q of %s: %w", key, t.Key(), err).WithPublic("its input %q cannot be read", key)
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// unpack writes the folders and plain files of a tar below dir. Nothing leads out of it.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // its files are closed
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackOne(root, h, archive); err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(filepath.Clean(h.Name), 0o700)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
			return err
		}
		f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	}
	return openflow.Errorf(openflow.CodeInvalid, "%.200q is neither a file nor a folder", h.Name)
}

// one is the one table that is bound to a data input, of that type.
func (t *Task) one(ctx context.Context, key string, want ArtifactType) (Table, error) {
	bound, err := t.Tables(ctx, key)
	if err != nil {
		return Table{}, err
	}
	if len(bound) != 1 {
		return Table{}, public(openflow.CodeInvalid, "input %q of %s has %d tables, want one", key, t.Key(), len(bound))
	}
	return bound[0], bound[0].is(want)
}

// is refuses a table of another type.
func (b Table) is(want ArtifactType) error {
	if b.Type == string(want) || b.Type == "" && want == Dataframe {
		return nil
	}
	e := openflow.Errorf(openflow.CodeInvalid, "%s/%s is a %s, and a %s is wanted", b.Namespace, b.Name, b.Type, want).
		WithPublic("its input is no %s", want)
	if b.Type == string(RawTable) {
		return e.WithHint("make a dataframe of it: openflow's or FATE's data transformer, or a task dataframe_transformer")
	}
	return e
}

// Bytes reads the content of a table as the node keeps it, over broken connections. The caller closes it.
func (b Table) Bytes(ctx context.Context) io.ReadCloser {
	return &resumed{ctx: ctx, client: b.task.node, from: b.request(contentBytes)}
}

func (b Table) request(accept string) request {
	from := request{method: http.MethodGet, path: b.path, header: http.Header{"Accept": {accept}}}
	if b.path == "" {
		from.path = "/openflow/v1/container/data/table"
		from.query = url.Values{"namespace": {b.Namespace}, "name": {b.Name}}
	}
	return from
}

// File opens the file that the parameter file of an upload names, on the machine of this party's node. The caller closes it.
//
// Errors: CodeNotFound (no such file in the folders that its operator names), CodePermission (the job is another site's).
func (t *Task) File(ctx context.Context) (io.ReadCloser, error) {
	body := &resumed{ctx: ctx, client: t.node, from: request{method: http.MethodGet, path: pathFile}}
	if err := body.reopen(); err != nil {
		return nil, openflow.Errorf(openflow.CodeOf(err), "the file of %s: %w", t.Key(), err).WithPublic("its node does not give it the file")
	}
	return body, nil
}

// WriteFile writes a file into the folder that the parameter path of a download names, on the machine of this party's node: 0.csv
// or 0.meta. It replaces one of that name.
//
// Errors: CodeNotFound (the folder is none of those that its operator names), CodePermission (the job is another site's).
func (t *Task) WriteFile(ctx context.Context, name string, open func() (io.ReadCloser, error)) error {
	put := request{method: http.MethodPut, path: pathFile, query: url.Values{"name": {name}}, body: open, contentType: contentBytes}
	if err := t.node.call(ctx, put, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "file %s of %s: %w", name, t.Key(), err).WithPublic("its node does not take the file")
	}
	return nil
}

const (
	pathFile     = "/openflow/v1/container/data/file"
	contentBytes = "application/octet-stream"
)
