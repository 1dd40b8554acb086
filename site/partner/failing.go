package partner

import (
	"context"
	"fmt"
	"strings"
	"time"

	"openflow"
)

// awaiting begins the reason of a task that waits for its component.
const awaiting = "waiting for component "

// failure is why a task cannot start here now: what it runs has failed, and is loaded again when it has recovered. Its reason is for this
// site's users. Zero: nothing is known against it.
func failure(t openflow.TaskRecord, failed []openflow.ComponentRecord) (reason string, err *openflow.Error) {
	ref, wrong := openflow.ParseProvider(t.Provider)
	if wrong != nil {
		return "", nil // whoever starts it says so
	}
	ref.Device = ""
	for _, c := range failed {
		if c.Name != t.Component || c.Provider != ref {
			continue
		}
		since := c.Standing.Since.UTC().Format(time.RFC3339)
		err := openflow.Errorf(openflow.CodeUnavailable, "component %q of provider %s has failed here since %s: %s", c.Name, ref, since, c.Standing.Reason).
			WithPublic("component %q does not work there, and the job waits for it; openflow component show tells the users of that party why", c.Name).
			WithHint("openflow component show %s --provider %s says how it stands", c.Name, ref)
		return fmt.Sprintf("%s%q of provider %s, which has failed here since %s: %s", awaiting, c.Name, ref, since, c.Standing.Reason), err
	}
	return "", nil
}

// awaits is why a job cannot have its resources now: a component that it needs has failed here. It takes nothing meanwhile, and asks
// again by itself. Its tasks say why, until nothing hinders them any more. What a job holds already, it keeps. first says that no
// task of it can have waited before. Errors: CodeUnavailable about openflow.AboutResource.
func (s *Service) awaits(ctx context.Context, k openflow.JobKey, first bool) error {
	failed, err := s.Components.Failed(ctx)
	if err != nil || len(failed) == 0 && first {
		return err
	}
	tasks, err := s.Store.TasksOfJob(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	var hindrance *openflow.Error
	reasons := map[openflow.TaskKey]string{}
	for _, t := range tasks {
		if t.PartyStatus.Succeeded() {
			continue // of a job that is run again
		}
		reason, why := failure(t, failed)
		if hindrance == nil {
			hindrance = why
		}
		if reason != t.Reason && (reason != "" || strings.HasPrefix(t.Reason, awaiting)) {
			reasons[t.Key] = reason
		}
	}
	if hindrance != nil {
		switch job, err := s.Store.Job(ctx, k); {
		case err != nil:
			return openflow.About(openflow.AboutJob, err)
		case job.ResourceInUse || job.Status.Terminal():
			return nil
		}
	}
	for task, reason := range reasons {
		if err := s.Store.SetTaskReason(ctx, task, reason); err != nil {
			return openflow.About(openflow.AboutTask, err)
		}
	}
	if hindrance == nil {
		return nil
	}
	return openflow.About(openflow.AboutResource, hindrance)
}

// works refuses to start a run whose component has failed here. It waits, and is asked for again. Errors: CodeExhausted, which a
// scheduler waits for.
func (s *Service) works(ctx context.Context, t openflow.TaskRecord) error {
	failed, err := s.Components.Failed(ctx)
	if err != nil {
		return err
	}
	reason, why := failure(t, failed)
	if why == nil {
		return nil
	}
	if reason != t.Reason {
		if err := s.Store.SetTaskReason(ctx, t.Key, reason); err != nil {
			return openflow.About(openflow.AboutTask, err)
		}
	}
	why.Code = openflow.CodeExhausted
	return openflow.About(openflow.AboutResource, why)
}
