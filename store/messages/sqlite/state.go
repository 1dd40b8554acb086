package sqlite

import (
	"context"
	"time"

	"openflow"
	"openflow/store/messages"
)

// sessionState mirrors the totals of one session and holds what its blocked callers wait on.
type sessionState struct {
	name   string
	topics map[string]*topicState
	bytes  int64     // cost of the stored messages, and of those whose push has a place but no row yet
	used   time.Time // end of the last push or read
	calls  int       // calls in progress; the session is in use while there are any
	room   signal    // fires when bytes has shrunk

	ended bool      // closed for good; calls that still hold it answer released
	until time.Time // end of the quarantine, when ended
}

func newSession(name string, used time.Time) *sessionState {
	return &sessionState{name: name, topics: map[string]*topicState{}, used: used}
}

// topicState mirrors the row of one channel.
type topicState struct {
	id       int64 // 0: nothing was ever pushed, so there is no row
	last     int64 // highest sequence given, also to inserts that failed
	released int64 // sequences up to this one are gone for good
	arrived  signal
	wake     signal // fires at a release
}

// key is the message key of a sequence of this topic.
func (t *topicState) key(sequence int64) int64 { return t.id<<32 | sequence }

// maxSequence keeps key within its 32 bits.
const maxSequence = 1<<32 - 1

// signal wakes all who wait. The owner's lock guards it.
type signal struct{ c chan struct{} }

func (g *signal) wait() <-chan struct{} {
	if g.c == nil {
		g.c = make(chan struct{})
	}
	return g.c
}

func (g *signal) fire() {
	if g.c != nil {
		close(g.c)
		g.c = nil
	}
}

// call is one operation on a channel, from begin to end.
type call struct {
	channel  messages.Channel
	session  *sessionState
	topic    *topicState
	released <-chan struct{} // closed when the topic is released during the call
}

// begin looks up or makes the channel's state. The caller holds s.mu, and calls end later.
func (s *Store) begin(c messages.Channel) (*call, error) {
	if s.life.Err() != nil {
		return nil, messages.Closed()
	}
	sess := s.sessions[c.Session]
	if sess != nil && sess.ended {
		if time.Now().Before(sess.until) {
			return nil, messages.Released(c)
		}
		sess = nil // the row that says so expires with Sweep, and means nothing any more
	}
	if sess == nil {
		sess = newSession(c.Session, time.Now())
		s.sessions[c.Session] = sess
	}
	t := sess.topics[c.Topic]
	if t == nil {
		t = &topicState{}
		sess.topics[c.Topic] = t
	}
	sess.calls++
	return &call{channel: c, session: sess, topic: t, released: t.wake.wait()}, nil
}

func (s *Store) end(c *call) {
	c.session.calls--
	c.session.used = time.Now()
}

// alive is ErrReleased once the call's topic was released or its session ended, and an error after Close.
func (s *Store) alive(c *call) error {
	if s.life.Err() != nil {
		return messages.Closed()
	}
	select {
	case <-c.released:
		return messages.Released(c.channel)
	default:
		return nil
	}
}

// await blocks until on fires, and reports false once timeout has. It gives up the lock meanwhile.
func (s *Store) await(ctx context.Context, c *call, on <-chan struct{}, timeout <-chan time.Time) (bool, error) {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-on:
		return true, nil
	case <-timeout:
		return false, nil
	case <-c.released:
		return false, messages.Released(c.channel)
	case <-s.life.Done():
		return false, messages.Closed()
	case <-ctx.Done():
		return false, openflow.Errorf(openflow.CodeOf(ctx.Err()), "wait on topic %q of session %s: %w",
			c.channel.Topic, c.channel.Session, ctx.Err())
	}
}

// load fills the mirror from the database.
func (s *Store) load(ctx context.Context) error {
	for _, read := range []func(context.Context) error{s.loadChannels, s.loadClosed} {
		if err := read(ctx); err != nil {
			return failure("load message store", err)
		}
	}
	return nil
}

func (s *Store) loadChannels(ctx context.Context) (err error) {
	rows, err := s.db.QueryContext(ctx, `select id, session, topic, last, released, (select coalesce(sum(cost), 0)
	  from message where key > channel.id << 32 and key < (channel.id + 1) << 32) from channel`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	now := time.Now()
	for rows.Next() {
		var session, name string
		var bytes int64
		t := &topicState{}
		if err := rows.Scan(&t.id, &session, &name, &t.last, &t.released, &bytes); err != nil {
			return err
		}
		sess := s.sessions[session]
		if sess == nil {
			sess = newSession(session, now)
			s.sessions[session] = sess
		}
		sess.topics[name] = t
		sess.bytes += bytes
	}
	return rows.Err()
}

func (s *Store) loadClosed(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, `select session, until from closed`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	for rows.Next() {
		var name string
		var until int64
		if err := rows.Scan(&name, &until); err != nil {
			return err
		}
		// A session in use again after its quarantine has both rows; the younger one, its channels, counts.
		if s.sessions[name] == nil {
			s.sessions[name] = &sessionState{name: name, ended: true, until: time.UnixMilli(until)}
		}
	}
	return rows.Err()
}
