package psi

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// absent marks an id that a host does not have.
const absent = -1

// guest is the guest's side of one run.
type guest struct {
	task  *component.Task
	key   blind.Key
	ids   ids
	first []int32 // the distinct match ids: the first row of each, in the secret order in which they are sent
	place []int32 // row → position of its id in first
}

func runGuest(ctx context.Context, t *component.Task, list ids, hosts []openflow.Party) (arrangement, error) {
	g := &guest{task: t, ids: list}
	if err := g.order(); err != nil {
		return arrangement{}, err
	}
	counts, err := g.greet(ctx, hosts)
	if err != nil {
		return arrangement{}, err
	}
	if g.key, err = blind.NewKey(); err != nil {
		return arrangement{}, err
	}
	hits := make([][]int32, len(hosts)) // [host][position in first] → position in the host's list
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return sendPoints(groupCtx, t, g.key, hosts, tagGuestPoints, len(g.first), func(i int) string { return list.match[g.first[i]] })
	})
	for h, host := range hosts {
		group.Go(func() (err error) {
			hits[h], err = g.intersect(groupCtx, host, counts[h])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return arrangement{}, err
	}
	rows := g.intersection(hits)
	for h, host := range hosts {
		if err := g.tell(ctx, host, rows, hits[h]); err != nil {
			return arrangement{}, err
		}
	}
	result := newArrangement(list.rows())
	for _, row := range rows {
		result.add(int(row), list.sample[row])
	}
	return result, nil
}

// order finds the distinct match ids and shuffles them.
func (g *guest) order() error {
	seen := make(map[string]int32, g.ids.rows())
	var distinct []int32
	for row, id := range g.ids.match {
		if _, ok := seen[id]; !ok {
			seen[id] = int32(row)
			distinct = append(distinct, int32(row))
		}
	}
	permutation, err := shuffled(len(distinct))
	if err != nil {
		return err
	}
	g.first = make([]int32, len(distinct))
	g.place = make([]int32, g.ids.rows())
	for position, i := range permutation {
		g.first[position] = distinct[i]
		g.place[distinct[i]] = int32(position)
	}
	for row, id := range g.ids.match {
		g.place[row] = g.place[seen[id]]
	}
	return nil
}

// greet returns how many ids each host has. A repeated id at a host ends the task here and there.
//
// Spec: fate-components §4.3 item 3.
func (g *guest) greet(ctx context.Context, hosts []openflow.Party) ([]int, error) {
	counts := make([]int, len(hosts))
	var fault error
	for h, host := range hosts {
		theirs, err := greet(ctx, g.task, host, hello{IDs: len(g.first)})
		if err != nil {
			// The other hosts still get their greeting, so that they can say what is wrong on their side.
			fault = cmp.Or(fault, err)
			continue
		}
		if theirs.Repeated > 0 {
			fault = cmp.Or(fault, error(repeatedIDs(host, theirs.Repeated).AsConsequence()))
		}
		counts[h] = theirs.IDs
	}
	if len(g.first) == 0 {
		return nil, noRows(g.task)
	}
	return counts, fault
}

func repeatedIDs(host openflow.Party, n int) *openflow.Error {
	return openflow.Errorf(openflow.CodeInvalid, "duplicate match_id detect: %s has %d rows whose match id occurs before", host, n).
		WithPublic("the table of %s repeats match ids, which a host's may not", host).
		WithHint("a host's match ids must be unique; remove the repeated rows from its table")
}

// intersect returns, for every position in first, the position of the same id in the host's list, or absent.
func (g *guest) intersect(ctx context.Context, host openflow.Party, count int) ([]int32, error) {
	theirs := make(map[blind.Tag]int32, count)
	mine := make([]blind.Tag, len(g.first))
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return receivePoints(groupCtx, g.task, g.key, host, tagHostPoints, count, func(lo int, tags []blind.Tag) error {
			for i, tag := range tags {
				theirs[tag] = int32(lo + i)
			}
			return nil
		})
	})
	group.Go(func() error {
		return chunks(len(mine), func(lo, hi int) error {
			message, err := receiveChunk(groupCtx, g.task, host, tagGuestTags, hi-lo, blind.TagSize)
			if err != nil {
				return err
			}
			for i := range mine[lo:hi] {
				mine[lo+i] = blind.Tag(message[i*blind.TagSize:][:blind.TagSize])
			}
			return nil
		})
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if len(theirs) < count {
		return nil, repeatedIDs(host, count-len(theirs)) // the host's own count said otherwise
	}
	hits := make([]int32, len(mine))
	for i, tag := range mine {
		hits[i] = absent
		if position, ok := theirs[tag]; ok {
			hits[i] = position
		}
	}
	return hits, nil
}

// intersection returns the rows whose id all hosts have, in the order of their sample ids.
func (g *guest) intersection(hits [][]int32) []int32 {
	var rows []int32
	for row := range g.ids.rows() {
		everywhere := !slices.ContainsFunc(hits, func(h []int32) bool { return h[g.place[row]] == absent })
		if everywhere {
			rows = append(rows, int32(row))
		}
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return cmp.Compare(g.ids.sample[a], g.ids.sample[b]) })
	return rows
}

// tell sends host its part of the intersection. An empty message is the end.
func (g *guest) tell(ctx context.Context, host openflow.Party, rows, hits []int32) error {
	err := chunks(len(rows), func(lo, hi int) error {
		matches := make([]match, 0, hi-lo)
		for _, row := range rows[lo:hi] {
			matches = append(matches, match{position: int(hits[g.place[row]]), sampleID: g.ids.sample[row]})
		}
		return g.task.Send(ctx, host, tagMatches, encodeMatches(matches))
	})
	if err != nil {
		return err
	}
	return g.task.Send(ctx, host, tagMatches, nil)
}
