package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"openflow"
)

// modelRow is a row of the table model.
type modelRow struct {
	ModelID   string `db:"model_id"`
	Version   string `db:"version"`
	Role      string `db:"role"`
	Party     string `db:"party"`
	Task      string `db:"task_name"`
	OutputKey string `db:"output_key"`
	Scheduler string `db:"scheduler"`
	Initiator string `db:"initiator"`
	Job       string `db:"job_id"`
	TypeName  string `db:"type_name"`
	Object    string `db:"object"`
	Bytes     int64  `db:"bytes"`
	Created   int64  `db:"create_time" fieldtag:"first"`
	Updated   int64  `db:"update_time"`
	Meta      string `db:"meta"`
}

var (
	modelColumns = columnsOf[modelRow]()
	saveModel    = modelColumns.save("model", modelKey...)
	readModel    = `select ` + modelColumns.names + ` from model where ` + modelColumns.have(modelKey...)
)

// ModelFilter selects models; the zero value selects all.
type ModelFilter struct {
	ModelID   string
	Version   string
	Role      openflow.Role
	Party     openflow.PartyID
	Task      openflow.TaskName
	OutputKey string
	Job       openflow.JobID
	Scheduler openflow.PartyID // of the job that made it
}

func (f ModelFilter) where() *where {
	w := &where{}
	w.equal("model_id", f.ModelID)
	w.equal("version", f.Version)
	w.equal("role", string(f.Role))
	w.equal("party", string(f.Party))
	w.equal("task_name", string(f.Task))
	w.equal("output_key", f.OutputKey)
	w.equal("job_id", string(f.Job))
	w.equal("scheduler", string(f.Scheduler))
	return w
}

func modelName(m openflow.ModelRecord) string {
	return "model " + m.ModelID + " version " + m.Version + ", " + string(m.Task) + "." + m.OutputKey + " (" + m.Party.String() + ")"
}

// SaveModel records an output model, replacing that of an earlier task version; the time of creation stays the first. Models
// of jobs of different schedulers are apart, also where their job IDs and model IDs are the same. CodePermission: it would
// replace a model of another initiator.
func (c *Catalogue) SaveModel(ctx context.Context, m openflow.ModelRecord) error {
	if err := checkModel(m); err != nil {
		return err
	}
	values := modelValues(m, c.stamp())
	err := c.write(ctx, func(t *tx) error {
		sizes := modelSizes{}
		sizes.add(m, 1)
		before, err := scanModel(t.one(ctx, readModel, m.ModelID, m.Version, string(m.Party.Role), string(m.Party.ID), string(m.Task), m.OutputKey, string(m.Scheduler)))
		switch {
		case err == nil:
			sizes.add(before, -1)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		n, err := t.exec(ctx, saveModel+` where model.initiator = excluded.initiator`, values...)
		if err != nil {
			return err
		}
		if n == 0 {
			return openflow.Errorf(openflow.CodePermission, "%s is of another initiator", modelName(m)).
				WithHint("leave model_id out of the job, or choose another")
		}
		return t.takeModels(ctx, sizes)
	})
	return classify("save "+modelName(m), err)
}

func checkModel(m openflow.ModelRecord) error {
	if m.ModelID == "" || m.Version == "" || m.OutputKey == "" {
		return openflow.Errorf(openflow.CodeInvalid, "%s: a model needs an ID, a version and an output key", modelName(m))
	}
	return checkRaw("meta of "+modelName(m), m.Meta)
}

func modelValues(m openflow.ModelRecord, now int64) []any {
	return modelColumns.values(modelRow{
		ModelID: m.ModelID, Version: m.Version, Role: string(m.Party.Role), Party: string(m.Party.ID), Task: string(m.Task),
		OutputKey: m.OutputKey, Scheduler: string(m.Scheduler), Initiator: string(m.Initiator), Job: string(m.Job), TypeName: m.TypeName, Object: m.Object, Bytes: m.Bytes,
		Created: orNow(m.CreateTime, now), Updated: now, Meta: string(m.Meta),
	})
}

// modelKey are the columns that find a model.
var modelKey = []string{"model_id", "version", "role", "party", "task_name", "output_key", "scheduler"}

// modelSizes are what models take of the bounds of those whose jobs have made them: rows and objects. Models outlive their
// jobs, so they are counted by themselves.
type modelSizes map[openflow.PartyID]map[string]int64

// add counts a model, or takes it off with the factor -1.
func (s modelSizes) add(m openflow.ModelRecord, factor int64) {
	if s[m.Scheduler] == nil {
		s[m.Scheduler] = map[string]int64{}
	}
	s[m.Scheduler][takenRows] += factor * (int64(len(m.Meta)) + rowOverhead)
	s[m.Scheduler][takenObjects] += factor * m.Bytes
}

// takeModels counts models. CodeExhausted: the jobs of one party have made more of them than the site keeps.
func (t *tx) takeModels(ctx context.Context, sizes modelSizes) error {
	for _, scheduler := range slices.Sorted(maps.Keys(sizes)) { // in order, as all who lock these rows
		for _, kind := range []string{takenRows, takenObjects} {
			bytes := sizes[scheduler][kind]
			if bytes == 0 {
				continue
			}
			a := account{"models", string(scheduler), "the models of jobs of party " + string(scheduler), t.c.bounds[kind].Peer}
			if err := t.takeFor(ctx, kind, a, bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

func scanModel(from row) (openflow.ModelRecord, error) {
	r, err := modelColumns.scan(from)
	return openflow.ModelRecord{
		ModelID: r.ModelID, Version: r.Version, Party: openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.Party)},
		Task: openflow.TaskName(r.Task), OutputKey: r.OutputKey, Scheduler: openflow.PartyID(r.Scheduler), Initiator: openflow.PartyID(r.Initiator), Job: openflow.JobID(r.Job),
		TypeName: r.TypeName, Object: r.Object, Bytes: r.Bytes, CreateTime: timeOf(r.Created), UpdateTime: timeOf(r.Updated), Meta: raw(r.Meta),
	}, err
}

// Model returns one output model as a job of that scheduler means it: one that the scheduler's own jobs have made comes
// before those of others. CodeNotFound if there is none. CodeConflict, listing the schedulers: jobs of several others have
// made one, so that the name does not say which.
func (c *Catalogue) Model(ctx context.Context, scheduler openflow.PartyID, ref openflow.ModelRef, p openflow.Party, task openflow.TaskName, outputKey string) (openflow.ModelRecord, error) {
	models, err := c.Models(ctx, ModelFilter{
		ModelID: ref.ID, Version: ref.Version, Role: p.Role, Party: p.ID, Task: task, OutputKey: outputKey,
	})
	if err != nil {
		return openflow.ModelRecord{}, err
	}
	if i := slices.IndexFunc(models, func(m openflow.ModelRecord) bool { return m.Scheduler == scheduler }); i >= 0 {
		return models[i], nil
	}
	want := modelName(openflow.ModelRecord{ModelID: ref.ID, Version: ref.Version, Party: p, Task: task, OutputKey: outputKey})
	switch len(models) {
	case 0:
		return openflow.ModelRecord{}, notFound("%s does not exist here", want)
	case 1:
		return models[0], nil
	}
	schedulers := make([]openflow.PartyID, len(models))
	for i, m := range models {
		schedulers[i] = m.Scheduler
	}
	return openflow.ModelRecord{}, severalSchedulers(want, schedulers)
}

// ModelOwners lists whose jobs have made models of that ID and version at a party, by whichever schedulers.
func (c *Catalogue) ModelOwners(ctx context.Context, ref openflow.ModelRef, p openflow.PartyID) ([]openflow.ModelOwner, error) {
	var owners []openflow.ModelOwner
	w := ModelFilter{ModelID: ref.ID, Version: ref.Version, Party: p}.where()
	err := c.each(ctx, "select distinct initiator, scheduler from model"+w.String()+" order by initiator, scheduler", w.args, func(r row) error {
		var o openflow.ModelOwner
		err := r.Scan(&o.Initiator, &o.Scheduler)
		owners = append(owners, o)
		return err
	})
	return owners, classify("list the owners of model "+ref.ID, err)
}

// Models lists models in the order of their key.
func (c *Catalogue) Models(ctx context.Context, f ModelFilter) ([]openflow.ModelRecord, error) {
	w := f.where()
	var models []openflow.ModelRecord
	err := c.each(ctx, "select "+modelColumns.names+" from model"+w.String()+
		" order by model_id, version, role, party, task_name, output_key, scheduler", w.args, func(r row) error {
		m, err := scanModel(r)
		models = append(models, m)
		return err
	})
	return models, classify("list models", err)
}

// ModelsOfTask lists the models that a task of a job has made at its party.
func (c *Catalogue) ModelsOfTask(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.ModelRecord, error) {
	return c.Models(ctx, ModelFilter{Job: k.Job, Scheduler: k.Scheduler, Role: k.Party.Role, Party: k.Party.ID, Task: task})
}

// DeleteModels forgets the models that a filter selects and says how many; their objects go with the next sweep. A
// filter without a model ID and without a job is CodeInvalid, so that an empty one does not empty the warehouse.
func (c *Catalogue) DeleteModels(ctx context.Context, f ModelFilter) (int, error) {
	if f.ModelID == "" && f.Job == "" {
		return 0, openflow.Errorf(openflow.CodeInvalid, "delete models: neither model_id nor job_id given")
	}
	w := f.where()
	n := 0
	err := c.write(ctx, func(t *tx) error {
		n = 0
		sizes := modelSizes{}
		err := t.each(ctx, "delete from model"+w.String()+" returning "+modelColumns.names, func(r row) error {
			m, err := scanModel(r)
			sizes.add(m, -1)
			n++
			return err
		}, w.args...)
		if err != nil {
			return err
		}
		return t.takeModels(ctx, sizes)
	})
	return n, classify("delete models", err)
}
