package psi

import (
	"context"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// Tags of the messages, in the order of the conversation. A list of points or tags travels as consecutive messages of
// up to chunkIDs entries, with nothing between them; its length is known from the greeting.
const (
	tagHello       = "hello"
	tagConsent     = "consent"      // either way, before each step that tells more: whether the sender goes on
	tagGuestPoints = "guest_points" // guest → host: g·H(id), in the guest's secret order
	tagHostPoints  = "host_points"  // host → guest: h·H(id), in the host's secret order
	tagCounts      = "counts"       // guest → host: hashes of g·h·H(id) to count by, sorted
	tagGuestTags   = "guest_tags"   // host → guest: tags of h·g·H(id), in the order of guest_points
	tagQuestion    = "question"     // either way: the point that shows whether the claimed pairs of points are such
	tagAnswer      = "answer"       // the point times the own key
	tagMatches     = "matches"      // guest → host: the intersection, in the order of sample ids
)

// chunkIDs is the number of ids in a message: half a megabyte of points, a second of one core's work.
const chunkIDs = 16384

// maxNote bounds a greeting or a consent, in bytes.
const maxNote = 4 << 10

// hello is the first message in either direction. A party with nothing to intersect says so before anybody computes.
type hello struct {
	IDs      int `json:"ids"`      // how many points follow
	Rows     int `json:"rows"`     // with these ids
	Repeated int `json:"repeated"` // rows whose match id has occurred before
}

// greet exchanges hellos with peer.
func greet(ctx context.Context, t *component.Task, peer openflow.Party, mine hello) (hello, error) {
	if err := t.SendJSON(ctx, peer, tagHello, mine); err != nil {
		return hello{}, err
	}
	var theirs hello
	if err := receiveNote(ctx, t, peer, tagHello, &theirs); err != nil {
		return hello{}, err
	}
	if mine.IDs > 0 && theirs.IDs <= 0 {
		const text = "input of %s has no rows: there is nothing to intersect"
		return hello{}, openflow.Errorf(openflow.CodeInvalid, text, peer).WithPublic(text, peer).AsConsequence()
	}
	return theirs, nil
}

// tooMany refuses a peer that brings more than this site allows, before anything is computed or kept for it.
func tooMany(t *component.Task, peer openflow.Party, theirs hello) error {
	most := t.Policy().PSI.MaxPartnerIDs
	if theirs.Rows >= theirs.IDs && theirs.Rows <= most {
		return nil
	}
	return openflow.Errorf(openflow.CodeRejected, "%s brings %d ids in %d rows, more than the %d that this site's policy takes from a partner",
		peer, theirs.IDs, theirs.Rows, most).
		WithHint("the owner of this site's data sets psi.max_partner_ids in policy.yaml (docs/policy.md)").
		WithPublic("the policy of party %s (psi.max_partner_ids) allows a partner fewer ids than that", t.Party().ID)
}

// consent is a party's word whether it goes on.
type consent struct {
	Refused string `json:"refused,omitempty"` // why not, in words for everybody
}

// tell sends peer whether this party goes on: not if fault is an error. What peer reads is its public part.
func tell(ctx context.Context, t *component.Task, peer openflow.Party, fault error) error {
	var c consent
	if fault != nil {
		if c.Refused = openflow.PublicText(fault); c.Refused == "" {
			c.Refused = "it does not go on"
		}
	}
	return t.SendJSON(ctx, peer, tagConsent, c)
}

// ask waits for the word of peer. A refusal is a consequence: its cause is told where it is.
func ask(ctx context.Context, t *component.Task, peer openflow.Party) error {
	var c consent
	if err := receiveNote(ctx, t, peer, tagConsent, &c); err != nil {
		return err
	}
	if c.Refused == "" {
		return nil
	}
	// The peer's words are for this party's users. It tells the others itself.
	return openflow.Errorf(openflow.CodeRejected, "%s ends the intersection: %s", peer, c.Refused).
		WithPublic("%s ends the intersection, its own task says why", peer).AsConsequence()
}

func receiveNote(ctx context.Context, t *component.Task, peer openflow.Party, tag string, into any) error {
	text, err := t.ReceiveUpTo(ctx, peer, tag, maxNote)
	if err != nil {
		return err
	}
	return decodeNote(peer, tag, text, into)
}

const (
	// alike is what to look at when fewer ids are shared than somebody has expected.
	alike         = "see that the match ids of all parties are written alike: leading zeros, a trailing .0, blanks, capitals"
	nothingShared = "the parties have no id in common (" + alike + ")"
)

// tooFew refuses an intersection with fewer ids than this site's policy, or the job at this party, wants. Where some are
// wanted, nobody else learns whether there were any: who brings one id would learn whether this party has it.
func tooFew(t *component.Task, ids int) error {
	p := defaults
	if err := t.Parameters(&p); err != nil {
		return err
	}
	least := max(t.Policy().PSI.MinIntersection, p.MinIntersection)
	switch {
	case ids >= max(least, 1):
		return nil
	case least <= 1:
		return openflow.Errorf(openflow.CodeInvalid, nothingShared).WithPublic(nothingShared)
	case least > t.Policy().PSI.MinIntersection:
		return openflow.Errorf(openflow.CodeRejected, "the intersection has %d ids, fewer than the %d that the job wants (min_intersection)", ids, least).
			WithHint("%s", alike).
			WithPublic("the intersection has fewer ids than the job wants at party %s (min_intersection)", t.Party().ID)
	}
	return openflow.Errorf(openflow.CodeRejected, "the intersection has %d ids, fewer than the %d that this site's policy wants", ids, least).
		WithHint("the owner of this site's data sets psi.min_intersection in policy.yaml (docs/policy.md); %s", alike).
		WithPublic("the intersection has fewer ids than the policy of party %s wants (psi.min_intersection)", t.Party().ID)
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

// points is a list of points in the chunks in which it travels. It grows with what has really been sent or received.
type points [][]byte

func (l points) at(i int) blind.Point {
	return blind.Point(l[i/chunkIDs][i%chunkIDs*blind.PointSize:][:blind.PointSize])
}

// sendPoints blinds id(0)…id(n−1), sends them to all of peers, chunk by chunk, and returns what it has sent.
func sendPoints(ctx context.Context, t *component.Task, key blind.Key, peers []openflow.Party, tag string, n int, id func(i int) string) (points, error) {
	var sent points
	err := chunks(n, func(lo, hi int) error {
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
		sent = append(sent, message)
		return nil
	})
	return sent, err
}

// receivePoints receives n points of peer, blinds them with key, and hands on each chunk: it becomes f's.
func receivePoints(ctx context.Context, t *component.Task, key blind.Key, peer openflow.Party, tag string, n int, f func(chunk []byte)) error {
	return chunks(n, func(lo, hi int) error {
		message, err := receiveChunk(ctx, t, peer, tag, hi-lo, blind.PointSize)
		if err != nil {
			return err
		}
		err = t.Parallel(ctx, hi-lo, func(i int) error {
			at := message[i*blind.PointSize:][:blind.PointSize]
			p, err := key.Raise(blind.Point(at))
			copy(at, p[:])
			return err
		})
		if err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "message %q from %s: %w", tag, peer, err).
				WithPublic("message %q from %s holds something that is not a point", tag, peer)
		}
		f(message)
		return nil
	})
}

// eachPoint visits the points of a chunk.
func eachPoint(chunk []byte, f func(blind.Point)) {
	for i := 0; i < len(chunk); i += blind.PointSize {
		f(blind.Point(chunk[i:][:blind.PointSize]))
	}
}

// sendTags sends n tags.
func sendTags(ctx context.Context, t *component.Task, peer openflow.Party, tag string, list []blind.Tag) error {
	return chunks(len(list), func(lo, hi int) error {
		message := make([]byte, 0, (hi-lo)*blind.TagSize)
		for _, tag := range list[lo:hi] {
			message = append(message, tag[:]...)
		}
		return t.Send(ctx, peer, tag, message)
	})
}

// receiveTags receives n tags.
func receiveTags(ctx context.Context, t *component.Task, peer openflow.Party, tag string, n int, f func(i int, tag blind.Tag) error) error {
	return chunks(n, func(lo, hi int) error {
		message, err := receiveChunk(ctx, t, peer, tag, hi-lo, blind.TagSize)
		if err != nil {
			return err
		}
		for i := range hi - lo {
			if err := f(lo+i, blind.Tag(message[i*blind.TagSize:][:blind.TagSize])); err != nil {
				return err
			}
		}
		return nil
	})
}

func receiveChunk(ctx context.Context, t *component.Task, peer openflow.Party, tag string, entries, size int) ([]byte, error) {
	message, err := t.ReceiveUpTo(ctx, peer, tag, entries*size)
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
