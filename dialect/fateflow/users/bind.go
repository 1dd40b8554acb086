package users

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/site/folders"
)

// bound is the data of an answer that made a table of a folder.
type bound struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Files     int    `json:"count"`
	Bytes     int64  `json:"bytes"`
}

// bindPath makes a table of a folder at this node that users may name: of the files that it has now. A job reads what the folder
// held when it was bound, wherever its containers run; whoever changes the files binds them again.
//
// Spec: fate-flow-api §1.5 #30.
func (a *api) bindPath(r *http.Request) (any, error) {
	var b struct {
		Namespace wire.Text `json:"namespace" check:"required"`
		Name      wire.Text `json:"name" check:"required"`
		Path      string    `json:"path" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	name := openflow.TableName{Namespace: string(b.Namespace), Name: string(b.Name)}
	if err := name.Check(); err != nil {
		return nil, err
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	has, ref, err := a.keepFolder(r, b.Path)
	if err != nil {
		return nil, err
	}
	samples := make([][]string, len(has.First))
	for i, file := range has.First {
		samples[i] = []string{file}
	}
	shown, err := json.Marshal(samples)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "names of the files of %s: %w", name, err)
	}
	err = a.Catalogue.SaveTable(r.Context(), openflow.TableRecord{
		Name: name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(has.Files), DataType: openflow.TypeDirectory,
		URI: (&url.URL{Scheme: "file", Path: b.Path}).String(), Samples: shown,
	})
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := a.Audit(r, "data/bind", name.String()+" to "+b.Path); err != nil {
		return nil, err
	}
	return bound{name.Namespace, name.Name, has.Files, has.Bytes}, nil
}

// keepFolder stores the files of a folder as one object.
func (a *api) keepFolder(r *http.Request, path string) (folders.Contents, stored, error) {
	read, write := io.Pipe()
	type outcome struct {
		has folders.Contents
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		has, err := a.Uploads.Pack(r.Context(), path, write)
		_ = write.CloseWithError(err) // never fails; a nil error is the end of the stream
		done <- outcome{has, err}
	}()
	ref, err := a.Objects.Put(r.Context(), read)
	_ = read.CloseWithError(err) // lets the packing end when the store has failed
	o := <-done
	if o.err != nil {
		return o.has, stored{}, o.err
	}
	return o.has, stored{ref.Digest, ref.Bytes}, openflow.About(openflow.AboutTable, err)
}
