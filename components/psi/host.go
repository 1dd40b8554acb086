package psi

import (
	"context"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

func runHost(ctx context.Context, t *component.Task, list ids, guest openflow.Party) (arrangement, error) {
	repeated := countRepeated(t, list)
	theirs, err := greet(ctx, t, guest, hello{IDs: list.rows(), Repeated: repeated})
	if err != nil {
		return arrangement{}, err
	}
	if list.rows() == 0 {
		return arrangement{}, noRows(t)
	}
	if repeated > 0 {
		return arrangement{}, repeatedIDs(t.Party(), repeated)
	}
	key, err := blind.NewKey()
	if err != nil {
		return arrangement{}, err
	}
	order, err := shuffled(list.rows())
	if err != nil {
		return arrangement{}, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		id := func(i int) string { return list.match[order[i]] }
		return sendPoints(groupCtx, t, key, []openflow.Party{guest}, tagHostPoints, list.rows(), id)
	})
	group.Go(func() error { return answerGuest(groupCtx, t, key, guest, theirs.IDs) })
	if err := group.Wait(); err != nil {
		return arrangement{}, err
	}
	return receiveMatches(ctx, t, guest, order)
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

// answerGuest blinds the guest's points a second time and sends their tags back, in the guest's order.
func answerGuest(ctx context.Context, t *component.Task, key blind.Key, guest openflow.Party, count int) error {
	return receivePoints(ctx, t, key, guest, tagGuestPoints, count, func(_ int, tags []blind.Tag) error {
		message := make([]byte, 0, len(tags)*blind.TagSize)
		for _, tag := range tags {
			message = append(message, tag[:]...)
		}
		return t.Send(ctx, guest, tagGuestTags, message)
	})
}

// receiveMatches learns the intersection: which rows, and the guest's sample ids for them.
func receiveMatches(ctx context.Context, t *component.Task, guest openflow.Party, order []int32) (arrangement, error) {
	result := newArrangement(len(order))
	for {
		message, err := t.Receive(ctx, guest, tagMatches)
		if err != nil {
			return arrangement{}, err
		}
		if len(message) == 0 {
			return result, nil
		}
		matches, err := decodeMatches(nil, message, len(order))
		if err != nil {
			return arrangement{}, err
		}
		for _, m := range matches {
			result.add(int(order[m.position]), m.sampleID)
		}
	}
}
