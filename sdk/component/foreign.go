package component

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"

	"openflow"
)

// ModelDirectory is a model that is a folder of files. The kit passes one on as the archive that it is.
const ModelDirectory ArtifactType = "model_directory"

// Records passes metrics on that another kit has made, each a record of JSON as FATE has it. The node checks them.
//
// Spec: fate-flow-api §3.9.
func (t *Task) Records(ctx context.Context, records []json.RawMessage) error {
	body := map[string]any{"data": records}
	path := "/v2/worker/metric/save/" + string(t.config.RunID)
	if err := t.node.call(ctx, request{method: http.MethodPost, path: path, json: body}, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "metrics of %s: %w", t.Key(), err)
	}
	return nil
}

// OpenModels opens the archives of the models that are bound to the model input key, in the order of the DAG. Each is a tar of
// the model's files with a description beside each. The caller closes them. CodeNotFound when there is none.
//
// Spec: fate-flow-api §3.10.
func (t *Task) OpenModels(ctx context.Context, key string) ([]io.ReadCloser, error) {
	bound := t.config.InputArtifacts.Model[key]
	if len(bound) == 0 {
		return nil, public(openflow.CodeNotFound, "input %q of %s is not given", key, t.Key())
	}
	list := make([]io.ReadCloser, len(bound))
	for i, c := range bound {
		list[i] = t.openModel(ctx, c)
	}
	return list, nil
}

// SaveArchive saves the archive of a model as the model output key. The file is read again where the node is away for a while.
// Errors: those of SaveModel.
//
// Spec: fate-flow-api §3.10.
func (t *Task) SaveArchive(ctx context.Context, key string, kind ArtifactType, archive string) error {
	index, err := t.claimOutput(key)
	if err == nil && index > 0 {
		err = openflow.Errorf(openflow.CodeConflict, "output %q of %s: all models of one output are one archive", key, t.Key())
	}
	if err != nil {
		return err
	}
	head, tail, contentType, err := t.archiveForm(key, kind)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "model %q of %s: %w", key, t.Key(), err)
	}
	post := request{method: http.MethodPost, path: "/v2/worker/model/save", contentType: contentType, body: func() (io.ReadCloser, error) {
		f, err := os.Open(archive)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInternal, "model %q of %s: %w", key, t.Key(), err)
		}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(head), f, strings.NewReader(tail)), f}, nil
	}}
	if err := t.node.call(ctx, post, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "model %q of %s cannot be saved: %w", key, t.Key(), err)
	}
	return nil
}

// archiveForm is what a form has before and behind the archive of a model.
func (t *Task) archiveForm(key string, kind ArtifactType) (head, tail, contentType string, err error) {
	var out strings.Builder
	w := multipart.NewWriter(&out)
	for _, field := range [][2]string{
		{"model_id", t.config.ModelID}, {"model_version", t.config.ModelVersion}, {"execution_id", string(t.config.RunID)},
		{"output_key", key}, {"type_name", string(kind)},
	} {
		err = errors.Join(err, w.WriteField(field[0], field[1]))
	}
	_, wrong := w.CreateFormFile("file", key+".tar")
	head = out.String()
	err = errors.Join(err, wrong, w.Close())
	return head, strings.TrimPrefix(out.String(), head), w.FormDataContentType(), err
}
