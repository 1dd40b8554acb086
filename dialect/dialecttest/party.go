package dialecttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"openflow"
)

// party is a node in memory, as a participant and as a scheduler. It answers repeats as the first time, as every node does.
type party struct {
	mu     sync.Mutex
	full   bool                                   // it has no room for a job
	says   []openflow.Spoken                      // what it would run jobs with
	agreed map[openflow.TaskKey]openflow.Protocol // what a scheduler has said that all speak
	jobs   map[openflow.JobKey]*job
	starts map[openflow.TaskKey]int // how often a run began
	heard  []string                 // as a scheduler, each thing once
	taken  []openflow.Submission    // as a scheduler
}

type job struct {
	order    openflow.JobOrder
	status   openflow.JobStatus
	been     map[openflow.JobStatus]string // every status that it has had, and why
	progress int
	held     bool
	runs     map[openflow.TaskKey]openflow.TaskStanding
	why      map[openflow.TaskKey]string // of ends, as the scheduler has told them
}

func newParty() *party {
	return &party{jobs: map[openflow.JobKey]*job{}, starts: map[openflow.TaskKey]int{}, agreed: map[openflow.TaskKey]openflow.Protocol{}}
}

func (p *party) find(k openflow.JobKey) (*job, error) {
	j := p.jobs[k]
	if j == nil {
		return nil, openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "%s is not here", k))
	}
	return j, nil
}

// OpenJob implements openflow.PartnerService.
func (p *party) OpenJob(_ context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.jobs[o.Key]
	if j == nil {
		j = &job{order: o, status: openflow.JobReady, runs: map[openflow.TaskKey]openflow.TaskStanding{}, why: map[openflow.TaskKey]string{}, been: map[openflow.JobStatus]string{}}
		for _, s := range o.DAG.ForParty(o.Key.Party) {
			k := openflow.TaskKey{Scheduler: o.Key.Scheduler, Job: o.Key.Job, Task: s.Name, Party: o.Key.Party}
			j.runs[k] = openflow.TaskStanding{Key: k, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting}
		}
		p.jobs[o.Key] = j
	}
	if o.Later {
		return openflow.Reservation{Spoken: p.says}, nil
	}
	r, err := p.reserve(j)
	r.Spoken = p.says
	return r, err
}

// Reserve implements openflow.PartnerService.
func (p *party) Reserve(_ context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.find(k)
	if err != nil {
		return openflow.Reservation{}, err
	}
	return p.reserve(j)
}

func (p *party) reserve(j *job) (openflow.Reservation, error) {
	if !j.held && p.full {
		return openflow.Reserved(openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeExhausted, "0 of 4 cores are free")))
	}
	j.held = true
	if j.status != openflow.JobRunning {
		j.move(openflow.JobWaiting, "")
	}
	return openflow.Reservation{Held: true}, nil
}

// Release implements openflow.PartnerService.
func (p *party) Release(_ context.Context, k openflow.JobKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.jobs[k]; j != nil {
		j.held = false
	}
	return nil
}

// StartTask implements openflow.PartnerService.
func (p *party) StartTask(_ context.Context, o openflow.TaskStart) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.find(o.TaskKey.JobKey())
	if err != nil {
		return err
	}
	for _, u := range o.Ended {
		if err := j.tell(u); err != nil {
			return err
		}
	}
	if o.StartsJob {
		j.move(openflow.JobRunning, "")
	}
	if err := j.version(o.TaskKey); err != nil {
		return err
	}
	if run := j.runs[o.TaskKey]; p.starts[o.TaskKey] == 0 {
		run.Status, run.PartyStatus = openflow.TaskRunning, openflow.TaskRunning
		j.runs[o.TaskKey] = run
		p.starts[o.TaskKey]++
		p.agreed[o.TaskKey] = o.Protocol
	}
	return nil
}

// version makes a run of the version before it.
func (j *job) version(k openflow.TaskKey) error {
	if _, ok := j.runs[k]; ok {
		return nil
	}
	before := k
	before.Version--
	if _, ok := j.runs[before]; !ok {
		return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "%s is not here", k))
	}
	j.runs[k] = openflow.TaskStanding{Key: k, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting}
	return nil
}

func (j *job) move(to openflow.JobStatus, reason string) {
	if j.status = to; j.been[to] == "" {
		j.been[to] = reason
	}
}

func (j *job) tell(u openflow.TaskUpdate) error {
	if u.Status == openflow.TaskWaiting {
		if err := j.version(u.Key); err != nil {
			return err
		}
	}
	run, ok := j.runs[u.Key]
	if !ok {
		return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "%s is not here", u.Key))
	}
	if !run.Status.Terminal() {
		run.Status = u.Status
	}
	if u.Status.Terminal() && run.PartyStatus == openflow.TaskRunning {
		run.PartyStatus = openflow.TaskCanceled
	}
	if u.Reason != "" {
		j.why[u.Key] = u.Reason
	}
	j.runs[u.Key] = run
	j.progress = max(j.progress, u.Progress)
	return nil
}

// Tell implements openflow.PartnerService.
func (p *party) Tell(_ context.Context, k openflow.JobKey, n openflow.News) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.find(k)
	if err != nil {
		return err
	}
	if n.Status != "" {
		j.move(n.Status, n.Reason)
	}
	j.progress = max(j.progress, n.Progress)
	for _, u := range n.Tasks {
		if err := j.tell(u); err != nil {
			return err
		}
	}
	return nil
}

// StopJob implements openflow.PartnerService.
func (p *party) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.find(k)
	if err != nil {
		return err
	}
	for _, u := range end.Tasks {
		if err := j.tell(u); err != nil {
			return err
		}
	}
	for k, run := range j.runs {
		if run.PartyStatus == openflow.TaskRunning {
			run.PartyStatus = openflow.TaskCanceled
			j.runs[k] = run
		}
	}
	if !j.status.Terminal() {
		j.move(end.Status, end.Reason)
	}
	if j.held = false; j.status == openflow.JobSuccess {
		j.progress = 100
	}
	return nil
}

// AskTask implements openflow.PartnerService.
func (p *party) AskTask(_ context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j, err := p.find(k.JobKey())
	if err != nil {
		return openflow.TaskStanding{}, err
	}
	return j.runs[k], nil
}

// ends lets a run end by itself.
func (p *party) ends(k openflow.TaskKey, status openflow.TaskStatus, cause openflow.Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	runs := p.jobs[k.JobKey()].runs
	run := runs[k]
	run.PartyStatus, run.Cause = status, cause
	runs[k] = run
}

// note keeps what a scheduler has been told, each thing once.
func (p *party) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if said := fmt.Sprintf(format, args...); !slices.Contains(p.heard, said) {
		p.heard = append(p.heard, said)
	}
}

func (p *party) take(sub openflow.Submission) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = append(p.taken, sub)
}

// String is everything that the party has come to know.
func (p *party) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	byName := func(a, b fmt.Stringer) int { return strings.Compare(a.String(), b.String()) }
	for _, k := range slices.SortedFunc(maps.Keys(p.jobs), func(a, b openflow.JobKey) int { return byName(a, b) }) {
		j := p.jobs[k]
		fmt.Fprintf(&b, "%s of %s: %s, was %q, %d%% held=%v by %q\n  %s\n", k, k.Scheduler, j.status, j.been, j.progress, j.held, j.order.UserName, outline(j.order.DAG))
		for _, r := range slices.SortedFunc(maps.Keys(j.runs), func(a, b openflow.TaskKey) int { return byName(a, b) }) {
			fmt.Fprintf(&b, "  %s: %s %q, here %s, begun %d times\n", r, j.runs[r].Status, j.why[r], j.runs[r].PartyStatus, p.starts[r])
		}
	}
	for _, h := range p.heard {
		fmt.Fprintln(&b, h)
	}
	return b.String()
}

// outline is a job as it has arrived.
func outline(d *openflow.DAG) string {
	text := fmt.Sprintf("%s of %s at %s with %v:", d.Stage, d.Conf.Initiator, d.Conf.Scheduler, d.Parties)
	for _, t := range d.Tasks {
		text += fmt.Sprintf(" %s (%s after %v)", t.Name, t.Component, t.DependsOn)
	}
	return text
}

// scheduler is a party as a SchedulerService.
type scheduler struct{ *party }

// CreateJob implements openflow.SchedulerService.
func (s scheduler) CreateJob(_ context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	s.take(sub)
	s.note("schedule %s of %s: %s, key %q, by %q", sub.ID, caller, outline(sub.DAG), sub.IdempotencyKey, sub.UserName)
	return openflow.Submitted{ID: sub.ID, ModelID: "m", ModelVersion: "0"}, nil
}

// StopJob implements openflow.SchedulerService.
func (s scheduler) StopJob(_ context.Context, caller openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	s.note("stop %s by %s as %s", id, caller, status)
	return openflow.Stopped{Status: status}, nil
}

// RerunJob implements openflow.SchedulerService.
func (s scheduler) RerunJob(_ context.Context, caller openflow.PartyID, id openflow.JobID) error {
	s.note("rerun %s by %s", id, caller)
	return nil
}

// WakeJob implements openflow.SchedulerService.
func (s scheduler) WakeJob(_ context.Context, caller openflow.PartyID, id openflow.JobID) error {
	s.note("wake %s by %s", id, caller)
	return nil
}

// EndedJobs implements openflow.SchedulerService.
func (s scheduler) EndedJobs(_ context.Context, _ openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	ended := []openflow.EndedJob{{ID: ids[0], Status: openflow.JobFailed, Reason: "why"}}
	for _, id := range ids[1:] {
		ended = append(ended, openflow.EndedJob{ID: id})
	}
	return ended, nil
}

// ReportTask implements openflow.SchedulerService.
func (s scheduler) ReportTask(_ context.Context, caller openflow.PartyID, r openflow.Report) error {
	s.note("report by %s: %s is %s, %s %q %v", caller, r.Key, r.Status, r.Cause.Code, r.Cause.Text, r.Consequence)
	return nil
}
