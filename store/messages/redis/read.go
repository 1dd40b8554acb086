package redis

import (
	"context"
	"errors"
	"time"

	"openflow"
	"openflow/store/messages"
)

// Pop implements messages.Store. The record is gone before the caller has the message, so one whose reply is lost with
// its connection is lost too; Next has no such gap.
func (s *Store) Pop(ctx context.Context, c messages.Channel, source string, wait time.Duration) (
	m messages.Message, ok bool, err error) {
	if err := messages.CheckChannel(c); err != nil {
		return m, false, err
	}
	ok, err = s.until(ctx, c, wait, func(_ *waiter, epoch string) (string, bool, error) {
		looked, next, err := s.find(ctx, c, epoch, source, 0, "next")
		if err == nil && looked != nil {
			err = s.room(ctx, looked.record) // before it is taken: a process that dies between would lose it
		}
		if err != nil || looked == nil {
			return next, false, err
		}
		f, next, err := s.find(ctx, c, next, source, 0, "pop")
		if err != nil || f == nil {
			return next, false, err
		}
		if f.record.sequence != looked.record.sequence { // another reader has taken that one meanwhile
			err = s.room(ctx, f.record)
		}
		if err == nil {
			m, err = s.message(ctx, f)
		}
		if err != nil {
			return "", false, errors.Join(lost(f.record, err), s.putBack(ctx, c, f.record))
		}
		s.dropBodies(ctx, f.record.object)
		return next, true, nil
	})
	if err != nil {
		return messages.Message{}, false, failed("pop", c, err)
	}
	return m, ok, nil
}

// Next implements messages.Store.
func (s *Store) Next(ctx context.Context, c messages.Channel, source string, ack int64, wait time.Duration) (
	m messages.Message, ok bool, err error) {
	if err := messages.CheckChannel(c); err != nil {
		return m, false, err
	}
	missing := ""
	ok, err = s.until(ctx, c, wait, func(_ *waiter, epoch string) (string, bool, error) {
		for {
			f, next, err := s.find(ctx, c, epoch, source, ack, "next")
			if err != nil || f == nil {
				return next, false, err
			}
			epoch = next
			if err := s.room(ctx, f.record); err != nil {
				return next, false, err
			}
			m, err = s.message(ctx, f)
			if openflow.CodeOf(err) == openflow.CodeNotFound && missing != f.record.object {
				missing = f.record.object
				continue // another reader may have acknowledged it meanwhile
			}
			return next, err == nil, lost(f.record, err)
		}
	})
	if err != nil {
		return messages.Message{}, false, failed("read", c, err)
	}
	return m, ok, nil
}

// found is a message as a script has found it.
type found struct {
	record record
	inline string // the payload, unless it is in an object
}

// find acknowledges, and returns the first message that is left, nil for none, removing it for how = "pop".
func (s *Store) find(ctx context.Context, c messages.Channel, epoch, source string, ack int64, how string) (
	*found, string, error) {
	verdict, next, rest, err := s.onChannel(ctx, readScript, c, epoch, source, ack, how)
	if err != nil {
		return nil, "", err
	}
	if len(rest) < 2 {
		return nil, "", openflow.Errorf(openflow.CodeInternal, "a script of the message store answered %q", rest)
	}
	s.dropBodies(ctx, rest[2:]...)
	if verdict != verdictMessage {
		return nil, next, nil
	}
	r, err := parseRecord(rest[0])
	return &found{record: r, inline: rest[1]}, next, err
}

func (s *Store) message(ctx context.Context, f *found) (messages.Message, error) {
	r := f.record
	m := messages.Message{ID: r.id, Source: r.source, Sequence: r.sequence, Payload: []byte(f.inline)}
	if r.object == noObject {
		return m, nil
	}
	payload, err := s.body(ctx, r)
	if err != nil {
		return messages.Message{}, err
	}
	m.Payload = payload
	return m, nil
}

// room asks whether the payload may come into memory.
func (s *Store) room(ctx context.Context, r record) error {
	if r.object == noObject {
		return nil
	}
	return s.opts.Room(ctx, r.size())
}

// lost makes an object that is not there what it is: damage, which leaves the message where it is.
func lost(r record, err error) error {
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	return openflow.Errorf(openflow.CodeInternal, "the payload of message %d is lost: %w", r.sequence, err).
		WithHint("check the object store of the messages: it must be the same at all replicas, and used by nothing else")
}

// Unpop implements messages.Store.
func (s *Store) Unpop(ctx context.Context, c messages.Channel, m messages.Message) error {
	if err := s.opts.CheckPush(c, m); err != nil {
		return err
	}
	object, inline := noObject, m.Payload
	if s.isLarge(m) {
		var err error
		if object, err = s.putBody(ctx, m.Payload); err != nil {
			return failed("put back", c, err)
		}
		inline = nil
	}
	verdict, err := s.restore(ctx, c, recordOf(m, object), inline)
	if verdict != verdictStored && (err == nil || errors.Is(err, messages.ErrReleased)) {
		s.dropBodies(ctx, object)
	}
	if err != nil {
		return failed("put back", c, err)
	}
	if verdict == verdictNever {
		return openflow.Errorf(openflow.CodeInvalid, "topic %q of session %s never had a message %d",
			c.Topic, c.Session, m.Sequence)
	}
	return nil
}

// putBack undoes the removal of a message whose payload could not be read; its body is still where it was.
func (s *Store) putBack(ctx context.Context, c messages.Channel, r record) error {
	_, err := s.restore(ctx, c, r, nil)
	return err
}

func (s *Store) restore(ctx context.Context, c messages.Channel, r record, inline []byte) (verdict string, err error) {
	verdict, _, _, err = s.onChannel(ctx, unpopScript, c, r.sequence, r.header(), inline)
	return verdict, err
}
