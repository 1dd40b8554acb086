package redis

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"openflow"
	"openflow/store/messages"
)

// recheck is how often a blocked caller asks without being woken. It keeps its session from being idle, and makes up for
// a notice that was lost with a connection.
var recheck = 5 * time.Second // tests change it

func (s *Store) wakeChannel() string { return s.opts.Prefix + "wake" }

// waiters are this replica's calls in progress, by the tag of their session.
type waiters struct {
	mu  sync.Mutex
	all map[string]map[*waiter]struct{}
}

type waiter struct {
	topic string
	woken chan struct{} // holds one notice
}

func (w *waiters) join(tag, topic string) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[string]map[*waiter]struct{}{}
	}
	if w.all[tag] == nil {
		w.all[tag] = map[*waiter]struct{}{}
	}
	joined := &waiter{topic: topic, woken: make(chan struct{}, 1)}
	w.all[tag][joined] = struct{}{}
	return joined
}

func (w *waiters) leave(tag string, left *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all[tag], left)
	if len(w.all[tag]) == 0 {
		delete(w.all, tag)
	}
}

func (w *waiters) has(tag string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all[tag]) > 0
}

// wake wakes who waits in a session: on one topic, or all.
func (w *waiters) wake(tag, topic string, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all[tag] {
		if all || one.topic == topic {
			one.wake()
		}
	}
}

func (w *waiters) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, session := range w.all {
		for one := range session {
			one.wake()
		}
	}
}

func (w *waiter) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it has yet to see the notice before
	}
}

// listen wakes callers until Close. A notice is "SESSION", or "SESSION\nTOPIC" for the readers of one topic, or nothing for
// all who wait, whatever the session: there is room again that they share.
func (s *Store) listen() {
	for event := range s.notices.ChannelWithSubscriptions() {
		switch event := event.(type) {
		case *redis.Subscription: // the connection is a new one: notices may have been missed
			s.waiters.wakeAll()
		case *redis.Message:
			if event.Payload == "" {
				s.waiters.wakeAll()
				continue
			}
			session, topic, one := strings.Cut(event.Payload, "\n")
			s.waiters.wake(session, topic, !one)
		}
	}
}

// until calls try until it is done, again whenever something that concerns the channel has happened, for at most wait.
// try gets and returns the channel's epoch, which is empty at first.
func (s *Store) until(ctx context.Context, c messages.Channel, wait time.Duration,
	try func(epoch string) (next string, done bool, err error)) (done bool, err error) {
	w := s.waiters.join(tag(c.Session), c.Topic)
	defer s.waiters.leave(tag(c.Session), w)
	var timeout <-chan time.Time
	for epoch := ""; ; {
		if err := ctx.Err(); err != nil {
			return false, ended(c, err)
		}
		if epoch, done, err = try(epoch); done || err != nil || wait <= 0 {
			return done, err
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		if again, err := s.await(ctx, c, w, timeout); err != nil || !again {
			return false, err
		}
	}
}

// await blocks until w is woken or it is time to ask without, and reports false once timeout has fired.
func (s *Store) await(ctx context.Context, c messages.Channel, w *waiter, timeout <-chan time.Time) (bool, error) {
	tick := time.NewTimer(recheck)
	defer tick.Stop()
	select {
	case <-w.woken:
		return true, nil
	case <-tick.C:
		return true, nil
	case <-timeout:
		return false, nil
	case <-s.life.Done():
		return false, messages.Closed()
	case <-ctx.Done():
		return false, ended(c, ctx.Err())
	}
}

func ended(c messages.Channel, err error) error {
	return openflow.Errorf(openflow.CodeOf(err), "wait on topic %q of session %s: %w", c.Topic, c.Session, err)
}
