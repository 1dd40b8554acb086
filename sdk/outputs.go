package sdk

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"

	"openflow"
	"openflow/sdk/wire"
)

// Metrics returns what a task has measured at one party.
func (c *Client) Metrics(ctx context.Context, k openflow.TaskKey) ([]wire.Metric, error) {
	var m []wire.Metric
	_, err := c.call(ctx, c.taskQuery("/v2/output/metric/query", k), &m)
	return m, err
}

// Model returns the JSON models of a task at one party by output key; one that is of another type is `[]`.
// CodeNotFound about a model: the task has none.
func (c *Client) Model(ctx context.Context, k openflow.TaskKey) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	_, err := c.call(ctx, c.taskQuery("/v2/output/model/query", k), &m)
	return m, err
}

// ModelPackage copies one output model as the tar that other FATE installations import. An empty key takes the first.
func (c *Client) ModelPackage(ctx context.Context, k openflow.TaskKey, key string, w io.Writer) error {
	return c.copyFile(ctx, c.taskQuery("/v2/output/model/download", k, "output_key", key), w)
}

// OutputTables returns the names of the tables that a task has made at one party, by output key.
func (c *Client) OutputTables(ctx context.Context, k openflow.TaskKey) (map[string][]openflow.TableName, error) {
	var m map[string][]openflow.TableName
	err := c.bare(ctx, c.taskQuery("/v2/output/data/table", k), &m)
	return m, err
}

// OutputData writes the output tables of a task at one party below dir, which it makes: <key>/<index>.csv and a
// description with the extension .meta beside each. It returns the files in the order of the archive. An empty key
// takes all outputs. CodeNotFound about a table: the task has none.
//
// A broken transfer leaves the files that were whole, and none that is not.
func (c *Client) OutputData(ctx context.Context, k openflow.TaskKey, key, dir string) ([]string, error) {
	body, err := c.open(ctx, c.taskQuery("/v2/output/data/download", k, "output_key", key))
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // reading only
	source := &source{r: body}
	files, err := unpack(source, dir)
	if err != nil {
		return files, c.transferError(ctx, source, err)
	}
	return files, nil
}

// unpack writes the regular files of a tar.gz below dir. A name that leads out of dir is an error.
func unpack(r io.Reader, dir string) ([]string, error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // nothing is written through the folder itself
	var files []string
	members := tar.NewReader(unzipped)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return files, drain(unzipped)
		}
		if err != nil {
			return files, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(root, h.Name, members); err != nil {
			return files, err
		}
		files = append(files, filepath.Join(dir, filepath.FromSlash(h.Name)))
	}
}

// drain reads to the end, where gzip proves that nothing is missing.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}
