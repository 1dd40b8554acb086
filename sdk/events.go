package sdk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

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
	ID   string // names it for Client.Events; empty: it says how things stand
	Kind string // wire.EventJob, wire.EventTask, wire.EventMissed, wire.EventEnd; others may come
	wire.EventRow
}

// EventStream is an open stream of events. It belongs to one goroutine; Close it.
type EventStream struct {
	body   io.ReadCloser
	lines  *bufio.Scanner
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
	s.body, s.lines = body, bufio.NewScanner(body)
	s.lines.Buffer(make([]byte, 0, 4<<10), maxEvent)
	return s, nil
}

// Next waits for the next event. io.EOF: the job has ended and all has been told. CodeUnavailable: the stream broke off;
// Events with the last ID goes on with it.
func (s *EventStream) Next() (Event, error) {
	e, err := readEvent(s.lines, func() { s.alive.Reset(silence) })
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
	return s.body.Close()
}

// readEvent reads one Server-Sent Event. It calls alive at every line.
func readEvent(lines *bufio.Scanner, alive func()) (Event, error) {
	var e Event
	var data []byte
	for lines.Scan() {
		alive()
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(line) == 0 {
			if e.Kind == "" && data == nil {
				e = Event{} // after a comment
				continue
			}
			return decodeEvent(e, data)
		}
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Kind = value
		case "data":
			data = append(append(data, value...), '\n')
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return Event{}, openflow.Errorf(openflow.CodeInternal, "the node sent an event of more than %d bytes", maxEvent)
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return Event{}, openflow.Errorf(openflow.CodeUnavailable, "the stream of events broke off: %w", err)
}

func decodeEvent(e Event, data []byte) (Event, error) {
	if err := json.Unmarshal(data, &e.EventRow); err != nil {
		return Event{}, openflow.Errorf(openflow.CodeInternal, "the node sent an event in another form than expected: %w", err).
			WithHint("node and client may be of different versions: openflow doctor")
	}
	return e, nil
}
