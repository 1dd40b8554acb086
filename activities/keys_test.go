package activities_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
)

// A signature that one of two nodes refuses in the middle of a job is worth a repeat, as a node that is down is: somebody mends the
// key. A job that is to be created is refused at once.
func TestRefusedSignatureInMidJob(t *testing.T) {
	ctx, call := t.Context(), activities.PartyCall{Job: "1", Party: document.Party(host)}
	run := document.Run{Scheduler: "9999", Job: "1", Task: "a", Party: document.Party(host)}
	for name, c := range map[string]struct {
		do     func(*activities.Scheduling) error
		repeat bool
	}{
		"start a job":   {func(s *activities.Scheduling) error { return s.StartJob(ctx, call) }, true},
		"start a task":  {func(s *activities.Scheduling) error { return s.StartTask(ctx, activities.TaskStart{Run: run}) }, true},
		"tell of a job": {func(s *activities.Scheduling) error { return s.UpdateJob(ctx, activities.JobUpdate{Call: call}) }, true},
		"stop a job":    {func(s *activities.Scheduling) error { return s.StopJob(ctx, activities.JobUpdate{Call: call}) }, true},
		"create a job":  {func(s *activities.Scheduling) error { _, err := s.OpenJob(ctx, call); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			for code, repeat := range map[openflow.Code]bool{
				openflow.CodeUnauthorized: c.repeat, openflow.CodeUnavailable: true, openflow.CodeRejected: name == "stop a job",
			} {
				p := &peers{record: openflow.ScheduledJob{DAG: &openflow.DAG{}}, err: openflow.Errorf(code, "the node does not accept key x"), away: openflow.Errorf(code, "the node does not accept key x")}
				err := c.do(p.scheduling())
				var said *temporal.ApplicationError
				require.True(t, errors.As(err, &said), "%v", err)
				require.Equal(t, repeat, !said.NonRetryable(), "%s: %v", code, err)
				e := activities.FromTemporal(err)
				require.ErrorContains(t, e, "at party 10000: the node does not accept key x")
				require.Contains(t, openflow.PublicText(e), "key x", "all parties read it")
			}
		})
	}
}
