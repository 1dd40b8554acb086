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

// Ahead makes containers before their runs begin: those of the tasks that follow, when a run has succeeded. Meanwhile that
// end is recorded and reported, and other parties may still be at work. Such a container runs nothing, and holds nothing
// that is counted. Its run adopts it when it begins.
//
// What no run has taken when its job ends is removed then. What a crash leaves is the sweeper's.
type Ahead struct {
	Jobs     Jobs
	Runtime  driver.Runtime
	Launcher Launcher
	Log      *slog.Logger

	mu     sync.Mutex
	made   map[string]openflow.JobKey // containers that no run has taken yet
	life   context.Context            // of what goes on beside; nil: nothing has begun
	end    context.CancelFunc         // of life
	closed bool
	beside sync.WaitGroup
}

// aheadPatience bounds what is done for one task, or for one end of a job.
const aheadPatience = 30 * time.Second

// begin does something beside, until its patience is over or Close. It belongs to no request and to no trace.
func (a *Ahead) begin(do func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	if a.life == nil {
		a.life, a.end = context.WithCancel(context.Background())
	}
	life := a.life
	a.beside.Go(func() {
		ctx, cancel := context.WithTimeout(life, aheadPatience)
		defer cancel()
		do(ctx)
	})
}

// Close ends what goes on beside, and waits for that. What is left then is the sweeper's.
func (a *Ahead) Close() {
	a.mu.Lock()
	a.closed = true
	if a.end != nil {
		a.end()
	}
	a.mu.Unlock()
	a.beside.Wait()
}

// Succeeded follows a run that has succeeded. It does not wait for that.
func (a *Ahead) Succeeded(k openflow.TaskKey) {
	if a != nil {
		a.begin(func(ctx context.Context) { a.Follow(ctx, k) })
	}
}

// Follow makes what follows a run. That this fails is no loss, since every run makes its container itself when there is none.
func (a *Ahead) Follow(ctx context.Context, k openflow.TaskKey) {
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
	a.begin(func(ctx context.Context) {
		for _, name := range names {
			a.discard(ctx, name)
		}
	})
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
