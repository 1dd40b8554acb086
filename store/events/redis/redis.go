// Package redis keeps the last events in a stream of a Redis server, which all server replicas of a node share.
//
// An event's ID is its entry's. Each replica has one blocked read at the end of the stream, which wakes its subscribers;
// they read on from where they are. Start reading at [Open].
//
// Spec: redis §2 #5.
package redis

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"openflow"
	"openflow/store/events"
	"openflow/store/redisdb"
)

const (
	batch = 500
	// block is how long one read at the end of the stream waits.
	block = 5 * time.Second
	// pause is how long a server that does not answer is left alone.
	pause = 200 * time.Millisecond
	// expiry ends the stream of a node that is gone.
	expiry = 7 * 24 * time.Hour
)

// Options configure a store.
type Options struct {
	URL    string // see redisdb.Open
	Prefix string // begins the key and names the node, see redisdb.DefaultPrefix; not empty
	Keep   int    // events at least; 0: events.Keep
}

// Store is a stream in a Redis server.
type Store struct {
	client  *redis.Client
	key     string
	keep    int
	changed events.Signal
	life    context.Context // ends with Close
	stop    context.CancelFunc
	closing sync.Once
	loop    sync.WaitGroup
}

var (
	_ events.Store = (*Store)(nil)
	_ events.Log   = (*Store)(nil)
)

// Open connects to the server. ctx bounds Open only. Errors are those of redisdb.Open.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Prefix == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the events in Redis need a prefix that names the node")
	}
	if o.Keep == 0 {
		o.Keep = events.Keep
	}
	client, err := redisdb.Open(ctx, o.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, key: o.Prefix + "events", keep: o.Keep}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.loop.Go(s.tail)
	return s, nil
}

// publish numbers the events of an epoch, which the stream's first entry begins, without gaps.
var publish = redis.NewScript(`#!lua
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id
if last then
  id = string.match(last[1], '^%d+') .. '-*'
else
  local t = redis.call('TIME')
  id = string.format('%d', t[1] * 1000000 + t[2]) .. '-1'
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id, 'e', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])`)

// Publish implements events.Store.
func (s *Store) Publish(ctx context.Context, e openflow.Event) error {
	text, err := encode(events.Kept(e))
	if err != nil {
		return err
	}
	err = publish.Run(ctx, s.client, []string{s.key}, s.keep, text, expiry.Milliseconds()).Err()
	if errors.Is(err, redis.Nil) {
		return nil // the script answers nothing
	}
	return s.failure("publish event", err)
}

// Subscribe implements events.Store.
func (s *Store) Subscribe(ctx context.Context, after string) (*events.Subscription, error) {
	return events.Follow(ctx, s, after)
}

// Last implements events.Log.
func (s *Store) Last(ctx context.Context) (events.ID, error) {
	entries, err := s.client.XRevRangeN(ctx, s.key, "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return events.ID{}, s.failure("read events", err)
	}
	return events.ParseID(entries[0].ID)
}

// After implements events.Log.
func (s *Store) After(ctx context.Context, id events.ID) ([]openflow.Event, error) {
	entries, err := s.client.XRangeN(ctx, s.key, "("+id.String(), "+", batch).Result()
	if err != nil {
		return nil, s.failure("read events", err)
	}
	found := make([]openflow.Event, 0, len(entries))
	for _, entry := range entries {
		text, _ := entry.Values["e"].(string)
		e, err := decode(text)
		if err != nil {
			return nil, err
		}
		e.ID = entry.ID
		found = append(found, e)
	}
	return found, nil
}

// Changed implements events.Log.
func (s *Store) Changed() <-chan struct{} { return s.changed.Wait() }

// tail wakes the subscribers at every change of the stream, and after a time without a server.
func (s *Store) tail() {
	ctx := context.Background() // lives as long as the store; closing the client ends the read
	from := "0-0"
	for s.life.Err() == nil {
		streams, err := s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.key, from}, Count: batch, Block: block}).Result()
		switch {
		case err == nil:
			for _, stream := range streams {
				from = stream.Messages[len(stream.Messages)-1].ID
			}
		case !errors.Is(err, redis.Nil):
			s.rest()
		default: // nothing came: should the stream be a new one, it is read from its begin
			if last, err := s.Last(ctx); err == nil {
				from = last.String()
			}
		}
		s.changed.Fire()
	}
}

func (s *Store) rest() {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.life.Done():
	}
}

// Close implements events.Store.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		s.stop()
		err = redisdb.Failure("close events", s.client.Close())
		s.loop.Wait()
		s.changed.Fire()
	})
	return err
}

func (s *Store) failure(doing string, err error) error {
	if err != nil && s.life.Err() != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "the events have ended: the node stops")
	}
	return redisdb.Failure(doing, err)
}

// entry is an event in the stream.
type entry struct {
	At        time.Time         `json:"at"`
	Scheduler openflow.PartyID  `json:"scheduler,omitempty"`
	Job       openflow.JobID    `json:"job"`
	Role      openflow.Role     `json:"role,omitempty"`
	Party     openflow.PartyID  `json:"party,omitempty"`
	Task      openflow.TaskName `json:"task,omitempty"`
	Version   int               `json:"version,omitempty"`
	Status    string            `json:"status,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Progress  *int              `json:"progress,omitempty"`
	Component string            `json:"component,omitempty"`
	Provider  string            `json:"provider,omitempty"`
}

func encode(e openflow.Event) ([]byte, error) {
	b, err := json.Marshal(entry{e.At, e.Scheduler, e.Job, e.Party.Role, e.Party.ID, e.Task, e.Version, e.Status, e.Reason, e.Progress, e.Component, e.Provider})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "event of job %s cannot be encoded: %w", e.Job, err)
	}
	return b, nil
}

func decode(text string) (openflow.Event, error) {
	var n entry
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return openflow.Event{}, openflow.Errorf(openflow.CodeInternal, "%.80q is not an event: %w", text, err).
			WithHint("a server of another version, or another program, writes to this prefix")
	}
	return openflow.Event{
		At: n.At, Scheduler: n.Scheduler, Job: n.Job, Party: openflow.Party{Role: n.Role, ID: n.Party}, Task: n.Task, Version: n.Version,
		Status: n.Status, Reason: n.Reason, Progress: n.Progress, Component: n.Component, Provider: n.Provider,
	}, nil
}
