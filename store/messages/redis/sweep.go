package redis

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/store/redisdb"
)

const (
	noncePrefix = "nonce:"
	// bodyGrace is how long a body may be without a record that refers to it: its push is still on the way.
	bodyGrace = time.Hour
	page      = 1000 // keys, or members, in one answer
)

// UseNonce implements messages.Store.
func (s *Store) UseNonce(ctx context.Context, peer, nonce string, until time.Time) (fresh bool, err error) {
	key := s.opts.Prefix + noncePrefix + url.QueryEscape(peer) + ":" + nonce
	left := max(time.Millisecond, time.Until(until))
	err = s.client.SetArgs(context.WithoutCancel(ctx), key, until.UnixMilli(), redis.SetArgs{Mode: "NX", TTL: left}).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil && s.life.Err() != nil:
		return false, messages.Closed()
	case err != nil:
		return false, redisdb.Failure("claim nonce of "+peer, err)
	}
	return true, nil
}

// Sweep implements messages.Store. Every replica may call it, at the same time too.
func (s *Store) Sweep(ctx context.Context, now time.Time, idle time.Duration) (removed int, err error) {
	var wrong []error
	for _, step := range []func() (int, error){ // what one cannot do keeps no other
		func() (int, error) { return s.sweepExpired(ctx, now) },
		func() (int, error) { return s.sweepIdle(ctx, now, idle) },
		func() (int, error) { return s.sweepBodies(ctx, now) },
	} {
		n, err := step()
		removed += n
		if s.life.Err() != nil {
			return removed, messages.Closed()
		}
		wrong = append(wrong, redisdb.Failure("sweep message store", err))
	}
	return removed, errors.Join(wrong...)
}

// scan calls each with pages of the keys that match; a key may come twice.
func (s *Store) scan(ctx context.Context, pattern string, each func(keys []string) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := s.client.Scan(ctx, cursor, glob.Replace(s.opts.Prefix)+pattern, page).Result()
		if err != nil {
			return err
		}
		if err := each(keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// sweepExpired removes nonces and quarantines that are over at a time to come. Those that are over now, which is all that
// a node asks for, have expired by themselves.
func (s *Store) sweepExpired(ctx context.Context, now time.Time) (n int, err error) {
	if !now.After(time.Now()) {
		return 0, nil
	}
	for _, pattern := range []string{noncePrefix + "*", "{*" + closedSuffix} {
		err := s.scan(ctx, pattern, func(keys []string) error {
			for _, key := range keys {
				until, err := s.client.Get(ctx, key).Int64()
				if err != nil && !errors.Is(err, redis.Nil) {
					return err
				}
				if until >= now.UnixMilli() {
					continue
				}
				gone, err := s.client.Del(ctx, key).Result()
				if err != nil {
					return err
				}
				n += int(gone)
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// sweepIdle removes the sessions that nobody has used for idle, and puts off the expiry of the others.
func (s *Store) sweepIdle(ctx context.Context, now time.Time, idle time.Duration) (n int, err error) {
	err = s.scan(ctx, "{*"+stateSuffix, func(keys []string) error {
		for _, key := range keys {
			tag := strings.TrimSuffix(strings.TrimPrefix(key, s.opts.Prefix+"{"), stateSuffix)
			forgotten, err := s.forgetIdle(ctx, tag, now.Add(-idle))
			if err != nil {
				return err
			}
			if forgotten {
				n++
			}
		}
		return nil
	})
	return n, err
}

func (s *Store) forgetIdle(ctx context.Context, tag string, before time.Time) (bool, error) {
	session, err := url.QueryUnescape(tag)
	if err != nil {
		return false, nil //nolint:nilerr // not a key of this store
	}
	limit := ""
	if !s.waiters.has(tag) && !s.opts.Live(session) {
		limit = strconv.FormatInt(before.UnixMilli(), 10)
	}
	answer, err := s.run(ctx, sweepScript, session, "", limit)
	if err != nil || len(answer) == 0 {
		return false, err
	}
	s.dropBodies(ctx, texts(answer[1:])...)
	forgotten, _ := answer[0].(int64)
	return forgotten == 1, nil
}

// sweepBodies removes the bodies that no record refers to: of pushes that were never finished, of messages that are gone
// when their reader died, of sessions that expired.
func (s *Store) sweepBodies(ctx context.Context, now time.Time) (int, error) {
	if s.opts.Bodies == nil {
		return 0, nil
	}
	var needed map[string]struct{} // looked up when an old body is seen: mostly there is none
	done, err := objects.Sweep(ctx, s.opts.Bodies, func(ctx context.Context, digest string) (_ bool, err error) {
		if needed == nil {
			if needed, err = s.neededBodies(ctx); err != nil {
				return false, err
			}
		}
		_, ok := needed[digest]
		return ok, nil
	}, now, bodyGrace)
	return done.Deleted, err
}

func (s *Store) neededBodies(ctx context.Context) (map[string]struct{}, error) {
	needed := map[string]struct{}{}
	err := s.scan(ctx, "{*"+indexSuffix, func(keys []string) error {
		for _, key := range keys {
			if err := s.addBodies(ctx, key, needed); err != nil {
				return err
			}
		}
		return nil
	})
	return needed, err
}

// addBodies adds the bodies of one session's messages.
func (s *Store) addBodies(ctx context.Context, index string, needed map[string]struct{}) error {
	for from := "-"; ; {
		members, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: index, Start: from, Stop: "+", ByLex: true, Count: page,
		}).Result()
		if err != nil {
			return err
		}
		for _, member := range members {
			r, err := parseRecord(member)
			if err != nil {
				return err
			}
			needed[r.object] = struct{}{}
		}
		if len(members) < page {
			return nil
		}
		from = "(" + members[len(members)-1]
	}
}
