package partner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// excerpts makes parts that tell what they are, each once.
type excerpts struct {
	cut  [][]string
	made map[string]bool
	err  error // of what is cut from now on
}

func (e *excerpts) Outline(_ context.Context, rec openflow.TableRecord, _ []string) (openflow.TableRecord, error) {
	rec.Object, rec.Bytes = "", 0
	return rec, nil
}

func (e *excerpts) Cut(_ context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error) {
	rec.Object, rec.Bytes = "part of "+rec.Object, 1000
	if key := fmt.Sprint(rec.Object, columns); !e.made[key] {
		if e.err != nil {
			return rec, e.err
		}
		if e.made == nil {
			e.made = map[string]bool{}
		}
		e.made[key], e.cut = true, append(e.cut, columns)
	}
	return rec, nil
}

func (e *excerpts) Has(_ context.Context, object string) (bool, error) {
	for key := range e.made {
		if strings.HasPrefix(key, object) {
			return true, nil
		}
	}
	return false, nil
}

var breast = openflow.TableName{Namespace: "experiment", Name: "breast"}

// bare is a site that has granted nothing.
func bare(t *testing.T) *site {
	s := newSite(t)
	grants, err := s.catalogue.Grants(t.Context(), "")
	require.NoError(t, err)
	for _, g := range grants {
		_, err := s.catalogue.DeleteGrant(t.Context(), g.ID)
		require.NoError(t, err)
	}
	return s
}

func entry() []openflow.Grant {
	return []openflow.Grant{{Kind: openflow.GrantInitiate, Initiator: "9999"}, {Kind: openflow.GrantSchedule, Scheduler: "9999"}}
}

func whole() openflow.Grant {
	return openflow.Grant{
		Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "*"}}, Tables: []openflow.GrantedTable{{Name: breast}},
	}
}

func order(id openflow.JobID, change ...func(*openflow.DAG)) openflow.JobOrder {
	d := dag()
	for _, c := range change {
		c(d)
	}
	return openflow.JobOrder{Key: jobKey(id, host), DAG: d}
}

func (s *site) refusesFor(o openflow.JobOrder, says string) {
	s.t.Helper()
	err := s.creates(s.t.Context(), o)
	require.Equal(s.t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(s.t, err, says)
	_, err = s.catalogue.Job(s.t.Context(), o.Key)
	require.Equal(s.t, openflow.CodeNotFound, openflow.CodeOf(err), "nothing is recorded")
}

func (s *site) decisions(f catalogue.AuditFilter) []openflow.AuditEvent {
	s.t.Helper()
	events, _, err := s.catalogue.Audit(s.t.Context(), f)
	require.NoError(s.t, err)
	return events
}

// Who may initiate, who may schedule and who may use are three grants, and all are asked for at once.
func TestGrantsOfAJob(t *testing.T) {
	s := bare(t)
	s.refusesFor(order("1"), "openflow grant add 9999 --initiate --schedule --component reader --component lr --table experiment/breast")
	s.grants(whole())
	s.refusesFor(order("1"), "party 9999 may not use here: initiate jobs, schedule jobs")
	s.grants(entry()[0])
	s.refusesFor(order("1"), "party 9999 may not use here: schedule jobs")
	ids := s.grants(entry()[1])
	require.NoError(t, s.creates(t.Context(), order("1")))

	events := s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeDone})
	require.Len(t, events, 1)
	require.Len(t, events[0].Grants, 3)
	require.Contains(t, events[0].Grants, ids[0])
	require.Equal(t, []string{"party 9999 as initiator and scheduler", "job/create", "job 1 (host 10000)", "initiator 9999, scheduler 9999, not signed"},
		[]string{events[0].Actor, events[0].Action, events[0].Subject, events[0].Authority})
	require.NoError(t, s.creates(t.Context(), order("1")))
	require.Len(t, s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeDone}), 1, "a repeat is no decision")
	require.Len(t, s.decisions(catalogue.AuditFilter{Party: "9999", Outcome: openflow.OutcomeRefused}), 3)
}

// A job that this site schedules for a peer gets what the peer has been granted.
func TestJobOfAPeerThatIsScheduledHere(t *testing.T) {
	s := bare(t)
	s.grants(entry()...)
	o := order("1")
	o.Key.Scheduler = "10000"
	s.refusesFor(o, "party 9999, scheduled by party 10000, may not use here: component reader")
	s.grants(whole())
	require.NoError(t, s.creates(t.Context(), o))
}

// Nobody schedules a job in the name of the site, or of a peer that has been granted more.
func TestInitiatorThatTheSchedulerNames(t *testing.T) {
	s := newSite(t)
	s.grants(openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "666"})
	for _, initiator := range []openflow.PartyID{"9999", "10000"} {
		o := order("1", func(d *openflow.DAG) { d.Conf.Initiator = initiator })
		o.Key.Scheduler = "666"
		s.refusesFor(o, "initiate jobs")
	}
}

// What of a job does not fit one field of its grants is refused, and nothing of it is recorded or used.
func TestFieldsOfAGrant(t *testing.T) {
	full := whole()
	full.Components = []openflow.GrantedComponent{{Name: "reader"}, {Name: "lr", Provider: "openflow", Version: "1"}}
	full.Purpose = "churn study"
	full.Partners, full.Uses, full.Until = []openflow.PartyID{"10001"}, 1, time.Now().Add(time.Hour)
	full.Limits = []openflow.ParameterLimit{{Component: "lr", Parameter: "rate", Relation: "<=", Values: []string{"0.5"}}, {Component: "lr", Parameter: "epochs", Relation: "=", Values: []string{"10"}}}
	fits := func(d *openflow.DAG) {
		d.Tasks[1].Parameters, d.Conf.Purpose = openflow.Parameters{"rate": 0.5}, "churn study"
	}
	for name, tc := range map[string]struct {
		grant  func(*openflow.Grant)
		change func(*openflow.DAG)
		says   string
	}{
		"initiator": {func(g *openflow.Grant) { g.Initiator = "8888" }, nil, "component reader"},
		"scheduler": {func(g *openflow.Grant) { g.Scheduler = "8888" }, nil, "component reader"},
		"component": {nil, func(d *openflow.DAG) { d.Tasks[1].Component = "boost" }, "component boost"},
		"provider":  {func(g *openflow.Grant) { g.Components[1].Provider = "acme" }, nil, "component lr (grant"},
		"version":   {func(g *openflow.Grant) { g.Components[1].Version = "2" }, nil, "component lr (grant"},
		"digest": {func(g *openflow.Grant) {
			g.Components[1] = openflow.GrantedComponent{Name: "lr", Digest: "sha256:" + zeros}
		}, nil, "component lr (grant"},
		"table": {nil, func(d *openflow.DAG) { d.Tasks[0].Parameters["name"] = "secret" }, "table experiment/secret"},
		"channel": {nil, func(d *openflow.DAG) {
			d.Tasks[1].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Namespace: "experiment", Name: "secret"})}
		}, "table experiment/secret"},
		"purpose": {nil, func(d *openflow.DAG) { d.Conf.Purpose = "churn" }, `is for the purpose "churn study"`},
		"partner": {nil, func(d *openflow.DAG) {
			d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: "10002"})
		}, "without party 10002"},
		"limit":    {nil, func(d *openflow.DAG) { d.Tasks[1].Parameters["rate"] = 0.6 }, "wants lr.rate<=0.5"},
		"no value": {nil, func(d *openflow.DAG) { d.Tasks[1].Parameters = nil }, "wants lr.rate<=0.5"},
		"default":  {nil, func(d *openflow.DAG) { d.Tasks[1].Parameters["epochs"] = 11 }, "wants lr.epochs=10"},
		"expired":  {func(g *openflow.Grant) { g.Until = time.Now().Add(-time.Minute) }, nil, "was until"},
	} {
		t.Run(name, func(t *testing.T) {
			s := bare(t)
			g := full
			g.Components = append([]openflow.GrantedComponent{}, full.Components...)
			if tc.grant != nil {
				tc.grant(&g)
			}
			id := s.grants(append(entry(), g)...)[2]
			change := func(*openflow.DAG) {}
			if tc.change != nil {
				change = tc.change
			}
			s.refusesFor(order("1", fits, change), tc.says)
			after, err := s.catalogue.Grant(t.Context(), id)
			require.NoError(t, err)
			require.Zero(t, after.Used)
		})
	}
	s := bare(t)
	s.grants(append(entry(), full)...)
	require.NoError(t, s.creates(t.Context(), order("1", fits)))
	other := order("1", fits)
	other.Key.Party = arbiter
	require.NoError(t, s.creates(t.Context(), other), "another role in the same job")
	require.NoError(t, s.creates(t.Context(), order("1", fits)), "a repeat")
	s.refusesFor(order("2", fits), "has been used 1 of 1 times")
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// A job that is granted columns keeps a table that has no others.
func TestColumnsOfAGrant(t *testing.T) {
	s := bare(t)
	e := &excerpts{}
	s.Excerpts = e
	require.NoError(t, s.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: breast, Object: "all", DataType: "dataframe"}))
	g := whole()
	g.Tables[0].Columns = []string{"x0", "id"}
	s.grants(append(entry(), g)...)
	o := order("1", func(d *openflow.DAG) {
		d.Tasks[1].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Namespace: "experiment", Name: "breast"})}
	})
	require.NoError(t, s.creates(t.Context(), o))
	require.Equal(t, [][]string{{"id", "x0"}}, e.cut, "once for the job")
	pins, err := s.catalogue.Pins(t.Context(), o.Key)
	require.NoError(t, err)
	require.Len(t, pins, 2)
	for _, p := range pins {
		require.Equal(t, []string{"part of all", "all"}, []string{p.Object, p.CutOf})
		require.Equal(t, []string{"all"}, p.Origins, "what is told of a part is told of the table")
	}
	rec, err := s.catalogue.TableOf(t.Context(), o.Key, breast)
	require.NoError(t, err)
	require.Equal(t, "part of all", rec.Object)
}

// Models belong to the initiator and scheduler of the job that made them, whatever other jobs call theirs.
func TestModelsOfOthers(t *testing.T) {
	for _, trial := range []bool{false, true} {
		s := newSite(t)
		s.GrantAll = trial
		for id, initiator := range map[string]openflow.PartyID{"m": "9999", "theirs": "8888", "ours": "10000"} {
			require.NoError(t, s.catalogue.SaveModel(t.Context(), openflow.ModelRecord{
				ModelID: id, Version: "0", Party: host, Task: "lr_9", OutputKey: "model", Object: id, Scheduler: "9999", Initiator: initiator, Job: "old",
			}))
		}
		reads := func(id string) func(*openflow.DAG) {
			return func(d *openflow.DAG) {
				in := model("0")
				in.Channels[0].Model = &openflow.ModelRef{ID: id, Version: "0"}
				d.Tasks[1].Inputs = []openflow.Input{in}
			}
		}
		writes := func(id string) func(*openflow.DAG) { return func(d *openflow.DAG) { d.Conf.ModelID = id } }
		require.NoError(t, s.creates(t.Context(), order("1", reads("m"), writes("m"))))
		for _, id := range []string{"theirs", "ours"} {
			s.refusesFor(order("2", reads(id)), "model "+id+" version 0, which is of others")
			s.refusesFor(order("2", writes(id)), "openflow grant add 9999 --model "+id+"/0")
		}
		require.NoError(t, s.creates(t.Context(), order("theirs", writes("theirs"))), "a job's own ID is no wish")
		s.grants(openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Models: []openflow.ModelRef{{ID: "theirs"}}})
		require.NoError(t, s.creates(t.Context(), order("3", reads("theirs"), writes("theirs"))))
	}
}

// A job reads the outputs of earlier jobs of its own initiator only, and needs what those have read.
func TestOutputsOfEarlierJobs(t *testing.T) {
	s := bare(t)
	ids := s.grants(append(entry(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "8888", Scheduler: "9999"}, whole(),
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "8888", Scheduler: "9999", Components: []openflow.GrantedComponent{{Name: "*"}}},
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "*"}}})...)
	require.NoError(t, s.creates(t.Context(), order("1")))
	require.NoError(t, s.catalogue.SaveOutput(t.Context(), openflow.OutputRecord{Task: taskKey("1", "lr_0", host), OutputKey: "output_data", Table: openflow.TableName{Namespace: "1_lr_0", Name: "made"}},
		&openflow.TableRecord{Name: openflow.TableName{Namespace: "1_lr_0", Name: "made"}, Object: "made", Intermediate: true}))
	later := func(d *openflow.DAG) {
		d.Tasks = d.Tasks[1:]
		d.Tasks[0].DependsOn = nil
		d.Tasks[0].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Job: "1", ProducerTask: "lr_0", OutputKey: "output_data"})}
	}
	require.NoError(t, s.creates(t.Context(), order("2", later)))
	require.NoError(t, s.catalogue.SaveOutput(t.Context(), openflow.OutputRecord{Task: taskKey("2", "lr_0", host), OutputKey: "output_data", Table: openflow.TableName{Namespace: "2_lr_0", Name: "made"}},
		&openflow.TableRecord{Name: openflow.TableName{Namespace: "2_lr_0", Name: "made"}, Object: "made-of-it", Intermediate: true}))
	much := func(d *openflow.DAG) {
		later(d)
		d.Tasks[0].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Job: "2", ProducerTask: "lr_0", OutputKey: "output_data"})}
	}
	require.NoError(t, s.creates(t.Context(), order("5", much)))
	stranger := order("3", later, func(d *openflow.DAG) { d.Conf.Initiator = "8888" })
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.creates(t.Context(), stranger)), "it has no such job")
	_, err := s.catalogue.DeleteGrant(t.Context(), ids[3])
	require.NoError(t, err)
	s.refusesFor(order("4", later), "table experiment/breast")
	s.refusesFor(order("6", much), "table experiment/breast")

	// What was made of a table is no less of it once the job between is forgotten.
	_, err = s.catalogue.UpdateJobStatus(t.Context(), jobKey("1", host), openflow.JobFailed, "why")
	require.NoError(t, err)
	_, err = s.catalogue.DeleteJob(t.Context(), jobKey("1", host))
	require.NoError(t, err)
	err = s.creates(t.Context(), order("7", much))
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "job 1, which is not here any more")
}

// A grant that is over, or was taken back, starts no run any more, until another gives the same.
func TestGrantThatIsOver(t *testing.T) {
	s := bare(t)
	ids := s.grants(append(entry(), whole())...)
	s.running("1", dag())
	k := taskKey("1", "reader_0", host)
	_, err := s.catalogue.DeleteGrant(t.Context(), ids[2])
	require.NoError(t, err)
	err = s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k})
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "job 1 may not go on: party 9999 may not use here: component reader")
	require.ErrorContains(t, err, "openflow grant add 9999 --component reader")
	require.Empty(t, s.engine.started)
	events := s.decisions(catalogue.AuditFilter{Action: "run/start"})
	require.Len(t, events, 1)
	require.Equal(t, openflow.OutcomeRefused, events[0].Outcome)

	short := whole()
	short.Until = time.Now().Add(time.Hour)
	id := s.grants(short)[0]
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}))
	require.Len(t, s.engine.started, 1)
	g, err := s.catalogue.Grant(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 1, g.Used)
	_, err = s.catalogue.DeleteGrant(t.Context(), s.grants(openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"})[0])
	require.NoError(t, err)
	s.grants(openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"})
	s.ends(k, openflow.TaskSuccess)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host)}))
	g, err = s.catalogue.Grant(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 1, g.Used, "once a job")
}

// parts grants columns of the table, without or with a grant of all of it, and returns both. The table has rows.
func (s *site) parts(columns ...string) (all, some openflow.GrantID) {
	s.t.Helper()
	s.Excerpts = &excerpts{}
	require.NoError(s.t, s.catalogue.SaveTable(s.t.Context(), openflow.TableRecord{Name: breast, Object: "all", DataType: "dataframe"}))
	part := whole()
	part.Purpose, part.Tables = "part", []openflow.GrantedTable{{Name: breast, Columns: columns}}
	full := whole()
	full.Purpose = "all"
	ids := s.grants(append(entry(), full, part)...)
	return ids[2], ids[3]
}

func purpose(text string) func(*openflow.DAG) {
	return func(d *openflow.DAG) { d.Conf.Purpose = text }
}

// takes has a job read what task lr_0 of another job has made.
func takes(from openflow.JobID) func(*openflow.DAG) {
	return func(d *openflow.DAG) {
		d.Tasks = d.Tasks[1:]
		d.Tasks[0].DependsOn = nil
		d.Tasks[0].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Job: from, ProducerTask: "lr_0", OutputKey: "output_data"})}
	}
}

// makes records an output of a job.
func (s *site) makes(id openflow.JobID) {
	s.t.Helper()
	name := openflow.TableName{Namespace: string(id) + "_lr_0", Name: "made"}
	require.NoError(s.t, s.catalogue.SaveOutput(s.t.Context(), openflow.OutputRecord{Task: taskKey(id, "lr_0", host), OutputKey: "output_data", Table: name},
		&openflow.TableRecord{Name: name, Object: "made by " + string(id), Intermediate: true}))
}

// What was made of a whole table, through however many jobs, is not for a job that is granted columns of it; what was made of the
// same columns is.
func TestOutputsOfMoreColumns(t *testing.T) {
	const less = "gives fewer columns of it than the job has, or than what it reads was made of"
	s := bare(t)
	s.parts("id", "x0")
	require.NoError(t, s.creates(t.Context(), order("1", purpose("all"))))
	s.makes("1")
	s.refusesFor(order("2", takes("1"), purpose("part")), less)
	require.NoError(t, s.creates(t.Context(), order("3", takes("1"), purpose("all"))))
	s.makes("3")
	s.refusesFor(order("4", takes("3"), purpose("part")), less)

	require.NoError(t, s.creates(t.Context(), order("5", purpose("part"))))
	s.makes("5")
	require.NoError(t, s.creates(t.Context(), order("6", takes("5"), purpose("part"))), "as much as it is granted")
	require.NoError(t, s.creates(t.Context(), order("7", takes("5"), purpose("all"))), "and less")
	fewer := whole()
	fewer.Purpose, fewer.Tables = "fewer", []openflow.GrantedTable{{Name: breast, Columns: []string{"id"}}}
	s.grants(fewer)
	o := order("8", takes("5"), purpose("fewer"))
	s.refusesFor(o, less)
	told := openflow.ForPartners(s.creates(t.Context(), o))
	require.ErrorContains(t, told, "--table experiment/breast:COLUMNS")
	require.NotContains(t, told.Error(), "x0")
}

// A job does not start on a grant of fewer columns than it was opened with, and a job that had read what it reads may be gone.
func TestStartOnFewerColumns(t *testing.T) {
	s := bare(t)
	all, _ := s.parts("id", "x0")
	s.running("1", order("1", purpose("all")).DAG)
	s.makes("1")
	s.running("2", order("2", takes("1"), purpose("all")).DAG)
	_, err := s.catalogue.DeleteGrant(t.Context(), all)
	require.NoError(t, err)
	less := whole()
	less.Purpose, less.Tables = "all", []openflow.GrantedTable{{Name: breast, Columns: []string{"id", "x0"}}}
	s.grants(less)
	start := func(k openflow.TaskKey) error { return s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}) }
	for _, k := range []openflow.TaskKey{taskKey("1", "reader_0", host), taskKey("2", "lr_0", host)} {
		err = start(k)
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "may not go on: party 9999 may not use here: table experiment/breast (grant ")
		require.ErrorContains(t, err, "gives fewer columns")
	}
	_, err = s.catalogue.UpdateJobStatus(t.Context(), jobKey("1", host), openflow.JobFailed, "why")
	require.NoError(t, err)
	_, err = s.catalogue.DeleteJob(t.Context(), jobKey("1", host))
	require.NoError(t, err)
	err = start(taskKey("2", "lr_0", host))
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "job 1, which is not here any more")
	require.Empty(t, s.engine.started)

	again := whole()
	again.Purpose = "all"
	s.grants(again)
	s.running("3", order("3", purpose("all")).DAG)
	require.NoError(t, start(taskKey("3", "reader_0", host)))
}
