package users

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
	"openflow/store/catalogue"
)

// submitted is the data of a submission's answer. Warnings are ours.
type submitted struct {
	wire.CreatedModel
	Warnings []string `json:"warnings,omitempty"`
}

// submit takes a DAG. The idempotency key comes in a header or, for clients that cannot set one, in the body.
//
// Spec: fate-flow-api §1.1 #1.
func (a *api) submit(r *http.Request) (any, error) {
	var b struct {
		DAG            json.RawMessage `json:"dag_schema" check:"required"`
		IdempotencyKey string          `json:"idempotency_key"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, formOfSubmission(err)
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	sub, err := a.read(b.DAG)
	if err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	if h := r.Header.Get(wire.IdempotencyHeader); h != "" {
		b.IdempotencyKey = h
	}
	if err := wire.CheckName("idempotency key", b.IdempotencyKey); err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	sub.IdempotencyKey, sub.UserName = b.IdempotencyKey, r.Header.Get(wire.UserHeader)
	answer, err := a.Jobs.SubmitJob(r.Context(), sub)
	if err != nil {
		return nil, err
	}
	return envelope.Answer{JobID: answer.ID, Data: submitted{
		CreatedModel: wire.CreatedModel{ModelID: answer.ModelID, ModelVersion: answer.ModelVersion}, Warnings: answer.Warnings,
	}}, nil
}

// formOfSubmission says how a body without its document is written: many send the document alone.
func formOfSubmission(err error) error {
	var missing wire.MissingFields
	var e *openflow.Error
	if errors.As(err, &missing) && errors.As(err, &e) {
		return e.WithHint(`the body has the form {"dag_schema": <document>}, where the document begins with schema_version and dag`)
	}
	return err
}

// queryJobs answers the rows of this site; none, or no filter, is not found. Where one job is asked for, its rows tell
// what it reads here, and which models it has made.
//
// Spec: fate-flow-api §1.1 #2.
func (a *api) queryJobs(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := catalogue.JobFilter{
		ID: openflow.JobID(q.Get("job_id")), Party: openflow.PartyID(q.Get("party_id")), Roles: statuses[openflow.Role](q["role"]),
		Statuses: jobStatuses(q["status"]), User: r.Header.Get(wire.UserHeader), Limit: application.PageLimit,
	}
	if err := a.OneScheduler(r, f.ID, &f.Scheduler); err != nil {
		return nil, err
	}
	unfiltered := f.ID == "" && f.Party == "" && len(f.Roles) == 0 && len(f.Statuses) == 0 && f.User == ""
	var jobs []openflow.JobRecord
	if !unfiltered {
		var err error
		if jobs, _, err = a.Catalogue.JobsWhere(r.Context(), f); err != nil {
			return nil, err
		}
		if jobs, err = a.Catalogue.WithTaskWarnings(r.Context(), jobs); err != nil {
			return nil, err
		}
	}
	if len(jobs) == 0 {
		return nil, application.NoJob(q.Get("job_id"))
	}
	rows, err := encodeJobs(jobs, q.Get("fields") != "short")
	if err != nil || f.ID == "" {
		return rows, err
	}
	for i, j := range jobs {
		pins, err := a.Catalogue.Pins(r.Context(), j.Key())
		if err != nil {
			return nil, err
		}
		models, err := a.Catalogue.Models(r.Context(), catalogue.ModelFilter{
			Job: j.ID, Scheduler: j.Scheduler, Role: j.Party.Role, Party: j.Party.ID,
		})
		if err != nil {
			return nil, err
		}
		rows[i].Pins, rows[i].Models = encodePins(pins), encodeJobModels(models)
	}
	return rows, nil
}

func encodeJobs(jobs []openflow.JobRecord, whole bool) ([]wire.JobRow, error) {
	rows := make([]wire.JobRow, 0, len(jobs))
	for _, j := range jobs {
		row, err := encodeJob(j, whole)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// listJobs pages through the rows of this site. Unlike upstream, the partner filter comes before paging (part 7 #7).
//
// Spec: fate-flow-api §1.1 #5.
func (a *api) listJobs(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, page, err := paging(r)
	if err != nil {
		return nil, err
	}
	descending, err := order(q)
	if err != nil {
		return nil, err
	}
	f := catalogue.JobFilter{
		IDContains: q.Get("job_id"), PartyContains: q.Get("party_id"), NotesContains: q.Get("description"),
		Roles: statuses[openflow.Role](q["role"]), Statuses: jobStatuses(q["status"]),
		User: r.Header.Get(wire.UserHeader), Limit: limit, Offset: limit * max(page-1, 0), OrderBy: q.Get("order_by"),
		Ascending: !descending,
	}
	jobs, count, err := a.pageOfJobs(r, f)
	if err == nil {
		jobs, err = a.Catalogue.WithTaskWarnings(r.Context(), jobs)
	}
	if err != nil {
		return nil, err
	}
	rows, err := encodeJobs(jobs, q.Get("fields") != "short")
	for i := range rows {
		rows[i].Partners = partners(jobs[i])
	}
	return map[string]any{"count": count, "data": rows}, err
}

// pageOfJobs reads a page, and how many jobs there are in all: those with one partner where the query names it.
func (a *api) pageOfJobs(r *http.Request, f catalogue.JobFilter) ([]openflow.JobRecord, int, error) {
	if p := r.URL.Query().Get("partner"); p != "" {
		return a.Catalogue.JobsWithPartner(r.Context(), f, openflow.PartyID(p))
	}
	count, err := a.Catalogue.CountJobs(r.Context(), f)
	if err != nil {
		return nil, 0, err
	}
	jobs, _, err := a.Catalogue.JobsWhere(r.Context(), f)
	return jobs, count, err
}

// order reads in which order rows are asked for; the newest come first where it is not said.
func order(q url.Values) (descending bool, err error) {
	switch said := q.Get("order"); said {
	case "", "desc":
		return true, nil
	case "asc":
		return false, nil
	default:
		return false, openflow.Errorf(openflow.CodeInvalid, "order: %q is neither asc nor desc", openflow.Heard(said))
	}
}

func partners(j openflow.JobRecord) []string {
	ids := []string{}
	if j.DAG == nil {
		return ids
	}
	for _, p := range j.DAG.Parties {
		if p.ID != j.Party.ID {
			ids = append(ids, string(p.ID))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func paging(r *http.Request) (limit, page int, err error) {
	for key, into := range map[string]*int{"limit": &limit, "page": &page} {
		if v := r.URL.Query().Get(key); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return 0, 0, wire.WrongNumber(key, v)
			}
			if n < 0 || n > 1_000_000 {
				return 0, 0, openflow.Errorf(openflow.CodeInvalid, "%s: %q is not a number between 0 and 1000000", key, openflow.Heard(v))
			}
			*into = n
		}
	}
	if limit == 0 {
		limit = application.PageLimit
	}
	return limit, page, nil
}

// jobBody names a job. Scheduler is ours: it is needed where jobs of several schedulers have the same ID.
type jobBody struct {
	JobID     wire.Text `json:"job_id" check:"required"`
	Scheduler wire.Text `json:"scheduler_party_id"`
}

// jobID reads which job is meant. The scheduler is empty where the request names none.
func (a *api) jobID(r *http.Request) (scheduler openflow.PartyID, id openflow.JobID, err error) {
	var b jobBody
	if err := reply.Decode(r, &b); err != nil {
		return "", "", err
	}
	if b.Scheduler != "" {
		if err := openflow.CheckIdentifier(application.SchedulerParam, string(b.Scheduler)); err != nil {
			return "", "", err
		}
	}
	return openflow.PartyID(b.Scheduler), openflow.JobID(b.JobID), openflow.CheckIdentifier("job_id", string(b.JobID))
}

// stop cancels a job, and tells how far that has come; an ended one stays as it is.
//
// Spec: fate-flow-api §1.1 #3; the data are ours.
func (a *api) stop(r *http.Request) (any, error) {
	scheduler, id, err := a.jobID(r)
	if err != nil {
		return nil, err
	}
	var stopped openflow.Stopped
	if err := a.Ending(func() (err error) { stopped, err = a.Jobs.StopJob(r.Context(), scheduler, id); return err }); err != nil {
		return nil, err
	}
	return wire.EncodeStopped(stopped), nil
}

// rerun runs again what has not succeeded of an ended job.
//
// Spec: fate-flow-api §1.1 #4.
func (a *api) rerun(r *http.Request) (any, error) {
	scheduler, id, err := a.jobID(r)
	if err != nil {
		return nil, err
	}
	return nil, a.Jobs.RerunJob(r.Context(), scheduler, id)
}

// cleanQueue cancels every job that waits here.
//
// Spec: fate-flow-api §1.1 #9.
func (a *api) cleanQueue(r *http.Request) (any, error) {
	jobs, _, err := a.Catalogue.JobsWhere(r.Context(), catalogue.JobFilter{
		Statuses: []openflow.JobStatus{openflow.JobReady, openflow.JobWaiting}, Limit: application.PageLimit,
	})
	if err != nil {
		return nil, err
	}
	answers, stopping := map[string]wire.Envelope{}, map[string]openflow.JobKey{}
	for _, j := range jobs {
		name := string(j.ID)
		if other, taken := stopping[name]; taken && other.Scheduler != j.Scheduler {
			name += "@" + string(j.Scheduler) // another scheduler's job of the same ID
		}
		answers[name], stopping[name] = wire.Envelope{Code: wire.Success, Message: "success"}, j.Key()
	}
	var mu sync.Mutex
	var stops sync.WaitGroup
	free := make(chan struct{}, stopsAtOnce)
	for name, k := range stopping {
		free <- struct{}{}
		stops.Go(func() {
			defer func() { <-free }()
			err := a.Ending(func() error { _, err := a.Jobs.StopJob(r.Context(), k.Scheduler, k.Job); return err })
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				answers[name] = wire.Failure(err)
			}
		})
	}
	stops.Wait()
	return answers, nil
}

// stopsAtOnce bounds how many jobs are stopped at the same time: each stop waits a moment for its parties.
const stopsAtOnce = 16

// clean forgets a job at this site: rows, metrics and the tables it made. One that has not ended is stopped first. What it
// only read stays (part 7 #34), and so do its models, which later jobs use.
//
// Spec: fate-flow-api §1.1 #10.
func (a *api) clean(r *http.Request) (any, error) {
	scheduler, id, err := a.jobID(r)
	if err == nil {
		err = a.OneScheduler(r, id, &scheduler)
	}
	if err != nil {
		return nil, err
	}
	jobs, err := a.Catalogue.JobRows(r.Context(), scheduler, id)
	if err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, application.NoJob(string(id))
	}
	return nil, a.Ending(func() error {
		if slices.ContainsFunc(jobs, func(j openflow.JobRecord) bool { return !j.Status.Terminal() }) {
			if _, err := a.Jobs.StopJob(r.Context(), jobs[0].Scheduler, id); err != nil {
				return err
			}
		}
		for _, j := range jobs {
			if _, err := a.Catalogue.DeleteJob(r.Context(), j.Key()); err != nil {
				return openflow.About(openflow.AboutJob, err)
			}
		}
		return nil
	})
}

// row finds the one row that scheduler, role and party name; the scheduler may be empty.
func (a *api) row(r *http.Request, scheduler, id, role, party string) (openflow.JobRecord, error) {
	k := openflow.JobKey{
		Scheduler: openflow.PartyID(scheduler), Job: openflow.JobID(id), Party: openflow.Party{Role: openflow.Role(role), ID: openflow.PartyID(party)},
	}
	if err := a.OneScheduler(r, k.Job, &k.Scheduler); err != nil {
		return openflow.JobRecord{}, err
	}
	job, err := a.Catalogue.Job(r.Context(), k)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = openflow.Errorf(openflow.CodeNotFound, "No found job: job_id[%s],role[%s],party_id[%s]", id, role, party)
	}
	return job, openflow.About(openflow.AboutJob, err)
}

// queriedRow is the row that a query names by job, role and party.
func (a *api) queriedRow(r *http.Request) (openflow.JobRecord, error) {
	v, err := reply.Required(r, "job_id", "role", "party_id")
	if err != nil {
		return openflow.JobRecord{}, err
	}
	return a.row(r, "", v[0], v[1], v[2])
}

// maxNotes is how many bytes a user's notes on a job may have.
const maxNotes = 16 << 10

func (a *api) addNotes(r *http.Request) (any, error) {
	var b struct {
		wire.JobRef
		Scheduler wire.Text `json:"scheduler_party_id"`
		Notes     string    `json:"notes" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	if err := wire.CheckText("notes text", b.Notes, maxNotes); err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	job, err := a.row(r, string(b.Scheduler), string(b.JobID), string(b.Role), string(b.PartyID))
	if err != nil {
		return nil, err
	}
	return nil, a.Catalogue.SetJobNotes(r.Context(), job.Key(), b.Notes)
}

// dataView tells which tables the readers of every party use, as this row's DAG has it.
//
// Spec: fate-flow-api §1.1 #11; the party_id is the one asked for (part 7 #11).
func (a *api) dataView(r *http.Request) (any, error) {
	job, err := a.queriedRow(r)
	if err != nil {
		return nil, err
	}
	view := map[openflow.Role]map[openflow.PartyID][]map[string]string{}
	parts := job.DAG.Parts()
	for _, p := range job.DAG.Parties {
		for _, t := range openflow.TablesOf(parts.Of(p)) {
			if t.Name == "" {
				continue // another party's parameters are not ours to see
			}
			if view[p.Role] == nil {
				view[p.Role] = map[openflow.PartyID][]map[string]string{}
			}
			view[p.Role][p.ID] = append(view[p.Role][p.ID], map[string]string{"namespace": t.Namespace, "name": t.Name})
		}
	}
	return map[string]any{"role": job.Party.Role, "party_id": job.Party.ID, "data_view": view}, nil
}

// dependency is the graph as one party sees it, for drawing.
//
// Spec: fate-flow-api §1.1 #13.
func (a *api) dependency(r *http.Request) (any, error) {
	job, err := a.queriedRow(r)
	if err != nil {
		return nil, err
	}
	return dependencies(job), nil
}

type edge struct {
	Type          string   `json:"type,omitempty"`
	ModelType     string   `json:"model_type,omitempty"`
	ComponentName string   `json:"component_name,omitempty"`
	UpOutputInfo  []string `json:"up_output_info"`
}

func dependencies(job openflow.JobRecord) map[string]any {
	list, stages, modules, edges := []string{}, map[string]string{}, map[string]string{}, map[string][]edge{}
	specs := map[openflow.TaskName]openflow.TaskSpec{}
	for _, s := range job.DAG.ForParty(job.Party) {
		specs[s.Name] = s
	}
	order, err := job.DAG.Order()
	if err != nil {
		order = nil // a stored DAG has been validated
	}
	for _, n := range order {
		s, mine := specs[n]
		if !mine {
			continue
		}
		name := string(n)
		list, stages[name], modules[name] = append(list, name), string(s.Stage), s.Component
		for _, in := range s.Inputs {
			for _, c := range in.Channels {
				edges[name] = append(edges[name], edge{in.Key, string(in.Kind), string(c.ProducerTask), []string{c.OutputKey}})
			}
		}
		if len(edges[name]) == 0 {
			edges[name] = []edge{{UpOutputInfo: []string{}}}
		}
	}
	return map[string]any{
		"component_list": list, "component_stage": stages, "component_module": modules, "dependencies": edges,
	}
}
