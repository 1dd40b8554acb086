// Package application is what a site does for its users, in the words of the domain: who may call, which job, task or table
// a request means, and what of the site it reaches.
//
// It has no routes: every dialect mounts its own on a [Site]. Who may call is decided in access.go.
package application

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"time"

	"openflow"
	"openflow/server/reply"
	"openflow/site/apps"
	"openflow/site/folders"
	"openflow/site/registry"
	"openflow/site/vetting"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/objects"
)

// Sites manages the peers of this node.
type Sites interface {
	AddSite(ctx context.Context, s openflow.SiteRecord) error
	// TakeUnsigned says whether jobs of a peer are taken without the mandate of their initiator.
	TakeUnsigned(ctx context.Context, id openflow.PartyID, on bool) error
	RemoveSite(ctx context.Context, id openflow.PartyID) error
	RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error
	// LimitSite says what a peer may use; LimitsOf is that, what holds with the site's rule, and what the peer uses.
	LimitSite(ctx context.Context, id openflow.PartyID, q openflow.Quota) error
	LimitsOf(ctx context.Context, id openflow.PartyID) (said, holds openflow.Quota, use openflow.PeerUse, err error)
	// CheckSite calls a peer. CodeUnavailable: it does not answer; CodeUnauthorized: it does not take this node for who it
	// is.
	CheckSite(ctx context.Context, id openflow.PartyID) error
	// ProbeSite tries every dialect on a peer, and changes nothing.
	ProbeSite(ctx context.Context, id openflow.PartyID) ([]openflow.HeardDialect, error)
}

// Logs reads what a task's container has written, also while it runs.
type Logs interface {
	TaskLog(ctx context.Context, t openflow.TaskRecord, w io.Writer) error
}

// Events tells what changes.
type Events interface {
	Subscribe(ctx context.Context, after string) (*events.Subscription, error)
}

// SitePolicy is the policy that is in force.
type SitePolicy struct {
	File   string              `json:"file"`   // that it is read from, if it exists
	Policy openflow.SitePolicy `json:"policy"` // durations in nanoseconds
}

// About is what this node tells of itself.
type About struct {
	Party      openflow.PartyID
	Version    string
	Runtime    string
	TemporalUI string // address, empty without UI
	PublicKey  string
	Durability string // what a power failure may cost
	Started    time.Time
	Host       string
	Port       int
	Warnings   []string
	GrantAll   bool // peers need no grants
}

// Site is this site as its users reach it, in any dialect.
type Site struct {
	Jobs      openflow.JobService
	Catalogue *catalogue.Catalogue
	Objects   objects.Store
	Sites     Sites
	Logs      Logs
	Events    Events
	About     func() About
	Examine   func(ctx context.Context) []openflow.Finding // what openflow doctor shows
	Policy    func() SitePolicy                            // what is in force
	Apps      *apps.Register
	Providers *registry.Registry
	Vetting   *vetting.Vetter // of what they bring
	// Columns tells why columns of a table cannot be granted; nil: nobody does.
	Columns   func(ctx context.Context, rec openflow.TableRecord, columns []string) error
	Space     func() error    // nil while there is room for new data and jobs
	Spare     func() error    // makes a little room on a full disk, for what ends or deletes something; nil: it cannot
	Uploads   folders.Folders // whose files users may name to be uploaded, and whose folders to be tables
	Downloads folders.Folders // into which tables are written for users
	Exports   string          // folder that archives of models are written to, absolute; clients name folders below it
	NewID     func() openflow.JobID
	Access    Access
	// Traced wraps the handlers of what changes a job, with which a trace begins; nil: nothing does.
	Traced func(http.Handler) http.Handler
	Log    *slog.Logger
}

// Begins is the middleware of what changes a job.
func (s *Site) Begins(next http.Handler) http.Handler {
	if s.Traced == nil {
		return next
	}
	return s.Traced(next)
}

// Ending makes room on a full disk for a request that ends or deletes something, where it can. What fails for lack of room all the
// same is told with what helps.
func (s *Site) Ending(do func() error) error {
	if s.Spare == nil {
		return do()
	}
	spared := s.Spare()
	err := do()
	if openflow.CodeOf(err) == openflow.CodeExhausted && spared != nil {
		return spared
	}
	return err
}

// PageLimit bounds answers that are not paged (part 7 #6).
const PageLimit = 1000

// SchedulerParam tells apart jobs of different schedulers that have the same ID; ours.
const SchedulerParam = "scheduler_party_id"

// OneScheduler fills in whose job of that ID a query means: the scheduler that it names, or the only one that has such a
// job here. It stays empty where there is no such job, or none is asked for. CodeConflict, listing the schedulers: several
// have one.
func (s *Site) OneScheduler(r *http.Request, id openflow.JobID, into *openflow.PartyID) error {
	if *into == "" {
		*into = openflow.PartyID(r.URL.Query().Get(SchedulerParam))
	}
	if *into != "" || id == "" {
		return nil
	}
	found, err := s.Catalogue.SchedulerOf(r.Context(), s.About().Party, id)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return openflow.About(openflow.AboutJob, err)
	}
	*into = found
	return nil
}

// NoJob is that this site has no job of that ID.
func NoJob(id string) error {
	return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "No found job: job_id[%s]", id).
		WithHint("this node has no such job; openflow job list shows those it has"))
}

// OneTask finds the latest version of a task; the scheduler may be empty.
func (s *Site) OneTask(r *http.Request, k openflow.TaskKey) (openflow.TaskRecord, error) {
	f := catalogue.TaskFilter{
		Scheduler: k.Scheduler, Job: k.Job, Role: k.Party.Role, Party: k.Party.ID, Task: k.Task, LatestOnly: true, Limit: 1,
	}
	if err := s.OneScheduler(r, f.Job, &f.Scheduler); err != nil {
		return openflow.TaskRecord{}, err
	}
	tasks, _, err := s.Catalogue.TasksWhere(r.Context(), f)
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	if len(tasks) == 0 {
		return openflow.TaskRecord{}, openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound,
			"No found task: job_id[%s],role[%s],party_id[%s],task_name[%s]", k.Job, k.Party.Role, k.Party.ID, k.Task))
	}
	return tasks[0], nil
}

// QueriedTask finds the latest version of the task that the four usual query values name.
func (s *Site) QueriedTask(r *http.Request) (openflow.TaskRecord, error) {
	v, err := reply.Required(r, "job_id", "role", "party_id", "task_name")
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	return s.OneTask(r, openflow.TaskKey{
		Job: openflow.JobID(v[0]), Party: openflow.Party{Role: openflow.Role(v[1]), ID: openflow.PartyID(v[2])}, Task: openflow.TaskName(v[3]),
	})
}

// NamedTable finds the table that a query names.
func (s *Site) NamedTable(r *http.Request) (openflow.TableRecord, error) {
	v, err := reply.Required(r, "namespace", "name")
	if err != nil {
		return openflow.TableRecord{}, err
	}
	rec, err := s.Catalogue.Table(r.Context(), openflow.TableName{Namespace: v[0], Name: v[1]})
	return rec, openflow.About(openflow.AboutTable, err)
}

// TableAddress is a table's name as a URI.
func TableAddress(n openflow.TableName) string {
	return (&url.URL{Scheme: "openflow", Path: "/" + n.String()}).String()
}

// maxSubject is how many bytes an event of the audit tells of what it is about: every name that has an effect fits.
const maxSubject = 4 << 10

// Audit keeps who changed what: "site/add", "grant/delete".
func (s *Site) Audit(r *http.Request, what, subject string) error {
	return s.audit(r, what, openflow.AuditEvent{Subject: openflow.Cut(subject, maxSubject)})
}

// AuditChange is Audit that tells what was there before.
func (s *Site) AuditChange(r *http.Request, what, subject, changes string) error {
	return s.audit(r, what, openflow.AuditEvent{Subject: openflow.Cut(subject, maxSubject), Detail: openflow.Cut(changes, maxSubject)})
}

// ProviderSubject is how the audit names a provider that is registered.
func ProviderSubject(p openflow.ProviderRecord) string {
	return openflow.Cut(p.Ref().String()+" "+p.Place+" "+p.Digest+" "+string(p.Dialect), maxSubject)
}

func (s *Site) audit(r *http.Request, what string, e openflow.AuditEvent) error {
	e.Actor, e.Action = s.Who(r), what+"/"+path.Base(r.URL.Path)
	return s.Catalogue.AppendAudit(r.Context(), e)
}
