package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

const modelColumns = `model_id, version, role, party, task_name, output_key, job_id, type_name, object, bytes, create_time,
	update_time, meta`

// ModelFilter selects models; the zero value selects all.
type ModelFilter struct {
	ModelID   string
	Version   string
	Role      openflow.Role
	Party     openflow.PartyID
	Task      openflow.TaskName
	OutputKey string
	Job       openflow.JobID
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
	return w
}

func modelName(m openflow.ModelRecord) string {
	return "model " + m.ModelID + " version " + m.Version + ", " + string(m.Task) + "." + m.OutputKey + " (" + m.Party.String() + ")"
}

// SaveModel records an output model, replacing that of an earlier task version; the time of creation stays the first.
func (c *Catalogue) SaveModel(ctx context.Context, m openflow.ModelRecord) error {
	if m.ModelID == "" || m.Version == "" || m.OutputKey == "" {
		return openflow.Errorf(openflow.CodeInvalid, "%s: a model needs an ID, a version and an output key", modelName(m))
	}
	if err := checkRaw("meta of "+modelName(m), m.Meta); err != nil {
		return err
	}
	now := c.stamp()
	_, err := c.exec(ctx, `insert into model (`+modelColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		on conflict (model_id, version, role, party, task_name, output_key) do update set job_id = excluded.job_id,
		type_name = excluded.type_name, object = excluded.object, bytes = excluded.bytes, update_time = excluded.update_time,
		meta = excluded.meta`,
		m.ModelID, m.Version, string(m.Party.Role), string(m.Party.ID), string(m.Task), m.OutputKey, string(m.Job), m.TypeName,
		m.Object, m.Bytes, orNow(m.CreateTime, now), now, string(m.Meta))
	return classify("save "+modelName(m), err)
}

func scanModel(r row) (openflow.ModelRecord, error) {
	var m openflow.ModelRecord
	var created, updated int64
	var meta string
	err := r.Scan(&m.ModelID, &m.Version, &m.Party.Role, &m.Party.ID, &m.Task, &m.OutputKey, &m.Job, &m.TypeName, &m.Object,
		&m.Bytes, &created, &updated, &meta)
	m.CreateTime, m.UpdateTime, m.Meta = timeOf(created), timeOf(updated), raw(meta)
	return m, err
}

// Model returns one output model; CodeNotFound if there is none.
func (c *Catalogue) Model(ctx context.Context, modelID, version string, p openflow.Party, task openflow.TaskName, outputKey string) (openflow.ModelRecord, error) {
	m, err := scanModel(c.one(ctx, `select `+modelColumns+` from model where model_id = $1 and version = $2 and role = $3
		and party = $4 and task_name = $5 and output_key = $6`,
		modelID, version, string(p.Role), string(p.ID), string(task), outputKey))
	if errors.Is(err, sql.ErrNoRows) {
		want := openflow.ModelRecord{ModelID: modelID, Version: version, Party: p, Task: task, OutputKey: outputKey}
		return m, notFound("%s does not exist here", modelName(want))
	}
	return m, classify("read model "+modelID, err)
}

// Models lists models in the order of their key.
func (c *Catalogue) Models(ctx context.Context, f ModelFilter) ([]openflow.ModelRecord, error) {
	w := f.where()
	var models []openflow.ModelRecord
	err := c.each(ctx, "select "+modelColumns+" from model"+w.String()+
		" order by model_id, version, role, party, task_name, output_key", w.args, func(r row) error {
		m, err := scanModel(r)
		models = append(models, m)
		return err
	})
	return models, classify("list models", err)
}

// DeleteModels forgets the models that a filter selects and says how many; their objects go with the next sweep. A
// filter without a model ID and without a job is CodeInvalid, so that an empty one does not empty the warehouse.
func (c *Catalogue) DeleteModels(ctx context.Context, f ModelFilter) (int, error) {
	if f.ModelID == "" && f.Job == "" {
		return 0, openflow.Errorf(openflow.CodeInvalid, "delete models: neither model_id nor job_id given")
	}
	w := f.where()
	res, err := c.writer.ExecContext(ctx, "delete from model"+w.String(), c.fit(w.args)...)
	if err != nil {
		return 0, classify("delete models", err)
	}
	n, err := res.RowsAffected()
	return int(n), classify("delete models", err)
}
