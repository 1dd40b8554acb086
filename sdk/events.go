package sdk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"

	"openflow"
	"openflow/sdk/wire"
)

const (
	// silence is how long a stream may be without a sign of life; the node gives one every 15 s.
	silence = time.Minute
	// maxEvent bounds one event, in bytes.
	maxEvent = 1 << 20
)

// Event is one change, as a node tells it.
type Event struct {
	ID   string // for Client.Events: after it, the stream goes on as it does after this event; may be empty
	Kind string // wire.EventJob, wire.EventTask, wire.EventMissed, wire.EventEnd; others may come
	wire.EventRow
}

// EventStream is an open stream of events. It belongs to one goroutine; Close it.
type EventStream struct {
	body   io.ReadCloser
	next   func() (sse.Event, error, bool)
	stop   func()
	alive  *time.Timer
	cancel context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // lives as long as the stream
}

// Events opens the stream of what changes at this site: of one job, until it has ended, or of all jobs when id is empty.
// It begins with how the job stands, or, given the ID of the last event that was received, after that.
//
// Errors: CodeNotFound (no such job here), CodeInvalid (after names no event), CodeUnavailable.
func (c *Client) Events(ctx context.Context, id openflow.JobID, after string) (*EventStream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &EventStream{cancel: cancel, ctx: ctx}
	s.alive = time.AfterFunc(silence, func() {
		cancel(openflow.Errorf(openflow.CodeUnavailable, "the node gave no sign of life for %s", silence))
	})
	r := get("/openflow/v1/user/job/events", query("job_id", string(id), scheduler, string(c.Scheduler)))
	r.header = http.Header{"Accept": {"text/event-stream"}}
	if after != "" {
		r.header.Set("Last-Event-ID", after)
	}
	body, err := c.open(ctx, r)
	if err != nil {
		s.alive.Stop()
		cancel(nil)
		return nil, err
	}
	s.body = body
	s.next, s.stop = iter.Pull2(sse.Read(living{body, s.alive}, &sse.ReadConfig{MaxEventSize: maxEvent}))
	return s, nil
}

// living is a stream that shows by what comes in, comments too, that there is somebody at the other end.
type living struct {
	io.Reader
	alive *time.Timer
}

func (l living) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.alive.Reset(silence)
	}
	return n, err
}

// Next waits for the next event. io.EOF: the job has ended and all has been told. CodeUnavailable: the stream broke off;
// Events with the last ID goes on with it.
func (s *EventStream) Next() (Event, error) {
	e, err := decodeEvent(s.next())
	switch {
	case err == nil && e.Kind == wire.EventEnd:
		return e, io.EOF
	case err == nil:
		return e, nil
	case s.ctx.Err() != nil:
		cause := context.Cause(s.ctx)
		return Event{}, openflow.Errorf(openflow.CodeOf(cause), "follow events: %w", cause)
	}
	return Event{}, err
}

// Close ends the stream.
func (s *EventStream) Close() error {
	s.alive.Stop()
	s.cancel(nil)
	s.stop()
	return s.body.Close()
}

// decodeEvent reads what the stream has brought; more is false at its end.
func decodeEvent(got sse.Event, err error, more bool) (Event, error) {
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return Event{}, openflow.Errorf(openflow.CodeInternal, "the node sent an event of more than %d bytes", maxEvent)
	case err != nil:
		return Event{}, openflow.Errorf(openflow.CodeUnavailable, "the stream of events broke off: %w", err)
	case !more:
		return Event{}, openflow.Errorf(openflow.CodeUnavailable, "the stream of events broke off: %w", io.ErrUnexpectedEOF)
	}
	e := Event{ID: got.LastEventID, Kind: got.Type}
	if err := json.Unmarshal([]byte(got.Data), &e.EventRow); err != nil {
		return Event{}, openflow.Errorf(openflow.CodeInternal, "the node sent an event in another form than expected: %w", err).
			WithHint("node and client may be of different versions: openflow doctor")
	}
	return e, nil
}
