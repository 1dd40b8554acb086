package psi

import (
	"context"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// Tags of the messages. A list of points or tags travels as consecutive messages of up to chunkIDs entries, with
// nothing between them; its length is known from the greeting.
const (
	tagHello       = "hello"
	tagGuestPoints = "guest_points" // guest → host: g·H(id), in the guest's secret order
	tagHostPoints  = "host_points"  // host → guest: h·H(id), in the host's secret order
	tagGuestTags   = "guest_tags"   // host → guest: tags of hg·H(id), in the order of guest_points
	tagMatches     = "matches"      // guest → host: the intersection, in the order of sample ids
)

// chunkIDs is the number of ids in a message: half a megabyte of points, a second of one core's work.
const chunkIDs = 16384

// hello is the first message in either direction. A party with nothing to intersect says so before anybody computes.
type hello struct {
	IDs      int `json:"ids"`      // how many points follow
	Repeated int `json:"repeated"` // rows whose match id has occurred before
}

// greet exchanges hellos with peer.
func greet(ctx context.Context, t *component.Task, peer openflow.Party, mine hello) (hello, error) {
	if err := t.SendJSON(ctx, peer, tagHello, mine); err != nil {
		return hello{}, err
	}
	var theirs hello
	if err := t.ReceiveJSON(ctx, peer, tagHello, &theirs); err != nil {
		return hello{}, err
	}
	if mine.IDs > 0 && theirs.IDs <= 0 {
		const text = "input of %s has no rows: there is nothing to intersect"
		return hello{}, openflow.Errorf(openflow.CodeInvalid, text, peer).WithPublic(text, peer).AsConsequence()
	}
	return theirs, nil
}

func noRows(t *component.Task) error {
	const text = "input of %s has no rows: there is nothing to intersect"
	return openflow.Errorf(openflow.CodeInvalid, text, t.Party()).WithPublic(text, t.Party())
}

// chunks calls f with the bounds of consecutive chunks of 0…n−1.
func chunks(n int, f func(lo, hi int) error) error {
	for lo := 0; lo < n; lo += chunkIDs {
		if err := f(lo, min(lo+chunkIDs, n)); err != nil {
			return err
		}
	}
	return nil
}

// sendPoints blinds id(0)…id(n−1) and sends them to all of peers, chunk by chunk.
func sendPoints(ctx context.Context, t *component.Task, key blind.Key, peers []openflow.Party, tag string, n int, id func(i int) string) error {
	return chunks(n, func(lo, hi int) error {
		message := make([]byte, (hi-lo)*blind.PointSize)
		err := t.Parallel(ctx, hi-lo, func(i int) error {
			p, err := key.Blind(id(lo + i))
			copy(message[i*blind.PointSize:], p[:])
			return err
		})
		if err != nil {
			return err
		}
		for _, peer := range peers {
			if err := t.Send(ctx, peer, tag, message); err != nil {
				return err
			}
		}
		return nil
	})
}

// receivePoints receives n points of peer, blinds them with key, and hands on each chunk's tags.
func receivePoints(ctx context.Context, t *component.Task, key blind.Key, peer openflow.Party, tag string, n int, f func(lo int, tags []blind.Tag) error) error {
	return chunks(n, func(lo, hi int) error {
		message, err := receiveChunk(ctx, t, peer, tag, hi-lo, blind.PointSize)
		if err != nil {
			return err
		}
		tags := make([]blind.Tag, hi-lo)
		err = t.Parallel(ctx, len(tags), func(i int) (err error) {
			tags[i], err = key.Tag(blind.Point(message[i*blind.PointSize:][:blind.PointSize]))
			return err
		})
		if err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "message %q from %s: %w", tag, peer, err).
				WithPublic("message %q from %s holds what is no point", tag, peer)
		}
		return f(lo, tags)
	})
}

func receiveChunk(ctx context.Context, t *component.Task, peer openflow.Party, tag string, entries, size int) ([]byte, error) {
	message, err := t.Receive(ctx, peer, tag)
	if err != nil {
		return nil, err
	}
	if len(message) != entries*size {
		return nil, openflow.Errorf(openflow.CodeInvalid, "message %q from %s has %d bytes, not %d", tag, peer, len(message), entries*size).
			WithPublic("message %q from %s has another length than it should", tag, peer).
			WithHint("all parties of a task must run the same implementation of the component")
	}
	return message, nil
}
