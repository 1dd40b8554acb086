package sqlite

import (
	"context"
	"database/sql"
	"time"

	"openflow"
	"openflow/store/messages"
)

// Push implements messages.Store.
//
// It takes a place on the accounts of the session, writes a large payload to its file, and commits the row last: what the row
// refers to is always there.
func (s *Store) Push(ctx context.Context, ch messages.Channel, m messages.Message, wait time.Duration) error {
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
	repeat, err := s.reserve(ctx, c, m, wait)
	if err != nil || repeat {
		return err
	}
	stored, err := s.store(ctx, c, m, s.append)
	if !stored {
		s.book(c.session, m.Source, -messages.Cost(m), -messages.IDMark(m))
		return err
	}
	c.topic.arrived.fire()
	return nil
}

// reserve waits until m has room on all accounts and takes it. A repeat takes none, whether there is room or not.
func (s *Store) reserve(ctx context.Context, c *call, m messages.Message, wait time.Duration) (repeat bool, err error) {
	var timeout <-chan time.Time
	for {
		kept := messages.IDMark(m)
		if !c.topic.marked {
			kept += messages.TopicMark(c.channel)
		}
		spent := c.session.kept+kept > s.opts.SessionBytes
		full, account := s.full(c, m, kept)
		if !spent && full == nil {
			s.book(c.session, m.Source, messages.Cost(m), kept)
			if !c.topic.marked {
				c.topic.marked, c.topic.opener = true, m.Source
			}
			return false, nil
		}
		if timeout == nil { // the first time: one that is stored meanwhile is found when this one is to be
			if repeat, err := s.isRepeat(ctx, c, m); err != nil || repeat {
				return repeat, err
			}
		}
		if spent {
			return false, messages.Spent(c.channel, s.opts.SessionBytes)
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		woken, err := s.await(ctx, c, full.room.wait(), timeout)
		if err != nil {
			return false, err
		}
		if !woken {
			return false, messages.Full(c.channel, account, wait)
		}
		// A release makes room too, but not for those whom it sends away.
		if err := s.alive(c); err != nil {
			return false, err
		}
	}
}

// full is the account that has no room for m and what is kept of it; nil: all have.
func (s *Store) full(c *call, m messages.Message, kept int64) (*account, messages.Account) {
	named := s.opts.Accounts(c.channel.Session, m.Source)
	for i, a := range s.levels(c.session, m.Source) {
		need := messages.Cost(m)
		if i > 0 {
			need += kept
		}
		if a.used+need > named[i].Limit {
			named[i].Used = a.used
			return a, named[i]
		}
	}
	return nil, messages.Account{}
}

func (s *Store) isRepeat(ctx context.Context, c *call, m messages.Message) (bool, error) {
	if m.ID == "" || c.topic.id == 0 {
		return false, nil
	}
	var found bool
	err := s.db.QueryRowContext(context.WithoutCancel(ctx),
		`select exists(select 1 from seen where channel = ? and source = ? and id = ?)`,
		c.topic.id, m.Source, m.ID).Scan(&found)
	if err != nil {
		return false, s.failed("push", c, err)
	}
	return found, nil
}

// store puts m where write puts its row, with a large payload in a file. It gives up the lock while it writes the file.
// stored is false when write decided to store nothing, which is no error.
func (s *Store) store(ctx context.Context, c *call, m messages.Message,
	write func(context.Context, *call, row) (bool, error)) (stored bool, err error) {
	r := row{Sequence: m.Sequence, Cost: messages.Cost(m), Source: m.Source, ID: m.ID, Body: m.Payload}
	if len(m.Payload) > inlineBytes {
		r.Body, r.File = nil, sql.NullString{String: newBodyName(), Valid: true}
		s.busy[r.File.String] = struct{}{}
		defer delete(s.busy, r.File.String)
		s.mu.Unlock()
		err := s.bodies.write(r.File.String, m.Payload)
		s.mu.Lock()
		if err != nil {
			return false, s.failed("push", c, err)
		}
		if err := s.alive(c); err != nil {
			s.discardBody(r.File)
			return false, err
		}
	}
	stored, err = write(ctx, c, r)
	if !stored {
		s.discardBody(r.File)
	}
	if err != nil {
		return false, s.failed("push", c, err)
	}
	return stored, nil
}

// append writes r as the newest of its topic, and reports false for a repeat.
func (s *Store) append(ctx context.Context, c *call, r row) (appended bool, err error) {
	// A commit has to end one way or the other: an interrupted one would leave the caller not knowing.
	ctx = context.WithoutCancel(ctx)
	t := c.topic
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // no effect after the commit
	id := t.id
	if id == 0 {
		if err := tx.StmtContext(ctx, s.stmt.newChannel).
			QueryRowContext(ctx, c.channel.Session, c.channel.Topic).Scan(&id); err != nil {
			return false, err
		}
	}
	if r.ID != "" {
		res, err := tx.StmtContext(ctx, s.stmt.see).ExecContext(ctx, id, r.Source, r.ID)
		if err != nil {
			return false, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return false, err
		}
	}
	if t.last == maxSequence {
		return false, openflow.Errorf(openflow.CodeSpent, "topic %q of session %s has had %d messages",
			c.channel.Topic, c.channel.Session, t.last).WithHint("use another topic")
	}
	// Counted up also when the insert fails, so that no failure can make a later push meet its row.
	t.last++
	key := id<<32 | t.last
	if _, err := tx.StmtContext(ctx, s.stmt.insert).
		ExecContext(ctx, key, r.Cost, r.File, r.Source, r.ID, r.Body); err != nil {
		return false, err
	}
	if _, err := tx.StmtContext(ctx, s.stmt.setLast).ExecContext(ctx, id, t.last); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, err
	}
	t.id = id
	return true, nil
}

func (s *Store) failed(op string, c *call, err error) error {
	return failure(op+" on topic "+c.channel.Topic+" of session "+c.channel.Session, err)
}

// discardBody deletes the file of a payload, if there is one.
func (s *Store) discardBody(file sql.NullString) {
	if file.Valid {
		_ = s.bodies.remove(file.String) // what cannot be removed now is an orphan for Sweep
	}
}
