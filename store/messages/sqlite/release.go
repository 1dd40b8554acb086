package sqlite

import (
	"context"
	"database/sql"
	"time"

	"openflow/store/messages"
)

// Release implements messages.Store.
func (s *Store) Release(ctx context.Context, session, name string) error {
	if err := messages.CheckChannel(messages.Channel{Session: session, Topic: name}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return messages.Closed()
	}
	sess := s.sessions[session]
	if sess == nil || sess.ended {
		return nil
	}
	scope := sess.topics
	if name != "" {
		scope = map[string]*topicState{}
		if t := sess.topics[name]; t != nil {
			scope[name] = t
		}
	}
	gone, err := s.discard(ctx, scope, func(ctx context.Context, tx *sql.Tx, t *topicState) error {
		_, err := tx.StmtContext(ctx, s.stmt.setReleased).ExecContext(ctx, t.id)
		return err
	}, nil)
	if err != nil {
		return failure("release session "+session, err)
	}
	for _, t := range scope {
		t.released = t.last
		t.wake.fire()
	}
	s.bury(sess, gone)
	return nil
}

// CloseSession implements messages.Store.
func (s *Store) CloseSession(ctx context.Context, session string, quarantine time.Duration) error {
	if err := messages.CheckChannel(messages.Channel{Session: session}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return messages.Closed()
	}
	until := time.Now().Add(max(0, quarantine))
	err := s.forget(ctx, session, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `insert into closed(session, until) values(?, ?)
		  on conflict(session) do update set until = excluded.until`, session, until.UnixMilli())
		return err
	})
	if err != nil {
		return failure("close session "+session, err)
	}
	s.sessions[session] = &sessionState{name: session, ended: true, until: until}
	return nil
}

// forget removes all of a session, with and in one transaction, and wakes its waiters.
func (s *Store) forget(ctx context.Context, name string, with func(context.Context, *sql.Tx) error) error {
	sess := s.sessions[name]
	if sess == nil {
		sess = s.newSession(name, time.Time{})
	}
	gone, err := s.discard(ctx, sess.topics, func(ctx context.Context, tx *sql.Tx, t *topicState) error {
		if _, err := tx.ExecContext(ctx, `delete from seen where channel = ?`, t.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `delete from channel where id = ?`, t.id)
		return err
	}, with)
	if err != nil {
		return err
	}
	s.bury(sess, gone)
	s.settle(sess)
	delete(s.sessions, name)
	for _, t := range sess.topics {
		t.wake.fire()
	}
	return nil
}

// discard deletes the messages of topics in one transaction. In it each is called for every topic that has a row, and then
// last, if it is not nil.
func (s *Store) discard(ctx context.Context, topics map[string]*topicState,
	each func(context.Context, *sql.Tx, *topicState) error, last func(context.Context, *sql.Tx) error) (
	all removed, err error) {
	ctx = context.WithoutCancel(ctx)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return all, err
	}
	defer func() { _ = tx.Rollback() }() // no effect after the commit
	for _, t := range topics {
		if t.id == 0 {
			continue
		}
		gone, err := s.remove(ctx, tx.StmtContext(ctx, s.stmt.discard), t.key(0), t.key(maxSequence))
		if err != nil {
			return removed{}, err
		}
		for source, cost := range gone.cost {
			all.add(source, cost)
		}
		all.files = append(all.files, gone.files...)
		if err := each(ctx, tx, t); err != nil {
			return removed{}, err
		}
	}
	if last != nil {
		if err := last(ctx, tx); err != nil {
			return removed{}, err
		}
	}
	if err := tx.Commit(); err != nil {
		return removed{}, err
	}
	return all, nil
}
