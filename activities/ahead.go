package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openflow"
	"openflow/runtime/driver"
	"openflow/workflows/plan"
)

// Jobs are this site's jobs and their runs.
type Jobs interface {
	Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error)
	TasksOfJob(ctx context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error)
}

// Ahead makes containers before their runs begin: those of the tasks that follow, as soon as a task runs. So to make them
// delays nobody. Such a container runs nothing and holds nothing that is counted. Its run adopts it when it begins.
//
// What no run has taken when its job ends is removed then. What a crash leaves is the sweeper's.
type Ahead struct {
	Jobs     Jobs
	Runtime  driver.Runtime
	Launcher Launcher
	Log      *slog.Logger

	mu   sync.Mutex
	made map[string]openflow.JobKey // containers that no run has taken yet
}

// aheadPatience bounds what is done for one task, or for one end of a job.
const aheadPatience = 30 * time.Second

// Follow makes what follows a run that has begun. That this fails is no loss, since every run makes its container itself
// when there is none.
func (a *Ahead) Follow(k openflow.TaskKey) {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), aheadPatience) // it belongs to no trace
	defer cancel()
	job, err := a.Jobs.Job(ctx, k.JobKey())
	if err != nil {
		return
	}
	runs, err := a.Jobs.TasksOfJob(ctx, k.JobKey())
	if err != nil {
		return
	}
	for _, r := range plan.Foresee(job.DAG, runs, k.Task) {
		if err := a.make(ctx, r); err != nil {
			a.Log.DebugContext(ctx, "no container made ahead", "run", r.Key.String(), "err", err)
		}
	}
}

// make makes the container of one run. The end of the job may come meanwhile, and Ended may find nothing yet.
func (a *Ahead) make(ctx context.Context, r openflow.TaskRecord) error {
	spec, _, err := a.Launcher.Spec(ctx, r)
	if err != nil {
		return err
	}
	a.note(spec.Name, r.Key.JobKey())
	if _, err := a.Runtime.Ensure(ctx, spec); err != nil {
		return err
	}
	job, err := a.Jobs.Job(ctx, r.Key.JobKey())
	if err == nil && job.Status == openflow.JobRunning {
		return nil
	}
	a.discard(ctx, spec.Name)
	return err
}

func (a *Ahead) note(name string, k openflow.JobKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made == nil {
		a.made = map[string]openflow.JobKey{}
	}
	a.made[name] = k
}

// Take leaves a container to its run.
func (a *Ahead) Take(name string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.made, name)
}

// Ended removes what was made for a job and has not been taken. It does not wait for that.
func (a *Ahead) Ended(k openflow.JobKey) {
	if a == nil {
		return
	}
	a.mu.Lock()
	var names []string
	for name, job := range a.made {
		if job == k {
			names = append(names, name)
		}
	}
	a.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), aheadPatience)
		defer cancel()
		for _, name := range names {
			a.discard(ctx, name)
		}
	}()
}

// discard removes a container that no run has taken. One whose run begins at this moment is not there at its start, and
// is made again.
func (a *Ahead) discard(ctx context.Context, name string) {
	a.mu.Lock()
	_, ours := a.made[name]
	delete(a.made, name)
	a.mu.Unlock()
	if !ours {
		return
	}
	if err := a.Runtime.Remove(ctx, name); err != nil {
		a.Log.WarnContext(ctx, "container not removed; the sweeper tries again", "container", name, "err", err)
	}
}
