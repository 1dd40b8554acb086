package refusals_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/evaluation"
	"openflow/components/noop"
	"openflow/components/reader"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

type object = map[string]any

// refusalCase is one failure of one party.
type refusalCase struct {
	name   string
	c      componenttest.Case
	by     openflow.Party // who refuses
	want   string         // part of what its own users read
	public string         // what the others read; empty: nothing is marked
	peers  map[openflow.Party]script
	ctx    bool             // the refusal only follows from another one
	too    []openflow.Party // who refuses for a reason of its own as well; all others fail as a consequence, if they fail
}

// script is what a party does that keeps to no protocol.
type script func(ctx context.Context, t *component.Task) error

func TestRefusalsTellOthersNothing(t *testing.T) {
	var seen []string
	for _, tc := range allCases() {
		t.Run(tc.name, func(t *testing.T) {
			r := play(t, tc)
			own := r.Parties[tc.by]
			require.Equal(t, openflow.TaskFailed, own.Status, "%s: %s", own.Error, own.Log)
			require.Contains(t, own.Error, tc.want, "what its own users read")
			require.Equal(t, tc.public, own.Cause.Text)
			require.True(t, own.Cause.Code.Valid())
			require.Equal(t, tc.ctx, own.Cause.Consequence)
			for _, p := range tc.c.Parties {
				if _, hostile := tc.peers[p]; !hostile && !tc.ctx && p != tc.by && r.Parties[p].Status == openflow.TaskFailed {
					require.Equal(t, !slices.Contains(tc.too, p), r.Parties[p].Cause.Consequence, "%s: %s", p, r.Parties[p].Error)
				}
				seen = append(seen, r.Parties[p].Error)
			}
			searchTheOthers(t, tc, r)
		})
	}
	if !t.Failed() && len(seen) > len(allCases()) {
		everyRefusalIsReached(t, seen)
	}
}

// play runs the case until the party has refused, and ends the others as their nodes would.
func play(t *testing.T, tc refusalCase) *componenttest.Result {
	c := tc.c
	real := c.Component.Run
	c.Component.Run = func(ctx context.Context, t *component.Task) error {
		if peer, ok := tc.peers[t.Party()]; ok {
			return peer(ctx, t)
		}
		return real(ctx, t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	e := componenttest.NewNode(t, c.Faults...).Start(ctx, c)
	e.Ended(tc.by)
	for _, p := range c.Parties {
		if p != tc.by {
			grace := time.AfterFunc(200*time.Millisecond, func() { e.Stop(p) }) // they may have something to say too
			defer grace.Stop()
		}
	}
	return e.Wait()
}

var position = regexp.MustCompile(`\brows? \d`)

// searchTheOthers looks for what is one party's in all that another one gets.
func searchTheOthers(t *testing.T, tc refusalCase, r *componenttest.Result) {
	t.Helper()
	for owner, in := range tc.c.Inputs {
		if _, hostile := tc.peers[owner]; hostile {
			continue
		}
		var secrets [][]byte
		for _, f := range in.Data {
			secrets = append(secrets, marks(f)...)
		}
		for _, list := range in.Multi {
			for _, p := range list {
				secrets = append(secrets, marks(p.Table)...)
			}
		}
		told := r.Parties[owner].Cause.Text
		require.NotRegexp(t, position, told, "a position tells whose row it is")
		look := func(where string, content []byte) {
			t.Helper()
			if what, ok := found(content, secrets); ok {
				t.Errorf("%s of %s holds %s of %s", where, tc.name, what, owner)
			}
		}
		look("what is told", []byte(told))
		for _, m := range r.Messages() {
			from, _, _ := strings.Cut(m.Topic, "~")
			if from == string(owner.Role)+"-"+string(owner.ID) {
				look("message "+m.Topic, m.Payload)
			}
		}
		for other, p := range r.Parties {
			if other == owner {
				continue
			}
			look("error at "+other.String(), []byte(p.Error))
			look("log at "+other.String(), []byte(p.Log))
			look("warnings at "+other.String(), []byte(strings.Join(p.Warnings, "\n")))
			for _, m := range p.Metrics {
				look("metric at "+other.String(), m.Data)
			}
		}
	}
}

// An author's own component that quotes a cell tells others nothing, whatever kind of error it is.
func TestErrorsOfOtherComponents(t *testing.T) {
	for name, tc := range map[string]struct {
		run  func() error
		want openflow.Cause
	}{
		"a plain error":   {func() error { return errPlain("cell marked-4711") }, openflow.Cause{Code: openflow.CodeInternal}},
		"one with a code": {func() error { return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711") }, openflow.Cause{Code: openflow.CodeInvalid}},
		"a panic":         {func() error { panic("cell marked-4711") }, openflow.Cause{Code: openflow.CodeInternal, Text: "the component panicked"}},
		"one that is marked": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("too few rows")
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}},
		"marked within": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711: %w", openflow.Errorf(openflow.CodeInvalid, "x").WithPublic("too few rows"))
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}},
		"marked with many lines": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("one\ntwo")
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "one"}},
		"marked at great length": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("%s", strings.Repeat("x", 5000))
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: strings.Repeat("x", 500) + "…"}},
		"a panic with a value": {func() error { panic(map[string]any{"cell": "marked-4711"}) }, openflow.Cause{Code: openflow.CodeInternal, Text: "the component panicked"}},
		"several errors": {func() error {
			return errors.Join(errPlain("cell marked-4711"), openflow.Errorf(openflow.CodeInvalid, "x marked-4711").WithPublic("too few rows"))
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}},
		"rows in the text": {func() error {
			return fmt.Errorf("rows %v of %+v: %w", []float64{1, 2}, marked(guest, 2, 1, true), errPlain("cell marked-4711"))
		}, openflow.Cause{Code: openflow.CodeInternal}},
		"20 MB": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711 %s", strings.Repeat("ü", 10<<20)).WithPublic("too few rows")
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}},
		"20 MB are marked": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("%s", strings.Repeat("ü", 10<<20))
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: strings.Repeat("ü", 500) + "…"}},
		"escapes are marked": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("\x1b[2J\u202etoo few\x00rows\xe6\x97")
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "[2Jtoo few rows��"}},
		"another language is marked": {func() error {
			return openflow.Errorf(openflow.CodeInvalid, "cell marked-4711").WithPublic("行数太少 <b>!</b>")
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "行数太少 <b>!</b>"}},
		"a code that is none": {func() error {
			return openflow.Errorf("marked-4711", "cell marked-4711")
		}, openflow.Cause{Code: openflow.CodeRejected}},
	} {
		t.Run(name, func(t *testing.T) {
			c := componenttest.Case{Parties: []openflow.Party{guest}, Component: component.Component{
				Name: "own", Roles: []openflow.Role{openflow.RoleGuest}, Run: func(context.Context, *component.Task) error { return tc.run() },
			}}
			r := componenttest.Run(t, c).Parties[guest]
			require.Contains(t, r.Error, "marked-4711", "its own users read it")
			require.Equal(t, tc.want, r.Cause)
			require.Less(t, len(r.Error), 1<<20)
			require.Less(t, len(r.Log), 1<<20)
		})
	}
}

type errPlain string

func (e errPlain) Error() string { return string(e) }

func allCases() []refusalCase {
	list := readerAndNoop()
	list = append(list, psiCases()...)
	list = append(list, evaluationCases()...)
	list = append(list, trainingCases()...)
	list = append(list, kitCases()...)
	list = append(list, localCases()...)
	return append(list, predictionCases()...)
}

func inputs(key string, frames map[openflow.Party]*tables.Frame) map[openflow.Party]componenttest.Inputs {
	m := map[openflow.Party]componenttest.Inputs{}
	for p, f := range frames {
		m[p] = componenttest.Inputs{Data: map[string]*tables.Frame{key: f}}
	}
	return m
}

func readerAndNoop() []refusalCase {
	one := func(c component.Component, parameters object) componenttest.Case {
		return componenttest.Case{Component: c, Parties: []openflow.Party{guest, host}, Override: map[openflow.Party]map[string]any{host: parameters}}
	}
	two := one(noop.Component(), nil)
	two.Inputs = map[openflow.Party]componenttest.Inputs{host: {Multi: map[string][]componenttest.Produced{
		"input_data": {{Task: "a", Table: marked(host, 3, 1, false)}, {Task: "b", Table: marked(host, 3, 1, false)}},
	}}}
	return []refusalCase{
		{name: "reader: no such table", c: one(reader.Component(), object{"name": "marked-table", "namespace": "marked"}), by: host,
			want: "marked/marked-table", public: "its node does not give it the table to pass on", too: everybody},
		{name: "reader: no name", c: one(reader.Component(), object{"namespace": "n"}), by: host,
			want: `parameter "name" required`, public: `parameter "name" required`, too: everybody},
		{name: "noop: fails", c: one(noop.Component(), object{"fail": "marked-reason"}), by: host, want: "noop failed: marked-reason",
			public: "it was asked to fail"},
		{name: "noop: neither", c: one(noop.Component(), object{"fail": 4711.5}), by: host, want: "want true, false or a reason",
			public: `parameter "fail" has a value that is not accepted`},
		{name: "noop: two tables", c: two, by: host, want: "was given 2", public: "noop passes one table on, not several"},
	}
}

func evaluationCases() []refusalCase {
	run := func(parameters object, change func(f *tables.Frame)) componenttest.Case {
		f := predictions(guest, 6)
		if change != nil {
			change(f)
		}
		return componenttest.Case{Component: evaluation.Component(), Parties: []openflow.Party{guest, host}, Parameters: parameters,
			Inputs: map[openflow.Party]componenttest.Inputs{
				guest: {Multi: map[string][]componenttest.Produced{"input_datas": {{Task: "lr_0", Table: f}}}},
				host:  {Multi: map[string][]componenttest.Produced{"input_datas": {{Task: "lr_0", Table: predictions(host, 4)}}}},
			}}
	}
	return []refusalCase{
		{name: "evaluation: no rows", c: run(nil, func(f *tables.Frame) { *f = *f.Take(nil) }), by: guest, want: "it has no rows",
			public: "its input has no rows"},
		{name: "evaluation: one class", c: run(nil, func(f *tables.Frame) { clear(f.Label.Ints) }), by: guest, want: "0 of 6 labels are of the positive class"},
		{name: "evaluation: many classes", c: run(nil, func(f *tables.Frame) { f.Label.Ints[5] = 4711 }), by: guest,
			want: `label "label" has 3 values (0, 1, 4711)`},
		{name: "evaluation: no value", c: run(nil, func(f *tables.Frame) { f.Features[0].Floats[3] = math.NaN() }), by: guest,
			want: `"predict_score" has no value in the row of match id`},
		{name: "evaluation: text", c: run(object{"predict_column_name": "type"}, nil), by: guest, want: `column "type" is text`,
			public: "a column that it is to compare holds text", too: everybody},
		{name: "evaluation: no such column", c: run(object{"label_column_name": "marked-none"}, nil), by: guest, want: `no column "marked-none"`,
			public: "its input lacks the column of labels or of predictions", too: everybody},
		{name: "evaluation: no such metric", c: run(object{"metrics": []string{"marked-metric"}}, nil), by: guest, want: `names "marked-metric"`,
			public: `parameter "metrics" names one that does not exist`, too: everybody},
		{name: "evaluation: metric psi", c: run(object{"metrics": []string{"psi"}}, nil), by: guest, want: "metric psi of marked-type",
			public: "it cannot compute the metric psi", too: everybody},
	}
}
