package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"openflow"
)

// CodeSlow is of a call that a local activity has not made: the other node may take long to answer it, and calls this node before it does.
// While a local activity runs, its workflow hears nothing. A regular activity is to make the call.
const CodeSlow openflow.Code = "slow"

// unhurried refuses a call of a slow service in a local activity. Nothing has been sent.
func unhurried(ctx context.Context, service any) error {
	if _, slow := service.(openflow.Slow); !slow || !activity.IsActivity(ctx) || !activity.GetInfo(ctx).IsLocalActivity {
		return nil
	}
	return &openflow.Error{Code: CodeSlow, Message: "the call is made by an activity of its own"}
}

// beating tells Temporal that a call is still awaited, until the returned function is called. A node that has ended meanwhile says
// nothing, and its call is made again.
func beating(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) || activity.GetInfo(ctx).HeartbeatTimeout <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(activity.GetInfo(ctx).HeartbeatTimeout / beatsInTimeout)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// beatsInTimeout is how many heartbeats may be lost before a call counts as lost.
const beatsInTimeout = 5
