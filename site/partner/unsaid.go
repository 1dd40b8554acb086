package partner

import (
	"cmp"
	"context"
	"fmt"

	"openflow"
)

// unsaid is why a job has ended whose scheduler does not say so: FATE-Flow has no word for a reason. What this site knows of the
// job's tasks tells some of it.
func (s *Service) unsaid(ctx context.Context, k openflow.JobKey, end openflow.JobStatus) (string, error) {
	who := fmt.Sprintf("party %s, which schedules the job", k.Scheduler)
	if end == openflow.JobCanceled {
		return "stopped, as " + who + ", says; it does not say by whom", nil
	}
	tasks, err := s.Store.TasksOfJob(ctx, k)
	if err != nil {
		return "", openflow.About(openflow.AboutTask, err)
	}
	elsewhere := ""
	for _, t := range tasks {
		switch {
		case t.PartyStatus.Terminal() && !t.PartyStatus.Succeeded() && !t.Killed:
			return fmt.Sprintf("task %q %s at this site: %s", t.Key.Task, t.PartyStatus, openflow.FirstLine(cmp.Or(t.Reason, t.ErrorReport), "see its log")), nil
		case t.Status.Terminal() && !t.Status.Succeeded():
			elsewhere = fmt.Sprintf("task %q %s at another site, as %s, says; it does not say why", t.Key.Task, t.Status, who)
		}
	}
	return cmp.Or(elsewhere, fmt.Sprintf("%s, says that it is %s, and not why", who, end)), nil
}
