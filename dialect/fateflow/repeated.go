package fateflow

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"openflow"
)

// submissions finds the repeat of a submission. A site of FATE-Flow that waits too long for the answer makes the call again, up to
// three times, and has no word that tells the repeat from another job. What is submitted word for word after its caller has gone
// away is the first one.
//
// Spec: fate-flow-api §0.8, part 7 #22.
type submissions struct {
	mu    sync.Mutex
	under map[[sha256.Size]byte]*submitting
}

type submitting struct {
	caller openflow.PartyID
	done   chan struct{}
	answer openflow.Submitted
	err    error
	lonely bool // nobody waits for the answer
}

// repeatedWithin is how long the answer to a caller that has gone away is kept. Of one caller and of all, so many are.
const (
	repeatedWithin  = time.Minute
	callersMost     = 50
	manySubmissions = 1000
)

// full tells whether no more are kept of that caller. The lock is held.
func (s *submissions) full(caller openflow.PartyID) bool {
	of := 0
	for _, at := range s.under {
		if at.caller == caller {
			of++
		}
	}
	return of >= callersMost || len(s.under) >= manySubmissions
}

func newSubmissions() *submissions {
	return &submissions{under: map[[sha256.Size]byte]*submitting{}}
}

// do submits once what this caller says in these words, and answers whoever waits for it last. What it does goes on without its caller.
func (s *submissions) do(
	ctx context.Context, caller openflow.PartyID, text []byte, submit func(context.Context) (openflow.Submitted, error),
) (openflow.Submitted, error) {
	key := sha256.Sum256(append([]byte(string(caller)+"\n"), text...))
	s.mu.Lock()
	at := s.under[key]
	if at == nil || !at.lonely {
		if at != nil || s.full(caller) { // the other one has its caller still: this is another job
			s.mu.Unlock()
			return submit(ctx)
		}
		at = &submitting{caller: caller, done: make(chan struct{})}
		s.under[key] = at
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), repeatedWithin)
			defer cancel()
			at.answer, at.err = submit(ctx)
			close(at.done)
		}()
	}
	at.lonely = false
	s.mu.Unlock()
	select {
	case <-at.done:
		s.forget(key, at)
		return at.answer, at.err
	case <-ctx.Done():
		s.mu.Lock()
		at.lonely = true
		s.mu.Unlock()
		time.AfterFunc(repeatedWithin, func() { s.forget(key, at) })
		return openflow.Submitted{}, ctx.Err()
	}
}

func (s *submissions) forget(key [sha256.Size]byte, at *submitting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under[key] == at {
		delete(s.under, key)
	}
}
