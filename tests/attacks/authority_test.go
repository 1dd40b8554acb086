package attacks_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/store/catalogue"
	"openflow/tests/env"
)

// The tables of the victim of these attacks: one that it shares, and one that it does not.
var (
	shared = openflow.TableName{Namespace: "bank", Name: "shared"}
	secret = openflow.TableName{Namespace: "bank", Name: "secret"}
)

const victimRows = "id,x0,salary\n1,0.5,9000\n2,0.25,8000\n3,0.125,7000\n"

// banks are nodes that grant each other nothing. 10000 is the victim.
func banks(t *testing.T) (e *env.Env, victim *env.Client, operator *sdk.Client) {
	t.Helper()
	e = env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Strict())
	victim = e.As(t, "10000")
	for _, table := range []openflow.TableName{shared, secret} {
		victim.OK(victim.Upload(table.Namespace, table.Name, `{"match_id_name":"id"}`, strings.NewReader(victimRows)), nil)
	}
	return e, victim, &sdk.Client{URL: victim.URL}
}

func reading(name openflow.TableName, parties ...openflow.Party) openflow.Task {
	return openflow.Task{Name: "reader_0", Component: "reader", Parties: parties, Parameters: openflow.Parameters{"namespace": name.Namespace, "name": name.Name}}
}

// nothingOf asserts that a site has neither a job of party 9999 nor a run.
func nothingOf(t *testing.T, e *env.Env, id string) {
	t.Helper()
	var list struct{ Data []wire.JobRow }
	user := e.As(t, id)
	user.OK(user.Get("/v2/job/list/query"), &list)
	for _, row := range list.Data { // its own uploads are jobs too
		require.NotEqual(t, "9999", row.InitiatorPartyID, "job %s is recorded", row.JobID)
	}
	require.Empty(t, e.Containers(t, id))
}

// A peer without any grant does not get the owner's rows by having the owner's own node schedule the job, which would ask nobody but
// itself. It is refused in both dialects before the job is looked at.
func TestPeerSchedulesOnTheVictimItself(t *testing.T) {
	e, _, operator := banks(t)
	a := attack(t, e, "9999", "10000")
	const id openflow.JobID = "2026010100000000000000001"
	for _, d := range []*openflow.DAG{
		env.DAG(env.Parties("guest 10000"), reading(secret)),
		env.DAG(env.Parties("guest 9999", "host 10000"), reading(secret, env.Parties("host 10000")...), env.Noop("b", nil)),
	} {
		d.Conf.Initiator, d.Conf.Scheduler = "9999", "10000"
		_, err := a.calls().Scheduler().CreateJob(t.Context(), "9999", e.Submission(t, d, id))
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	}
	document := `{"dag":{"schema_version":"2.2.0","dag":{"parties":[{"role":"guest","party_id":["10000"]}],"stage":"default","conf":{"initiator_party_id":"9999","scheduler_party_id":"10000"},
		"tasks":{"reader_0":{"component_ref":"reader","parameters":{"namespace":"bank","name":"secret"}}}}}}`
	status, answer := a.post("/v2/scheduler/job/create", []byte(document))
	require.NotContains(t, string(answer), `"code":0`, "%d", status)
	require.NotEqual(t, http.StatusInternalServerError, status, "%s", answer)
	nothingOf(t, e, "10000")

	page, err := operator.Audit(t.Context(), sdk.AuditFilter{Party: "9999", Outcome: openflow.OutcomeRefused})
	require.NoError(t, err)
	require.NotEmpty(t, page.Events, "the owner sees who tried")
	require.Equal(t, "job/schedule", page.Events[0].Action)
	require.Contains(t, page.Events[0].Detail, "initiate jobs")
}

// Each kind of grant is one of its own: to use is not to initiate, and to initiate is not to schedule.
func TestPeerWithHalfAGrant(t *testing.T) {
	e, victim, operator := banks(t)
	peer := e.As(t, "9999")
	d := env.DAG(env.Parties("guest 9999", "host 10000"), reading(shared, env.Parties("host 10000")...), env.Noop("b", nil))
	use := openflow.Grant{
		Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "noop"}}, Tables: []openflow.GrantedTable{{Name: shared}},
	}
	initiate, schedule := openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"}
	for _, half := range []struct {
		grants  []openflow.Grant
		missing string
	}{
		{[]openflow.Grant{use}, "initiate jobs, schedule jobs"}, {[]openflow.Grant{use, initiate}, "schedule jobs"},
		{[]openflow.Grant{use, schedule}, "initiate jobs"}, {[]openflow.Grant{initiate, schedule}, "component reader"},
	} {
		made, err := operator.Grant(t.Context(), half.grants...)
		require.NoError(t, err)
		answer := peer.TrySubmit(d)
		require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
		require.Contains(t, answer.Message, "at party 10000")
		require.Contains(t, answer.Message, half.missing)
		nothingOf(t, e, "10000")
		for _, g := range made {
			_, err := operator.Revoke(t.Context(), g.ID)
			require.NoError(t, err)
		}
	}
	_, err := operator.Grant(t.Context(), use, initiate, schedule)
	require.NoError(t, err)
	id := peer.Submit(d)
	victim.WaitFor(id, openflow.JobSuccess)

	page, err := operator.Audit(t.Context(), sdk.AuditFilter{Party: "9999", Outcome: openflow.OutcomeDone, Subject: string(id)})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.Len(t, page.Events[0].Grants, 3)
	require.Contains(t, page.Events[0].Authority, "initiator 9999, scheduler 9999")
}

// A grant is violated in one field at a time, by an honest node. The party whose data it is refuses each, and counts no use.
func TestViolatedGrant(t *testing.T) {
	e, victim, operator := banks(t)
	partner, peer := &sdk.Client{URL: e.As(t, "10001").URL}, e.As(t, "9999")
	entry := []openflow.Grant{{Kind: openflow.GrantInitiate, Initiator: "9999"}, {Kind: openflow.GrantSchedule, Scheduler: "9999"}}
	_, err := partner.Grant(t.Context(), append(entry, openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "*"}}})...)
	require.NoError(t, err)
	_, err = operator.Grant(t.Context(), entry...)
	require.NoError(t, err)
	host := env.Parties("host 10000")
	job := func() *openflow.DAG {
		d := env.DAG(env.Parties("guest 9999", "host 10000"), reading(shared, host...), openflow.Task{
			Name: "b", Component: "noop", Parties: host, Parameters: openflow.Parameters{"sleep_ms": 5},
		})
		d.Conf.Purpose = "churn study"
		return d
	}
	grant := func() openflow.Grant {
		return openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Scheduler: "9999", Uses: 1, Purpose: "churn study", Until: time.Now().Add(time.Hour), Partners: []openflow.PartyID{"9999"},
			Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "noop", Provider: "openflow"}}, Tables: []openflow.GrantedTable{{Name: shared}},
			Limits: []openflow.ParameterLimit{{Component: "noop", Parameter: "sleep_ms", Relation: "<=", Values: []string{"10"}}},
		}
	}
	other := openflow.GrantedComponent{Name: "noop", Digest: "sha256:" + strings.Repeat("0", 64)}
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(e.Home("10000"), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	for name, tc := range map[string]struct {
		grant func(*openflow.Grant)
		job   func(*openflow.DAG)
		says  string
	}{
		"initiator": {func(g *openflow.Grant) { g.Initiator = "10001" }, nil, "component reader"},
		"scheduler": {func(g *openflow.Grant) { g.Scheduler = "10001" }, nil, "component reader"},
		"component": {func(g *openflow.Grant) { g.Components = g.Components[:1] }, nil, "component noop"},
		"provider":  {func(g *openflow.Grant) { g.Components[1].Provider = "acme" }, nil, "noop@acme"},
		"version":   {func(g *openflow.Grant) { g.Components[1].Version = "0.0.0" }, nil, "noop@openflow:0.0.0"},
		"digest":    {func(g *openflow.Grant) { g.Components[1] = other }, nil, "noop@sha256:00"},
		"table":     {nil, func(d *openflow.DAG) { d.Tasks[0] = reading(secret, host...) }, "table bank/secret"},
		"columns":   {func(g *openflow.Grant) { g.Tables[0].Columns = []string{"x0"} }, nil, "what is granted of it makes no table"},
		"purpose":   {nil, func(d *openflow.DAG) { d.Conf.Purpose = "marketing" }, "is for the purpose"},
		"partner": {nil, func(d *openflow.DAG) {
			d.Parties = append(d.Parties, env.Parties("arbiter 10001")...)
			d.Tasks = append(d.Tasks, env.Noop("c", nil))
		}, "without party 10001"},
		"limit":   {nil, func(d *openflow.DAG) { d.Tasks[1].Parameters["sleep_ms"] = 11 }, "wants noop.sleep_ms<=10"},
		"expired": {func(g *openflow.Grant) { g.Until = time.Now().Add(-time.Second) }, nil, "was until"},
	} {
		t.Run(name, func(t *testing.T) {
			g, d := grant(), job()
			if tc.grant != nil {
				tc.grant(&g)
			}
			if tc.job != nil {
				tc.job(d)
			}
			made, err := rows.AddGrant(t.Context(), g) // the operator is not let make all of these, and grants outlive tables and dates
			require.NoError(t, err)
			defer func() {
				gone, err := operator.Revoke(t.Context(), made.ID)
				require.NoError(t, err)
				require.Zero(t, gone.Used)
			}()
			answer := peer.TrySubmit(d)
			require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
			require.Contains(t, answer.Message, "at party 10000")
			require.Contains(t, answer.Message, tc.says)
			nothingOf(t, e, "10000")
		})
	}
	made, err := operator.Grant(t.Context(), grant())
	require.NoError(t, err)
	victim.WaitFor(peer.Submit(job()), openflow.JobSuccess)
	answer := peer.TrySubmit(job())
	require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "has been used 1 of 1 times")
	_, err = operator.Revoke(t.Context(), made[0].ID)
	require.NoError(t, err)
}

// A peer that submits many jobs at once gets one of the last use.
func TestLastUseOfManyJobsAtOnce(t *testing.T) {
	e, victim, operator := banks(t)
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "noop"}}, Uses: 1})
	require.NoError(t, err)
	const jobs = 4
	answers := make([]wire.Envelope, jobs)
	var all sync.WaitGroup
	for i := range jobs {
		peer := e.As(t, "9999")
		all.Go(func() {
			answers[i] = peer.TrySubmit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
		})
	}
	all.Wait()
	taken := 0
	for _, a := range answers {
		if a.Code == 0 {
			taken++
			victim.WaitFor(openflow.JobID(a.JobID), openflow.JobSuccess)
			continue
		}
		require.Equal(t, wire.NoPermission, a.Code, a.Message)
	}
	require.Equal(t, 1, taken)
}

// A job that is granted columns does not get the others, whatever of it reads the table.
func TestColumnsThatAreNotGranted(t *testing.T) {
	e, victim, operator := banks(t)
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "reader"}},
			Tables: []openflow.GrantedTable{{Name: shared, Columns: []string{"id", "x0"}}},
		})
	require.NoError(t, err)
	peer := e.As(t, "9999")
	id := peer.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), reading(shared, env.Parties("host 10000")...)))
	victim.WaitFor(id, openflow.JobSuccess)
	read := bytes.Join(values(victim.Archive("/v2/output/data/download", env.Run(id, "host", "10000", "reader_0")...)), nil)
	require.Contains(t, string(read), "x0")
	require.NotContains(t, string(read), "salary")
	require.NotContains(t, string(read), "9000")
}

// taking is a task that reads what another job has made.
func taking(from openflow.JobID, parties ...openflow.Party) openflow.Task {
	task := env.Noop("take", nil)
	task.Parties = parties
	task.Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
		{Source: openflow.FromDataWarehouse, Job: from, ProducerTask: "reader_0", OutputKey: "output_data"},
	}}}
	return task
}

// A peer that has had a job on the whole table does not get it into a job that is granted columns, by naming what the first has made.
func TestOutputsOfMoreColumnsThanGranted(t *testing.T) {
	e, victim, operator := banks(t)
	host := env.Parties("host 10000")
	use := func(purpose string, uses int, columns ...string) openflow.Grant {
		return openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Purpose: purpose, Uses: uses, Components: []openflow.GrantedComponent{{Name: "reader"}, {Name: "noop"}},
			Tables: []openflow.GrantedTable{{Name: shared, Columns: columns}},
		}
	}
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		use("all", 1), use("part", 0, "id", "x0"))
	require.NoError(t, err)
	peer := e.As(t, "9999")
	job := func(purpose string, task openflow.Task) *openflow.DAG {
		d := env.DAG(env.Parties("guest 9999", "host 10000"), task)
		d.Conf.Purpose = purpose
		return d
	}
	all := peer.Submit(job("all", reading(shared, host...)))
	victim.WaitFor(all, openflow.JobSuccess)
	answer := peer.TrySubmit(job("part", taking(all, host...)))
	require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "gives fewer columns of it than the job has, or than what it reads was made of")
	require.NotContains(t, answer.Message, "salary")
	require.NotContains(t, answer.Message, "x0")

	part := peer.Submit(job("part", reading(shared, host...)))
	victim.WaitFor(part, openflow.JobSuccess)
	victim.WaitFor(peer.Submit(job("part", taking(part, host...))), openflow.JobSuccess)
}

// proposes has the attacker open a job of these tasks at the victim.
func (a *attacker) proposes(id openflow.JobID, tasks ...openflow.Task) (openflow.JobKey, error) {
	a.t.Helper()
	host := openflow.Party{Role: openflow.RoleHost, ID: a.Victim}
	d := env.DAG([]openflow.Party{{Role: openflow.RoleGuest, ID: a.Party}, host}, tasks...)
	d.Conf = openflow.JobConf{Scheduler: a.Party, Initiator: a.Party, SyncType: openflow.Callback, ModelID: "m", ModelVersion: "0"}
	k := openflow.JobKey{Scheduler: a.Party, Job: id, Party: host}
	_, err := a.calls().Partner().OpenJob(a.t.Context(), a.env.Order(a.t, k, d))
	return k, err
}

// A job that was opened on the whole table reads nothing of it once columns alone are granted.
func TestJobThatWasOpenedOnMoreColumns(t *testing.T) {
	e, _, operator := banks(t)
	use := func(columns ...string) openflow.Grant {
		return openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "reader"}}, Tables: []openflow.GrantedTable{{Name: shared, Columns: columns}},
		}
	}
	made, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"}, use())
	require.NoError(t, err)
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	k, err := a.proposes("202601021504050000000", reading(shared))
	require.NoError(t, err)
	_, err = operator.Revoke(t.Context(), made[2].ID)
	require.NoError(t, err)
	_, err = operator.Grant(t.Context(), use("id", "x0"))
	require.NoError(t, err)
	run := openflow.TaskKey{Scheduler: "9999", Job: k.Job, Task: "reader_0", Party: k.Party}
	err = a.calls().Partner().StartTask(t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true})
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "gives fewer columns")
	require.Empty(t, e.Containers(t, "10000"))
	other, err := a.proposes("202601021504050000001", reading(shared))
	require.NoError(t, err)
	run.Job = other.Job
	require.NoError(t, a.calls().Partner().StartTask(t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true}), "one that was opened on them does")
}

// Jobs that are refused for a mistake copy no table, however many are opened at once; those that are taken copy it once.
func TestRefusedJobsCopyTheTable(t *testing.T) {
	e, _, operator := banks(t)
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "noop"}, {Name: "reader"}},
			Tables: []openflow.GrantedTable{{Name: shared, Columns: []string{"id", "x0"}}},
		})
	require.NoError(t, err)
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	files := func() (list []string) {
		require.NoError(t, filepath.WalkDir(filepath.Join(e.Home("10000"), "objects"), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				list = append(list, p)
			}
			return err
		}))
		return list
	}
	before := files()
	open := func(from int, tasks ...openflow.Task) []error {
		errs := make([]error, 10)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { _, errs[i] = a.proposes(openflow.JobID(fmt.Sprintf("20260102150405%07d", from+i)), tasks...) })
		}
		all.Wait()
		return errs
	}
	for _, err := range open(0, reading(shared), env.Noop("a", openflow.Parameters{"sleep_ms": -1})) {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	}
	require.Equal(t, before, files())
	for _, err := range open(100, reading(shared)) {
		require.NoError(t, err)
	}
	require.Len(t, files(), len(before)+1)
}

func values(files map[string][]byte) (list [][]byte) {
	for _, content := range files {
		list = append(list, content)
	}
	return list
}

// A peer does not replace a model that it has not made, by whatever name it gives its job, also at a node that grants everything
// else.
func TestModelOfAnotherInitiator(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	plant := openflow.ModelRecord{
		ModelID: "churn", Version: "0", Party: env.Parties("host 10000")[0], Task: "lr_0", OutputKey: "output_model", Scheduler: "9999", Initiator: "9999", Job: "1",
	}
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(e.Home("10000"), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	require.NoError(t, rows.SaveModel(t.Context(), plant))
	wish := func(version string) *openflow.DAG {
		d := env.DAG(env.Parties("guest 9999", "host 10000", "arbiter 10001"), env.Noop("a", nil))
		d.Conf.ModelID, d.Conf.ModelVersion = "churn", version
		return d
	}
	thief := e.As(t, "10001")
	answer := thief.TrySubmit(wish("0"))
	require.Equal(t, wire.NoPermission, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "at party 10000")
	require.Contains(t, answer.Message, "model churn version 0, which is of others")
	thief.WaitFor(thief.Submit(wish("1")), openflow.JobSuccess)
	owner := e.As(t, "9999")
	owner.WaitFor(owner.Submit(wish("0")), openflow.JobSuccess)
	after, err := rows.Model(t.Context(), "9999", openflow.ModelRef{ID: "churn", Version: "0"}, plant.Party, "lr_0", "output_model")
	require.NoError(t, err)
	require.Equal(t, plant.Owner(), after.Owner())
}
