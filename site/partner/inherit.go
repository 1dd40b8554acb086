package partner

import (
	"context"
	"fmt"

	"openflow"
)

// Earlier is what the catalogue knows of an earlier job's tasks.
type Earlier interface {
	// ModelsOfTask lists the models that a task of a job has made at its party.
	ModelsOfTask(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.ModelRecord, error)
	Metrics(ctx context.Context, k openflow.TaskKey) ([]openflow.MetricRecord, error)
	SaveOutput(ctx context.Context, o openflow.OutputRecord, t *openflow.TableRecord) error
	SaveModel(ctx context.Context, m openflow.ModelRecord) error
	AppendMetrics(ctx context.Context, k openflow.TaskKey, metrics []openflow.MetricRecord) error
}

// inherited is the task of an earlier job that a task of a job is taken over from; ok: it is taken over from one.
func inherited(d *openflow.DAG, k openflow.JobKey, task openflow.TaskName) (source openflow.JobKey, ok bool) {
	if !d.Conf.Inherits(task) {
		return source, false
	}
	return openflow.JobKey{Scheduler: k.Scheduler, Job: d.Conf.Inheritance.Job, Party: k.Party}, true
}

// inherit pins what a task of an earlier job has made here, since a task of this job stands for it. The earlier job is one of the
// same initiator and scheduler, and the task has succeeded in it at all its parties.
//
// Spec: fate-flow-api §4.5.
func (f *finder) inherit(ctx context.Context, spec openflow.TaskSpec, source openflow.JobKey) error {
	mine, err := f.readable(ctx, source)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if !mine { // as if there were none, whether or not there is one
		f.uninherited("job_id", "name a job of yours that this party still has", "no job %s", source.Job)
		return nil
	}
	earlier, err := f.Store.LatestTask(ctx, source, spec.Name)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		f.uninherited("task_list", "leave it out, so that it runs", "job %s has no task %q", source.Job, spec.Name)
		return nil
	case err != nil:
		return openflow.About(openflow.AboutTask, err)
	case !earlier.Status.Succeeded() || !earlier.PartyStatus.Succeeded():
		f.uninherited("task_list", "leave it out, so that it runs", "task %q of job %s has not succeeded: it is %s", spec.Name, source.Job, earlier.Status)
		return nil
	case earlier.Component != spec.Component:
		f.uninherited("task_list", "leave it out, so that it runs", "task %q of job %s ran %s, and this one is %s",
			spec.Name, source.Job, earlier.Component, spec.Component)
		return nil
	}
	pin := openflow.Pin{Task: spec.Name, Kind: openflow.InputData, SourceJob: source.Job, Producer: spec.Name}
	made, err := f.madeBy(ctx, source, spec.Name)
	if err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	for _, o := range made {
		m, err := f.tableOf(ctx, tableOf{source, o.Table})
		if err != nil {
			return err
		}
		if m.absent {
			f.uninherited("task_list", "leave it out, so that it runs", "output %q of task %q of job %s is not here any more", o.OutputKey, spec.Name, source.Job)
			continue
		}
		pin.OutputKey, pin.Table = o.OutputKey, o.Table
		f.pin(pin, m.rec, m.origins)
		pin.Index++
	}
	return f.inheritModels(ctx, spec, source)
}

func (f *finder) inheritModels(ctx context.Context, spec openflow.TaskSpec, source openflow.JobKey) error {
	models, err := f.Store.ModelsOfTask(ctx, source, spec.Name)
	if err != nil {
		return openflow.About(openflow.AboutModel, err)
	}
	for i, m := range models {
		f.pins = append(f.pins, openflow.Pin{
			Task: spec.Name, Kind: openflow.InputModel, Index: i, SourceJob: source.Job, Producer: spec.Name, OutputKey: m.OutputKey,
			Model: openflow.ModelRef{ID: m.ModelID, Version: m.Version}, Object: m.Object, Bytes: m.Bytes, Count: -1, DataType: m.TypeName, Meta: m.Meta,
		})
	}
	return nil
}

// uninherited notes why a task cannot be taken over.
func (f *finder) uninherited(key, remedy, format string, args ...any) {
	m := openflow.Mistake{
		Code: openflow.CodeInvalid, Subject: openflow.AboutInheritance, Path: "dag.conf.inheritance." + key,
		Message: fmt.Sprintf(format, args...), Remedy: remedy,
	}
	if !f.told[m] {
		f.told[m] = true
		f.mistakes = append(f.mistakes, m)
	}
}

// asInherited puts in the place of tasks that are taken over what the earlier job has run there, with its parameters: that is
// what the grants have to give.
func (s *Service) asInherited(ctx context.Context, k openflow.JobKey, d *openflow.DAG, specs []openflow.TaskSpec) ([]openflow.TaskSpec, error) {
	all := make([]openflow.TaskSpec, 0, len(specs))
	for _, spec := range specs {
		all = append(all, spec)
		source, ok := inherited(d, k, spec.Name)
		if !ok {
			continue
		}
		job, err := s.Store.Job(ctx, source)
		if openflow.CodeOf(err) == openflow.CodeNotFound || err == nil && job.Initiator != d.Conf.Initiator {
			continue // as if there were none, whether or not there is one: see finder.inherit
		}
		var earlier openflow.TaskRecord
		if err == nil {
			earlier, err = s.Store.LatestTask(ctx, source, spec.Name)
		}
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
		case err != nil:
			return nil, openflow.About(openflow.AboutTask, err)
		default:
			all = append(all, earlier.Spec)
		}
	}
	return all, nil
}

// takeOver ends a run with what an earlier job has made in its place: data outputs, models, metrics and the log. The workflow that
// it gets only reports that. A repeat does the same once more.
//
// Spec: fate-flow-api §4.5.
func (s *Service) takeOver(ctx context.Context, job openflow.JobRecord, t openflow.TaskRecord, source openflow.JobKey) error {
	if !t.PartyStatus.Terminal() {
		end := openflow.TaskEnd{Status: openflow.TaskSuccess, Reason: fmt.Sprintf("taken over from job %s", source.Job)}
		if err := s.takePins(ctx, job, t); err != nil {
			return err
		}
		earlier, err := s.Store.LatestTask(ctx, source, t.Key.Task)
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound: // it was forgotten meanwhile, with its metrics and its log
		case err != nil:
			return openflow.About(openflow.AboutTask, err)
		default:
			end.LogDigest = earlier.LogDigest
			if err := s.takeMetrics(ctx, t.Key, earlier.Key); err != nil {
				return err
			}
		}
		if _, err := s.Store.FinishTask(ctx, t.Key, end); err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
			return openflow.About(openflow.AboutTask, err)
		}
	}
	return openflow.About(openflow.AboutTask, s.Engine.StartTask(ctx, s.order(t)))
}

// takePins makes outputs and models of the job of what was pinned of the earlier one when the job was created.
func (s *Service) takePins(ctx context.Context, job openflow.JobRecord, t openflow.TaskRecord) error {
	pins, err := s.Store.Pins(ctx, t.Key.JobKey())
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	positions := map[string]int{}
	for _, p := range pins {
		switch {
		case p.Task != t.Key.Task:
		case p.Kind == openflow.InputData:
			err = s.Store.SaveOutput(ctx, openflow.OutputRecord{
				Task: t.Key, OutputKey: p.OutputKey, Index: positions[p.OutputKey], Table: p.Table, DataType: p.DataType,
			}, nil)
			positions[p.OutputKey]++
		default:
			err = s.Store.SaveModel(ctx, openflow.ModelRecord{
				ModelID: job.ModelID, Version: job.ModelVersion, Party: t.Key.Party, Task: t.Key.Task, OutputKey: p.OutputKey,
				Job: job.ID, Scheduler: job.Scheduler, Initiator: job.Initiator, TypeName: p.DataType, Object: p.Object, Bytes: p.Bytes, Meta: p.Meta,
			})
		}
		if err != nil {
			return openflow.About(openflow.AboutTask, err)
		}
	}
	return nil
}

func (s *Service) takeMetrics(ctx context.Context, to, from openflow.TaskKey) error {
	metrics, err := s.Store.Metrics(ctx, from)
	if err != nil || len(metrics) == 0 {
		return openflow.About(openflow.AboutTask, err)
	}
	for i := range metrics {
		metrics[i].Task = to
	}
	return openflow.About(openflow.AboutTask, s.Store.AppendMetrics(ctx, to, metrics))
}

// takeOverAll takes over all that a job takes from an earlier one, for a scheduler that starts none of these tasks and waits for
// their reports.
func (s *Service) takeOverAll(ctx context.Context, k openflow.JobKey) error {
	job, err := s.Store.Job(ctx, k)
	if err != nil || job.DAG.Conf.Inheritance == nil || job.Status != openflow.JobRunning {
		return openflow.About(openflow.AboutJob, err)
	}
	tasks, err := s.Store.TasksOfJob(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	for _, t := range tasks {
		source, ok := inherited(job.DAG, k, t.Key.Task)
		if !ok {
			continue
		}
		if err := s.stillPermitted(ctx, job, t); err != nil {
			return err
		}
		if err := s.takeOver(ctx, job, t, source); err != nil {
			return err
		}
	}
	return nil
}
