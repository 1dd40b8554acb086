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
	sent  points
}

// exchanged is what the guest knows of one host's list.
type exchanged struct {
	party  openflow.Party
	count  int     // of its ids
	raised points  // its points times the guest's key
	hits   []int32 // position in first → position in the host's list, or absent
}

func runGuest(ctx context.Context, t *component.Task, list ids, parties []openflow.Party) (arrangement, error) {
	g := &guest{task: t, ids: list}
	if err := g.order(); err != nil {
		return arrangement{}, err
	}
	hosts, err := g.greet(ctx, parties)
	if err != nil {
		return arrangement{}, err
	}
	if g.key, err = blind.NewKey(); err != nil {
		return arrangement{}, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		g.sent, err = sendPoints(groupCtx, t, g.key, parties, tagGuestPoints, len(g.first), func(i int) string { return list.match[g.first[i]] })
		return err
	})
	for _, h := range hosts {
		group.Go(func() error { return g.intersect(groupCtx, h) })
	}
	fault := group.Wait()
	var rows, shared []int32
	if fault == nil {
		rows, shared = g.intersection(hosts)
		fault = tooFew(t, len(shared))
	}
	for _, h := range hosts {
		if err := tell(ctx, t, h.party, fault); err != nil {
			return arrangement{}, first(fault, err)
		}
	}
	if fault != nil {
		return arrangement{}, fault
	}
	// Every host is checked before any of them learns a row.
	for _, h := range hosts {
		if err := g.verify(ctx, h, shared); err != nil {
			return arrangement{}, err
		}
	}
	for _, h := range hosts {
		if err := g.claim(ctx, h, rows); err != nil {
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

// greet agrees with every host to begin. A repeated id at a host ends the task here and there.
//
// Spec: fate-components §4.3 item 3.
func (g *guest) greet(ctx context.Context, parties []openflow.Party) ([]*exchanged, error) {
	var hosts []*exchanged
	var fault error
	for _, p := range parties {
		theirs, err := greet(ctx, g.task, p, hello{IDs: len(g.first), Rows: g.ids.rows()})
		if err != nil {
			// The other hosts still get their greeting, so that they can say what is wrong on their side.
			fault = first(fault, err)
			continue
		}
		if theirs.Repeated > 0 {
			fault = first(fault, repeatedIDs(p, theirs.Repeated).AsConsequence())
		}
		fault = first(fault, tooMany(g.task, p, theirs))
		hosts = append(hosts, &exchanged{party: p, count: theirs.IDs})
	}
	if len(g.first) == 0 {
		return nil, noRows(g.task)
	}
	for _, h := range hosts {
		if err := tell(ctx, g.task, h.party, fault); err != nil {
			return nil, first(fault, err)
		}
	}
	if fault != nil {
		return nil, fault
	}
	for _, h := range hosts {
		fault = first(fault, ask(ctx, g.task, h.party))
	}
	return hosts, fault
}

func repeatedIDs(host openflow.Party, n int) *openflow.Error {
	return openflow.Errorf(openflow.CodeInvalid, "duplicate match_id detect: %s has %d rows whose match id occurs before", host, n).
		WithPublic("the table of %s repeats match ids, which a host's may not", host).
		WithHint("a host's match ids must be unique; remove the repeated rows from its table")
}

// intersect finds which of the guest's ids a host has, if the host allows it once it knows how many they are.
func (g *guest) intersect(ctx context.Context, h *exchanged) error {
	var counts []blind.Tag
	err := receivePoints(ctx, g.task, g.key, h.party, tagHostPoints, h.count, func(chunk []byte) {
		h.raised = append(h.raised, chunk)
		eachPoint(chunk, func(p blind.Point) { counts = append(counts, p.Count()) })
	})
	if err != nil {
		return err
	}
	slices.SortFunc(counts, compareTags)
	if distinct := len(slices.Compact(slices.Clone(counts))); distinct < h.count {
		return repeatedIDs(h.party, h.count-distinct) // the host's own count said otherwise
	}
	if err := sendTags(ctx, g.task, h.party, tagCounts, counts); err != nil {
		return err
	}
	if err := ask(ctx, g.task, h.party); err != nil {
		return err
	}
	theirs := make(map[blind.Tag]int32, h.count) // all of whose points have come
	for c, chunk := range h.raised {
		i := int32(c * chunkIDs)
		eachPoint(chunk, func(p blind.Point) {
			theirs[p.Tag()] = i
			i++
		})
	}
	return receiveTags(ctx, g.task, h.party, tagGuestTags, len(g.first), func(_ int, tag blind.Tag) error {
		position, ok := theirs[tag]
		if !ok {
			position = absent
		}
		h.hits = append(h.hits, position)
		return nil
	})
}

// intersection returns the rows whose id all hosts have, in the order of their sample ids, and the positions of these
// ids in first.
func (g *guest) intersection(hosts []*exchanged) (rows, shared []int32) {
	everywhere := make([]bool, len(g.first))
	for i := range g.first {
		everywhere[i] = !slices.ContainsFunc(hosts, func(h *exchanged) bool { return h.hits[i] == absent })
		if everywhere[i] {
			shared = append(shared, int32(i))
		}
	}
	for row := range g.ids.rows() {
		if everywhere[g.place[row]] {
			rows = append(rows, int32(row))
		}
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return cmp.Compare(g.ids.sample[a], g.ids.sample[b]) })
	return rows, shared
}

// verify checks that a host has really blinded the guest's points where it says that it has the same id.
func (g *guest) verify(ctx context.Context, h *exchanged, shared []int32) error {
	v := newVerification(g.task)
	err := v.add(ctx, len(shared), func(i int) (mine, theirs blind.Point) {
		return g.sent.at(int(shared[i])), h.raised.at(int(h.hits[shared[i]]))
	})
	if err != nil {
		return err
	}
	return v.check(ctx, h.party)
}

// claim sends a host its part of the intersection, and answers what the host checks it by. An empty message is the end.
func (g *guest) claim(ctx context.Context, h *exchanged, rows []int32) error {
	proven := make([]bool, len(g.first))
	var message []byte
	for _, row := range rows {
		place := g.place[row]
		m := match{position: int(h.hits[place]), sampleID: g.ids.sample[row], proves: !proven[place]}
		if len(m.sampleID) > maxSampleID {
			return openflow.Errorf(openflow.CodeInvalid, "a sample id has %d bytes; psi takes up to %d", len(m.sampleID), maxSampleID).
				WithPublic("a sample id of the guest is longer than psi takes")
		}
		if m.proves {
			m.point, proven[place] = h.raised.at(m.position), true
		}
		if message = appendMatch(message, m); len(message) >= fullMatches {
			if err := g.task.Send(ctx, h.party, tagMatches, message); err != nil {
				return err
			}
			message = nil
		}
	}
	if len(message) > 0 {
		if err := g.task.Send(ctx, h.party, tagMatches, message); err != nil {
			return err
		}
	}
	if err := g.task.Send(ctx, h.party, tagMatches, nil); err != nil {
		return err
	}
	if err := ask(ctx, g.task, h.party); err != nil {
		return err
	}
	return answerOnce(ctx, g.task, g.key, h.party)
}
