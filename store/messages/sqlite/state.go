package sqlite

import (
	"context"
	"time"

	"openflow"
	"openflow/store/messages"
)

// account is how much something has of the store, in bytes, and who waits for room on it. The owner's lock guards it.
type account struct {
	used int64
	room signal // fires when used has shrunk
}

func (a *account) add(bytes int64) {
	a.used += bytes
	if bytes < 0 {
		a.room.fire()
	}
}

// sessionState mirrors the totals of one session and holds what its blocked callers wait on.
type sessionState struct {
	name   string
	job    string
	topics map[string]*topicState
	unread account          // cost of the stored messages, and of those whose push has a place but no row yet
	kept   int64            // what it remembers: the marks of IDs and topics
	from   map[string]int64 // unread and kept together, by source; nil: the session is gone, and holds nothing any more
	used   time.Time        // end of the last push or read
	calls  int              // calls in progress; the session is in use while there are any

	ended bool      // closed for good; calls that still hold it answer released
	until time.Time // end of the quarantine, when ended
}

func (s *Store) newSession(name string, used time.Time) *sessionState {
	return &sessionState{name: name, job: s.opts.Job(name), topics: map[string]*topicState{}, from: map[string]int64{}, used: used}
}

// topicState mirrors the row of one channel.
type topicState struct {
	id       int64 // 0: nothing was ever pushed, so there is no row
	last     int64 // highest sequence given, also to inserts that failed
	released int64 // sequences up to this one are gone for good
	marked   bool  // the session's accounts have its mark
	opener   string
	calls    int // calls in progress
	arrived  signal
	wake     signal // fires at a release
}

// levels are the accounts of a message from source, as messages.Options.Accounts has them.
func (s *Store) levels(sess *sessionState, source string) [messages.Levels]*account {
	look := func(all map[string]*account, name string) *account {
		if a := all[name]; a != nil {
			return a
		}
		return &account{} // nobody has anything on it
	}
	return [messages.Levels]*account{&sess.unread, look(s.jobs, sess.job), look(s.peers, source), &s.total}
}

func of(all map[string]*account, name string) *account {
	a := all[name]
	if a == nil {
		a = &account{}
		all[name] = a
	}
	return a
}

// book changes what a session holds of source: unread messages, and what is kept. A session that is gone has given back
// all of it.
func (s *Store) book(sess *sessionState, source string, unread, kept int64) {
	if sess.from == nil {
		return
	}
	sess.unread.add(unread)
	sess.kept += kept
	sess.from[source] += unread + kept
	s.share(sess.job, source, unread+kept)
}

func (s *Store) share(job, source string, bytes int64) {
	of(s.jobs, job).add(bytes)
	of(s.peers, source).add(bytes)
	s.total.add(bytes)
	s.forgetEmpty(s.jobs, job)
	s.forgetEmpty(s.peers, source)
}

// forgetEmpty drops an account that holds nothing. Who waits on it was woken when it shrank.
func (s *Store) forgetEmpty(all map[string]*account, name string) {
	if a := all[name]; a.used == 0 {
		a.room.fire()
		delete(all, name)
	}
}

// settle gives back all that a session holds.
func (s *Store) settle(sess *sessionState) {
	for source, bytes := range sess.from {
		s.share(sess.job, source, -bytes)
	}
	sess.from, sess.kept = nil, 0
	sess.unread.add(-sess.unread.used)
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
		sess = s.newSession(c.Session, time.Now())
		s.sessions[c.Session] = sess
	}
	t := sess.topics[c.Topic]
	if t == nil {
		t = &topicState{}
		sess.topics[c.Topic] = t
	}
	sess.calls++
	t.calls++
	return &call{channel: c, session: sess, topic: t, released: t.wake.wait()}, nil
}

// end leaves nothing in memory of a channel that never had a message: whoever reads may name any.
func (s *Store) end(c *call) {
	sess, t := c.session, c.topic
	sess.calls--
	t.calls--
	sess.used = time.Now()
	if t.id != 0 || t.calls > 0 {
		return
	}
	if t.marked {
		s.book(sess, t.opener, 0, -messages.TopicMark(c.channel))
		t.marked = false
	}
	if sess.topics[c.channel.Topic] == t {
		delete(sess.topics, c.channel.Topic)
	}
	if len(sess.topics) == 0 && sess.calls == 0 && s.sessions[sess.name] == sess {
		delete(s.sessions, sess.name)
	}
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

func (s *Store) loadChannels(ctx context.Context) error {
	type channel struct {
		session *sessionState
		topic   *topicState
		name    messages.Channel
	}
	now, found := time.Now(), map[int64]channel{}
	err := s.each(ctx, `select id, session, topic, last, released from channel`, func(scan func(...any) error) error {
		var c messages.Channel
		t := &topicState{marked: true}
		if err := scan(&t.id, &c.Session, &c.Topic, &t.last, &t.released); err != nil {
			return err
		}
		sess := s.sessions[c.Session]
		if sess == nil {
			sess = s.newSession(c.Session, now)
			s.sessions[c.Session] = sess
		}
		sess.topics[c.Topic] = t
		found[t.id] = channel{sess, t, c}
		return nil
	})
	if err != nil {
		return err
	}
	// Who opened a channel is not kept: of those that it has something of, one pays for it.
	add := func(scan func(...any) error, unread bool) error {
		var id, count, bytes int64
		var source string
		if err := scan(&id, &source, &count, &bytes); err != nil {
			return err
		}
		c := found[id]
		if c.session == nil {
			return nil
		}
		c.topic.opener = source
		if unread {
			s.book(c.session, source, bytes, 0)
			return nil
		}
		mark := messages.IDMark(messages.Message{ID: "x", Source: source}) - 1
		s.book(c.session, source, 0, count*mark+bytes)
		return nil
	}
	err = s.each(ctx, `select key >> 32, source, count(*), sum(cost) from message group by 1, 2`, func(scan func(...any) error) error {
		return add(scan, true)
	})
	if err != nil {
		return err
	}
	err = s.each(ctx, `select channel, source, count(*), sum(length(cast(id as blob))) from seen group by 1, 2`, func(scan func(...any) error) error {
		return add(scan, false)
	})
	if err != nil {
		return err
	}
	for _, c := range found {
		s.book(c.session, c.topic.opener, 0, messages.TopicMark(c.name))
	}
	return nil
}

// each runs a query and calls row for each of its rows.
func (s *Store) each(ctx context.Context, query string, row func(scan func(...any) error) error) error {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
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
