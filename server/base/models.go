package base

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/sdk/wire"
)

// SaveModel records a model package of a run, whose object is there.
func (s *Site) SaveModel(ctx context.Context, t openflow.TaskRecord, m openflow.ModelRecord) error {
	m.Party, m.Task, m.Job, m.Scheduler = t.Key.Party, t.Key.Task, t.Key.Job, t.Key.Scheduler
	if err := s.ownModel(ctx, t, m); err != nil {
		return err
	}
	if m.Object == "" {
		return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "no part \"file\" in the form"))
	}
	var err error
	if m.Meta, err = s.modelMeta(ctx, m.Object); err != nil {
		return err
	}
	return openflow.About(openflow.AboutModel, s.Store.SaveModel(ctx, m))
}

// ownModel refuses to write a model of another job: model_id and model_version are the job's, whatever a body says.
func (s *Site) ownModel(ctx context.Context, t openflow.TaskRecord, m openflow.ModelRecord) error {
	if err := openflow.CheckIdentifier("output_key", m.OutputKey); err != nil {
		return err
	}
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if m.ModelID != job.ModelID || m.Version != job.ModelVersion {
		return openflow.Errorf(openflow.CodePermission, "%s may not write model %s version %s", t.Key, m.ModelID, m.Version)
	}
	return nil
}

// What is read of the yaml members of a model package: its container chose them.
const (
	maxMember  = 64 << 10 // bytes of one; a larger one is passed over
	maxMetas   = 16       // of them
	maxMembers = 10_000   // of the package, which are looked at
)

// modelMeta collects the yaml members of a model package as one JSON object, by member name.
func (s *Site) modelMeta(ctx context.Context, digest string) (json.RawMessage, error) {
	body, _, err := s.Objects.Get(ctx, digest, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // reading only
	meta := map[string]json.RawMessage{}
	members := tar.NewReader(body)
	for n := 0; ; n++ {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if n == maxMembers || len(meta) > maxMetas {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model has more than %d members, or %d of them are yaml", maxMembers, len(meta))
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model is not a tar: %w", err)
		}
		if path.Ext(h.Name) != ".yaml" || h.Size > maxMember {
			continue
		}
		text, err := io.ReadAll(members)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is unreadable: %w", h.Name, err)
		}
		if err := wire.BoundedYAML(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s: %w", openflow.Cut(h.Name, 100), err)
		}
		if meta[h.Name], err = yaml.YAMLToJSON(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is not YAML: %w", h.Name, err)
		}
		meta[h.Name] = json.RawMessage(strings.TrimSpace(string(meta[h.Name])))
	}
	return json.Marshal(meta)
}

// Model finds the object of a model that the run may read: as its job has pinned it, otherwise as it is now. Errors:
// CodePermission, CodeNotFound.
func (s *Site) Model(ctx context.Context, t openflow.TaskRecord, ref openflow.ModelRef, producer openflow.TaskName, key string) (string, error) {
	if err := s.mayReadModel(ctx, t, ref.ID, ref.Version); err != nil {
		return "", err
	}
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return "", err
	}
	for _, p := range pins {
		if p.Kind == openflow.InputModel && p.Task == t.Key.Task && p.Model == ref && p.Producer == producer && p.OutputKey == key {
			return p.Object, nil
		}
	}
	m, err := s.Store.Model(ctx, t.Key.Scheduler, ref, t.Key.Party, producer, key)
	return m.Object, err
}

func (s *Site) mayReadModel(ctx context.Context, t openflow.TaskRecord, id, version string) error {
	for _, in := range t.Spec.Inputs {
		for _, c := range in.Channels {
			if c.Model != nil && c.Model.ID == id && c.Model.Version == version {
				return nil
			}
		}
	}
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return err
	}
	if job.ModelID == id && job.ModelVersion == version {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "%s has no input from model %s version %s", t.Key, id, version)
}
