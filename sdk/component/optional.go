package component

import (
	"context"
	"slices"

	"openflow"
)

// dropAbsent takes away what optional inputs would take from tasks that have written no such output. An input that is
// left without a channel is not given: HasInput says so, as for one that the job does not name. Whatever else is wrong
// with an input is found by who reads it.
//
// Spec: fate-flow-api §3.5.
func (t *Task) dropAbsent(ctx context.Context) {
	for _, a := range t.component.Inputs {
		if _, active := t.component.artifact(t.component.Inputs, a.Key, t.Role(), t.Stage()); !active || !a.Optional {
			continue
		}
		bound, absent := t.config.InputArtifacts.Data, t.tableAbsent
		if a.artifactType() == JSONModel {
			bound, absent = t.config.InputArtifacts.Model, t.modelAbsent
		}
		given := bound[a.Key]
		kept := slices.DeleteFunc(slices.Clone(given), func(c channel) bool { return c.fromTask() && absent(ctx, c) })
		if len(kept) == len(given) {
			continue
		}
		t.log.Info("optional input left out: no task has written it", "input", a.Key, "channels", len(given), "kept", len(kept))
		if bound[a.Key] = kept; len(kept) == 0 {
			delete(bound, a.Key)
		}
	}
}

// fromTask reports whether the channel takes an output of a task of the same job; the warehouses name theirs.
func (c channel) fromTask() bool {
	return c.ProducerTask != "" && c.Name == "" && c.JobID == "" && c.ModelID == ""
}

func (t *Task) tableAbsent(ctx context.Context, c channel) bool {
	list, err := t.track(ctx, t.trackQuery(c))
	return openflow.CodeOf(err) == openflow.CodeNotFound || err == nil && len(list) == 0
}

// modelAbsent asks for the model and reads no further than its beginning.
func (t *Task) modelAbsent(ctx context.Context, c channel) bool {
	body := t.openModel(ctx, c)
	_, err := body.Read(make([]byte, 1))
	_ = body.Close() // nothing was written
	return openflow.CodeOf(err) == openflow.CodeNotFound
}
