package partner

import (
	"context"
	"fmt"

	"openflow"
	"openflow/site/lineage"
)

// found is what a job reads from this site's warehouses: the tables that are there, what is to be pinned, and what is
// missing. Of a table that the job gets in part, the part is not made yet.
type found struct {
	tables   map[openflow.TableName]openflow.TableRecord
	whole    map[openflow.TableName]openflow.TableRecord // those that it gets in part, as they are
	pins     []openflow.Pin
	mistakes []openflow.Mistake
}

// find looks up all that the tasks read here by name. Names that do not exist are mistakes; an error says that the
// look-up itself failed. A name is looked up once, so that all tasks of a job read the same rows.
func (s *Service) find(ctx context.Context, o openflow.JobOrder, specs []openflow.TaskSpec, may permit) (found, error) {
	f := finder{
		Service: s, order: o, may: may, found: found{tables: map[openflow.TableName]openflow.TableRecord{}, whole: map[openflow.TableName]openflow.TableRecord{}},
		absent: map[openflow.TableName]bool{},
		told:   map[openflow.Mistake]bool{}, origins: map[openflow.TableName][]string{},
		made: map[making][]openflow.OutputRecord{}, mine: map[openflow.JobKey]bool{}, of: map[tableOf]made{},
	}
	for _, spec := range specs {
		if source, ok := inherited(o.DAG, o.Key, spec.Name); ok {
			if err := f.inherit(ctx, spec, source); err != nil {
				return f.found, err
			}
			continue
		}
		if name, reads := spec.Reads(); reads && name.Namespace != "" && name.Name != "" { // otherwise the parameters are a mistake
			if err := f.table(ctx, "dag.tasks."+string(spec.Name)+".parameters", openflow.Pin{Task: spec.Name, Kind: openflow.InputData, Table: name}); err != nil {
				return f.found, err
			}
		}
		for _, in := range spec.Inputs {
			if err := f.input(ctx, spec, in); err != nil {
				return f.found, err
			}
		}
	}
	return f.found, nil
}

type finder struct {
	*Service
	order openflow.JobOrder
	may   permit
	found
	absent  map[openflow.TableName]bool
	told    map[openflow.Mistake]bool
	origins map[openflow.TableName][]string // of the tables in found

	// What many channels may name is looked up once.
	made map[making][]openflow.OutputRecord
	mine map[openflow.JobKey]bool // whether the outputs of another job are for this one
	of   map[tableOf]made
}

// making is a task of another job.
type making struct {
	job  openflow.JobKey
	task openflow.TaskName
}

// tableOf is a table as another job has it.
type tableOf struct {
	job  openflow.JobKey
	name openflow.TableName
}

// made is such a table with the tables from outside that it comes from; absent: the job has it no more.
type made struct {
	rec     openflow.TableRecord
	origins []string
	absent  bool
}

func (f *finder) missing(path string, about openflow.Subject, remedy, format string, args ...any) {
	m := openflow.Mistake{Code: openflow.CodeNotFound, Subject: about, Path: path, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	if !f.told[m] {
		f.told[m] = true
		f.mistakes = append(f.mistakes, m)
	}
}

func (f *finder) input(ctx context.Context, spec openflow.TaskSpec, in openflow.Input) error {
	index := 0
	for _, c := range in.Channels {
		path := fmt.Sprintf("dag.tasks.%s.inputs.%s.%s.%s", spec.Name, in.Kind, in.Key, c.Source)
		pin := openflow.Pin{Task: spec.Name, Kind: in.Kind, InputKey: in.Key, Index: index}
		var err error
		switch {
		case c.Source == openflow.FromModelWarehouse && c.Model != nil:
			pin.Model, pin.Producer, pin.OutputKey = *c.Model, c.ProducerTask, c.OutputKey
			err = f.model(ctx, path, pin)
			index++
		case c.Source == openflow.FromDataWarehouse && c.Name != "":
			pin.Table = openflow.TableName{Namespace: c.Namespace, Name: c.Name}
			err = f.table(ctx, path, pin)
			index++
		case c.Source == openflow.FromDataWarehouse:
			pin.SourceJob, pin.Producer, pin.OutputKey = c.Job, c.ProducerTask, c.OutputKey
			index, err = f.outputs(ctx, path, pin)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) table(ctx context.Context, path string, pin openflow.Pin) error {
	rec, known := f.tables[pin.Table]
	if !known && !f.absent[pin.Table] {
		var err error
		rec, err = f.Store.Table(ctx, pin.Table)
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
			f.absent[pin.Table] = true
		case err != nil:
			return openflow.About(openflow.AboutTable, err)
		default:
			// What a partner learns of a part, it learns of the table.
			if f.origins[pin.Table], err = lineage.OfTable(ctx, f.Store, rec); err != nil {
				return err
			}
			if columns := f.may.Columns[pin.Table]; len(columns) > 0 {
				f.whole[pin.Table] = rec
				if rec, err = f.Excerpts.Outline(ctx, rec, columns); err != nil {
					return openflow.About(openflow.AboutTable, err)
				}
			}
			f.tables[pin.Table] = rec
		}
	}
	if f.absent[pin.Table] {
		f.missing(path, openflow.AboutTable, "upload it there: openflow data upload", "no table %s", pin.Table)
		return nil
	}
	f.pin(pin, rec, f.origins[pin.Table])
	return nil
}

// cut makes the parts of tables that pins are of, unless they are there.
func (s *Service) cut(ctx context.Context, pins []openflow.Pin, whole map[openflow.TableName]openflow.TableRecord) error {
	made := map[openflow.TableName]openflow.TableRecord{}
	for i := range pins {
		p := &pins[i]
		if len(p.Columns) == 0 {
			continue
		}
		part, known := made[p.Table]
		if !known {
			var err error
			if part, err = s.Excerpts.Cut(ctx, whole[p.Table], p.Columns); err != nil {
				return openflow.About(openflow.AboutTable, err)
			}
			made[p.Table] = part
		}
		p.Object, p.Bytes, p.Count, p.DataType, p.Meta = part.Object, part.Bytes, part.Count, part.DataType, part.Meta
	}
	return nil
}

// cutAgain makes those parts of tables again that a job is to read and that are gone. Until the job was recorded nothing had named
// them, and where a full disk made room, they were taken.
func (s *Service) cutAgain(ctx context.Context, k openflow.JobKey) error {
	pins, err := s.Store.Pins(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	seen := map[string]bool{}
	for _, p := range pins {
		if len(p.Columns) == 0 || seen[p.Object] {
			continue
		}
		seen[p.Object] = true
		there, err := s.Excerpts.Has(ctx, p.Object)
		if err == nil && !there {
			_, err = s.Excerpts.Cut(ctx, openflow.TableRecord{Name: p.Table, Object: p.CutOf}, p.Columns)
		}
		if err != nil {
			return openflow.About(openflow.AboutTable, err)
		}
	}
	return nil
}

// pin keeps a table as it is now, with the tables from outside that it comes from: the job that made it may be deleted.
func (f *finder) pin(pin openflow.Pin, rec openflow.TableRecord, origins []string) {
	pin.Object, pin.Bytes, pin.Count, pin.DataType, pin.Meta = rec.Object, rec.Bytes, rec.Count, rec.DataType, rec.Meta
	if whole, cut := f.whole[pin.Table]; cut && pin.SourceJob == "" {
		pin.CutOf, pin.Columns = whole.Object, f.may.Columns[pin.Table]
	}
	pin.Origins = origins
	f.pins = append(f.pins, pin)
}

// outputs pins what a task of another job has made here, as that job has it, and returns the next position.
func (f *finder) outputs(ctx context.Context, path string, pin openflow.Pin) (int, error) {
	p := f.order.Key.Party
	source := openflow.JobKey{Scheduler: f.order.Key.Scheduler, Job: pin.SourceJob, Party: p}
	made, err := f.madeBy(ctx, source, pin.Producer)
	if err != nil {
		return pin.Index, openflow.About(openflow.AboutTask, err)
	}
	any := false
	for _, o := range made {
		if o.OutputKey != pin.OutputKey {
			continue
		}
		m, err := f.tableOf(ctx, tableOf{source, o.Table})
		if err != nil {
			return pin.Index, err
		}
		if m.absent {
			continue
		}
		any, pin.Table = true, o.Table
		f.pin(pin, m.rec, m.origins)
		pin.Index++
	}
	if !any {
		f.missing(path, openflow.AboutTable, "name a job that this party still has, and one of its outputs",
			"task %q of job %s has no output %q", pin.Producer, pin.SourceJob, pin.OutputKey)
	}
	return pin.Index, nil
}

// tableOf is a table as another job has it.
func (f *finder) tableOf(ctx context.Context, t tableOf) (made, error) {
	if m, known := f.of[t]; known {
		return m, nil
	}
	var m made
	var err error
	m.rec, err = f.Store.TableOf(ctx, t.job, t.name)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		m.absent = true
	case err != nil:
		return m, openflow.About(openflow.AboutTable, err)
	default:
		if m.origins, err = lineage.OfTable(ctx, f.Store, m.rec); err != nil {
			return m, err
		}
	}
	f.of[t] = m
	return m, nil
}

// madeBy lists the outputs of a task of another job. Only this site's own jobs can name those of other initiators.
func (f *finder) madeBy(ctx context.Context, source openflow.JobKey, producer openflow.TaskName) ([]openflow.OutputRecord, error) {
	by := making{source, producer}
	if list, known := f.made[by]; known {
		return list, nil
	}
	mine, err := f.readable(ctx, source)
	if err != nil {
		return nil, err
	}
	var list []openflow.OutputRecord
	if mine {
		if list, err = f.Store.LatestOutputs(ctx, source, producer); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return nil, err
		}
	}
	f.made[by] = list
	return list, nil
}

// unknownModel notes that the job's own conf names a model that is not here.
//
// Spec: fate-flow-api §0.4 (1000).
func (f *finder) unknownModel(pin openflow.Pin) {
	m := openflow.Mistake{
		Code: openflow.CodeInvalid, Subject: openflow.AboutWarehouse, Path: "dag.conf.model_warehouse",
		Message: fmt.Sprintf("no model %s version %s of task %q, output %q", pin.Model.ID, pin.Model.Version, pin.Producer, pin.OutputKey),
		Remedy:  "train it first, with the same parties in the same roles",
	}
	if !f.told[m] {
		f.told[m] = true
		f.mistakes = append(f.mistakes, m)
	}
}

// readable reports whether another job is one whose outputs this job may read.
func (f *finder) readable(ctx context.Context, source openflow.JobKey) (bool, error) {
	if mine, known := f.mine[source]; known {
		return mine, nil
	}
	job, err := f.Store.Job(ctx, source)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return false, err
	}
	f.mine[source] = err == nil && (f.may.all || job.Initiator == f.may.owner.Initiator)
	return f.mine[source], nil
}

func (f *finder) model(ctx context.Context, path string, pin openflow.Pin) error {
	m, err := f.Store.Model(ctx, f.order.Key.Scheduler, pin.Model, f.order.Key.Party, pin.Producer, pin.OutputKey)
	denied := err == nil && !f.may.all && m.Owner() != f.may.owner && !f.may.others[pin.Model]
	if denied || openflow.CodeOf(err) == openflow.CodeNotFound {
		if named := f.order.DAG.Conf.ModelWarehouse; named != nil && *named == pin.Model {
			f.unknownModel(pin)
			return nil
		}
		f.missing(path, openflow.AboutModel, "train it first, with the same parties in the same roles",
			"no model %s version %s of task %q, output %q", pin.Model.ID, pin.Model.Version, pin.Producer, pin.OutputKey)
		return nil
	}
	if err != nil {
		return openflow.About(openflow.AboutModel, err)
	}
	pin.Object, pin.Bytes, pin.Count, pin.DataType = m.Object, m.Bytes, -1, m.TypeName
	f.pins = append(f.pins, pin)
	return nil
}
