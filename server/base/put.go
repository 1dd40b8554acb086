package base

import (
	"context"
	"errors"
	"io"

	"openflow"
	"openflow/store/objects"
)

// What is counted of an object before it is read: so much at first, then twice as much each time, up to the most. What was
// counted and did not come is given back at the end.
const (
	firstShare = 64 << 10
	mostShare  = 16 << 20
)

// objectOverhead is what an object costs beside its bytes, so that empty ones are not free.
const objectOverhead = 4 << 10

// Put stores what a run streams, and counts it for the run while it comes. Nothing refers to the object yet; what nobody
// comes to refer to is swept away. CodeSpent: the run or its job has as much here as it may. CodeExhausted: the disk
// is nearly full, or the scheduler of the job has as much. Nothing is left of it then.
func (s *Site) Put(ctx context.Context, t openflow.TaskRecord, r io.Reader) (ref objects.Ref, err error) {
	defer func() { s.noteHindered(t, openflow.WhatItStores, err) }()
	if err := s.room(); err != nil {
		return objects.Ref{}, err
	}
	m := &metered{from: r, share: firstShare, take: func(bytes int64) error { return s.Store.TakeObjects(ctx, t.Key, bytes) }}
	if err := m.more(objectOverhead); err != nil {
		return objects.Ref{}, openflow.About(openflow.AboutTask, err)
	}
	ref, err = s.Objects.Put(ctx, m)
	back := m.counted - m.read - objectOverhead
	if err != nil {
		back = m.counted
	}
	if back > 0 {
		// Whether or not the caller has gone: what is counted too much stays until the job is deleted.
		err = errors.Join(err, s.Store.TakeObjects(context.WithoutCancel(ctx), t.Key, -back))
	}
	return ref, openflow.About(openflow.AboutTask, err)
}

// noteHindered tells how it went that a run stored something or sent a message.
func (s *Site) noteHindered(t openflow.TaskRecord, what openflow.Passage, err error) {
	if s.Hindered != nil {
		s.Hindered(t.Key.SessionID(), what, err)
	}
}

// room refuses what is new on a disk that is nearly full.
func (s *Site) room() error {
	if s.Space == nil {
		return nil
	}
	return s.Space()
}

// metered counts what is read of it, ahead of reading.
type metered struct {
	from          io.Reader
	take          func(bytes int64) error
	read, counted int64
	share         int64 // what is counted next
}

func (m *metered) more(bytes int64) error {
	if err := m.take(bytes); err != nil {
		return err
	}
	m.counted += bytes
	return nil
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	if m.read+objectOverhead >= m.counted {
		if err := m.more(m.share); err != nil {
			return 0, err
		}
		m.share = min(2*m.share, mostShare)
	}
	left := m.counted - m.read - objectOverhead
	n, err := m.from.Read(p[:min(int64(len(p)), left)])
	m.read += int64(n)
	return n, err
}
