package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"openflow"
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
	done, err := s.until(ctx, c, wait, func(w *waiter, epoch string) (string, bool, error) { return p.try(ctx, w, epoch) })
	if p.object != noObject && p.unused {
		s.dropBodies(ctx, p.object)
	}
	if err != nil {
		return failed("push", c, err)
	}
	if !done {
		return messages.Full(c, p.full, wait)
	}
	return nil
}

// push is one call of Push.
type push struct {
	store   *Store
	channel messages.Channel
	message messages.Message
	object  string
	full    messages.Account // that had no room at the last attempt
	unused  bool             // no record refers to object, as the last answer says; a failure leaves it open
}

func (p *push) try(ctx context.Context, w *waiter, epoch string) (string, bool, error) {
	if p.store.isLarge(p.message) && p.object == noObject {
		verdict, next, err := p.ask(ctx, w, epoch, "look", nil)
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
	verdict, next, err := p.ask(ctx, w, epoch, "store", inline)
	p.unused = err == nil && verdict != verdictStored || errors.Is(err, messages.ErrReleased) || errors.Is(err, messages.ErrSpent)
	return next, verdict == verdictStored || verdict == verdictRepeat, err
}

func (p *push) ask(ctx context.Context, w *waiter, epoch, what string, payload []byte) (verdict, next string, err error) {
	m, o := p.message, p.store.opts
	limits := fmt.Sprintf("%d %d %d %d", o.SessionBytes, o.JobBytes, o.PeerBytes, o.TotalBytes)
	verdict, next, rest, err := p.store.onChannel(ctx, pushScript, p.channel, epoch, recordOf(m, p.object).header(),
		m.Source, m.ID, what, payload, messages.IDMark(m), messages.TopicMark(p.channel), limits)
	switch {
	case err != nil:
		return "", "", err
	case verdict == verdictSpent:
		return "", "", messages.Spent(p.channel, o.SessionBytes)
	case verdict == verdictFull:
		var level int
		var need int64
		if p.full, level, need, err = fullAccount(o.Accounts(p.channel.Session, m.Source), rest); err == nil {
			p.wait(w, level, need)
		}
	}
	return verdict, next, err
}

// wait has the push wait for so much room on the account of that level. What is left there may be enough for others who wait.
func (p *push) wait(w *waiter, level int, need int64) {
	account := p.store.accounts(p.channel.Session, p.message.Source)[level-1]
	p.store.waiters.queue(w, account, need)
	p.store.waiters.room(account, p.full.Limit-p.full.Used)
}

// fullAccount reads which account has no room, what is taken of it, and how much the message needs there.
func fullAccount(all [messages.Levels]messages.Account, words []string) (full messages.Account, level int, need int64, err error) {
	if len(words) == 3 {
		var wrong [3]error
		var used int64
		level, wrong[0] = strconv.Atoi(words[0])
		used, wrong[1] = strconv.ParseInt(words[1], 10, 64)
		need, wrong[2] = strconv.ParseInt(words[2], 10, 64)
		if errors.Join(wrong[:]...) == nil && level >= 1 && level <= len(all) {
			full = all[level-1]
			full.Used = used
			return full, level, need, nil
		}
	}
	return full, 0, 0, openflow.Errorf(openflow.CodeInternal, "a script of the message store answered %q", words)
}
