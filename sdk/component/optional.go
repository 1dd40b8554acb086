package component

import (
	"context"
	"errors"
	"io"

	"openflow"
)

// dropAbsent takes away what optional inputs would take from tasks that have written no such output. An input that is left
// without a channel is not given: HasInput says so, as for one that the job does not name.
//
// Spec: fate-flow-api §3.5.
func (t *Task) dropAbsent(ctx context.Context) error {
	for _, a := range t.component.Inputs {
		if _, active := t.component.artifact(t.component.Inputs, a.Key, t.Role(), t.Stage()); !active || !a.Optional {
			continue
		}
		bound, written := t.config.InputArtifacts.Data, t.tableWritten
		if a.artifactType() == JSONModel {
			bound, written = t.config.InputArtifacts.Model, t.modelWritten
		}
		var kept channels
		for _, c := range bound[a.Key] {
			there, err := true, error(nil)
			if c.fromTask() {
				there, err = written(ctx, c)
			}
			if err != nil {
				return openflow.Errorf(openflow.CodeOf(err), "input %q of %s: %w", a.Key, t.Key(), err)
			}
			if there {
				kept = append(kept, c)
				continue
			}
			t.log.Info("optional input left out: its task has not written it", "input", a.Key, "producer", c.ProducerTask, "output", c.OutputKey)
		}
		if len(kept) == 0 {
			delete(bound, a.Key)
			continue
		}
		bound[a.Key] = kept
	}
	return nil
}

// fromTask reports whether the channel takes an output of a task of the same job; the warehouses name theirs.
func (c channel) fromTask() bool {
	return c.ProducerTask != "" && c.Name == "" && c.JobID == "" && c.ModelID == ""
}

func (t *Task) tableWritten(ctx context.Context, c channel) (bool, error) {
	list, err := t.track(ctx, t.trackQuery(c))
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, nil
	}
	return len(list) > 0, err
}

// modelWritten asks for the model and reads no further than its beginning.
func (t *Task) modelWritten(ctx context.Context, c channel) (bool, error) {
	body := t.openModel(ctx, c)
	_, err := body.Read(make([]byte, 1))
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return false, body.Close()
	case errors.Is(err, io.EOF):
		err = nil
	}
	return err == nil, errors.Join(err, body.Close())
}
