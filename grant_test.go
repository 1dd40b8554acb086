package openflow_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

const aDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestGrantInWords(t *testing.T) {
	table := openflow.TableName{Namespace: "demo", Name: "a"}
	for want, g := range map[string]openflow.Grant{
		"Party 9999 may initiate jobs here":                        {Kind: openflow.GrantInitiate, Initiator: "9999"},
		"Party 9999 may initiate jobs here that party 1 schedules": {Kind: openflow.GrantInitiate, Initiator: "9999", Scheduler: "1"},
		"Party 9999 may schedule jobs here":                        {Kind: openflow.GrantSchedule, Scheduler: "9999"},
		"Party 1 may schedule jobs here that party 9999 initiates": {Kind: openflow.GrantSchedule, Scheduler: "1", Initiator: "9999"},
		"Everybody who may initiate here may have jobs here: noop": {Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "noop"}}},
		"Party 9999 may have jobs here: table demo/a, with components of other grants": {
			Kind: openflow.GrantUse, Initiator: "9999", Tables: []openflow.GrantedTable{{Name: table}},
		},
		"Party 9999 may have jobs here: every component of provider acme and psi of the program " + aDigest + " on model m version 0": {
			Kind: openflow.GrantUse, Initiator: "9999", Models: []openflow.ModelRef{{ID: "m", Version: "0"}},
			Components: []openflow.GrantedComponent{{Name: "*", Provider: "acme"}, {Name: "psi", Digest: aDigest}},
		},
		"Party 9999 may have jobs here that party 9999 schedules: psi of provider acme version 1 on columns id, x of demo/a, with psi.ids at least 100, " +
			"with psi.curve p256 or p-256, with party 10000 and 10001 only, 3 of 5 times left, until 2027-01-01, for 'churn study'": {
			Kind: openflow.GrantUse, Initiator: "9999", Scheduler: "9999", Components: []openflow.GrantedComponent{{Name: "psi", Provider: "acme", Version: "1"}},
			Tables: []openflow.GrantedTable{{Name: table, Columns: []string{"id", "x"}}}, Partners: []openflow.PartyID{"10000", "10001"},
			Limits: []openflow.ParameterLimit{
				{Component: "psi", Parameter: "ids", Relation: ">=", Values: []string{"100"}},
				{Component: "psi", Parameter: "curve", Relation: "=", Values: []string{"p256", "p-256"}},
			},
			Uses: 5, Used: 2, Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Purpose: "churn study",
		},
	} {
		require.NoError(t, g.Check(), want)
		require.Equal(t, want, g.String())
	}
}

// The command of a grant makes it again.
func TestCommandOfAGrant(t *testing.T) {
	table := openflow.GrantedTable{Name: openflow.TableName{Namespace: "demo", Name: "a b"}, Columns: []string{"id", "it's"}}
	for want, g := range map[string]openflow.Grant{
		"openflow grant add 9999 --initiate --uses 2": {Kind: openflow.GrantInitiate, Initiator: "9999", Uses: 2},
		"openflow grant add 1 --schedule":             {Kind: openflow.GrantSchedule, Scheduler: "1"},
		"":                                            {Kind: openflow.GrantSchedule, Scheduler: "1", Initiator: "9999"},
		"openflow grant add '*' --component '*@acme'":       {Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "*", Provider: "acme"}}},
		"openflow grant add 9 --model m --until 2027-01-01": {Kind: openflow.GrantUse, Initiator: "9", Models: []openflow.ModelRef{{ID: "m"}}, Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		`openflow grant add 9 --table 'demo/a b:id,it'\''s' --scheduler 7 --purpose 'a b' --partner 1 --limit 'psi.x>=1'`: {
			Kind: openflow.GrantUse, Initiator: "9", Scheduler: "7", Tables: []openflow.GrantedTable{table}, Purpose: "a b", Partners: []openflow.PartyID{"1"},
			Limits: []openflow.ParameterLimit{{Component: "psi", Parameter: "x", Relation: ">=", Values: []string{"1"}}},
		},
	} {
		require.Equal(t, want, g.Command(false))
	}
	g := openflow.Grant{ID: "g", Kind: openflow.GrantUse, Initiator: "9", Tables: []openflow.GrantedTable{table}, Uses: 1, Used: 1}
	require.ErrorContains(t, g.NoUse(), "--table 'demo/a b:id,it")
	require.NotContains(t, openflow.ForPartners(g.NoUse()).Error(), "it's")
	require.Equal(t, "used up", g.Over(time.Now()))
}

func TestGrantThatIsNone(t *testing.T) {
	use := func(change func(*openflow.Grant)) openflow.Grant {
		g := openflow.Grant{Kind: openflow.GrantUse, Initiator: "1", Components: []openflow.GrantedComponent{{Name: "psi"}}}
		change(&g)
		return g
	}
	for name, g := range map[string]openflow.Grant{
		"no kind":             use(func(g *openflow.Grant) { g.Kind = "" }),
		"nothing":             use(func(g *openflow.Grant) { g.Components = nil }),
		"no party":            use(func(g *openflow.Grant) { g.Initiator = "a b" }),
		"nobody initiates":    {Kind: openflow.GrantInitiate, Scheduler: "1"},
		"nobody schedules":    {Kind: openflow.GrantSchedule, Initiator: "1"},
		"to initiate a table": {Kind: openflow.GrantInitiate, Initiator: "1", Tables: []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "n", Name: "t"}}}},
		"component":           use(func(g *openflow.Grant) { g.Components[0].Name = "a/b" }),
		"version of nobody":   use(func(g *openflow.Grant) { g.Components[0].Version = "1" }),
		"digest":              use(func(g *openflow.Grant) { g.Components[0].Digest = "sha256:xyz" }),
		"table": use(func(g *openflow.Grant) {
			g.Tables = []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "n"}}}
		}),
		"column": use(func(g *openflow.Grant) {
			g.Tables = []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "n", Name: "t"}, Columns: []string{""}}}
		}),
		"model":         use(func(g *openflow.Grant) { g.Models = []openflow.ModelRef{{Version: "0"}} }),
		"partner":       use(func(g *openflow.Grant) { g.Partners = []openflow.PartyID{""} }),
		"purpose":       use(func(g *openflow.Grant) { g.Purpose = "a\x1b[2J" }),
		"lines":         use(func(g *openflow.Grant) { g.Purpose = "a\nb" }),
		"long purpose":  use(func(g *openflow.Grant) { g.Purpose = strings.Repeat("x", openflow.MaxPurpose+1) }),
		"uses":          use(func(g *openflow.Grant) { g.Uses = -1 }),
		"many partners": use(func(g *openflow.Grant) { g.Partners = make([]openflow.PartyID, openflow.MaxGrantItems+1) }),
		"bound of words": use(func(g *openflow.Grant) {
			g.Limits = []openflow.ParameterLimit{{Component: "psi", Parameter: "x", Relation: ">=", Values: []string{"many"}}}
		}),
		"no relation": use(func(g *openflow.Grant) {
			g.Limits = []openflow.ParameterLimit{{Component: "psi", Parameter: "x", Relation: ">", Values: []string{"1"}}}
		}),
	} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(g.Check()), name)
	}
}

func TestPartsOfGrants(t *testing.T) {
	for _, text := range []string{"psi", "*", "psi@acme", "psi@acme:1.2", "psi@" + aDigest} {
		c, err := openflow.ParseGrantedComponent(text)
		require.NoError(t, err)
		require.Equal(t, text, c.String())
	}
	for _, text := range []string{"ns/t", "ns/t:id", "ns/t:id,x 1"} {
		table, err := openflow.ParseGrantedTable(text)
		require.NoError(t, err)
		require.Equal(t, text, table.String())
	}
	for _, text := range []string{"psi.ids>=100", "psi.ids<=0.5", "psi.curve=p256|p-256", "lr.a.b=true"} {
		l, err := openflow.ParseParameterLimit(text)
		require.NoError(t, err)
		require.Equal(t, text, l.String())
	}
	for _, text := range []string{"", "psi", "psi>=1", "psi.x", "psi.x>1", "psi.x>=a", "psi.x>=1|2", ".x=1"} {
		_, err := openflow.ParseParameterLimit(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
	}
	for _, text := range []string{"", "a b", "psi@sha256:0", "psi@:1"} {
		_, err := openflow.ParseGrantedComponent(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
	}
	for _, text := range []string{"", "t", "ns/t:", "ns/t:a,,b", "ns/"} {
		_, err := openflow.ParseGrantedTable(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		limit, parameters string
		keeps             bool
	}{
		{"psi.ids>=100", `{"ids":100}`, true}, {"psi.ids>=100", `{"ids":99.9}`, false}, {"psi.ids>=100", `{}`, false},
		{"psi.ids>=100", `{"ids":null}`, false}, {"psi.ids>=100", `{"ids":"1000"}`, false}, {"psi.ids>=100", `{"ids":[1000]}`, false},
		{"psi.ids>=100", `{"ids":1e999}`, false}, {"psi.ids<=3", `{"ids":3}`, true}, {"psi.ids<=3", `{"ids":4}`, false},
		{"psi.curve=p256|x", `{"curve":"p256"}`, true}, {"psi.curve=p256", `{"curve":"P256"}`, false}, {"psi.on=true", `{"on":true}`, true},
		{"psi.n=3", `{"n":3}`, true}, {"psi.a.b>=1", `{"a":{"b":1}}`, true}, {"psi.a.b>=1", `{"a":1}`, false},
	} {
		l, err := openflow.ParseParameterLimit(tc.limit)
		require.NoError(t, err)
		d := json.NewDecoder(strings.NewReader(tc.parameters))
		d.UseNumber()
		var p openflow.Parameters
		require.NoError(t, d.Decode(&p))
		require.Equal(t, tc.keeps, l.Keeps(p), "%s %s", tc.limit, tc.parameters)
	}
}
