package psi

import (
	"bytes"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// host is the host's side of one run.
type host struct {
	task   *component.Task
	guest  openflow.Party
	key    blind.Key
	order  []int32 // position in the list that is sent → row
	sent   points
	tags   []blind.Tag // of the guest's ids, in the guest's order
	counts []blind.Tag // of the same ids, sorted
}

func runHost(ctx context.Context, t *component.Task, list ids, guest openflow.Party) (arrangement, error) {
	h := &host{task: t, guest: guest}
	theirs, err := h.greet(ctx, list)
	if err != nil {
		return arrangement{}, err
	}
	if h.key, err = blind.NewKey(); err != nil {
		return arrangement{}, err
	}
	if h.order, err = shuffled(list.rows()); err != nil {
		return arrangement{}, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		id := func(i int) string { return list.match[h.order[i]] }
		h.sent, err = sendPoints(groupCtx, t, h.key, []openflow.Party{guest}, tagHostPoints, list.rows(), id)
		return err
	})
	group.Go(func() error {
		return receivePoints(groupCtx, t, h.key, guest, tagGuestPoints, theirs.IDs, func(chunk []byte) {
			eachPoint(chunk, func(p blind.Point) { h.tags, h.counts = append(h.tags, p.Tag()), append(h.counts, p.Count()) })
		})
	})
	if err := group.Wait(); err != nil {
		return arrangement{}, err
	}
	if err := h.answer(ctx); err != nil {
		return arrangement{}, err
	}
	return h.receiveMatches(ctx, theirs.Rows)
}

// greet agrees with the guest to begin, or not to.
func (h *host) greet(ctx context.Context, list ids) (hello, error) {
	repeated := countRepeated(h.task, list)
	theirs, err := greet(ctx, h.task, h.guest, hello{IDs: list.rows(), Rows: list.rows(), Repeated: repeated})
	if err != nil {
		return hello{}, err
	}
	if list.rows() == 0 {
		return hello{}, noRows(h.task)
	}
	if repeated > 0 {
		return hello{}, repeatedIDs(h.task.Party(), repeated)
	}
	fault := tooMany(h.task, h.guest, theirs)
	if err := tell(ctx, h.task, h.guest, fault); err != nil || fault != nil {
		return hello{}, first(fault, err)
	}
	return theirs, ask(ctx, h.task, h.guest)
}

// first is the first error that is one.
func first(list ...error) error {
	i := slices.IndexFunc(list, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return list[i]
}

// countRepeated counts the rows whose id has occurred before. The first such id goes into this party's log.
func countRepeated(t *component.Task, list ids) int {
	seen := make(map[string]bool, list.rows())
	repeated := 0
	for _, id := range list.match {
		if seen[id] {
			if repeated == 0 {
				t.Log().Error("match id occurs more than once", "match_id", id)
			}
			repeated++
		}
		seen[id] = true
	}
	return repeated
}

// answer counts the ids that both have, and tells the guest which of its ids these are only when they are enough.
func (h *host) answer(ctx context.Context) error {
	shared, err := h.count(ctx)
	if err != nil {
		return err
	}
	fault := tooFew(h.task, shared)
	if err := tell(ctx, h.task, h.guest, fault); err != nil || fault != nil {
		return first(fault, err)
	}
	if err := sendTags(ctx, h.task, h.guest, tagGuestTags, h.tags); err != nil {
		return err
	}
	h.tags = nil
	if err := ask(ctx, h.task, h.guest); err != nil {
		return err
	}
	return answerOnce(ctx, h.task, h.key, h.guest)
}

// count compares what the guest has made of this host's list with what this host has made of the guest's. Both are
// sorted, so it learns how many ids they share and not which. A guest that repeats an entry, to be counted more often,
// is refused.
func (h *host) count(ctx context.Context) (shared int, err error) {
	slices.SortFunc(h.counts, compareTags)
	var last blind.Tag
	next := 0
	err = receiveTags(ctx, h.task, h.guest, tagCounts, len(h.order), func(i int, tag blind.Tag) error {
		if i > 0 && compareTags(last, tag) >= 0 {
			return openflow.Errorf(openflow.CodeInvalid, "message %q from %s is not in order", tagCounts, h.guest).
				WithPublic("message %q from %s is not in order", tagCounts, h.guest)
		}
		last = tag
		for next < len(h.counts) && compareTags(h.counts[next], tag) < 0 {
			next++
		}
		if next < len(h.counts) && h.counts[next] == tag {
			shared++
		}
		return nil
	})
	return shared, err
}

func compareTags(a, b blind.Tag) int { return bytes.Compare(a[:], b[:]) }

// receiveMatches learns the intersection: which rows, and the guest's sample ids for them.
func (h *host) receiveMatches(ctx context.Context, atMost int) (arrangement, error) {
	verification := newVerification(h.task)
	result, fault := h.readMatches(ctx, atMost, verification)
	if err := tell(ctx, h.task, h.guest, fault); err != nil || fault != nil {
		return arrangement{}, first(fault, err)
	}
	return result, verification.check(ctx, h.guest)
}

// readMatches reads what the guest claims. The guest shows for every row that it has blinded this host's point and that
// the result is one of its own ids; what it cannot show, it may not claim.
func (h *host) readMatches(ctx context.Context, atMost int, v *verification) (arrangement, error) {
	result, proven, ids := newArrangement(len(h.order)), make([]bool, len(h.order)), 0
	for {
		message, err := h.task.ReceiveUpTo(ctx, h.guest, tagMatches, maxMatches)
		if err != nil {
			return arrangement{}, err
		}
		if len(message) == 0 {
			return result, tooFew(h.task, ids)
		}
		matches, err := decodeMatches(message, proven)
		if err != nil {
			return arrangement{}, err
		}
		var claims []match
		for _, m := range matches {
			if m.proves {
				claims = append(claims, m)
			}
			result.add(int(h.order[m.position]), m.sampleID)
		}
		if ids += len(claims); result.rows() > atMost {
			return arrangement{}, openflow.Errorf(openflow.CodeInvalid, "%s claims more than the %d rows that it has announced", h.guest, atMost).
				WithPublic("%s claims more rows than it has announced", h.guest)
		}
		if err := h.verify(ctx, v, claims); err != nil {
			return arrangement{}, err
		}
	}
}

func (h *host) verify(ctx context.Context, v *verification, claims []match) error {
	for _, m := range claims {
		if _, ok := slices.BinarySearchFunc(h.counts, m.point.Count(), compareTags); !ok {
			return openflow.Errorf(openflow.CodeInvalid, "%s claims an id to be shared that it has not brought", h.guest).
				WithPublic("%s claims ids to be shared that are not", h.guest)
		}
	}
	err := v.add(ctx, len(claims), func(i int) (mine, theirs blind.Point) { return h.sent.at(claims[i].position), claims[i].point })
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "message %q from %s: %w", tagMatches, h.guest, err).
			WithPublic("message %q from %s holds something that is not a point", tagMatches, h.guest)
	}
	return nil
}
