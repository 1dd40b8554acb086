package partner

import (
	"context"
	"time"

	"openflow"
)

// settling is the pause between two looks at what still runs of a job.
const settling = 50 * time.Millisecond

// Settled waits until no run of a job goes on here any more, or nobody waits for that. A scheduler whose dialect stops a job in one
// call, and takes over then how its tasks stand, has to hear of their ends before the answer.
//
// Spec: fate-flow-api §2.5.4.
func (s *Service) Settled(ctx context.Context, k openflow.JobKey) {
	tick := time.NewTicker(settling)
	defer tick.Stop()
	for {
		runs, err := s.Store.OpenTasks(ctx, k)
		if err != nil || len(runs) == 0 {
			return // it has been stopped all the same
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
