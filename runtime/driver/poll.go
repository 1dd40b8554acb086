package driver

import (
	"context"
	"time"

	"openflow"
)

// Poll is Runtime.Wait for a runtime that can only be asked: it looks every so often until the container has exited. While the
// runtime cannot be asked, it goes on looking. Errors: those of inspect but CodeUnavailable; the context's.
func Poll(
	ctx context.Context, name string, inspect func(context.Context, string) (Status, error), every time.Duration,
) (Status, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s, err := inspect(ctx, name)
		switch {
		case ctx.Err() != nil:
			return Status{}, ctx.Err()
		case err == nil && s.State == StateExited:
			return s, nil
		case err != nil && openflow.CodeOf(err) != openflow.CodeUnavailable:
			return Status{}, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Status{}, ctx.Err()
		}
	}
}
