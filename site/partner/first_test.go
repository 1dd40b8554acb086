package partner_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// watched are the services of a site that cost something, and how often each was asked.
type watched struct {
	mandates
	components
	excerpts
	proofs, programs int
}

func (w *watched) OfOrder(ctx context.Context, o openflow.JobOrder) (openflow.Authority, error) {
	w.proofs++
	return w.mandates.OfOrder(ctx, o)
}

func (w *watched) Providers(ctx context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error) {
	w.programs += len(specs)
	return w.components.Providers(ctx, specs)
}

// reads counts the jobs that are read, and refuses to record so many.
type reads struct {
	*catalogue.Catalogue
	jobs, spent int
}

func (r *reads) Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error) {
	r.jobs++
	return r.Catalogue.Job(ctx, k)
}

func (r *reads) AdmitJob(ctx context.Context, rule openflow.Quota, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	if r.spent > 0 {
		r.spent--
		return openflow.Grant{ID: "g", Uses: 1, Used: 1}.NoUse()
	}
	return r.Catalogue.AdmitJob(ctx, rule, j, tasks, pins...)
}

func watch(s *site) *watched {
	w := &watched{}
	s.Mandates, s.Components, s.Excerpts = w, w, w
	return w
}

func full() error { return openflow.Errorf(openflow.CodeExhausted, "the disk is full") }

// Who has no grant costs no look at the mandate, the components or the tables, and learns nothing of what others have been granted.
func TestGrantsComeFirst(t *testing.T) {
	s := bare(t)
	w := watch(s)
	o := order("1")
	o.Mandate = &openflow.Mandate{}
	s.refusesFor(o, "openflow grant add 9999 --initiate --schedule --component reader --component lr --table experiment/breast")
	s.grants(openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "8888"})
	for _, initiator := range []openflow.PartyID{"8888", "7777", "10000"} { // one may initiate, one may not, and the site itself
		o.DAG = dag()
		o.DAG.Conf.Initiator = initiator
		err := s.creates(t.Context(), o)
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
		require.ErrorContains(t, err, "may not use here: schedule jobs (")
		require.ErrorContains(t, err, "openflow grant add 9999 --schedule")
	}
	require.Zero(t, w.proofs)
	require.Zero(t, w.programs)
	said := map[string]bool{}
	for _, e := range s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeRefused}) {
		said[e.Authority] = true
	}
	require.Equal(t, map[string]bool{
		"initiator 9999, scheduler 9999, signed": true, "initiator 8888, scheduler 9999, not signed": true,
		"initiator 7777, scheduler 9999, not signed": true, "initiator 10000, scheduler 9999, not signed": true,
	}, said, "what is not proven is not written down as proven")

	s.grants(entry()[1])
	require.NoError(t, s.creates(t.Context(), o), "its own job, which a peer may schedule")
	require.Equal(t, 1, w.proofs)
}

// A repeat of what is there is answered at once, whatever would be refused by now, and its decision is written down if it was lost.
func TestRepeatNeedsNothing(t *testing.T) {
	s := bare(t)
	last := whole()
	last.Uses = 1
	ids := s.grants(append(entry(), last)...)
	o := order("1")
	require.NoError(t, s.creates(t.Context(), o))
	db, err := sql.Open("sqlite", "file:"+s.file)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `delete from audit`)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	w := watch(s)
	s.Space, s.Limits.Quota.Jobs = full, 1
	for range 2 {
		require.NoError(t, s.creates(t.Context(), o))
	}
	done := s.decisions(catalogue.AuditFilter{})
	require.Len(t, done, 1)
	require.ElementsMatch(t, ids, done[0].Grants)
	for _, id := range ids[:2] {
		_, err := s.catalogue.DeleteGrant(t.Context(), id)
		require.NoError(t, err)
	}
	require.NoError(t, s.creates(t.Context(), o), "also when the grants are gone")
	other := o
	other.DAG = dag()
	other.DAG.Conf.Purpose = "another"
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.creates(t.Context(), other)))
	require.Zero(t, w.proofs)
	require.Zero(t, w.programs)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(s.creates(t.Context(), order("2"))))
}

// No table is copied for a job that a quota refuses, or that was deleted here; and once for one whose grants others use up meanwhile.
func TestTablesAreCutLast(t *testing.T) {
	s := bare(t)
	w := watch(s)
	require.NoError(t, s.catalogue.SaveTable(t.Context(), openflow.TableRecord{Name: breast, Object: "all", DataType: "dataframe"}))
	g := whole()
	g.Tables[0].Columns = []string{"id"}
	s.grants(append(entry(), g)...)
	signed := order("1")
	signed.Mandate = &openflow.Mandate{}
	require.NoError(t, s.creates(t.Context(), signed))
	require.Len(t, w.cut, 1)

	s.Limits.Quota.Jobs = 1
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(s.creates(t.Context(), order("2"))))
	events := s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeRefused})
	require.Len(t, events, 1)
	require.Contains(t, events[0].Detail, "has 1 jobs under way at this site, which is as many as it may have")
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(s.creates(t.Context(), order("2"))))
	events = s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeRefused})
	require.Len(t, events, 1, "one a day")
	require.Equal(t, 2, events[0].Count)
	s.Limits.Quota.Jobs = 2
	_, err := s.catalogue.UpdateJobStatus(t.Context(), signed.Key, openflow.JobFailed, "")
	require.NoError(t, err)
	_, err = s.catalogue.DeleteJob(t.Context(), signed.Key)
	require.NoError(t, err)
	err = s.creates(t.Context(), signed)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	require.ErrorContains(t, err, "has been here and was deleted")
	require.Len(t, w.cut, 1, "nothing was copied for either")

	for spent, want := range map[int]openflow.Code{2: "", 3: openflow.CodePermission} {
		s.Store = &reads{Catalogue: s.catalogue, spent: spent}
		w.cut, w.made = nil, nil
		require.Equal(t, want, openflow.CodeOf(s.creates(t.Context(), order(openflow.JobID(fmt.Sprint("spent", spent))))))
		require.Len(t, w.cut, 1, "however often it is decided anew")
	}
}

// sweeps is a site on whose full disk parts of tables go that nothing names yet, just before a job is recorded that names them.
// From then on no part can be made. Then the answer to the record of the job is answer.
type sweeps struct {
	*catalogue.Catalogue
	parts  *excerpts
	cut    error
	answer error
}

func (s *sweeps) AdmitJob(ctx context.Context, rule openflow.Quota, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	s.parts.made, s.parts.err = nil, s.cut
	if err := s.Catalogue.AdmitJob(ctx, rule, j, tasks, pins...); err != nil {
		return err
	}
	return s.answer
}

// No answer says that a job was created whose parts of tables are not there. A repeat makes them. That the job was recorded is written
// down all the same.
func TestPartsThatAreGone(t *testing.T) {
	away, gone := openflow.Errorf(openflow.CodeUnavailable, "the store is away"), openflow.Errorf(openflow.CodeNotFound, "the table is gone")
	for name, tc := range map[string]struct{ cut, answer error }{
		"the store is away":                 {cut: away},
		"they cannot be made":               {cut: gone},
		"a call beside has recorded it":     {cut: gone, answer: openflow.Errorf(openflow.CodeInvalid, "a mistake")},
		"a call beside has used the grants": {cut: away, answer: openflow.Grant{ID: "g", Uses: 1, Used: 1}.NoUse()},
	} {
		t.Run(name, func(t *testing.T) {
			s := bare(t)
			s.parts("id")
			e := s.Excerpts.(*excerpts)
			s.Store = &sweeps{Catalogue: s.catalogue, parts: e, cut: tc.cut, answer: tc.answer}
			o := order("1", purpose("part"))
			for range 3 {
				require.Equal(t, openflow.CodeOf(tc.cut), openflow.CodeOf(s.opens(t.Context(), o)))
				require.Equal(t, openflow.JobReady, s.job("1").Status, "it asks for nothing yet")
			}
			require.Len(t, s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeDone}), 1)
			require.Empty(t, s.decisions(catalogue.AuditFilter{Outcome: openflow.OutcomeRefused}))
			e.err = nil
			require.NoError(t, s.opens(t.Context(), o))
			require.NotEmpty(t, e.made)
			e.err = gone
			require.NoError(t, s.opens(t.Context(), o), "where they are there, the table need not be")

			e.made = nil
			_, err := s.catalogue.UpdateJobStatus(t.Context(), o.Key, openflow.JobFailed, "why")
			require.NoError(t, err)
			require.NoError(t, s.creates(t.Context(), o), "what has ended reads nothing")
		})
	}
}

// A job that has ended and is opened again needs room, and a place among the jobs of its peer, whoever says that it waits.
func TestOpenedAgainWithoutRoom(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	require.NoError(t, s.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobFailed, Reason: "no"}))
	require.NoError(t, s.creates(t.Context(), order("2")))
	k := jobKey("1", host)
	for name, open := range map[string]func() error{
		"told": func() error {
			return s.Tell(t.Context(), k, openflow.News{Status: openflow.JobWaiting})
		},
		"asked": func() error { return s.reserves(t.Context(), k) },
	} {
		s.Limits.Quota.Jobs = 1
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(open()), name)
		s.Limits.Quota.Jobs, s.Space = 2, full
		err := open()
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "the disk is full")
		require.Equal(t, openflow.JobFailed, s.job("1").Status)
		require.NoError(t, s.reserves(t.Context(), jobKey("2", host)), "what is open goes on")
		s.Space = nil
	}
	require.NoError(t, s.reserves(t.Context(), k))
	require.Equal(t, openflow.JobWaiting, s.job("1").Status)
}

// The start of a run looks at that run, also where a grant names a program; and after a grant has expired, at the whole job once.
func TestStartLooksAtOneTask(t *testing.T) {
	s := bare(t)
	w := watch(s)
	g := whole()
	g.Components = []openflow.GrantedComponent{{Name: "reader"}, {Name: "lr", Provider: "openflow", Version: "1"}}
	short := g
	g.Until = time.Now().Add(time.Hour)
	ids := s.grants(append(entry(), g)...)
	s.running("1", dag())
	reader, lr := taskKey("1", "reader_0", host), taskKey("1", "lr_0", host)
	w.programs = 0
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: reader}))
	require.Equal(t, 1, w.programs)
	s.ends(reader, openflow.TaskSuccess)

	db, err := sql.Open("sqlite", "file:"+s.file)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `update access_grant set until = 1 where id = $1`, string(ids[2]))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	short.Uses = 1
	again := s.grants(short)[0]
	w.programs = 0
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr}))
	require.Equal(t, 2, w.programs, "the job is decided anew")
	grants, were, err := s.catalogue.GrantsOfJob(t.Context(), "9999", "1")
	require.NoError(t, err)
	require.Equal(t, []int{3, 3}, []int{len(grants), were}, "what has expired is none of the job's any more")
	w.programs = 0
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr}))
	require.Equal(t, 1, w.programs, "and then the run alone")
	used, err := s.catalogue.Grant(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, 1, used.Used)
}

// What many channels name of an earlier job is looked up once.
func TestChannelsAreLookedUpOnce(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.creates(t.Context(), order("1")))
	made := openflow.TableName{Namespace: "1_lr_0", Name: "made"}
	require.NoError(t, s.catalogue.SaveOutput(t.Context(), openflow.OutputRecord{Task: taskKey("1", "lr_0", host), OutputKey: "output_data", Table: made},
		&openflow.TableRecord{Name: made, Object: "made", Intermediate: true}))
	r := &reads{Catalogue: s.catalogue}
	s.Store = r
	var channels []openflow.Channel
	for range 200 {
		channels = append(channels, openflow.Channel{Source: openflow.FromDataWarehouse, Job: "1", ProducerTask: "lr_0", OutputKey: "output_data"})
	}
	later := order("2", func(d *openflow.DAG) {
		d.Tasks = d.Tasks[1:]
		d.Tasks[0].DependsOn = nil
		d.Tasks[0].Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "train_data", Channels: channels}}
	})
	require.NoError(t, s.creates(t.Context(), later))
	require.Equal(t, 2, r.jobs, "once for its tables, and once for its outputs")
	pins, err := s.catalogue.Pins(t.Context(), later.Key)
	require.NoError(t, err)
	require.Len(t, pins, len(channels))
}

// mistaken are components that refuse every job.
type mistaken struct{ components }

func (mistaken) Check(context.Context, *openflow.DAG, []openflow.Party, map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string, error) {
	return []openflow.Mistake{{Code: openflow.CodeInvalid, Message: "sleep_ms is negative"}}, nil, nil
}

// No table is copied for a job that its components, its size or its tables refuse; what is copied counts for the job until it is
// forgotten, and a job beyond that bound is refused.
func TestRefusedJobsCopyNothing(t *testing.T) {
	s := bare(t)
	s.parts("id")
	e := s.Excerpts.(*excerpts)
	s.Components = mistaken{}
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.creates(t.Context(), order("1", purpose("part")))))
	s.Components = components{}
	missing := order("2", purpose("part"), func(d *openflow.DAG) {
		d.Tasks[1].Inputs = []openflow.Input{warehouse("train_data", openflow.Channel{Job: "none", ProducerTask: "lr_0", OutputKey: "output_data"})}
	})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.creates(t.Context(), missing)))
	require.Empty(t, e.cut)

	db, err := sql.Open("sqlite", "file:"+s.file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	counted := func() (sum int) {
		require.NoError(t, db.QueryRowContext(t.Context(), `select coalesce(sum(bytes), 0) from taken where kind = 'objects' and level in ('job', 'peer')`).Scan(&sum))
		return sum
	}
	require.NoError(t, s.creates(t.Context(), order("3", purpose("part"))))
	require.Len(t, e.cut, 1)
	require.Equal(t, 2*1000, counted(), "for the job, and for its party")
	require.NoError(t, s.creates(t.Context(), order("3", purpose("part"))))
	require.Equal(t, 2*1000, counted(), "a repeat makes nothing")
	_, err = s.catalogue.UpdateJobStatus(t.Context(), jobKey("3", host), openflow.JobFailed, "why")
	require.NoError(t, err)
	freed, err := s.catalogue.DeleteJob(t.Context(), jobKey("3", host))
	require.NoError(t, err)
	require.Contains(t, freed, "part of all")
	require.Zero(t, counted())
}
