package component

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openflow"
)

const (
	modelMember = "json_model"
	metaSuffix  = ".meta.yaml"
	maxModel    = 1 << 30
)

// Model reads the JSON model bound to the model input key into into.
//
// Errors: CodeNotFound (nothing bound, or no such model), CodeInvalid (the model is not of that form).
//
// Spec: fate-flow-api §3.5, §3.10.
func (t *Task) Model(ctx context.Context, key string, into any) error {
	bound := t.config.InputArtifacts.Model[key]
	if len(bound) == 0 {
		return public(openflow.CodeNotFound, "input %q of %s is not given", key, t.Key())
	}
	if len(bound) > 1 {
		return public(openflow.CodeInvalid, "input %q of %s has %d models, want one", key, t.Key(), len(bound))
	}
	packed, err := t.downloadModel(ctx, bound[0])
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "model %q of %s: %w", key, t.Key(), err).
			WithPublic("its node does not give it input %q", key)
	}
	raw, err := unpackModel(packed)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "model %q of %s is not readable: %w", key, t.Key(), err).
			WithPublic("the model bound to %q is not readable", key)
	}
	return nil
}

// SaveModel writes model, as JSON, as the model output key.
//
// Errors: CodeInvalid (no such output at this role and stage, or model has no JSON form), CodeConflict (written twice).
func (t *Task) SaveModel(ctx context.Context, key string, model any) error {
	raw, err := json.Marshal(model)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "model %q of %s has no JSON form: %w", key, t.Key(), err)
	}
	index, err := t.claimOutput(key)
	if err != nil {
		return err
	}
	if index > 0 {
		return openflow.Errorf(openflow.CodeUnimplemented, "output %q of %s: the kit writes one model per output", key, t.Key())
	}
	packed, err := t.packModel(key, raw)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "model %q of %s: %w", key, t.Key(), err)
	}
	form, contentType, err := t.modelForm(key, packed)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "model %q of %s: %w", key, t.Key(), err)
	}
	post := request{method: http.MethodPost, path: "/v2/worker/model/save", contentType: contentType, length: int64(len(form)),
		body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(form)), nil }}
	if err := t.node.call(ctx, post, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "model %q of %s cannot be saved: %w", key, t.Key(), err)
	}
	return nil
}

func (t *Task) downloadModel(ctx context.Context, c channel) ([]byte, error) {
	body := t.openModel(ctx, c)
	raw, err := io.ReadAll(io.LimitReader(body, maxModel))
	return raw, errors.Join(err, body.Close())
}

func (t *Task) openModel(ctx context.Context, c channel) *resumed {
	id, version := c.ModelID, c.ModelVersion
	if id == "" || version == "" {
		id, version = t.config.ModelID, t.config.ModelVersion
	}
	from := request{method: http.MethodGet, path: "/v2/worker/model/download", query: url.Values{
		"model_id": {id}, "model_version": {version}, "role": {string(t.config.Role)}, "party_id": {string(t.config.PartyID)},
		"task_name": {string(c.ProducerTask)}, "output_key": {c.OutputKey},
	}}
	return &resumed{ctx: ctx, client: t.node, from: from}
}

// unpackModel finds the JSON among the members of a model's tar: json_model, or else the one member without a role.
func unpackModel(data []byte) ([]byte, error) {
	var found []byte
	for members := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(header.Name, "./")
		if header.Typeflag != tar.TypeReg || strings.HasSuffix(name, metaSuffix) || found != nil && name != modelMember {
			continue
		}
		if found, err = io.ReadAll(members); err != nil {
			return nil, err
		}
		if name == modelMember {
			return found, nil
		}
	}
	if found == nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "its archive has no member %q", modelMember)
	}
	return found, nil
}

func (t *Task) packModel(key string, model []byte) ([]byte, error) {
	meta, err := json.MarshalIndent(t.modelMeta(key), "", "  ") // JSON is YAML
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range []struct {
		name string
		data []byte
	}{{modelMember, model}, {modelMember + metaSuffix, meta}} {
		h := &tar.Header{Name: m.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m.data))}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

// modelMeta is the description beside a model. FATE's worker refuses unknown and missing keys.
//
// Spec: fate-flow-api §3.10.
func (t *Task) modelMeta(key string) map[string]any {
	parties := map[openflow.Role][]openflow.PartyID{openflow.RoleGuest: {}, openflow.RoleHost: {}, openflow.RoleArbiter: {}}
	for _, p := range t.Parties() {
		parties[p.Role] = append(parties[p.Role], p.ID)
	}
	name := string(t.Stage())
	if t.Stage() == openflow.StageDefault {
		name = t.component.Name
	}
	return map[string]any{
		"metadata": map[string]any{}, "name": nil, "namespace": nil,
		"model_overview": map[string]any{
			"federated": map[string]any{
				"task_id": t.config.TaskID, "parties": parties,
				"component": map[string]any{"name": name, "provider": t.program.Provider, "version": t.program.Version, "metadata": map[string]any{}},
			},
			"party": map[string]any{
				"party_task_id": t.config.RunID, "role": t.config.Role, "partyid": t.config.PartyID,
				"models": []any{map[string]any{
					"name": "", "created_time": time.Now().Format("2006-01-02T15:04:05.000000"),
					"file_format": "json", "metadata": map[string]any{},
				}},
			},
		},
		"data_overview": nil, "source": t.source(key, 0), "model_key": modelMember, "type_name": string(JSONModel), "index": nil,
	}
}

func (t *Task) modelForm(key string, data []byte) (form []byte, contentType string, err error) {
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for _, field := range [][2]string{
		{"model_id", t.config.ModelID}, {"model_version", t.config.ModelVersion}, {"execution_id", string(t.config.RunID)},
		{"output_key", key}, {"type_name", string(JSONModel)},
	} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			return nil, "", err
		}
	}
	part, err := w.CreateFormFile("file", key+".tar")
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(data); err != nil {
		return nil, "", err
	}
	err = w.Close()
	return out.Bytes(), w.FormDataContentType(), err
}
