package component

import (
	"context"
	"net/http"

	"openflow"
)

// maxPushed is what Push takes of another kit at once: what Pop reads whole.
const maxPushed = 2 * chunkBytes

// Push gives payload to the node of another party under a topic that another kit has named, and returns once it is in the queue
// there. Messages of one topic arrive in the order of the calls, once each. payload may be empty, up to 32 MiB.
//
// Errors: those of Send.
func (t *Task) Push(ctx context.Context, topic string, to openflow.PartyID, payload []byte) error {
	if len(payload) > maxPushed {
		return openflow.Errorf(openflow.CodeInvalid, "a message on topic %q has %d bytes, more than %d", openflow.Cut(topic, 200), len(payload), maxPushed)
	}
	if err := t.push(ctx, topic, to, payload); err != nil {
		return exchangeError(ctx, openflow.Errorf(openflow.CodeOf(err), "a message to party %s on topic %q: %w", openflow.Heard(string(to)), openflow.Cut(topic, 200), err))
	}
	return nil
}

// Pop waits for the next message of such a topic whose sequence is above the one given; those up to it are dropped. It waits half
// a minute at most, and returns no payload (nil) where none has come. A message stays until a later Pop of its topic, so who
// has not got it reads it again.
//
// Errors: those of Receive.
func (t *Task) Pop(ctx context.Context, topic string, above int64) (payload []byte, sequence int64, err error) {
	reply, err := t.pop(ctx, topic, above)
	if err != nil {
		return nil, 0, exchangeError(ctx, openflow.Errorf(openflow.CodeOf(err), "the next message on topic %q: %w", openflow.Cut(topic, 200), err))
	}
	return reply.content, reply.sequence, nil
}

// Release drops all that nobody has read of the task's session at this party. CodePermission: another role of this party is in
// the task, and has its messages there too.
func (t *Task) Release(ctx context.Context) error {
	header := t.transportHeader("")
	header.Del("x-ptp-topic")
	_, err := t.node.transport(ctx, request{method: http.MethodPost, path: "/v1/interconn/chan/release", header: header, json: map[string]string{}})
	return err
}
