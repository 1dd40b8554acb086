package base

import (
	"context"
	"encoding/json"
	"slices"

	"openflow"
	"openflow/server/models"
)

// SaveModel records a model package of a run, whose object is there.
func (s *Site) SaveModel(ctx context.Context, t openflow.TaskRecord, m openflow.ModelRecord) error {
	m.Party, m.Task, m.Job, m.Scheduler = t.Key.Party, t.Key.Task, t.Key.Job, t.Key.Scheduler
	var err error
	if m.Initiator, err = s.ownModel(ctx, t, m); err != nil {
		return err
	}
	if m.Object == "" {
		return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "no part \"file\" in the form"))
	}
	if m.Meta, err = s.modelMeta(ctx, m.Object); err != nil {
		return err
	}
	return openflow.About(openflow.AboutModel, s.Store.SaveModel(ctx, m))
}

// ownModel refuses to write a model of another job: model_id and model_version are the job's, whatever a body says. It tells
// whose the model is: the job's initiator's, or, where a grant lets the job write a model of others that is there, theirs.
func (s *Site) ownModel(ctx context.Context, t openflow.TaskRecord, m openflow.ModelRecord) (openflow.PartyID, error) {
	if err := openflow.CheckIdentifier("output_key", m.OutputKey); err != nil {
		return "", err
	}
	if len(m.TypeName) > openflow.MaxHeard {
		return "", openflow.Errorf(openflow.CodeInvalid, "the type_name of the model has %d bytes, and %d are allowed", len(m.TypeName), openflow.MaxHeard)
	}
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return "", openflow.About(openflow.AboutJob, err)
	}
	if m.ModelID != job.ModelID || m.Version != job.ModelVersion {
		return "", openflow.Errorf(openflow.CodePermission, "%s may not write model %s version %s", t.Key, m.ModelID, m.Version)
	}
	grants, _, err := s.Store.GrantsOfJob(ctx, t.Key.Scheduler, t.Key.Job)
	ref := openflow.ModelRef{ID: m.ModelID, Version: m.Version}
	if err != nil || !slices.ContainsFunc(grants, func(g openflow.Grant) bool { return g.CoversModel(ref) }) {
		return job.Initiator, err
	}
	owners, err := s.Store.ModelOwners(ctx, ref, t.Key.Party.ID)
	i := slices.IndexFunc(owners, func(o openflow.ModelOwner) bool { return o.Scheduler == t.Key.Scheduler })
	if err != nil || i < 0 {
		return job.Initiator, err
	}
	return owners[i].Initiator, nil
}

// modelMeta collects what a model package says of itself.
func (s *Site) modelMeta(ctx context.Context, digest string) (json.RawMessage, error) {
	body, _, err := s.Objects.Get(ctx, digest, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // reading only
	return models.Meta(body)
}

// Model finds the object of a model that the run may read: as its job has pinned it, otherwise as it is now. Errors:
// CodePermission, CodeNotFound.
func (s *Site) Model(ctx context.Context, t openflow.TaskRecord, ref openflow.ModelRef, producer openflow.TaskName, key string) (string, error) {
	if err := s.mayReadModel(ctx, t, ref, producer, key); err != nil {
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
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return "", err
	}
	m, err := s.Store.Model(ctx, t.Key.Scheduler, ref, t.Key.Party, producer, key)
	if err == nil && m.Job != t.Key.Job && m.Owner() != (openflow.ModelOwner{Initiator: job.Initiator, Scheduler: t.Key.Scheduler}) {
		return "", openflow.Errorf(openflow.CodePermission, "%s has no input from model %s version %s of another owner", t.Key, ref.ID, ref.Version)
	}
	return m.Object, err
}

// mayReadModel refuses a model that is no input of the run, nor made by it. A channel that names no model means that of the
// run's own job.
func (s *Site) mayReadModel(ctx context.Context, t openflow.TaskRecord, ref openflow.ModelRef, producer openflow.TaskName, key string) error {
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return err
	}
	own := ref == openflow.ModelRef{ID: job.ModelID, Version: job.ModelVersion}
	named := func(c openflow.Channel) bool {
		return c.ProducerTask == producer && c.OutputKey == key && (c.Model == nil && own || c.Model != nil && *c.Model == ref)
	}
	if own && producer == t.Key.Task || feeds(t, openflow.InputModel, named) {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "%s has no input from model %s version %s", t.Key, ref.ID, ref.Version)
}
