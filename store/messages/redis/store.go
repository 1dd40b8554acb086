package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"openflow"
	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/store/redisdb"
)

// What applies when Options names nothing else.
const (
	DefaultInlineBytes = 1 << 20
	DefaultExpiry      = 7 * 24 * time.Hour
)

// Options configure a store.
type Options struct {
	messages.Options

	// URL names the server: redis://user:password@host:6379/0, rediss:// for TLS, unix:///path.
	URL string
	// Prefix begins every key and names the node: all replicas of a node use the same, no two nodes do. See
	// redisdb.DefaultPrefix. Not empty.
	Prefix string
	// Bodies keeps the payloads above InlineBytes. It has to be this store's own, such as a prefix in a bucket: what no
	// message refers to is removed from it. All replicas use the same. Nil: every payload is in Redis, which takes 512 MiB
	// at most.
	Bodies objects.Store
	// InlineBytes is the largest payload in Redis when there is a place for Bodies; 0: 1 MiB.
	InlineBytes int
	// Expiry is how long a session stays that no replica sweeps any more; 0: 7 days.
	Expiry time.Duration
}

// Store is a messages.Store in a Redis server.
type Store struct {
	opts    Options
	client  *redis.Client
	notices *redis.PubSub
	waiters waiters
	life    context.Context // ends with Close
	stop    context.CancelFunc
	closing sync.Once
	loop    sync.WaitGroup
}

var _ messages.Store = (*Store)(nil)

// Open connects to the server. ctx bounds Open only.
//
// Errors: CodeInvalid (limits that exclude each other, no prefix, a server that cannot be used), CodePermission,
// CodeUnavailable.
func Open(ctx context.Context, o Options) (*Store, error) {
	limits, err := o.WithDefaults()
	if err != nil {
		return nil, err
	}
	o.Options = limits
	if o.Prefix == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the message store in Redis needs a prefix that names the node")
	}
	if o.InlineBytes == 0 {
		o.InlineBytes = DefaultInlineBytes
	}
	if o.Expiry == 0 {
		o.Expiry = DefaultExpiry
	}
	client, err := redisdb.Open(ctx, o.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, client: client}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.notices = client.Subscribe(ctx, s.wakeChannel())
	// Only a confirmed subscription misses nothing.
	if _, err := s.notices.Receive(ctx); err != nil {
		return nil, errors.Join(redisdb.Failure("open message store", err), s.notices.Close(), client.Close())
	}
	s.loop.Go(s.listen)
	return s, nil
}

// Close implements messages.Store.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		s.stop()
		err = redisdb.Failure("close message store", errors.Join(s.notices.Close(), s.client.Close()))
		s.loop.Wait()
	})
	return err
}
