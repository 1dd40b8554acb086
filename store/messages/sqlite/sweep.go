package sqlite

import (
	"context"
	"errors"
	"time"

	"openflow/store/messages"
)

// UseNonce implements messages.Store. It touches nothing but the database, so it does not take the lock.
func (s *Store) UseNonce(ctx context.Context, peer, nonce string, until time.Time) (fresh bool, err error) {
	res, err := s.stmt.claim.ExecContext(context.WithoutCancel(ctx), peer, nonce, until.UnixMilli())
	if err != nil && s.life.Err() != nil {
		return false, messages.Closed()
	}
	if err != nil {
		return false, failure("claim nonce of "+peer, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, failure("claim nonce of "+peer, err)
	}
	return n == 1, nil
}

// Sweep implements messages.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time, idle time.Duration) (removed int, err error) {
	var wrong []error
	for _, step := range []func() (int, error){ // what one cannot do keeps no other
		func() (int, error) { return s.sweepExpired(ctx, now) },
		func() (int, error) { return s.sweepIdle(ctx, now, idle) },
		func() (int, error) { return s.sweepOrphans(ctx) },
	} {
		n, err := step()
		removed += n
		if s.life.Err() != nil {
			return removed, messages.Closed()
		}
		if err != nil {
			wrong = append(wrong, failure("sweep message store", err))
		}
	}
	return removed, errors.Join(wrong...)
}

// sweepExpired removes the nonces and quarantines whose time is over.
func (s *Store) sweepExpired(ctx context.Context, now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return 0, messages.Closed()
	}
	total := int64(0)
	for _, text := range []string{`delete from nonce where until < ?`, `delete from closed where until < ?`} {
		res, err := s.db.ExecContext(context.WithoutCancel(ctx), text, now.UnixMilli())
		if err != nil {
			return int(total), err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return int(total), err
		}
		total += n
	}
	for name, sess := range s.sessions {
		if sess.ended && sess.until.Before(now) {
			delete(s.sessions, name)
		}
	}
	return int(total), nil
}

// sweepIdle removes the sessions that nobody has used for idle.
func (s *Store) sweepIdle(ctx context.Context, now time.Time, idle time.Duration) (n int, err error) {
	for _, name := range s.idleSessions(now, idle) {
		if s.opts.Live(name) { // outside the lock: it is foreign code
			continue
		}
		forgotten, wrong := s.forgetIdle(ctx, name, now, idle)
		if err = errors.Join(err, wrong); wrong == nil && forgotten {
			n++
		}
		if s.life.Err() != nil {
			break
		}
	}
	return n, err
}

func (s *Store) idleSessions(now time.Time, idle time.Duration) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sess := range s.sessions {
		if sess.isIdle(now, idle) {
			names = append(names, name)
		}
	}
	return names
}

func (s *Store) forgetIdle(ctx context.Context, name string, now time.Time, idle time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sess := s.sessions[name]; sess == nil || !sess.isIdle(now, idle) {
		return false, nil
	}
	if s.life.Err() != nil {
		return false, messages.Closed()
	}
	return true, s.forget(ctx, name, nil)
}

func (s *sessionState) isIdle(now time.Time, idle time.Duration) bool {
	return !s.ended && s.calls == 0 && now.Sub(s.used) > idle
}

// sweepOrphans removes the files that a crash left without a row.
func (s *Store) sweepOrphans(ctx context.Context) (n int, err error) {
	// Listed first: a file that appears later has no chance to be taken for an orphan.
	files, err := s.bodies.list()
	if err != nil || len(files) == 0 {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return 0, messages.Closed()
	}
	needed, err := s.neededBodies(ctx)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if _, ok := needed[body(file)]; ok {
			continue
		}
		if err := s.bodies.remove(file); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// neededBodies names the bodies that a row refers to or a call is working on.
func (s *Store) neededBodies(ctx context.Context) (map[string]struct{}, error) {
	needed := map[string]struct{}{}
	for name := range s.busy {
		needed[name] = struct{}{}
	}
	rows, err := s.db.QueryContext(ctx, `select file from message where file is not null`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the verdict
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		needed[name] = struct{}{}
	}
	return needed, rows.Err()
}

// Usage implements messages.Measured.
func (s *Store) Usage(ctx context.Context) (u messages.Usage, err error) {
	err = s.db.QueryRowContext(ctx, "select count(*), coalesce(sum(cost), 0) from message").Scan(&u.Messages, &u.Bytes)
	if err != nil {
		return u, failure("count messages", err)
	}
	return u, nil
}
