package psi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// talk is one side of the conversation, written for tests: it says what it likes.
type talk struct {
	*component.Task
	ctx  context.Context
	peer openflow.Party
	key  blind.Key
}

func (k talk) send(tag string, entries ...[]byte) error {
	return k.Send(k.ctx, k.peer, tag, bytes.Join(entries, nil))
}

func (k talk) receive(tag string, size int) ([][]byte, error) {
	message, err := k.Receive(k.ctx, k.peer, tag)
	return slices.Collect(slices.Chunk(message, max(size, 1))), err
}

// agree sends a greeting and the word to go on, and waits for those of the peer.
func (k talk) agree(ids, rows int) error {
	for _, note := range []struct {
		tag   string
		value any
	}{{"hello", object{"ids": ids, "rows": rows}}, {"consent", object{}}} {
		if err := k.SendJSON(k.ctx, k.peer, note.tag, note.value); err != nil {
			return err
		}
		if err := k.consent(note.tag); err != nil {
			return err
		}
	}
	return nil
}

func (k talk) consent(tag string) error {
	var note struct{ Refused string }
	if err := k.ReceiveJSON(k.ctx, k.peer, tag, &note); err != nil {
		return err
	}
	if note.Refused != "" {
		return fmt.Errorf("refused: %s", note.Refused)
	}
	return nil
}

type object = map[string]any

func (k talk) blind(ids []string) (list [][]byte, err error) {
	for _, id := range ids {
		p, err := k.key.Blind(id)
		if err != nil {
			return nil, err
		}
		list = append(list, p[:])
	}
	return list, nil
}

func (k talk) raise(list [][]byte) (raised []blind.Point, err error) {
	for _, p := range list {
		q, err := k.key.Raise(blind.Point(p))
		if err != nil {
			return nil, err
		}
		raised = append(raised, q)
	}
	return raised, nil
}

func (k talk) answer() error {
	question, err := k.receive("question", blind.PointSize)
	if err != nil {
		return err
	}
	answer, err := k.raise(question)
	if err != nil {
		return err
	}
	return k.send("answer", answer[0][:])
}

// claim is what a guest says of a position of the host's list.
type claim struct {
	position int
	sample   string
	point    *blind.Point // nil: this position has been claimed before
}

func (c claim) encode() []byte {
	out := binary.AppendUvarint(nil, uint64(c.position))
	out = binary.AppendUvarint(out, uint64(len(c.sample)))
	out = append(out, c.sample...)
	if c.point != nil {
		out = append(out, c.point[:]...)
	}
	return out
}

// known is what a guest knows before it claims anything.
type known struct {
	raised       []blind.Point // the host's points times the guest's key, by position
	shared, rest []int         // positions that match, and those that do not
}

// cheat is where a guest departs from the protocol; nil: it does not.
type cheat struct {
	hello  [2]int // ids and rows that it announces
	points func([][]byte) [][]byte
	counts func([][]byte) [][]byte
	claims func(known) []claim
	answer []byte
}

// cheatingGuest has ids and cheats.
func cheatingGuest(ids []string, c cheat) func(context.Context, *component.Task) error {
	return func(ctx context.Context, t *component.Task) (err error) {
		k := talk{Task: t, ctx: ctx, peer: host}
		if k.key, err = blind.NewKey(); err != nil {
			return err
		}
		if c.hello == [2]int{} {
			c.hello = [2]int{len(ids), len(ids)}
		}
		if err := k.agree(c.hello[0], c.hello[1]); err != nil {
			return err
		}
		mine, err := k.blind(ids)
		if err != nil {
			return err
		}
		if c.points != nil {
			mine = c.points(mine)
		}
		if err := k.send("guest_points", mine...); err != nil {
			return err
		}
		theirs, err := k.receive("host_points", blind.PointSize)
		if err != nil {
			return err
		}
		raised, err := k.raise(theirs)
		if err != nil {
			return err
		}
		var counts [][]byte
		for _, p := range raised {
			tag := p.Count()
			counts = append(counts, tag[:])
		}
		slices.SortFunc(counts, bytes.Compare)
		if c.counts != nil {
			counts = c.counts(counts)
		}
		if err := k.send("counts", counts...); err != nil {
			return err
		}
		if err := k.consent("consent"); err != nil {
			return err
		}
		tags, err := k.receive("guest_tags", blind.TagSize)
		if err != nil {
			return err
		}
		knows := known{raised: raised}
		var pairs blind.Pairs
		for position, p := range raised {
			tag := p.Tag()
			i := slices.IndexFunc(tags, func(t []byte) bool { return bytes.Equal(t, tag[:]) })
			if i < 0 {
				knows.rest = append(knows.rest, position)
				continue
			}
			knows.shared = append(knows.shared, position)
			if err := pairs.Add(blind.Point(mine[i]), p); err != nil {
				return err
			}
		}
		if err := k.SendJSON(ctx, host, "consent", object{}); err != nil {
			return err
		}
		question, want, err := pairs.Question()
		if err != nil {
			return err
		}
		if err := k.send("question", question[:]); err != nil {
			return err
		}
		answer, err := k.receive("answer", blind.PointSize)
		if err != nil {
			return err
		}
		if err := want.Check(blind.Point(answer[0])); err != nil {
			return err
		}
		claims := honest(knows)
		if c.claims != nil {
			claims = c.claims(knows)
		}
		for _, claim := range claims {
			if err := k.send("matches", claim.encode()); err != nil {
				return err
			}
		}
		if err := k.send("matches"); err != nil {
			return err
		}
		if err := k.consent("consent"); err != nil {
			return err
		}
		if c.answer != nil {
			if _, err := k.receive("question", blind.PointSize); err != nil {
				return err
			}
			return k.send("answer", c.answer)
		}
		return k.answer()
	}
}

// honest claims what is shared.
func honest(k known) (claims []claim) {
	for i, position := range k.shared {
		claims = append(claims, claim{position, fmt.Sprint("s", i), &k.raised[position]})
	}
	return claims
}

// play runs psi with one party's side replaced.
func play(t *testing.T, c componenttest.Case, cheater openflow.Party, side func(context.Context, *component.Task) error) *componenttest.Result {
	t.Helper()
	fair := c.Component.Run
	c.Component.Run = func(ctx context.Context, t *component.Task) error {
		if t.Party() != cheater {
			return fair(ctx, t)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return side(ctx, t)
	}
	node := componenttest.NewNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := node.Start(ctx, c)
	if cheater == guest {
		waitFor(t, e, host, cheater)
	} else {
		waitFor(t, e, guest, cheater)
	}
	return e.Wait()
}

// waitFor ends the cheater's run once the other party's has ended, as a node does.
func waitFor(t *testing.T, e *componenttest.Started, fair, cheater openflow.Party) {
	t.Helper()
	e.Ended(fair)
	e.Stop(cheater)
}

func TestHostChecksWhatTheGuestClaims(t *testing.T) {
	const (
		few     = "claims more than the 3 rows that it has announced"
		foreign = "claims an id to be shared that it has not brought"
		wrong   = "ids that are claimed to be shared are not"
	)
	for name, tc := range map[string]struct {
		cheat cheat
		want  string // empty: the host succeeds
	}{
		"nothing": {cheat{}, ""},
		"a row that is not shared": {cheat{claims: func(k known) []claim {
			return append(honest(k), claim{k.rest[0], "x", &k.raised[k.rest[0]]})
		}}, foreign},
		"rows that are not shared, with the points of those that are": {cheat{claims: func(k known) []claim {
			return []claim{{k.rest[0], "x", &k.raised[k.shared[0]]}, {k.rest[1], "y", &k.raised[k.shared[1]]}}
		}}, wrong},
		"one such row beside right ones": {cheat{claims: func(k known) []claim {
			return append(honest(k)[1:], claim{k.rest[0], "x", &k.raised[k.shared[0]]})
		}}, wrong},
		"shared rows exchanged": {cheat{claims: func(k known) []claim {
			return []claim{{k.shared[0], "x", &k.raised[k.shared[1]]}, {k.shared[1], "y", &k.raised[k.shared[0]]}}
		}}, wrong},
		"an answer that is none": {cheat{answer: make([]byte, blind.PointSize)}, wrong},
		"a point that is none": {cheat{claims: func(k known) []claim {
			return []claim{{k.shared[0], "x", &blind.Point{}}}
		}}, foreign},
		"a position that was not sent": {cheat{claims: func(k known) []claim {
			return []claim{{1 << 40, "x", &k.raised[0]}}
		}}, "names a position that was not sent"},
		"more rows than announced": {cheat{claims: func(k known) []claim {
			list := honest(k)
			for range 3 {
				list = append(list, claim{k.shared[0], "again", nil})
			}
			return list
		}}, few},
		"nothing at all":                 {cheat{claims: func(known) []claim { return nil }}, "the parties have no id in common"},
		"a count made larger by repeats": {cheat{counts: func(l [][]byte) [][]byte { l[1] = l[0]; return l }}, "is not in order"},
		"a count made smaller": {cheat{counts: func(l [][]byte) [][]byte {
			for i := range l {
				l[i] = bytes.Repeat([]byte{byte(i)}, blind.TagSize)
			}
			return l
		}}, "the parties have no id in common"},
		"a count of other length": {cheat{counts: func(l [][]byte) [][]byte { return l[1:] }}, "has 64 bytes, not 80"},
		"points that are none":    {cheat{points: func(l [][]byte) [][]byte { l[0] = make([]byte, blind.PointSize); return l }}, "is not a point of P-256"},
		"fewer points than announced": {
			cheat{hello: [2]int{4, 4}}, "has 99 bytes, not 132",
		},
		"more points than announced":   {cheat{hello: [2]int{2, 3}}, "has more than 66 bytes"},
		"more ids than are allowed":    {cheat{hello: [2]int{3, 1_000_000_000}}, "more than the 100000000"},
		"fewer rows than ids":          {cheat{hello: [2]int{1_000_000_000, 3}}, "brings 1000000000 ids"},
		"fewer rows than none":         {cheat{hello: [2]int{3, -3}}, "brings 3 ids in -3 rows"},
		"as many as there are numbers": {cheat{hello: [2]int{math.MaxInt, math.MaxInt}}, "more than the 100000000"},
		"the smallest number":          {cheat{hello: [2]int{math.MinInt, math.MinInt}}, "has no rows"},
		"a position that is negative":  {cheat{claims: func(k known) []claim { return []claim{{-1, "x", &k.raised[0]}} }}, "names a position that was not sent"},
		"a sample id that is no text":  {cheat{claims: func(k known) []claim { return []claim{{k.shared[0], "cut \xe6\x97", &k.raised[k.shared[0]]}} }}, "no text"},
		"a sample id of any length": {cheat{claims: func(k known) []claim {
			return []claim{{k.shared[0], strings.Repeat("x", 100_000), &k.raised[k.shared[0]]}}
		}}, "breaks off"},
		"the same point for every id": {cheat{points: func(l [][]byte) [][]byte { return [][]byte{l[0], l[0], l[0]} }, claims: func(k known) []claim {
			return []claim{{k.shared[0], "x", &k.raised[k.shared[0]]}, {k.rest[0], "y", &k.raised[k.shared[0]]}}
		}}, wrong},
		"points off the curve":            {cheat{points: func(l [][]byte) [][]byte { l[0] = append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...); return l }}, "is not a point of P-256"},
		"points in another form":          {cheat{points: func(l [][]byte) [][]byte { l[0] = append([]byte{4}, l[0][1:]...); return l }}, "is not a point of P-256"},
		"fewer ids than none":             {cheat{hello: [2]int{-1, 3}}, "has no rows"},
		"a great many that are not there": {cheat{hello: [2]int{90_000_000, 90_000_000}}, "has 99 bytes, not 540672"},
	} {
		t.Run(name, func(t *testing.T) {
			inputs := map[openflow.Party]*tables.Frame{
				guest: table("g", true, "0=unused"), host: table("h", false, "1=a", "2=b", "3=secret", "4=hidden", "5=other"),
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := play(t, newCase(inputs), guest, cheatingGuest([]string{"a", "b", "mine"}, tc.cheat))
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20), "nothing is allocated for what has only been announced")
			got := r.Parties[host]
			if tc.want == "" {
				require.Equal(t, openflow.TaskSuccess, got.Status, got.Error)
				require.Equal(t, 2, r.Table(host, "output_data").Rows())
				return
			}
			require.Equal(t, openflow.TaskFailed, got.Status)
			require.Contains(t, got.Error, tc.want)
			require.Empty(t, r.Tables(host, "output_data"))
			for _, id := range []string{"secret", "hidden", "other"} {
				require.NotContains(t, got.Error, id)
			}
		})
	}
}

// A host that says that it has the guest's ids must have blinded these, and learns nothing otherwise.
func TestGuestChecksWhatTheHostSays(t *testing.T) {
	lies := map[string]func(tags []blind.Tag) []blind.Tag{
		"nothing":           func(tags []blind.Tag) []blind.Tag { return tags },
		"tags moved by one": func(tags []blind.Tag) []blind.Tag { return append(tags[1:], tags[0]) },
		"one tag for all": func(tags []blind.Tag) []blind.Tag {
			for i := range tags {
				tags[i] = tags[0]
			}
			return tags
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			inputs := map[openflow.Party]*tables.Frame{
				guest: table("g", true, "s1=a", "s2=b", "s3=only", "s4=mine"), host: table("h", false, "1=unused"),
			}
			r := play(t, newCase(inputs), host, func(ctx context.Context, task *component.Task) (err error) {
				k := talk{Task: task, ctx: ctx, peer: guest}
				if k.key, err = blind.NewKey(); err != nil {
					return err
				}
				if err := k.agree(2, 2); err != nil {
					return err
				}
				mine, err := k.blind([]string{"a", "b"})
				if err != nil {
					return err
				}
				if err := k.send("host_points", mine...); err != nil {
					return err
				}
				theirs, err := k.receive("guest_points", blind.PointSize)
				if err != nil {
					return err
				}
				raised, err := k.raise(theirs)
				if err != nil {
					return err
				}
				counts, err := k.receive("counts", blind.TagSize)
				if err != nil {
					return err
				}
				var shared, tags []blind.Tag // shared first, so that a lie always concerns one of them
				for _, p := range raised {
					count := p.Count()
					if slices.ContainsFunc(counts, func(c []byte) bool { return bytes.Equal(c, count[:]) }) {
						shared = append(shared, p.Tag())
					}
					tags = append(tags, p.Tag())
				}
				if len(shared) != 2 {
					return fmt.Errorf("%d ids are counted", len(shared))
				}
				if name == "one tag for all" {
					tags = append(shared[:1], make([]blind.Tag, len(tags)-1)...)
				}
				if err := k.SendJSON(ctx, guest, "consent", object{}); err != nil {
					return err
				}
				var list [][]byte
				for _, tag := range lie(tags) {
					list = append(list, slices.Clone(tag[:]))
				}
				if err := k.send("guest_tags", list...); err != nil {
					return err
				}
				if err := k.consent("consent"); err != nil {
					return err
				}
				if err := k.answer(); err != nil {
					return err
				}
				for {
					message, err := k.Receive(ctx, guest, "matches")
					if err != nil {
						return err
					}
					if len(message) == 0 {
						break
					}
				}
				if err := k.SendJSON(ctx, guest, "consent", object{}); err != nil {
					return err
				}
				var pairs blind.Pairs
				if err := pairs.Add(blind.Point(mine[0]), blind.Point(mine[0])); err != nil {
					return err
				}
				question, _, err := pairs.Question()
				if err != nil {
					return err
				}
				return k.send("question", question[:])
			})
			got := r.Parties[guest]
			if name == "nothing" {
				require.Equal(t, []string{"s1=a 0", "s2=b 1"}, rows(r.Table(guest, "output_data")), got.Error)
				return
			}
			require.Equal(t, openflow.TaskFailed, got.Status)
			require.Contains(t, got.Error, "host 10000: ids that are claimed to be shared are not")
			require.False(t, passed(r, "matches"), "the host has learnt nothing of the guest's rows")
		})
	}
}

// passed reports whether a message of that tag was sent.
func passed(r *componenttest.Result, tag string) bool {
	return slices.ContainsFunc(r.Messages(), func(m componenttest.Message) bool { return strings.HasSuffix(m.Topic, "~"+tag) })
}

// A site's policy holds whoever submits, and is enforced before the other party learns what it protects.
func TestPolicy(t *testing.T) {
	inputs := func() map[openflow.Party]*tables.Frame {
		return map[openflow.Party]*tables.Frame{
			guest: table("g", true, "1=a", "2=b", "3=c", "3=c"), host: table("h", false, "1=a", "2=b", "3=x", "4=y", "5=z"),
		}
	}
	for name, tc := range map[string]struct {
		at     openflow.Party
		policy openflow.PSIPolicy
		want   map[openflow.Party]string
		unsent []string
	}{
		"the host takes fewer ids than the guest has": {
			host, openflow.PSIPolicy{MaxPartnerIDs: 3, MinIntersection: 1},
			map[openflow.Party]string{
				host:  "guest 9999 brings 3 ids in 4 rows, more than the 3 that this site's policy takes from a partner",
				guest: "host 10000 ends the intersection: the policy of party 10000 (psi.max_partner_ids) allows a partner fewer ids than that",
			}, []string{"host_points", "guest_points"},
		},
		"the guest takes fewer ids than the host has": {
			guest, openflow.PSIPolicy{MaxPartnerIDs: 4, MinIntersection: 1},
			map[openflow.Party]string{guest: "host 10000 brings 5 ids", host: "guest 9999 ends the intersection: the policy of party 9999"},
			[]string{"host_points", "guest_points"},
		},
		"the host wants more shared ids": {
			host, openflow.PSIPolicy{MaxPartnerIDs: 100, MinIntersection: 3},
			map[openflow.Party]string{
				host:  "the intersection has 2 ids, fewer than the 3 that this site's policy wants",
				guest: "host 10000 ends the intersection: the intersection has fewer ids than the policy of party 10000 wants (psi.min_intersection)",
			}, []string{"guest_tags", "matches"},
		},
		"the guest wants more shared ids": {
			guest, openflow.PSIPolicy{MaxPartnerIDs: 100, MinIntersection: 3},
			map[openflow.Party]string{guest: "the intersection has 2 ids", host: "guest 9999 ends the intersection: the intersection has fewer ids"},
			[]string{"matches"},
		},
		"both get what they want": {host, openflow.PSIPolicy{MaxPartnerIDs: 4, MinIntersection: 2}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCase(inputs())
			p := openflow.DefaultPolicy()
			p.PSI = tc.policy
			c.Policies = map[openflow.Party]openflow.Policy{tc.at: p}
			r := componenttest.Run(t, c)
			if tc.want == nil {
				require.Equal(t, 2, r.Table(host, "output_data").Rows())
				return
			}
			for party, want := range tc.want {
				require.Equal(t, openflow.TaskFailed, r.Parties[party].Status)
				require.Contains(t, r.Parties[party].Error, want)
				require.Empty(t, r.Tables(party, "output_data"))
			}
			for _, tag := range tc.unsent {
				require.False(t, passed(r, tag), tag)
			}
		})
	}
}

// Of several hosts, each counts for itself; what all share may be fewer, and is refused before the hosts learn rows.
// A minimum hides who is there: a table of one id is answered alike whether the host has that id or not.
func TestMinimumHidesWhoIsThere(t *testing.T) {
	told := func(id string) *componenttest.PartyResult {
		c := newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, "1="+id), host: table("h", false, "1=a", "2=b", "3=c")})
		p := openflow.DefaultPolicy()
		p.PSI.MinIntersection = 2
		c.Policies = map[openflow.Party]openflow.Policy{host: p}
		r := componenttest.Run(t, c)
		require.Contains(t, r.Parties[host].Error, "fewer than the 2 that this site's policy wants")
		require.NotContains(t, fmt.Sprint(r.Parties[host].Cause), "no id in common")
		require.NotEmpty(t, r.Parties[guest].Error)
		return r.Parties[guest]
	}
	there, absent := told("a"), told("nobody")
	require.Equal(t, there.Error, absent.Error)
	require.Equal(t, there.Cause, absent.Cause)
	require.Equal(t, there.Warnings, absent.Warnings)
	require.Equal(t, there.Metrics, absent.Metrics)
}

func TestPolicyWithTwoHosts(t *testing.T) {
	c := newCase(map[openflow.Party]*tables.Frame{
		guest:  table("g", true, "1=a", "2=b", "3=c"),
		host:   table("h", false, "1=a", "2=b"),
		second: table("k", false, "1=b", "2=c"),
	})
	p := openflow.DefaultPolicy()
	p.PSI.MinIntersection = 2
	c.Policies = map[openflow.Party]openflow.Policy{second: p}
	r := componenttest.Run(t, c)
	require.Contains(t, r.Parties[second].Error, "the intersection has 1 ids, fewer than the 2")
	require.Empty(t, r.Tables(second, "output_data"))

	c.Policies = map[openflow.Party]openflow.Policy{guest: p}
	r = componenttest.Run(t, c)
	for _, party := range []openflow.Party{guest, host, second} {
		require.Contains(t, r.Parties[party].Error, "the intersection has")
		require.Empty(t, r.Tables(party, "output_data"))
	}
	require.False(t, passed(r, "matches"))
}
