package redis

import (
	"context"
	"errors"
	"time"

	"openflow/store/messages"
)

// Push implements messages.Store.
//
// A large payload becomes a body first, once there is room, and the script that refers to it runs last: what a record
// refers to is always there.
func (s *Store) Push(ctx context.Context, c messages.Channel, m messages.Message, wait time.Duration) error {
	if err := s.opts.CheckPush(c, m); err != nil {
		return err
	}
	p := &push{store: s, channel: c, message: m, object: noObject}
	done, err := s.until(ctx, c, wait, func(epoch string) (string, bool, error) { return p.try(ctx, epoch) })
	if p.object != noObject && p.unused {
		s.dropBodies(ctx, p.object)
	}
	if err != nil {
		return failed("push", c, err)
	}
	if !done {
		return messages.Full(c, wait)
	}
	return nil
}

// push is one call of Push.
type push struct {
	store   *Store
	channel messages.Channel
	message messages.Message
	object  string
	unused  bool // no record refers to object, as the last answer says; a failure leaves it open
}

func (p *push) try(ctx context.Context, epoch string) (string, bool, error) {
	if p.store.isLarge(p.message) && p.object == noObject {
		verdict, next, err := p.ask(ctx, epoch, "look", nil)
		if err != nil || verdict != verdictStored {
			return next, verdict == verdictRepeat, err
		}
		if p.object, err = p.store.putBody(ctx, p.message.Payload); err != nil {
			p.object = noObject
			return "", false, err
		}
		epoch = next
	}
	var inline []byte
	if p.object == noObject {
		inline = p.message.Payload
	}
	verdict, next, err := p.ask(ctx, epoch, "store", inline)
	p.unused = err == nil && verdict != verdictStored || errors.Is(err, messages.ErrReleased)
	return next, verdict == verdictStored || verdict == verdictRepeat, err
}

func (p *push) ask(ctx context.Context, epoch, what string, payload []byte) (verdict, next string, err error) {
	m := p.message
	verdict, next, _, err = p.store.onChannel(ctx, pushScript, p.channel, epoch, recordOf(m, p.object).header(),
		p.store.opts.SessionBytes, m.Source, m.ID, what, payload)
	return verdict, next, err
}
