package users

import (
	"io"
	"net/http"
	"time"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// downloaded is the data of an answer to a download into a folder.
type downloaded struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Path      string `json:"path"` // absolute, at the node
}

// downloadInto writes a table as CSV, with a .meta beside it, into a folder at this node that users may name (part 7 #14).
//
// Spec: fate-flow-api §1.4 #25; fate-components §3.2.
func (a *api) downloadInto(r *http.Request) (any, error) {
	var b struct {
		Namespace wire.Text `json:"namespace" check:"required"`
		Name      wire.Text `json:"name" check:"required"`
		Path      string    `json:"path" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	name := openflow.TableName{Namespace: string(b.Namespace), Name: string(b.Name)}
	rec, err := a.Catalogue.Table(r.Context(), name)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	job := localJob{ID: a.NewID(), Started: time.Now()}
	place, err := a.Downloads.Place(b.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = place.Close() }() // its files are on the disk
	var header []string
	err = place.Write("data/0.csv", func(w io.Writer) (err error) { header, err = a.text(r, w, rec); return err })
	if err == nil {
		err = place.Write("data/0.meta", func(w io.Writer) error { return writeMeta(w, header) })
	}
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	err = a.recordLocal(r, job, localTask{
		Name: "download_0", Component: "download", OutputKey: "output_data", Table: name, DataType: rec.DataType,
		Parameters: openflow.Parameters{"namespace": name.Namespace, "name": name.Name, "path": b.Path},
	})
	if err != nil {
		return nil, err
	}
	if err := a.Audit(r, "data/download", name.String()+" into "+place.Path()); err != nil {
		return nil, err
	}
	return envelope.Answer{JobID: job.ID, Data: downloaded{name.Namespace, name.Name, place.Path()}}, nil
}
