package catalogue_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func use(initiator openflow.PartyID, components ...string) openflow.Grant {
	g := openflow.Grant{Kind: openflow.GrantUse, Initiator: initiator}
	for _, c := range components {
		g.Components = append(g.Components, openflow.GrantedComponent{Name: c})
	}
	return g
}

func add(t *testing.T, c *catalogue.Catalogue, g openflow.Grant) openflow.Grant {
	t.Helper()
	made, err := c.AddGrant(t.Context(), g)
	require.NoError(t, err)
	require.NotEmpty(t, made.ID)
	return made
}

func TestGrants(t *testing.T) { onEngines(t, testGrants) }

func testGrants(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	full := openflow.Grant{
		Kind: openflow.GrantUse, Initiator: "10000", Scheduler: "10001",
		Components: []openflow.GrantedComponent{{Name: "psi", Provider: "acme", Version: "1"}, {Name: "*"}},
		Tables:     []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "a-b;c", Name: "d-e"}, Columns: []string{"id", "x,y"}}},
		Models:     []openflow.ModelRef{{ID: "m", Version: "0"}}, Purpose: "churn 'study'", Partners: []openflow.PartyID{"10002"},
		Limits: []openflow.ParameterLimit{{Component: "psi", Parameter: "a.b", Relation: ">=", Values: []string{"2"}}},
		Uses:   3, Until: epoch.Add(time.Hour), By: "user ann", Made: epoch,
	}
	full.Tables[0].Name.Namespace = "a-b"
	made := add(t, c, full)
	full.ID = made.ID
	require.Equal(t, full, made)
	got, err := c.Grant(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, full, got)

	psi := add(t, c, use("10000", "psi"))
	require.Equal(t, psi, add(t, c, use("10000", "psi")), "the same again is the same grant")
	counted := use("10000", "psi")
	counted.Uses = 1
	require.NotEqual(t, add(t, c, counted).ID, add(t, c, counted).ID, "what counts uses is given anew")
	anybody := add(t, c, use("", "noop"))
	drives := add(t, c, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "10001"})

	ids := func(grants []openflow.Grant, err error) (list []openflow.GrantID) {
		require.NoError(t, err)
		for _, g := range grants {
			list = append(list, g.ID)
		}
		return list
	}
	require.ElementsMatch(t, []openflow.GrantID{full.ID, drives.ID}, ids(c.Grants(ctx, "10001")))
	require.ElementsMatch(t, []openflow.GrantID{anybody.ID, drives.ID}, ids(c.GrantsFor(ctx, "8888", "10001")))
	require.Contains(t, ids(c.GrantsFor(ctx, "10000", "10001")), full.ID)
	require.NotContains(t, ids(c.GrantsFor(ctx, "10000", "10000")), full.ID)

	gone, err := c.DeleteGrant(ctx, psi.ID)
	require.NoError(t, err)
	require.Equal(t, psi, gone)
	_, err = c.DeleteGrant(ctx, psi.ID)
	requireCode(t, openflow.CodeNotFound, err)
	_, err = c.AddGrant(ctx, openflow.Grant{Kind: openflow.GrantUse, Initiator: "1"})
	requireCode(t, openflow.CodeInvalid, err)
}

func on(job openflow.JobID, p openflow.Party, grants ...openflow.GrantID) (openflow.JobRecord, []openflow.TaskRecord) {
	j, tasks := sampleJob(job, p)
	j.Grants = grants
	return j, tasks
}

// A job uses each of its grants once: not again for a repeat, nor for another role of this site; and what is refused uses none.
func TestUsesOfGrants(t *testing.T) { atEngines(t, testUsesOfGrants) }

func testUsesOfGrants(t *testing.T, place catalogue.Options) {
	c := mustOpen(t, place)
	ctx := t.Context()
	newer := func() *catalogue.Catalogue { // when an hour has passed
		place.Now = func() time.Time { return epoch.Add(2 * time.Hour) }
		return mustOpen(t, place)
	}
	counted := use("10000", "psi")
	counted.Uses = 1
	last, free := add(t, c, counted).ID, add(t, c, use("10000", "lr")).ID
	used := func(id openflow.GrantID) int {
		g, err := c.Grant(ctx, id)
		require.NoError(t, err)
		return g.Used
	}
	for _, party := range []openflow.Party{guest, guest, host} {
		j, tasks := on("1", party, free, last)
		require.NoError(t, c.CreateJob(ctx, j, tasks))
		require.Equal(t, 1, used(last))
	}
	j, tasks := on("2", guest, free, last)
	err := c.CreateJob(ctx, j, tasks)
	requireCode(t, openflow.CodePermission, err)
	require.ErrorContains(t, err, "has been used 1 of 1 times")
	require.Equal(t, 1, used(free), "all or nothing")
	_, err = c.Job(ctx, j.Key())
	requireCode(t, openflow.CodeNotFound, err)

	first, _ := on("1", guest)
	grants, were, err := c.GrantsOfJob(ctx, first.Scheduler, "1")
	require.NoError(t, err)
	require.Len(t, grants, 2)
	require.Equal(t, 2, were)
	_, err = c.DeleteGrant(ctx, free)
	require.NoError(t, err)
	grants, were, err = c.GrantsOfJob(ctx, first.Scheduler, "1")
	require.NoError(t, err)
	require.Len(t, grants, 1)
	require.Equal(t, 2, were, "one is gone")
	anew := add(t, c, use("10000", "lr")).ID
	require.NoError(t, c.UseGrants(ctx, first.Scheduler, "1", []openflow.GrantID{anew, last}))
	grants, were, err = c.GrantsOfJob(ctx, first.Scheduler, "1")
	require.NoError(t, err)
	require.Len(t, grants, 2)
	require.Equal(t, 2, were)

	soon := use("10000", "psi")
	soon.Until = epoch.Add(time.Hour)
	brief := add(t, c, soon).ID
	require.NoError(t, c.UseGrants(ctx, first.Scheduler, "1", []openflow.GrantID{brief}))
	_, were, err = c.GrantsOfJob(ctx, first.Scheduler, "1")
	require.NoError(t, err)
	require.Equal(t, 3, were)
	later := newer()
	require.NoError(t, later.UseGrants(ctx, first.Scheduler, "1", []openflow.GrantID{anew}))
	_, were, err = c.GrantsOfJob(ctx, first.Scheduler, "1")
	require.NoError(t, err)
	require.Equal(t, 2, were, "what has expired is none of the job's any more")
	require.Equal(t, 1, used(brief), "and stays used")

	over := use("10000", "psi")
	over.Until = time.UnixMilli(1)
	j, tasks = on("3", guest, add(t, c, over).ID)
	requireCode(t, openflow.CodePermission, c.CreateJob(ctx, j, tasks))
	j, tasks = on("4", guest, "g-none")
	err = c.CreateJob(ctx, j, tasks)
	requireCode(t, openflow.CodePermission, err)
	require.ErrorContains(t, err, "taken back")

	s := openflow.ScheduledJob{ID: "s", Initiator: "10000", DAG: sampleDAG(), SubmitHash: "h", Grants: []openflow.GrantID{last}}
	_, err = c.AdmitScheduledJob(ctx, openflow.Quota{}, s)
	requireCode(t, openflow.CodePermission, err)
	_, err = c.ScheduledJob(ctx, "s")
	requireCode(t, openflow.CodeNotFound, err)
}

// Of many jobs that want the last uses at once, as many get one as there are.
func TestLastUseIsOneJobs(t *testing.T) { onEngines(t, testLastUseIsOneJobs) }

func testLastUseIsOneJobs(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	const uses, jobs = 2, 8
	counted := use("10000", "psi")
	counted.Uses = uses
	id := add(t, c, counted).ID
	errs := make([]error, jobs)
	var all sync.WaitGroup
	for i := range jobs {
		all.Go(func() {
			j, tasks := on(openflow.JobID(fmt.Sprint(i)), guest, id)
			errs[i] = c.CreateJob(t.Context(), j, tasks)
		})
	}
	all.Wait()
	taken := 0
	for _, err := range errs {
		if err == nil {
			taken++
			continue
		}
		requireCode(t, openflow.CodePermission, err)
	}
	require.Equal(t, uses, taken)
	g, err := c.Grant(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, uses, g.Used)
}

// What peers are refused is counted, and bounded.
func TestDecisions(t *testing.T) { onEngines(t, testDecisions) }

func testDecisions(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	refuse := func(party openflow.PartyID, subject, detail string) {
		require.NoError(t, c.RecordDecision(ctx, openflow.AuditEvent{
			Actor: "party " + string(party), Action: "job/create", Subject: subject, Detail: detail, Party: party, Outcome: openflow.OutcomeRefused,
			Authority: "initiator 9999, scheduler 9999, signed",
		}))
	}
	for i := range 5 {
		refuse("9999", fmt.Sprint("job ", i), "no grant")
	}
	events, _, err := c.Audit(ctx, catalogue.AuditFilter{Party: "9999", Outcome: openflow.OutcomeRefused})
	require.NoError(t, err)
	require.Len(t, events, 1, "those that are alike are one")
	require.Equal(t, 5, events[0].Count)
	require.Equal(t, "job 4", events[0].Subject)

	const most = 100
	for i := range most + 20 {
		refuse("9999", "job", fmt.Sprint("no grant of component ", i))
	}
	events, _, err = c.Audit(ctx, catalogue.AuditFilter{Party: "9999"})
	require.NoError(t, err)
	require.Len(t, events, most+1, "further ones are counted")
	refuse("10001", "job", "no grant")
	events, _, err = c.Audit(ctx, catalogue.AuditFilter{Party: "10001"})
	require.NoError(t, err)
	require.Len(t, events, 1, "each peer has its own")

	done := openflow.AuditEvent{
		ID: "once", Time: epoch, Actor: "party 9999", Action: "job/create", Subject: "job 1", Party: "9999", Outcome: openflow.OutcomeDone,
		Grants: []openflow.GrantID{"g-1", "g-2"}, Authority: "initiator 9999, scheduler 9999, signed",
	}
	for range 2 {
		require.NoError(t, c.RecordDecision(ctx, done))
	}
	events, _, err = c.Audit(ctx, catalogue.AuditFilter{Outcome: openflow.OutcomeDone})
	require.NoError(t, err)
	require.Equal(t, []openflow.AuditEvent{done}, events)
	require.NoError(t, c.TrimDecisions(ctx))
	events, _, err = c.Audit(ctx, catalogue.AuditFilter{})
	require.NoError(t, err)
	require.Len(t, events, most+3, "nothing goes before there are too many")
}
