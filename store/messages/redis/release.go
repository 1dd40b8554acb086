package redis

import (
	"context"
	"time"

	"openflow/store/messages"
	"openflow/store/redisdb"
)

// Release implements messages.Store.
func (s *Store) Release(ctx context.Context, session, topic string) error {
	if err := messages.CheckChannel(messages.Channel{Session: session, Topic: topic}); err != nil {
		return err
	}
	gone, err := s.run(ctx, releaseScript, session, topic)
	if err != nil {
		return redisdb.Failure("release session "+session, err)
	}
	s.dropBodies(ctx, texts(gone)...)
	return nil
}

// CloseSession implements messages.Store.
func (s *Store) CloseSession(ctx context.Context, session string, quarantine time.Duration) error {
	if err := messages.CheckChannel(messages.Channel{Session: session}); err != nil {
		return err
	}
	// A quarantine of a moment still ends the calls in progress.
	quarantine = max(time.Millisecond, quarantine)
	gone, err := s.run(ctx, closeScript, session, "",
		time.Now().Add(quarantine).UnixMilli(), quarantine.Milliseconds())
	if err != nil {
		return redisdb.Failure("close session "+session, err)
	}
	s.dropBodies(ctx, texts(gone)...)
	return nil
}
