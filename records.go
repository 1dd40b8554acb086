package openflow

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// This file holds what a node remembers: one type per kind of row in the catalogue. Times are stored in milliseconds;
// a zero time means "not yet".

// JobKey names a job's row at one party in one role. Scheduler is part of it because schedulers make job IDs and two
// of them may make the same one: a peer that names a job of somebody else finds nothing.
type JobKey struct {
	Scheduler PartyID
	Job       JobID
	Party     Party
}

// String renders "job 2024… (guest 9999)".
func (k JobKey) String() string { return "job " + string(k.Job) + " (" + k.Party.String() + ")" }

// JobRecord is a job as one of its parties sees it.
//
// Spec: fate-flow-api §4.9.1.
type JobRecord struct {
	ID              JobID
	Party           Party // the row's own role and party
	Scheduler       PartyID
	Initiator       PartyID
	Status          JobStatus
	Reason          string // why it waits or failed, for people
	Progress        int    // percent, 0–100
	DAG             *DAG
	Priority        int   // higher first
	Cores           int   // what the job takes from the site's capacity
	RemainingCores  int   // how many of them no task holds
	Memory          int64 // bytes, like Cores
	RemainingMemory int64 // like RemainingCores
	GPUs            int   // like Cores
	RemainingGPUs   int   // like RemainingCores
	ResourceInUse   bool
	WaitingSince    time.Time // first refused application for resources; zero when it holds them or never asked
	ModelID         string
	ModelVersion    string
	UserName        string
	Notes           string
	Warnings        []string // what its users should know of it, as far as this party knows
	IdempotencyKey  string
	Signed          bool // the initiator has signed the job; see Authority
	CreateTime      time.Time
	UpdateTime      time.Time
	StartTime       time.Time
	EndTime         time.Time
	ApplyTime       time.Time // resources last taken
	ReturnTime      time.Time // resources last given back
	Peer            PartyID   // whose quota it counts to; empty: nobody's, it is this site's own
	Lease           time.Time // when it ends here unless its scheduler still drives it; zero: never
	Closed          bool      // this site has ended it for good: no rerun opens it again
	Reruns          int       // how often it has run again after its end

	Grants []GrantID // that it is created on, each of which it uses once; not part of the row that is read
}

// Needs is what the job takes from the site's capacity.
func (r JobRecord) Needs() Resources { return Resources{r.Cores, r.Memory, r.GPUs} }

// Authority is on whose word the job runs.
func (r JobRecord) Authority() Authority {
	a := Authority{Initiator: r.Initiator, Scheduler: r.Scheduler, Signed: r.Signed}
	if r.DAG != nil { // lists leave it out
		a.Purpose = r.DAG.Conf.Purpose
	}
	return a
}

// Key is what the row is found by.
func (r JobRecord) Key() JobKey { return JobKey{Scheduler: r.Scheduler, Job: r.ID, Party: r.Party} }

// ScheduledJob is a job as its scheduler sees it: one per job, beside the rows of the parties.
//
// Spec: fate-flow-api §4.9.3.
type ScheduledJob struct {
	ID             JobID
	Initiator      PartyID
	Status         JobStatus
	Reason         string // why it waits or failed, for people
	Progress       int    // percent, 0–100
	DAG            *DAG
	Priority       int    // higher first
	IdempotencyKey string // chosen by the initiator; a repeat of a submission carries the same one; may be empty
	SubmitHash     string // of the submission, to tell a repeat from a mistake
	UserName       string
	Mandate        *Mandate  // nil: the initiator signs nothing
	Tasks          []TaskRun // how its tasks stood when it last ended; empty before
	CreateTime     time.Time
	UpdateTime     time.Time
	StartTime      time.Time
	EndTime        time.Time
	Reruns         int // how often it has run again after its end

	Grants []GrantID // as of a JobRecord
}

// MaxReruns is how often a job is run again, at its scheduler and at each party. A rerun uses no grant anew, so that there has to
// be an end of them.
const MaxReruns = 10

// Repeats refuses a submission that is another one than the first of the same initiator with the same key or ID. Errors:
// CodeConflict. Of the job of another initiator that has the ID, it tells nothing.
func (j ScheduledJob) Repeats(first ScheduledJob) error {
	switch {
	case first.Initiator != j.Initiator: // whose it is, and what, is nobody else's affair
		return Errorf(CodeConflict, "the job ID %s cannot be used here", j.ID).WithHint("submit the job again: it gets another ID")
	case first.SubmitHash == j.SubmitHash:
		return nil
	case j.IdempotencyKey != "" && first.IdempotencyKey == j.IdempotencyKey:
		return Errorf(CodeConflict, "idempotency key %q belongs to job %s, which was a different submission", j.IdempotencyKey, first.ID).
			WithHint("use a new key for a new job")
	}
	return Errorf(CodeConflict, "job %s exists already and was a different submission", first.ID)
}

// TaskRun is how a task stands over all its parties, as its scheduler knows.
type TaskRun struct {
	Name     TaskName
	Version  int // the latest
	Started  bool
	Status   TaskStatus // federated
	Protocol Protocol   // that its parties have in common, as far as they have said
}

// TaskRecord is one version of a task at one party in one role.
//
// Spec: fate-flow-api §4.9.2.
type TaskRecord struct {
	Key           TaskKey
	SyncType      SyncType
	Component     string
	Provider      string     // full: "name:version@device"; as resolved at first, and what ran once it has started
	ProgramDigest string     // "sha256:…" of the program that ran; empty: it has not started
	Protocol      Protocol   // that it speaks with the other parties: its program's first, until the scheduler says what they have in common
	Status        TaskStatus // federated: all parties together, as the scheduler says
	PartyStatus   TaskStatus // of this party
	Reason        string     // why it waits or failed, one line for this party's users
	ErrorReport   string     // what the algorithm reported, for them too
	Cause         Cause      // and what other parties may know of it
	Warnings      []string   // what it warns this party's users of
	Spec          TaskSpec
	Cores         int      // what the task takes from its job
	Memory        int64    // bytes, like Cores; 0: it asks for none and shares what is left, up to MemoryBytes
	GPUs          int      // like Cores
	GPUIDs        []string // the devices that it was given, while and after it ran
	MemoryBytes   int64    // what its container may use at most
	ResourceInUse bool
	Reported      TaskStatus // what its container said of itself; empty: nothing yet
	Killed        bool       // somebody asked for its end
	StopStatus    TaskStatus // and wants it to end so
	Runtime       string     // docker, process, fake
	ContainerName string
	ExitCode      *int   // nil: not known
	LogDigest     string // object with the kept log; empty: none
	CreateTime    time.Time
	UpdateTime    time.Time
	StartTime     time.Time
	EndTime       time.Time
}

// Standing is what the scheduler may know of the run.
func (r TaskRecord) Standing() TaskStanding {
	return TaskStanding{
		Key: r.Key, Status: r.Status, PartyStatus: r.PartyStatus, Cause: r.Cause, Stopping: r.Killed && !r.PartyStatus.Terminal(),
		Accepted: r.ResourceInUse || r.PartyStatus != TaskWaiting, Polled: r.SyncType == Poll,
		StartTime: r.StartTime, UpdateTime: r.UpdateTime, EndTime: r.EndTime,
	}
}

// Needs is what the task takes from its job.
func (r TaskRecord) Needs() Resources { return Resources{r.Cores, r.Memory, r.GPUs} }

// TaskEnd is how a task version ended at a party. What is not known is left empty.
type TaskEnd struct {
	Status      TaskStatus // an end status
	Reason      string     // one line for this party's users; empty on success
	ErrorReport string     // what the algorithm reported, for them too
	Cause       Cause      // what other parties may know of it
	ExitCode    *int
	LogDigest   string
}

// TaskSupply is what only the node of a run can give to its container.
type TaskSupply struct {
	Credential   string // for the base layer
	ModelID      string // that the run writes to
	ModelVersion string
	Partitions   int // of its computation; 0: not said
	Policy       Policy
	May          Confinement // what its container may have
	Defaults     Parameters  // that its component is given for what the job leaves out
}

// WorkerRecord is the worker of a machine of the site's pool, as it last told of itself.
type WorkerRecord struct {
	Machine string // ID, for good
	Name    string // of the machine, for people
	Labels  []string
	Runtime string // docker or process
	Cores   int    // that runs share; 0: it has left, and takes none
	Version string
	Running []RunID // the runs that it follows
	Started time.Time
	Seen    time.Time
}

// TableSource says which task made a table. All empty for a table that came from outside.
//
// Spec: fate-flow-api §1.5.
type TableSource struct {
	TaskID    TaskID
	RunID     RunID
	TaskName  TaskName
	Component string
	OutputKey string
	Index     int
}

// What the object of a table holds.
//
// Spec: fate-flow-api §1.5.
const (
	TypeDataframe = "dataframe"      // rows and the schema of their columns
	TypeRaw       = "table"          // a file as it came, of which a dataframe can be made
	TypeDirectory = "data_directory" // a folder of files, as a tar
)

// TableRecord is a data table: a name for an immutable object.
//
// Spec: fate-flow-api §1.5.
type TableRecord struct {
	Name         TableName
	Object       string // digest of the rows; empty for a table kept elsewhere
	URI          string // where the rows are when they are not an object
	Bytes        int64
	Count        int64           // rows; negative: not known
	DataType     string          // TypeRaw, TypeDataframe, TypeDirectory
	Meta         json.RawMessage // opaque to the node: stored and returned unchanged
	Source       TableSource
	Header       []string
	Samples      json.RawMessage // up to 100 rows for display
	Intermediate bool            // made for a job only: it goes with the last job that tracks it
	CreateTime   time.Time
	UpdateTime   time.Time
}

// Pin is an input that a job keeps as it was when the job was created at a party: the name that the job knows it by,
// and the object behind it. It belongs to that party alone.
type Pin struct {
	Task      TaskName
	Kind      InputKind
	InputKey  string // empty: the table that a reader names in its parameters
	Index     int    // position among what fills that input
	Table     TableName
	SourceJob JobID    // whose output it is, for data that a channel takes from another job
	Model     ModelRef // of a model
	Producer  TaskName // of a model, or of data from another job
	OutputKey string   // likewise
	Object    string   // digest; empty for a table kept elsewhere, which cannot be kept as it was
	CutOf     string   // digest of the table of which a grant gives some columns, and Object holds those; empty: all of it
	Columns   []string // that the grant gives
	Bytes     int64
	Count     int64           // rows; negative: not known
	DataType  string          // of data
	Meta      json.RawMessage // of data
	Origins   []string        // of data: the contents of the tables from outside that it comes from
}

// Record is the pinned table, without the rows for display.
func (p Pin) Record() TableRecord {
	return TableRecord{Name: p.Table, Object: p.Object, Bytes: p.Bytes, Count: p.Count, DataType: p.DataType, Meta: p.Meta}
}

// OutputRecord tracks that a task made a table under one of its output keys.
//
// Spec: fate-flow-api §3.1 (data/tracking/save).
type OutputRecord struct {
	Task       TaskKey
	OutputKey  string
	Index      int // position among several tables of one key
	Table      TableName
	DataType   string
	URI        string // as the task reported it; may be empty
	CreateTime time.Time
}

// ModelRecord is one output model of a task. A later version of the task replaces it; a job of another scheduler that has
// the same model ID does not.
//
// Spec: fate-flow-api §1.7, §3.10.
type ModelRecord struct {
	ModelID    string
	Version    string
	Party      Party
	Task       TaskName
	OutputKey  string
	Job        JobID   // empty for an imported model
	Scheduler  PartyID // of that job
	Initiator  PartyID // whose job it was, and whose model it is, with the scheduler; of an imported model both are the site itself
	TypeName   string
	Object     string // digest of the tar
	Bytes      int64
	Meta       json.RawMessage // the tar's yaml members as one JSON value
	CreateTime time.Time
	UpdateTime time.Time
}

// ModelOwner is whose a model is: jobs of the same initiator and scheduler may use it, those of others need a grant.
type ModelOwner struct{ Initiator, Scheduler PartyID }

// Owner is whose the model is.
func (m ModelRecord) Owner() ModelOwner { return ModelOwner{m.Initiator, m.Scheduler} }

// MetricRecord is one metric as a component reported it.
//
// Spec: fate-flow-api §3.9.
type MetricRecord struct {
	Task       TaskKey
	Name       string
	Type       string // empty: null
	Groups     json.RawMessage
	StepAxis   string // empty: null, a one-time metric
	Data       json.RawMessage
	CreateTime time.Time
}

// SiteRecord is a peer: another institution's node.
type SiteRecord struct {
	Party   PartyID
	URL     string
	Dialect Dialect  // which it speaks; only this site's operator says
	Version string   // of the dialect
	Profile string   // how callers are known and answers proven in it
	Keys    []string // public keys in text form: the current one and, while they change, the next
	Plain   bool     // it may be called without TLS, wherever its address leads
	Way     PeerWay  // how calls get to it
	AddedAt time.Time
	// Unsigned takes jobs that this peer schedules or submits without the mandate of their initiator: whatever its node says
	// of them is believed.
	Unsigned bool
	// Sources are from where requests of this peer, and jobs with them, are taken that nobody has signed; see ParseCallSource. Only
	// in dialects whose nodes sign none. A peer that signs nothing has no key.
	Sources []string
}

// Changes tells what another record of the peer says in place of this one, for the audit; empty: the same. A record that says
// nothing is none.
func (s SiteRecord) Changes(to SiteRecord) string {
	var list []string
	for _, c := range []struct{ what, from, to string }{
		{"address", s.URL, to.URL},
		{"plain", strconv.FormatBool(s.Plain), strconv.FormatBool(to.Plain)},
		{"keys", strings.Join(s.Keys, " "), strings.Join(to.Keys, " ")},
		{"speaks", s.speaks(), to.speaks()},
		{"way", s.Way.String(), to.Way.String()},
		{"unsigned jobs", strconv.FormatBool(s.Unsigned), strconv.FormatBool(to.Unsigned)},
		{"unsigned from", strings.Join(s.Sources, " "), strings.Join(to.Sources, " ")},
	} {
		if c.from != c.to {
			list = append(list, c.what+": "+cmp.Or(c.from, "none")+" → "+cmp.Or(c.to, "none"))
		}
	}
	return strings.Join(list, "; ")
}

func (s SiteRecord) speaks() string {
	return strings.TrimSpace(string(s.Dialect) + " " + s.Version + " " + s.Profile)
}

// Dialect is the name of a way in which nodes talk; each is in a folder of its own.
type Dialect string

// Place is where a container runs: where it finds its node's base layer, and how many cores it may use.
type Place struct {
	Host  string
	Port  int
	Cores int
}

// HeardDialect is what a peer has answered to one dialect: advice, which changes nothing.
type HeardDialect struct {
	Dialect  Dialect
	Version  string
	Profile  string
	Recorded bool  // the peer's record names all three
	Err      error // why it seems not to speak it; nil: it does
}

// AuditEvent is one entry of the record of who did what to whom.
type AuditEvent struct {
	ID      string // made by the catalogue when empty; a repeat with the same ID is one event
	Time    time.Time
	Actor   string // user or party
	Action  string // verb: "grant.add", "job.stop"
	Subject string // what it was done to
	Detail  string

	// Of a decision about a job of a peer. Refusals that are alike are one event.
	Party     PartyID   // the peer that asked
	Outcome   Outcome   // empty: no decision
	Authority string    // on whose word: Authority.String
	Grants    []GrantID // that permit it
	Count     int       // how often it was refused; 0 stands for once
}

// Outcome is how a decision came out.
type Outcome string

// The outcomes of decisions.
const (
	OutcomeDone    Outcome = "done"
	OutcomeRefused Outcome = "refused"
)
