package objects

import (
	"context"
	"errors"
	"time"
)

// DefaultGrace is how long an object may be without a reference: between its upload and the row that names it, a task
// or a node may be down for hours.
const DefaultGrace = 24 * time.Hour

// conditional is a store that can make sure that an object was not put again since it was looked at.
type conditional interface {
	// DeleteBefore removes an object if its last Put was before that time, and reports whether it did.
	DeleteBefore(ctx context.Context, digest string, before time.Time) (bool, error)
}

// littered is a store in which a killed process leaves something that List does not show.
type littered interface {
	// RemoveAbandoned removes what was begun before that time and never finished.
	RemoveAbandoned(ctx context.Context, before time.Time) error
}

// Swept counts what a sweep did.
type Swept struct {
	Kept    int
	Deleted int
	Freed   int64 // bytes
}

// mostFailures is how many objects a sweep fails to remove before it takes the store to be broken.
const mostFailures = 10

var errTooMany = errors.New("too many objects cannot be removed")

// Sweep removes objects that were last put longer than grace before now and that nothing refers to, and what
// killed processes left. One that cannot be removed keeps no others. A sweep that fails on several stops, having done no harm: the
// next one goes on.
func Sweep(ctx context.Context, s Store, referenced func(ctx context.Context, digest string) (bool, error), now time.Time, grace time.Duration) (Swept, error) {
	var done Swept
	before := now.Add(-grace)
	var wrong []error
	if l, ok := s.(littered); ok {
		if err := l.RemoveAbandoned(ctx, before); err != nil {
			wrong = append(wrong, err)
		}
	}
	err := s.List(ctx, func(o Info) error {
		if len(wrong) >= mostFailures {
			return errTooMany
		}
		if !o.Modified.Before(before) {
			done.Kept++
			return nil
		}
		used, err := referenced(ctx, o.Digest)
		if err != nil {
			return err
		}
		gone := false
		if !used {
			if gone, err = deleteBefore(ctx, s, o.Digest, before); err != nil {
				wrong = append(wrong, err)
			}
		}
		if !gone {
			done.Kept++
			return nil
		}
		done.Deleted++
		done.Freed += o.Bytes
		return nil
	})
	return done, errors.Join(append(wrong, err)...)
}

func deleteBefore(ctx context.Context, s Store, digest string, before time.Time) (bool, error) {
	if c, ok := s.(conditional); ok {
		return c.DeleteBefore(ctx, digest, before)
	}
	return true, s.Delete(ctx, digest)
}
