package attacks_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// Party 9999 initiates, 10000 schedules and attacks, and 10001 has the data.
const (
	initiates = "9999"
	schedules = "10000"
	owns      = "10001"
)

// signedJob is a job with a part for each of its parties. The attacker schedules it.
func signedJob() *openflow.DAG {
	parties := env.Parties("guest 9999", "host 10001")
	d := env.DAG(parties, env.Noop("a", env.Sleep(1)))
	d.Conf.Initiator, d.Conf.Scheduler, d.Conf.Purpose = initiates, schedules, "scores of customers"
	d.PartyTasks = []openflow.PartyTasks{env.At(parties[0], "a", env.Sleep(2)), env.At(parties[1], "a", env.Sleep(3))}
	return d
}

// refusal is the code of an answer of FATE-Flow's routes.
func refusal(t *testing.T, answer []byte) openflow.Code {
	t.Helper()
	var e wire.Envelope
	require.NoError(t, json.Unmarshal(answer, &e), "%s", answer)
	return openflow.CodeOf(e.Err())
}

// A scheduler cannot have a party run what the initiator has not signed, in whichever dialect it says so. The party whose data it is
// refuses, records nothing, and tells its operator what can be done. What was signed runs.
func TestSchedulerChangesAJob(t *testing.T) {
	e := env.New(t, env.Party(initiates), env.Party(schedules), env.Party(owns))
	a, victim := attack(t, e, schedules, owns), e.As(t, owns)
	const id openflow.JobID = "2026010100000000000000001"
	k := openflow.JobKey{Scheduler: schedules, Job: id, Party: env.Parties("host 10001")[0]}
	given := func(signer string, now time.Time, d *openflow.DAG, job openflow.JobID) *openflow.Mandate {
		m, err := trust.Mandates{Self: initiates, Key: e.Key(t, signer), Now: func() time.Time { return now }}.Give(d, job, "")
		require.NoError(t, err)
		return m
	}
	whole := func() *openflow.DAG { return e.Submission(t, signedJob(), id).DAG }
	for name, tc := range map[string]struct {
		change func(o *openflow.JobOrder)
		code   openflow.Code
		log    string
	}{
		"a parameter of all": {func(o *openflow.JobOrder) { o.DAG.Tasks[0].Parameters = env.Sleep(9) }, openflow.CodePermission, "what all parties may read"},
		"a component":        {func(o *openflow.JobOrder) { o.DAG.Tasks[0].Component = "psi" }, openflow.CodePermission, "what all parties may read"},
		"a parameter of the party": {func(o *openflow.JobOrder) {
			o.DAG.PartyTasks[0].Tasks["a"] = openflow.TaskOverride{Parameters: env.Sleep(9)}
		}, openflow.CodePermission, "the part of party 10001"},
		"another party's part": {func(o *openflow.JobOrder) { o.DAG.PartyTasks = whole().StrippedFor(initiates).PartyTasks }, openflow.CodePermission, "the part of party 10001"},
		"another party's salt": {func(o *openflow.JobOrder) { *o.Mandate = *e.Submission(t, signedJob(), id).Mandate.For(initiates) }, openflow.CodePermission, "the part of party 10001"},
		"a further party":      {func(o *openflow.JobOrder) { o.DAG.Parties = append(o.DAG.Parties, env.Parties("arbiter 10000")...) }, openflow.CodePermission, "what all parties may read"},
		"priority":             {func(o *openflow.JobOrder) { o.DAG.Conf.Priority = 9 }, openflow.CodePermission, "what all parties may read"},
		"cores":                {func(o *openflow.JobOrder) { o.DAG.Conf.Cores = new(1) }, openflow.CodePermission, "what all parties may read"},
		"timeout":              {func(o *openflow.JobOrder) { o.DAG.Conf.Timeout = time.Hour }, openflow.CodePermission, "what all parties may read"},
		"purpose":              {func(o *openflow.JobOrder) { o.DAG.Conf.Purpose = "marketing" }, openflow.CodePermission, "its purpose"},
		"another job":          {func(o *openflow.JobOrder) { o.Key.Job = "2026010100000000000000002" }, openflow.CodePermission, "and not job 2026010100000000000000002"},
		"an earlier job's":     {func(o *openflow.JobOrder) { o.Mandate = given(initiates, time.Now(), whole(), "1").For(owns) }, openflow.CodePermission, "has signed job 1 for party 10000"},
		"another scheduler's": {func(o *openflow.JobOrder) {
			other := whole()
			other.Conf.Scheduler = initiates
			o.Mandate = given(initiates, time.Now(), other, id).For(owns)
		}, openflow.CodePermission, "for party 9999 to schedule"},
		"expired": {func(o *openflow.JobOrder) {
			o.Mandate = given(initiates, time.Now().Add(-openflow.MandateLife-2*trust.Window), whole(), id).For(owns)
		}, openflow.CodePermission, "submit the job again"},
		"signed by the scheduler": {func(o *openflow.JobOrder) { o.Mandate = given(schedules, time.Now(), whole(), id).For(owns) }, openflow.CodeUnauthorized, "is not signed by party 9999"},
		"an unknown initiator":    {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = "666" }, openflow.CodePermission, "exchange keys once with party 666"},
		"the owner as initiator":  {func(o *openflow.JobOrder) { o.DAG.Conf.Initiator = owns }, openflow.CodeUnauthorized, "is not signed by party 10001"},
		"stripped":                {func(o *openflow.JobOrder) { o.Mandate = nil }, openflow.CodePermission, "openflow site add 10000 --url URL --key KEY --unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			o := e.Order(t, k, signedJob())
			tc.change(&o)
			_, err := a.calls().Partner().OpenJob(t.Context(), o)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			body, err := forms.EncodeOrder(o)
			require.NoError(t, err)
			_, answer := a.post("/v2/partner/job/create", body)
			require.Equal(t, tc.code, refusal(t, answer), "%s", answer)
			require.Contains(t, e.Log(owns), tc.log)
			require.Empty(t, victim.Jobs(o.Key.Job))
		})
	}
	order := e.Order(t, k, signedJob())
	got, err := a.calls().Partner().OpenJob(t.Context(), order)
	require.NoError(t, err)
	require.True(t, got.Held)
	row := victim.Jobs(id)[0]
	require.Equal(t, []any{true, initiates, "scores of customers"}, []any{row.Signed, row.InitiatorPartyID, row.Purpose})

	require.NoError(t, a.calls().Partner().StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobCanceled}))
	victim.OK(victim.Post("/v2/job/clean", map[string]string{"job_id": string(id)}), nil)
	_, err = a.calls().Partner().OpenJob(t.Context(), order)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "a mandate is used up: %v", err)
	require.Empty(t, victim.Jobs(id))
}

// A peer cannot have a site schedule a job in the name of somebody else, nor one that it does not stand for with its signature.
// The job here reads a table of the site, which opens it to itself.
func TestSchedulingForSomebodyElse(t *testing.T) {
	e := env.New(t, env.Party(initiates), env.Party(schedules), env.Party(owns))
	a, victim := attack(t, e, owns, schedules), e.As(t, schedules)
	const id openflow.JobID = "2026010100000000000000003"
	of := func(initiator openflow.PartyID) openflow.Submission {
		d := env.DAG(env.Parties("guest 10000"), openflow.Task{
			Name: "a", Component: "reader", Parameters: openflow.Parameters{"namespace": "site", "name": "secret"},
		})
		d.Conf.Initiator, d.Conf.Scheduler = initiator, schedules
		return e.Submission(t, d, id)
	}
	unsigned := func(s openflow.Submission) openflow.Submission {
		s.Mandate = nil
		return s
	}
	taken := of(initiates) // a mandate of 9999 that the attacker has got hold of
	own := of(owns)
	own.Mandate = taken.Mandate
	for name, tc := range map[string]struct {
		sub  openflow.Submission
		code openflow.Code
	}{
		"in the initiator's name, with its mandate": {taken, openflow.CodePermission},
		"in its name, without":                      {unsigned(taken), openflow.CodePermission},
		"in the site's own name":                    {unsigned(of(schedules)), openflow.CodePermission},
		"in nobody's name":                          {unsigned(of(owns)), openflow.CodePermission},
		"with a mandate of somebody else":           {own, openflow.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.calls().Scheduler().CreateJob(t.Context(), a.Party, tc.sub)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			body, err := forms.EncodeSubmission(tc.sub)
			require.NoError(t, err)
			_, answer := a.post("/v2/scheduler/job/create", body)
			require.Equal(t, tc.code, refusal(t, answer), "%s", answer)
			require.Empty(t, victim.Jobs(id))
		})
	}
	fair := env.DAG(env.Parties("guest 10000"), env.Noop("a", nil))
	fair.Conf.Initiator, fair.Conf.Scheduler = owns, schedules
	_, err := a.calls().Scheduler().CreateJob(t.Context(), a.Party, e.Submission(t, fair, id))
	require.NoError(t, err)
	rows := victim.WaitFor(id, openflow.JobSuccess)
	require.True(t, rows[0].Signed)
	require.Equal(t, owns, rows[0].InitiatorPartyID)
}

// A site takes unsigned jobs of those peers only of whom its operator has said so. Doctor warns of them.
func TestUnsignedJobIsTakenByTheRecordOnly(t *testing.T) {
	e := env.New(t, env.Party(schedules), env.Party(owns))
	a, victim := attack(t, e, schedules, owns), e.As(t, owns)
	d := env.DAG(env.Parties("host 10001"), env.Noop("a", nil))
	d.Conf.Initiator, d.Conf.Scheduler = initiates, schedules // whom the site does not know
	open := func(id openflow.JobID) error {
		k := openflow.JobKey{Scheduler: schedules, Job: id, Party: d.Parties[0]}
		_, err := a.calls().Partner().OpenJob(t.Context(), openflow.JobOrder{Key: k, DAG: d})
		return err
	}
	record := func(unsigned bool) {
		victim.OK(victim.Post("/openflow/v1/user/site/add", map[string]any{
			"party_id": schedules, "url": e.URL(schedules), "key": e.Key(t, schedules).Public().String(), "unsigned": unsigned,
		}), nil)
	}
	doctor := func() string {
		var found []struct{ Name, Status, Detail string }
		victim.OK(victim.Get("/openflow/v1/user/server/doctor"), &found)
		for _, f := range found {
			if f.Name == "jobs of "+schedules {
				return f.Status + ": " + f.Detail
			}
		}
		return ""
	}
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(open("1")))
	require.Equal(t, "ok: are taken with the signature of their initiator only", doctor())
	record(true)
	require.NoError(t, open("2"))
	require.False(t, victim.Jobs("2")[0].Signed)
	require.Contains(t, doctor(), "warn: unsigned jobs are taken from party 10000: anything its node says")
	record(false)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(open("3")))
	require.Empty(t, victim.Jobs("1"))
	require.Empty(t, victim.Jobs("3"))
}
