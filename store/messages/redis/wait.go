package redis

import (
	"context"
	"slices"
	"strconv"
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

// waiters are this replica's calls in progress, by the tag of their session, and of those that wait for room, in the order in
// which they came, by the account that has none.
type waiters struct {
	mu    sync.Mutex
	all   map[string]map[*waiter]struct{}
	rooms map[string][]*waiter
}

type waiter struct {
	topic   string
	account string        // on which it waits for room; empty: it waits for a message
	need    int64         // how much room, at least
	woken   chan struct{} // holds one notice
}

func (w *waiters) join(tag, topic string) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all, w.rooms = map[string]map[*waiter]struct{}{}, map[string][]*waiter{}
	}
	if w.all[tag] == nil {
		w.all[tag] = map[*waiter]struct{}{}
	}
	joined := &waiter{topic: topic, woken: make(chan struct{}, 1)}
	w.all[tag][joined] = struct{}{}
	return joined
}

// leave ends a call. One that has waited for room and has not taken it may have been woken for some: the next one looks.
func (w *waiters) leave(tag string, left *waiter, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all[tag], left)
	if len(w.all[tag]) == 0 {
		delete(w.all, tag)
	}
	w.move(left, "", !done)
}

// queue has a call wait for room on an account, behind those that came before. It keeps the place that it has there.
func (w *waiters) queue(one *waiter, account string, need int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one.need = need
	if one.account != account {
		w.move(one, account, true)
	}
}

// move takes a call from one account to another, and has the next one at the first look. The caller holds the lock.
func (w *waiters) move(one *waiter, account string, look bool) {
	if was := one.account; was != "" {
		rest := slices.DeleteFunc(w.rooms[was], func(other *waiter) bool { return other == one })
		if w.rooms[was] = rest; len(rest) == 0 {
			delete(w.rooms, was)
		} else if look {
			rest[0].wake()
		}
	}
	if one.account = account; account != "" {
		w.rooms[account] = append(w.rooms[account], one)
	}
}

// room wakes as many as so many bytes of an account are enough for, those first that came first. One that needs more than is
// left keeps its place, and nobody waits behind it.
func (w *waiters) room(account string, free int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.rooms[account] {
		if one.need <= free {
			free -= one.need
			one.wake()
		}
	}
}

func (w *waiters) has(tag string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all[tag]) > 0
}

// wake wakes who waits in a session: for a message on one topic, or all.
func (w *waiters) wake(tag, topic string, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all[tag] {
		if all || one.topic == topic && one.account == "" {
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

// The accounts as notices and scripts name them.
const (
	ofSession = "session/"
	ofJob     = "job/"
	ofPeer    = "peer/"
	ofAll     = "all"
)

// accounts are the names of those that a message is booked on, as messages.Options.Accounts has them.
func (s *Store) accounts(session, source string) [messages.Levels]string {
	return [messages.Levels]string{ofSession + tag(session), ofJob + s.opts.Job(session), ofPeer + source, ofAll}
}

// limit is how much an account may hold.
func (s *Store) limit(account string) int64 {
	switch {
	case account == ofAll:
		return s.opts.TotalBytes
	case strings.HasPrefix(account, ofPeer):
		return s.opts.PeerBytes
	case strings.HasPrefix(account, ofJob):
		return s.opts.JobBytes
	}
	return s.opts.SessionBytes
}

// listen wakes callers until Close. A notice is "SESSION", or "SESSION\nTOPIC" for the readers of one topic, or
// "\nBYTES\nACCOUNT": so much is taken of an account, and it was more.
func (s *Store) listen() {
	for event := range s.notices.ChannelWithSubscriptions() {
		switch event := event.(type) {
		case *redis.Subscription: // the connection is a new one: notices may have been missed
			s.waiters.wakeAll()
		case *redis.Message:
			if room, ok := strings.CutPrefix(event.Payload, "\n"); ok {
				used, account, _ := strings.Cut(room, "\n")
				if n, err := strconv.ParseInt(used, 10, 64); err == nil {
					s.waiters.room(account, s.limit(account)-n)
				}
				continue
			}
			session, topic, one := strings.Cut(event.Payload, "\n")
			s.waiters.wake(session, topic, !one)
		}
	}
}

// until calls try until it is done, again whenever something that concerns the channel has happened, for at most wait.
// try gets and returns the channel's epoch, which is empty at first. A try that lacks room says on which account.
func (s *Store) until(ctx context.Context, c messages.Channel, wait time.Duration,
	try func(w *waiter, epoch string) (next string, done bool, err error)) (done bool, err error) {
	w := s.waiters.join(tag(c.Session), c.Topic)
	defer func() { s.waiters.leave(tag(c.Session), w, done) }()
	var timeout <-chan time.Time
	for epoch := ""; ; {
		if err := ctx.Err(); err != nil {
			return false, ended(c, err)
		}
		if epoch, done, err = try(w, epoch); done || err != nil || wait <= 0 {
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
