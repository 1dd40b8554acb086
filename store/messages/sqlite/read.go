package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"time"

	"openflow"
	"openflow/store/messages"
)

// row is a message as the table has it.
type row struct {
	Sequence int64
	Cost     int64
	File     sql.NullString // where the payload is, unless it is in Body
	Source   string
	ID       string
	Body     []byte
}

func (r row) size() int64 {
	return r.Cost - messages.Cost(messages.Message{ID: r.ID, Source: r.Source})
}

// Pop implements messages.Store.
func (s *Store) Pop(ctx context.Context, ch messages.Channel, source string, wait time.Duration) (
	messages.Message, bool, error) {
	return s.read(ctx, ch, wait, func(c *call) (messages.Message, bool, error) {
		first, last := c.topic.key(0), c.topic.key(c.topic.last)
		r, ok, err := s.one(ctx, s.stmt.peek, c, first, last, source)
		if err == nil && ok {
			err = s.room(ctx, r) // before it is taken: a process that dies between would lose it
		}
		if err == nil && ok {
			r, ok, err = s.one(ctx, s.stmt.take, c, first, last, source)
		}
		if err != nil || !ok {
			return messages.Message{}, false, err
		}
		s.book(c.session, r.Source, -r.Cost, 0)
		m, err := s.message(ctx, c, r)
		if err != nil {
			return messages.Message{}, false, errors.Join(err, s.putBack(ctx, c, r))
		}
		s.discardBody(r.File)
		return m, true, nil
	})
}

// Next implements messages.Store.
func (s *Store) Next(ctx context.Context, ch messages.Channel, source string, ack int64, wait time.Duration) (
	messages.Message, bool, error) {
	return s.read(ctx, ch, wait, func(c *call) (messages.Message, bool, error) {
		// An ack beyond the last message must not reach into the next topic's keys.
		ack := max(0, min(ack, c.topic.last))
		if err := s.acknowledge(ctx, c, source, ack); err != nil {
			return messages.Message{}, false, err
		}
		for {
			r, ok, err := s.one(ctx, s.stmt.peek, c, c.topic.key(ack), c.topic.key(c.topic.last), source)
			if err != nil || !ok {
				return messages.Message{}, false, err
			}
			if err := s.room(ctx, r); err != nil {
				return messages.Message{}, false, err
			}
			m, err := s.message(ctx, c, r)
			if errors.Is(err, fs.ErrNotExist) && !s.exists(ctx, c, r) {
				continue // another reader acknowledged it meanwhile
			}
			return m, err == nil, err
		}
	})
}

// read calls try until it yields, waking up for arrivals, for at most wait. try runs under the lock.
func (s *Store) read(ctx context.Context, ch messages.Channel, wait time.Duration,
	try func(*call) (messages.Message, bool, error)) (m messages.Message, ok bool, err error) {
	if err := messages.CheckChannel(ch); err != nil {
		return m, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.begin(ch)
	if err != nil {
		return m, false, err
	}
	defer s.end(c)
	var timeout <-chan time.Time
	for {
		if err := s.ready(ctx, c); err != nil {
			return m, false, err
		}
		if c.topic.id != 0 {
			if m, ok, err = try(c); ok || err != nil {
				return m, ok, err
			}
		}
		if wait <= 0 {
			return m, false, nil
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		if woken, err := s.await(ctx, c, c.topic.arrived.wait(), timeout); err != nil || !woken {
			return m, false, err
		}
	}
}

// ready refuses to take a message for a caller that has gone, or from a topic that was released under it.
func (s *Store) ready(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "read of topic %q of session %s: %w",
			c.channel.Topic, c.channel.Session, err)
	}
	return s.alive(c)
}

// one runs a statement that yields at most one message of the topic's keys in (low, high].
func (s *Store) one(ctx context.Context, stmt *sql.Stmt, c *call, low, high int64, source string) (
	r row, ok bool, err error) {
	rows, err := stmt.QueryContext(context.WithoutCancel(ctx), low, high, source)
	if err != nil {
		return r, false, s.failed("read", c, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	// Read to the end: only then is the statement committed, and its error known.
	for rows.Next() {
		var key int64
		if err := rows.Scan(&key, &r.Cost, &r.File, &r.Source, &r.ID, &r.Body); err != nil {
			return r, false, s.failed("read", c, err)
		}
		r.Sequence, ok = key&maxSequence, true
	}
	if err := rows.Err(); err != nil {
		return r, false, s.failed("read", c, err)
	}
	return r, ok, nil
}

// message gives up the lock while it reads a payload from its file, which no Sweep removes meanwhile.
func (s *Store) message(ctx context.Context, c *call, r row) (messages.Message, error) {
	m := messages.Message{ID: r.ID, Source: r.Source, Sequence: r.Sequence, Payload: r.Body}
	if !r.File.Valid {
		return m, nil
	}
	s.busy[r.File.String] = struct{}{}
	defer delete(s.busy, r.File.String)
	s.mu.Unlock()
	payload, err := s.bodies.read(r.File.String, r.size())
	s.mu.Lock()
	if err == nil {
		m.Payload = payload
		return m, nil
	}
	// A release takes the file away, and is then the reason.
	if released := s.alive(c); released != nil {
		return messages.Message{}, released
	}
	return messages.Message{}, s.failed("read", c, err)
}

// room asks whether the payload may come into memory.
func (s *Store) room(ctx context.Context, r row) error {
	if !r.File.Valid {
		return nil
	}
	return s.opts.Room(ctx, r.size())
}

func (s *Store) exists(ctx context.Context, c *call, r row) bool {
	_, ok, err := s.one(ctx, s.stmt.peek, c, c.topic.key(r.Sequence-1), c.topic.key(r.Sequence), "")
	return ok || err != nil
}

// acknowledge drops the messages of source up to ack.
func (s *Store) acknowledge(ctx context.Context, c *call, source string, ack int64) error {
	if ack == 0 {
		return nil
	}
	gone, err := s.remove(ctx, s.stmt.drop, c.topic.key(0), c.topic.key(ack), source)
	if err != nil {
		return s.failed("acknowledge", c, err)
	}
	s.bury(c.session, gone)
	return nil
}

// removed is what a delete left behind: files without a row, and room in the session.
type removed struct {
	cost  map[string]int64 // by source
	files []sql.NullString
}

// remove runs a delete that returns cost, file and source of each row.
func (s *Store) remove(ctx context.Context, stmt *sql.Stmt, args ...any) (gone removed, err error) {
	rows, err := stmt.QueryContext(context.WithoutCancel(ctx), args...)
	if err != nil {
		return gone, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	for rows.Next() {
		var cost int64
		var file sql.NullString
		var source string
		if err := rows.Scan(&cost, &file, &source); err != nil {
			return gone, err
		}
		gone.add(source, cost)
		if file.Valid {
			gone.files = append(gone.files, file)
		}
	}
	return gone, rows.Err()
}

func (r *removed) add(source string, cost int64) {
	if r.cost == nil {
		r.cost = map[string]int64{}
	}
	r.cost[source] += cost
}

// bury finishes a committed removal.
func (s *Store) bury(sess *sessionState, gone removed) {
	for _, file := range gone.files {
		s.discardBody(file)
	}
	for source, cost := range gone.cost {
		s.book(sess, source, -cost, 0)
	}
}

// Unpop implements messages.Store.
func (s *Store) Unpop(ctx context.Context, ch messages.Channel, m messages.Message) error {
	if err := s.opts.CheckPush(ch, m); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.begin(ch)
	if err != nil {
		return err
	}
	defer s.end(c)
	if m.Sequence < 1 || m.Sequence > c.topic.last {
		return openflow.Errorf(openflow.CodeInvalid, "topic %q of session %s never had a message %d",
			ch.Topic, ch.Session, m.Sequence)
	}
	_, err = s.store(ctx, c, m, func(ctx context.Context, c *call, r row) (bool, error) {
		return s.reinsert(ctx, c, r)
	})
	return err
}

// putBack undoes the removal of a row whose payload could not be read; its file is still there.
func (s *Store) putBack(ctx context.Context, c *call, r row) error {
	if _, err := s.reinsert(ctx, c, r); err != nil {
		return s.failed("put back", c, err)
	}
	return nil
}

func (s *Store) reinsert(ctx context.Context, c *call, r row) (bool, error) {
	// After the end of the session the topic's keys may be another's.
	if err := s.alive(c); err != nil {
		return false, err
	}
	if r.Sequence <= c.topic.released {
		return false, messages.Released(c.channel)
	}
	res, err := s.stmt.restore.ExecContext(context.WithoutCancel(ctx),
		c.topic.key(r.Sequence), r.Cost, r.File, r.Source, r.ID, r.Body)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, err // it is there already
	}
	s.book(c.session, r.Source, r.Cost, 0)
	c.topic.arrived.fire()
	return true, nil
}
