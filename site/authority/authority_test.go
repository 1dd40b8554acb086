package authority_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/authority"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var (
	now    = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	people = openflow.TableName{Namespace: "ns", Name: "people"}
	other  = openflow.TableName{Namespace: "ns", Name: "other"}
	model  = openflow.ModelRef{ID: "m", Version: "0"}
)

// claim is a job of 9999, which it schedules itself, at 10000.
func claim() authority.Claim {
	served := openflow.Served{Provider: "acme:1@docker", Digest: digest, Defaults: openflow.Parameters{"epochs": 10}}
	return authority.Claim{
		Self: "10000", Authority: openflow.Authority{Initiator: "9999", Scheduler: "9999", Purpose: "churn study", Signed: true},
		Parties: []openflow.PartyID{"9999", "10000", "10001"},
		Tasks: []authority.TaskClaim{
			{Component: "reader", Served: served}, {Component: "psi", Served: served, Parameters: openflow.Parameters{"ids": 100, "epochs": nil}},
		},
		Tables: []openflow.TableName{people, people},
	}
}

// grants are just what that job needs, and say all that a grant can say.
func grants() []openflow.Grant {
	return []openflow.Grant{
		{ID: "g-initiate", Kind: openflow.GrantInitiate, Initiator: "9999"},
		{ID: "g-schedule", Kind: openflow.GrantSchedule, Scheduler: "9999"},
		{
			ID: "g-use", Kind: openflow.GrantUse, Initiator: "9999", Scheduler: "9999",
			Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "psi", Provider: "acme", Version: "1"}, {Name: "psi", Digest: digest}},
			Tables:     []openflow.GrantedTable{{Name: people, Columns: []string{"x", "id"}}}, Models: []openflow.ModelRef{{ID: "m"}},
			Purpose: "churn study", Partners: []openflow.PartyID{"10001"}, Until: now.Add(time.Hour), Uses: 3, Used: 2,
			Limits: []openflow.ParameterLimit{
				{Component: "psi", Parameter: "ids", Relation: ">=", Values: []string{"100"}},
				{Component: "psi", Parameter: "epochs", Relation: "<=", Values: []string{"10"}},
			},
		},
	}
}

func TestDecidePermits(t *testing.T) {
	c := claim()
	c.Models = []openflow.ModelRef{model}
	p, err := authority.Decide(c, grants(), now)
	require.NoError(t, err)
	require.ElementsMatch(t, []openflow.GrantID{"g-initiate", "g-schedule", "g-use"}, p.Grants)
	require.Equal(t, map[openflow.TableName][]string{people: {"id", "x"}}, p.Columns)
	_, spent := p.Spent(c, grants())
	require.False(t, spent)
}

// One field at a time is not what was granted. Each is refused, with a reason that names it.
func TestDecideRefuses(t *testing.T) {
	type job = authority.Claim
	type rights = []openflow.Grant
	for name, tc := range map[string]struct {
		change func(*job, rights)
		says   string
	}{
		"initiator":            {func(c *job, _ rights) { c.Authority.Initiator = "8888" }, "party 8888, scheduled by party 9999, may not use here: initiate jobs"},
		"scheduler":            {func(c *job, _ rights) { c.Authority.Scheduler = "8888" }, "schedule jobs, component reader"},
		"may not initiate":     {func(_ *job, g rights) { g[0].Initiator = "8888" }, "may not use here: initiate jobs"},
		"may not schedule":     {func(_ *job, g rights) { g[1].Scheduler = "8888" }, "may not use here: schedule jobs"},
		"initiate is no use":   {func(_ *job, g rights) { g[2].Initiator = "8888" }, "component reader, component psi, table ns/people"},
		"scheduler of a grant": {func(_ *job, g rights) { g[2].Scheduler = "8888" }, "component reader"},
		"component":            {func(c *job, _ rights) { c.Tasks[0].Component = "lr" }, "component lr, table ns/people (grant g-use is for jobs without component lr)"},
		"provider":             {func(c *job, _ rights) { c.Tasks[1].Served = openflow.Served{Provider: "evil:1@docker"} }, "component psi (grant g-use is for psi@"},
		"version":              {func(c *job, _ rights) { c.Tasks[1].Served = openflow.Served{Provider: "acme:2@docker"} }, "component psi (grant g-use is for psi@"},
		"digest": {func(c *job, g rights) {
			g[2].Components[1] = openflow.GrantedComponent{Name: "psi", Digest: digest}
			c.Tasks[1].Served.Digest = "sha256:other"
		}, "component psi (grant g-use is for psi@sha256"},
		"nobody serves it":             {func(c *job, _ rights) { c.Tasks[1].Served = openflow.Served{} }, "component psi (grant"},
		"table":                        {func(c *job, _ rights) { c.Tables = append(c.Tables, other) }, "may not use here: table ns/other"},
		"model":                        {func(c *job, _ rights) { c.Models = []openflow.ModelRef{{ID: "theirs"}} }, "model theirs"},
		"version of a model":           {func(c *job, g rights) { c.Models, g[2].Models[0].Version = []openflow.ModelRef{model}, "1" }, "model m version 0, which is of others"},
		"purpose":                      {func(c *job, _ rights) { c.Authority.Purpose = "churn" }, `table ns/people (grant g-use is for the purpose "churn study")`},
		"no purpose":                   {func(c *job, _ rights) { c.Authority.Purpose = "" }, `is for the purpose "churn study"`},
		"partner":                      {func(c *job, _ rights) { c.Parties = append(c.Parties, "10002") }, "is for jobs without party 10002"},
		"limit":                        {func(c *job, _ rights) { c.Tasks[1].Parameters["ids"] = 99 }, "component psi (grant g-use wants psi.ids>=100)"},
		"limit left out":               {func(c *job, _ rights) { delete(c.Tasks[1].Parameters, "ids") }, "wants psi.ids>=100"},
		"default":                      {func(c *job, _ rights) { c.Tasks[1].Served.Defaults = openflow.Parameters{"epochs": 11} }, "wants psi.epochs<=10"},
		"expired":                      {func(_ *job, g rights) { g[2].Until = now }, "grant g-use was until 2026-06-01T00:00:00Z"},
		"may no longer initiate":       {func(_ *job, g rights) { g[0].Until = now }, "initiate jobs (grant g-initiate was until"},
		"initiate for another purpose": {func(_ *job, g rights) { g[0].Purpose = "x" }, "initiate jobs (grant g-initiate is for the purpose"},
		"schedule with others":         {func(_ *job, g rights) { g[1].Partners = []openflow.PartyID{"1"} }, "schedule jobs (grant g-schedule is for jobs without party 10001)"},
	} {
		t.Run(name, func(t *testing.T) {
			c, g := claim(), grants()
			tc.change(&c, g)
			_, err := authority.Decide(c, g, now)
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
			remedy := "the operator of party 10000 runs: openflow grant add "
			if strings.Contains(tc.says, "wants") || name == "no purpose" {
				remedy = "(correct the job: a grant says what it does not keep)" // no command widens what was meant to be narrow
			}
			require.ErrorContains(t, err, remedy)
		})
	}
}

// All that is missing is told at once, with the command that allows it.
func TestRefusalTellsTheCommand(t *testing.T) {
	c := claim()
	_, err := authority.Decide(c, nil, now)
	require.ErrorContains(t, err, "openflow grant add 9999 --initiate --schedule --component reader --component psi --table ns/people")
	c.Authority.Scheduler = "7"
	_, err = authority.Decide(c, nil, now)
	require.ErrorContains(t, err, "openflow grant add 9999 --initiate --component reader --component psi --table ns/people; openflow grant add 7 --schedule")
	c.Authority.Signed = false
	_, err = authority.Decide(c, nil, now)
	require.ErrorContains(t, err, "--table ns/people --scheduler 7; openflow grant add 7 --schedule")
	require.NoError(t, authority.Enter("10000", claim().Authority, grants(), now))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(authority.Enter("10000", claim().Authority, grants()[1:], now)))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(authority.Enter("10000", claim().Authority, grants()[:1], now)))
}

// A site needs no grants for what it does itself, and nobody can claim to be it.
func TestOwnJobs(t *testing.T) {
	c := claim()
	c.Authority = openflow.Authority{Initiator: "10000", Scheduler: "10000"}
	p, err := authority.Decide(c, nil, now)
	require.NoError(t, err)
	require.Empty(t, p.Grants)

	c.Authority = openflow.Authority{Initiator: "10000", Scheduler: "9999", Signed: true}
	p, err = authority.Decide(c, grants(), now)
	require.NoError(t, err, "its own job, which a peer may drive")
	require.Equal(t, []openflow.GrantID{"g-schedule"}, p.Grants)
	_, err = authority.Decide(c, grants()[:1], now)
	require.ErrorContains(t, err, "schedule jobs")

	c.Authority.Signed = false
	require.Equal(t, openflow.PartyID("9999"), authority.By("10000", c.Authority), "it is said to be the site's, by the scheduler")
	_, err = authority.Decide(c, grants()[1:2], now)
	require.ErrorContains(t, err, "party 9999 may not use here: initiate jobs, component reader")
	c.Authority.Purpose = "churn study"
	p, err = authority.Decide(c, grants(), now)
	require.NoError(t, err)
	require.NotEmpty(t, p.Columns, "so it gets what the scheduler gets")

	c.Authority = openflow.Authority{Initiator: "9999", Scheduler: "10000", Purpose: "churn study"}
	_, err = authority.Decide(c, grants()[:1], now)
	require.ErrorContains(t, err, "component reader", "who schedules here for a peer gives it nothing of its own")
}

// Whoever says that a job is of somebody else gets what that one has been granted only if the grant names him too.
func TestUnprovenInitiator(t *testing.T) {
	c := claim()
	c.Authority.Scheduler, c.Authority.Signed = "7", false
	g := append(grants(), openflow.Grant{ID: "g-seven", Kind: openflow.GrantSchedule, Scheduler: "7"})
	g[2].Scheduler = ""
	_, err := authority.Decide(c, g, now)
	require.ErrorContains(t, err, "initiate jobs, component reader")
	g[0].Scheduler, g[2].Scheduler = "7", "7"
	_, err = authority.Decide(c, g, now)
	require.NoError(t, err)
	g[0].Scheduler, g[2].Scheduler, c.Authority.Signed = "", "", true
	_, err = authority.Decide(c, g, now)
	require.NoError(t, err)
}

// What costs no use comes before what does, the whole table before a part, and what is used up last.
func TestWhichGrantIsTaken(t *testing.T) {
	c := claim()
	c.Tasks = c.Tasks[:1]
	use := func(id openflow.GrantID, uses, used int, columns ...string) openflow.Grant {
		return openflow.Grant{
			ID: id, Kind: openflow.GrantUse, Initiator: "9999", Uses: uses, Used: used,
			Components: []openflow.GrantedComponent{{Name: "*"}}, Tables: []openflow.GrantedTable{{Name: people, Columns: columns}},
		}
	}
	taken := func(list ...openflow.Grant) authority.Permit {
		p, err := authority.Decide(c, append(grants()[:2], list...), now)
		require.NoError(t, err)
		return p
	}
	require.Contains(t, taken(use("a", 5, 0), use("b", 0, 0)).Grants, openflow.GrantID("b"))
	require.NotContains(t, taken(use("a", 5, 0), use("b", 0, 0)).Grants, openflow.GrantID("a"))
	require.Empty(t, taken(use("a", 0, 0, "id"), use("b", 5, 0)).Columns)
	require.Equal(t, []string{"id"}, taken(use("a", 0, 0, "id"), use("b", 1, 1)).Columns[people], "a part is more than what is used up")
	require.Equal(t, []string{"id"}, taken(use("a", 0, 0, "id"), use("b", 0, 0, "x")).Columns[people], "columns of several grants do not add up")
	p := taken(use("a", 1, 1))
	spent, found := p.Spent(c, []openflow.Grant{use("a", 1, 1)})
	require.True(t, found)
	require.Equal(t, openflow.GrantID("a"), spent.ID)
	c.Held = []openflow.GrantID{"b"}
	p = taken(use("a", 1, 1), use("b", 1, 1), use("c", 2, 0))
	require.Contains(t, p.Grants, openflow.GrantID("b"), "what the job has used before")
	_, found = p.Spent(c, []openflow.Grant{use("b", 1, 1)})
	require.False(t, found)
}

// Components of one grant and tables of another go together, unless the table's grant names its own components.
func TestGrantsTogether(t *testing.T) {
	c := claim()
	components := openflow.Grant{ID: "c", Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "psi"}}}
	table := openflow.Grant{ID: "t", Kind: openflow.GrantUse, Initiator: "9999", Tables: []openflow.GrantedTable{{Name: people}}}
	_, err := authority.Decide(c, append(grants()[:2], components, table), now)
	require.NoError(t, err)
	table.Components = []openflow.GrantedComponent{{Name: "reader"}}
	_, err = authority.Decide(c, append(grants()[:2], components, table), now)
	require.ErrorContains(t, err, "table ns/people (grant t is for jobs without component psi)")
	table.Components = nil
	table.Limits = []openflow.ParameterLimit{{Component: "psi", Parameter: "ids", Relation: ">=", Values: []string{"1000"}}}
	_, err = authority.Decide(c, append(grants()[:2], components, table), now)
	require.ErrorContains(t, err, "table ns/people (grant t wants psi.ids>=1000)")
}

// The largest job is decided in a moment, whatever it claims.
func TestLargestJob(t *testing.T) {
	c := claim()
	g := grants()
	for i := range openflow.MaxTasks {
		c.Tasks = append(c.Tasks, authority.TaskClaim{Component: fmt.Sprint("c", i)})
		c.Tables = append(c.Tables, openflow.TableName{Namespace: "ns", Name: fmt.Sprint("t", i)})
	}
	for i := range 100 {
		g = append(g, openflow.Grant{ID: openflow.GrantID(fmt.Sprint(i)), Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "*", Provider: "none"}}})
	}
	_, err := authority.Decide(c, g, now)
	require.ErrorContains(t, err, "more")
	require.Less(t, len(err.Error()), 16<<10, "and the refusal is short")
}

// A run that is about to start is compared with the grants of its job: another program may serve its component by now.
func TestStill(t *testing.T) {
	task := claim().Tasks[1]
	for name, tc := range map[string]struct {
		change func(*authority.TaskClaim, []openflow.Grant)
		want   bool
	}{
		"as it was": {nil, true},
		"another version": {func(c *authority.TaskClaim, _ []openflow.Grant) {
			c.Served = openflow.Served{Provider: "acme:2@docker"}
		}, false},
		"nobody serves it": {func(c *authority.TaskClaim, _ []openflow.Grant) { c.Served = openflow.Served{} }, false},
		"another default": {func(c *authority.TaskClaim, _ []openflow.Grant) {
			c.Served.Defaults = openflow.Parameters{"epochs": 11}
		}, false},
		"not granted":      {func(c *authority.TaskClaim, _ []openflow.Grant) { c.Component = "lr" }, false},
		"no grant of use":  {func(_ *authority.TaskClaim, g []openflow.Grant) { g[2].Kind = openflow.GrantInitiate }, false},
		"tables alone":     {func(_ *authority.TaskClaim, g []openflow.Grant) { g[2].Components = nil }, false},
		"components alone": {func(_ *authority.TaskClaim, g []openflow.Grant) { g[2].Tables, g[2].Models = nil, nil }, true},
		"whatever the digest": {func(_ *authority.TaskClaim, g []openflow.Grant) {
			g[2].Components = []openflow.GrantedComponent{{Name: "*"}}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, g := task, grants()
			if tc.change != nil {
				tc.change(&c, g)
			}
			require.Equal(t, tc.want, authority.Still(g, c))
		})
	}
	require.True(t, authority.Particular(grants()[2]))
	require.False(t, authority.Particular(openflow.Grant{Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "*"}}}))
}

// What a scheduler may is told without a word of what the initiator may.
func TestDrive(t *testing.T) {
	a := claim().Authority
	a.Initiator = "7777"
	require.NoError(t, authority.Drive("10000", a, grants(), now))
	err := authority.Drive("10000", a, grants()[:1], now)
	require.EqualError(t, err, "party 7777, scheduled by party 9999, may not use here: schedule jobs (correct the job; or, to allow it, the operator of party 10000 runs: openflow grant add 9999 --schedule)")
}

// A refusal advises the grant that nearly fits, with all that it says and what it lacks. Partners read no columns of it.
func TestAdviceKeepsTheTerms(t *testing.T) {
	g := grants()
	g[2].Until, g[2].Purpose = now, "bank's study"
	c := claim()
	c.Authority.Purpose = "bank's study"
	const terms = "openflow grant add 9999 --component reader --component psi@acme:1 --component psi@" + digest + " --table ns/people:%s --model m --scheduler 9999" +
		` --purpose 'bank'\''s study' --partner 10001 --limit 'psi.ids>=100' --limit 'psi.epochs<=10' --uses 3 --until DATE)`
	_, err := authority.Decide(c, g, now)
	require.ErrorContains(t, err, "runs: "+fmt.Sprintf(terms, "x,id"), "what is over, with a new end and nothing else")
	require.ErrorContains(t, openflow.ForPartners(err), fmt.Sprintf(terms, "COLUMNS"))

	for name, tc := range map[string]struct {
		change func(*authority.Claim)
		says   string
	}{
		"component": {func(c *authority.Claim) { c.Tasks[0].Component = "lr" }, "--component lr --table ns/people:x,id"},
		"version":   {func(c *authority.Claim) { c.Tasks[1].Served.Provider, c.Tasks[1].Served.Digest = "acme:2@docker", "" }, "--component psi@acme:2 --table ns/people:x,id"},
		"partner":   {func(c *authority.Claim) { c.Parties = append(c.Parties, "10002") }, "--partner 10001 --partner 10002"},
		"purpose":   {func(c *authority.Claim) { c.Authority.Purpose = "other" }, "--purpose other"},
		"columns": {func(c *authority.Claim) {
			c.Had = map[openflow.TableName]authority.Extent{people: {Columns: []string{"y"}}}
		}, "--table ns/people:id,x,y"},
		"whole": {func(c *authority.Claim) { c.Had = map[openflow.TableName]authority.Extent{people: {Whole: true}} }, "--table ns/people --model"},
	} {
		c, g := claim(), grants()
		tc.change(&c)
		_, err := authority.Decide(c, g, now)
		require.ErrorContains(t, err, tc.says, name)
		require.ErrorContains(t, err, "--uses 3 --until 2026-06-01T01:00:00Z", name)
		require.NotContains(t, err.Error(), "; openflow", name)
		require.NotContains(t, openflow.ForPartners(err).Error(), "x,id", name)
	}
}

// What was made of more of a table than a grant gives is not given by it, whoever of the job has read it.
func TestNarrowGrants(t *testing.T) {
	for name, tc := range map[string]struct {
		had  authority.Extent
		want bool
	}{
		"nothing":        {authority.Extent{}, true},
		"less":           {authority.Extent{}.With([]string{"id"}), true},
		"the same":       {authority.Extent{}.With([]string{"id"}).With([]string{"x"}), true},
		"another column": {authority.Extent{}.With([]string{"id", "y"}), false},
		"all":            {authority.Extent{}.With(nil), false},
		"all once":       {authority.Extent{}.With([]string{"id"}).With(nil), false},
	} {
		c := claim()
		c.Had = map[openflow.TableName]authority.Extent{people: tc.had}
		_, err := authority.Decide(c, grants(), now)
		require.Equal(t, tc.want, err == nil, name)
		g := grants()
		g[2].Tables[0].Columns = nil
		_, err = authority.Decide(c, g, now)
		require.NoError(t, err, name)
	}
}

// Of grants that count their uses, as few are used as will do, in whichever order they were made.
func TestFewestUses(t *testing.T) {
	use := func(id string, uses int, change ...func(*openflow.Grant)) openflow.Grant {
		g := openflow.Grant{
			ID: openflow.GrantID(id), Kind: openflow.GrantUse, Initiator: "9999", Uses: uses, Made: now.Add(-time.Duration(10-len(id)) * time.Hour),
			Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "psi"}}, Tables: []openflow.GrantedTable{{Name: people}},
		}
		for _, c := range change {
			c(&g)
		}
		return g
	}
	limited := func(g *openflow.Grant) {
		g.Limits = []openflow.ParameterLimit{{Component: "psi", Parameter: "ids", Relation: ">=", Values: []string{"1000"}}}
	}
	components := func(list ...string) func(*openflow.Grant) {
		return func(g *openflow.Grant) {
			g.Tables, g.Components = nil, nil
			for _, name := range list {
				g.Components = append(g.Components, openflow.GrantedComponent{Name: name})
			}
		}
	}
	table := func(g *openflow.Grant) { g.Components = nil }
	for name, tc := range map[string]struct {
		grants []openflow.Grant
		want   []openflow.GrantID
	}{
		"a stricter one of few beside one of many": {[]openflow.Grant{use("a", 1, limited), use("bb", 40)}, []openflow.GrantID{"bb"}},
		"one beside one that is not counted":       {[]openflow.Grant{use("a", 1), use("bb", 0)}, []openflow.GrantID{"bb"}},
		"parts that are not counted":               {[]openflow.Grant{use("a", 1), use("bb", 0, components("reader", "psi")), use("ccc", 0, table)}, []openflow.GrantID{"bb", "ccc"}},
		"one for all":                              {[]openflow.Grant{use("a", 5, components("reader")), use("bb", 5, components("psi")), use("ccc", 5)}, []openflow.GrantID{"ccc"}},
		"two rather than three": {[]openflow.Grant{
			use("a", 5, components("reader", "psi", "lr")), use("bb", 5, components("reader", "boost", "psi")), use("ccc", 5, components("lr", "union")), use("dddd", 0, table),
		}, []openflow.GrantID{"bb", "ccc", "dddd"}},
		"not one that is used up": {[]openflow.Grant{use("a", 5, func(g *openflow.Grant) { g.Used = 5 }), use("bb", 5, components("reader")), use("ccc", 5, components("psi")), use("dddd", 5, table)}, []openflow.GrantID{"bb", "ccc", "dddd"}},
	} {
		c := claim()
		if name == "two rather than three" {
			for _, more := range []string{"lr", "boost", "union"} {
				c.Tasks = append(c.Tasks, authority.TaskClaim{Component: more})
			}
		}
		p, err := authority.Decide(c, append(grants()[:2], tc.grants...), now)
		require.NoError(t, err, name)
		require.ElementsMatch(t, append([]openflow.GrantID{"g-initiate", "g-schedule"}, tc.want...), p.Grants, name)
	}
}
