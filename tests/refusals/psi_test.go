package refusals_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"openflow"
	"openflow/components/psi"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// noneShared is what everybody reads where nothing is shared and no policy hides that.
const noneShared = "the parties have no id in common (see that the match ids of all parties are written alike: leading zeros, a trailing .0, blanks, capitals)"

// intersecting is a job of psi in which no party shares an id with another one.
func intersecting(parties ...openflow.Party) componenttest.Case {
	frames := map[openflow.Party]*tables.Frame{}
	for _, p := range parties {
		f := marked(p, 5, 2, p.Role == openflow.RoleGuest)
		for i := range f.SampleID {
			f.SampleID[i] = f.MatchID[i] + "-sample"
		}
		frames[p] = f
	}
	return componenttest.Case{Component: psi.Component(), Parties: parties, Inputs: inputs("input_data", frames)}
}

func psiCases() []refusalCase {
	run := intersecting
	with := func(c componenttest.Case, change func(g, h *tables.Frame)) componenttest.Case {
		change(c.Inputs[guest].Data["input_data"], c.Inputs[host].Data["input_data"])
		return c
	}
	parameters := func(o object) componenttest.Case { c := run(guest, host); c.Parameters = o; return c }
	allows := func(p openflow.Party, change func(*openflow.PSIPolicy), c componenttest.Case) componenttest.Case {
		policy := openflow.DefaultPolicy()
		change(&policy.PSI)
		c.Policies = map[openflow.Party]openflow.Policy{p: policy}
		return c
	}
	none := func(f *tables.Frame) { *f = *f.Take(nil) }
	say := func(to openflow.Party, tag string, payload []byte) script {
		return func(ctx context.Context, t *component.Task) error { return t.Send(ctx, to, tag, payload) }
	}
	hostile := func(c cheat) map[openflow.Party]script { return map[openflow.Party]script{guest: c.run} }
	twoGuests := run(guest, host)
	twoGuests.Parties = []openflow.Party{guest, {Role: openflow.RoleGuest, ID: "10003"}, host}
	twoGuests.Inputs[twoGuests.Parties[1]] = twoGuests.Inputs[guest]
	repeats := func(g, h *tables.Frame) { h.MatchID[3] = h.MatchID[1] }
	noHost := with(run(guest, host), func(g, h *tables.Frame) { none(h) })
	one := func(g, h *tables.Frame) { h.MatchID[0] = g.MatchID[0] }
	apart := with(run(guest, host, second), one) // the guest shares an id with each host, and not the same one
	apart.Inputs[second].Data["input_data"].MatchID[4] = apart.Inputs[guest].Data["input_data"].MatchID[4]
	atLeast3 := func(p *openflow.PSIPolicy) { p.MinIntersection = 3 }
	atMost4 := func(p *openflow.PSIPolicy) { p.MaxPartnerIDs = 4 }
	few, many := allows(host, atLeast3, with(run(guest, host), one)), allows(guest, atMost4, run(guest, host))
	wanted := with(run(guest, host), one)
	wanted.Parameters = object{"min_intersection": 3}
	long := with(run(guest, host), one)
	long.Inputs[guest].Data["input_data"].SampleID[0] = strings.Repeat("marked", 20_000)
	broken := "message \"host_points\" from host 10000 has another length than it should"
	empty := "input of host 10000 has no rows: there is nothing to intersect"
	repeated := "the table of host 10000 repeats match ids, which a host's may not"
	invalid := "the guest's list of matches is not valid"
	claimed := "guest 9999 claims ids to be shared that are not"
	return []refusalCase{
		{name: "psi: protocol", c: parameters(object{"protocol": "marked-protocol"}), by: host, want: "PSI protocol=marked-protocol",
			public: "psi does not offer that protocol", too: everybody},
		{name: "psi: curve", c: parameters(object{"curve_type": "marked-curve"}), by: host, want: `curve_type "marked-curve"`,
			public: "psi does not offer that curve", too: everybody},
		{name: "psi: two guests", c: twoGuests, by: host, want: "2 guests and 1 hosts", public: "psi needs one guest and at least one host",
			too: twoGuests.Parties},
		{name: "psi: nothing in common", c: run(guest, host), by: host, want: "no id in common", public: noneShared},
		{name: "psi: nothing in common, at the guest", c: run(guest, host), by: guest, want: "ends the intersection: the parties have no id in common",
			ctx: true, public: "host 10000 ends the intersection, its own task says why"},
		{name: "psi: nothing in common of three", c: apart, by: guest, want: "no id in common", public: noneShared},
		{name: "psi: fewer than the job wants", c: wanted, by: host, want: "has 1 ids, fewer than the 3 that the job wants",
			public: "the intersection has fewer ids than the job wants at party 10000 (min_intersection)"},
		{name: "psi: little in common", c: few, by: host, want: "has 1 ids, fewer than the 3",
			public: "the intersection has fewer ids than the policy of party 10000 wants (psi.min_intersection)"},
		{name: "psi: little in common, at the guest", c: few, by: guest, want: "host 10000 ends the intersection", ctx: true,
			public: "host 10000 ends the intersection, its own task says why"},
		{name: "psi: many ids", c: many, by: guest, want: "host 10000 brings 5 ids in 5 rows, more than the 4",
			public: "the policy of party 9999 (psi.max_partner_ids) allows a partner fewer ids than that"},
		{name: "psi: many ids, at the host", c: many, by: host, want: "guest 9999 ends the intersection", ctx: true,
			public: "guest 9999 ends the intersection, its own task says why"},
		{name: "psi: guest without rows", c: with(run(guest, host), func(g, _ *tables.Frame) { none(g) }), by: guest, want: "has no rows",
			public: "input of guest 9999 has no rows: there is nothing to intersect"},
		{name: "psi: host without rows", c: noHost, by: host, want: "has no rows", public: empty},
		{name: "psi: host without rows, at the guest", c: noHost, by: guest, want: "has no rows", ctx: true, public: empty},
		{name: "psi: repeated ids", c: with(run(guest, host), repeats), by: host, want: "duplicate match_id detect", public: repeated},
		{name: "psi: repeated ids, at the guest", c: with(run(guest, host), repeats), by: guest, want: "duplicate match_id detect", ctx: true,
			public: repeated},
		{name: "psi: long sample id", c: long, by: guest, want: "a sample id has 120000 bytes",
			public: "a sample id of the guest is longer than psi takes"},
		{name: "psi: points of another length", c: run(guest, host), by: guest, want: "has 5 bytes, not", public: broken,
			peers: map[openflow.Party]script{host: greeting(guest, say(guest, "host_points", []byte("wrong")))}},
		{name: "psi: no points", c: run(guest, host), by: guest, want: "not a point",
			public: `message "host_points" from host 10000 holds something that is not a point`,
			peers:  map[openflow.Party]script{host: greeting(guest, say(guest, "host_points", make([]byte, blind.PointSize)))}},
		{name: "psi: greeting that is none", c: run(guest, host), by: guest, want: "is not readable",
			public: `message "hello" from host 10000 is not readable`,
			peers:  map[openflow.Party]script{host: say(guest, "hello", []byte("{"))}},
		{name: "psi: counts out of order", c: run(guest, host), by: host, want: "is not in order",
			public: `message "counts" from guest 9999 is not in order`, peers: hostile(cheat{counts: slices.Reverse[[][]byte]})},
		{name: "psi: question that is none", c: run(guest, host), by: host, want: "not a point",
			public: `message "question" from guest 9999 holds something that is not a point`, peers: hostile(cheat{question: make([]byte, blind.PointSize)})},
		{name: "psi: matches that were not sent", c: run(guest, host), by: host, want: "names a position that was not sent", public: invalid,
			peers: hostile(cheat{matches: func(int, [][]byte) []byte { return []byte{200, 1, 1, 'x'} }})},
		{name: "psi: matches that break off", c: run(guest, host), by: host, want: "breaks off", public: invalid,
			peers: hostile(cheat{matches: func(int, [][]byte) []byte { return []byte{1, 100} }})},
		{name: "psi: matches without a text", c: run(guest, host), by: host, want: "a sample id that is no text", public: invalid,
			peers: hostile(cheat{matches: func(at int, raised [][]byte) []byte { return append([]byte{byte(at), 1, 0xff}, raised[at]...) }})},
		{name: "psi: matches without a point", c: run(guest, host), by: host, want: "breaks off", public: invalid,
			peers: hostile(cheat{matches: func(int, [][]byte) []byte { return []byte{1, 1, 'x'} }})},
		{name: "psi: more matches than rows", c: run(guest, host), by: host, want: "claims more than the 1 rows",
			public: "guest 9999 claims more rows than it has announced", peers: hostile(cheat{matches: func(at int, raised [][]byte) []byte {
				return append(claim(at, raised[at]), claim(at, nil)...)
			}})},
		{name: "psi: an id that was not brought", c: run(guest, host), by: host, want: "an id to be shared that it has not brought",
			public: claimed, peers: hostile(cheat{matches: func(at int, raised [][]byte) []byte { return claim(at, raised[(at+1)%len(raised)]) }})},
		{name: "psi: an id that is not shared", c: run(guest, host), by: host, want: "ids that are claimed to be shared are not",
			public: claimed, peers: hostile(cheat{})},
		{name: "psi: answer of another length", c: run(guest, host), by: host, want: `"answer" from guest 9999 has 5 bytes, not`,
			public: `message "answer" from guest 9999 has another length than it should`, peers: hostile(cheat{answer: []byte("wrong")})},
	}
}

// greeting is a party that brings one id and wants to go on, and then says something else.
func greeting(to openflow.Party, then script) script {
	return func(ctx context.Context, t *component.Task) error {
		if err := t.SendJSON(ctx, to, "hello", object{"ids": 1, "rows": 1}); err != nil {
			return err
		}
		if err := t.SendJSON(ctx, to, "consent", object{}); err != nil {
			return err
		}
		return then(ctx, t)
	}
}

// cheat is a guest that has one id of the host, and where it departs from the protocol. It answers the host's question wrongly.
type cheat struct {
	counts   func([][]byte)
	question []byte
	matches  func(at int, raised [][]byte) []byte // at is the position of its id among the host's points
	answer   []byte
}

func (c cheat) run(ctx context.Context, t *component.Task) error {
	key, err := blind.NewKey()
	if err != nil {
		return err
	}
	mine, err := key.Blind("marked-host-10000-id-0")
	if err != nil {
		return err
	}
	say := func(tag string, payload ...[]byte) {
		if err == nil {
			err = t.Send(ctx, host, tag, bytes.Join(payload, nil))
		}
	}
	hear := func(tag string) (message []byte) {
		if err == nil {
			message, err = t.Receive(ctx, host, tag)
		}
		return message
	}
	say("hello", []byte(`{"ids":1,"rows":1}`))
	say("consent", []byte(`{}`))
	say("guest_points", mine[:])
	var raised, counts, tags [][]byte
	for p := range slices.Chunk(hear("host_points"), blind.PointSize) {
		q, err := key.Raise(blind.Point(p))
		if err != nil {
			return err
		}
		count, tag := q.Count(), q.Tag()
		raised, counts, tags = append(raised, q[:]), append(counts, count[:]), append(tags, tag[:])
	}
	slices.SortFunc(counts, bytes.Compare)
	if c.counts != nil {
		c.counts(counts)
	}
	say("counts", counts...)
	say("consent", []byte(`{}`))
	if c.question == nil {
		c.question = mine[:]
	}
	say("question", c.question)
	found := hear("guest_tags")
	at := slices.IndexFunc(tags, func(tag []byte) bool { return bytes.Equal(tag, found) })
	if err != nil {
		return err
	}
	if at < 0 {
		return fmt.Errorf("the host does not say that it has its own id")
	}
	if c.matches == nil {
		c.matches = func(at int, raised [][]byte) []byte { return claim(at, raised[at]) }
	}
	say("matches", c.matches(at, raised))
	say("matches")
	if c.answer == nil {
		c.answer = mine[:]
	}
	say("answer", c.answer)
	return err
}

// claim is a match as a guest tells it, with the point that proves it if there is one.
func claim(position int, point []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(position))
	return append(append(out, 1, 'x'), point...)
}
