package activities

import (
	"context"
	"fmt"

	"openflow"
)

// Reasons keeps why a run waits.
type Reasons interface {
	SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error
}

// Workers knows the workers of the site's pool that are alive and have that label; empty: all that are alive.
type Workers interface {
	Workers(ctx context.Context, label string) ([]openflow.WorkerRecord, error)
}

// Placing holds the activities of a task workflow whose run waits for a machine. The node itself does them.
type Placing struct {
	Tasks   Reasons
	Workers Workers
}

// TellWait finds out why nobody takes the run, and shows it to those who look at the task.
func (p *Placing) TellWait(ctx context.Context, o TaskOrder) (Waiting, error) {
	list, err := p.Workers.Workers(ctx, o.Label)
	if err != nil {
		return Waiting{}, ToTemporal(err)
	}
	w := Waiting{Reason: WaitReason(o.Label, len(list)), Workers: len(list)}
	return w, ToTemporal(p.Tasks.SetTaskReason(ctx, o.Run.Decode(), w.Reason))
}

// WaitReason says why a run that wants a worker with that label waits when so many are alive.
func WaitReason(label string, workers int) string {
	worker := "worker"
	if label != "" {
		worker += " with label " + label
	}
	if workers == 0 {
		return "no " + worker
	}
	return fmt.Sprintf("every %s is busy (%d)", worker, workers)
}
