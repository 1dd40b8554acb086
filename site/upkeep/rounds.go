package upkeep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openflow"
)

// Rounds are what a node or worker does again and again as long as it runs.
type Rounds struct {
	log     *slog.Logger
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

// Begin begins rounds that go on until End. They outlive whoever begins them, so they have no other context.
func Begin(log *slog.Logger) *Rounds {
	ctx, end := context.WithCancel(context.Background())
	return &Rounds{log: log, ctx: ctx, end: end}
}

// Run runs do until the end.
func (r *Rounds) Run(do func(context.Context)) { r.running.Go(func() { do(r.ctx) }) }

// longestError bounds what one round logs, in bytes: each of many things may have failed.
const longestError = 8 << 10

// Every runs do now and then every period until the end.
func (r *Rounds) Every(period time.Duration, what string, do func(context.Context) error) {
	r.Run(func(ctx context.Context) {
		t := time.NewTicker(period)
		defer t.Stop()
		for {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				r.log.ErrorContext(ctx, "upkeep failed; it is tried again", "what", what, "err", openflow.Cut(err.Error(), longestError))
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}

// End ends all rounds, and waits for those that are under way.
func (r *Rounds) End() {
	r.end()
	r.running.Wait()
}
