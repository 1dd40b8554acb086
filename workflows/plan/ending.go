package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// AtOnce is how long containers may take to stop before anybody is told that they are waited for.
const AtOnce = time.Second

// Ending is how and why a job ends.
type Ending struct {
	Status openflow.JobStatus // empty: it does not
	Reason string             // why, when it does not succeed
	Code   openflow.Code      // likewise, as far as it is known
	Blames bool               // the reason is a failed run, the first that is known
}

// None tells that the job goes on.
func (e Ending) None() bool { return e.Status == "" }

// Stop is the end that somebody asks for. What is no end, or success, was sent by hand, and cancels the job.
func Stop(status openflow.JobStatus, reason string) Ending {
	if !status.Terminal() || status == openflow.JobSuccess {
		status = openflow.JobCanceled
	}
	return Ending{Status: status, Reason: reason}
}

// GivenUp is the end of a job that cannot go on. All its parties read why.
func GivenUp(err error) Ending {
	told := openflow.ForPartners(err)
	e := Ending{Status: openflow.JobFailed, Reason: told.Error(), Code: told.Code}
	if openflow.CodeOf(err) == openflow.CodeCanceled {
		e.Status = openflow.JobCanceled
	}
	return e
}

// Lost is the end of a job whose workflow is gone; none for every other job.
func Lost(job openflow.JobPlan) Ending {
	if job.Lost.Status == "" {
		return Ending{}
	}
	e := Stop(job.Lost.Status, job.Lost.Reason)
	if e.Status == openflow.JobFailed {
		e.Code = openflow.CodeUnavailable
	}
	return e
}

// Farewell is the end of a job as its parties hear of it: whom it has reached, where something still runs, and what
// people read meanwhile. It is over when every party has acknowledged the end and no run is left.
type Farewell struct {
	job      openflow.JobPlan
	run      *Execution
	end      Ending
	creation Creation
	words    map[openflow.Party][]openflow.TaskUpdate
	reached  map[openflow.Party]bool // the party has acknowledged the end
	misled   []openflow.Party        // have just acknowledged the end with a reason that is not the last one
	shown    string                  // the reason as the record has it
	told     string                  // the reason as the parties have it
	given    string                  // the last reason; empty: the wait goes on
	over     bool
}

// NewFarewell ends a job.
func NewFarewell(job openflow.JobPlan, run *Execution, c Creation, end Ending) *Farewell {
	f := &Farewell{
		job: job, run: run, end: end, creation: c, told: end.Reason,
		reached: map[openflow.Party]bool{}, words: map[openflow.Party][]openflow.TaskUpdate{},
	}
	for _, p := range job.Parties {
		f.words[p] = f.lastWords(p)
	}
	run.close()
	return f
}

// lastWords are the ends of tasks that a party learns with that of the job: those it has not been told, and for a job
// that ends early the runs that are stopped for that. A job that ends before its first task ends all of them.
func (f *Farewell) lastWords(p openflow.Party) []openflow.TaskUpdate {
	words := f.run.unheard(p)
	stopped := func(k openflow.TaskKey) {
		if k.Party == p && !slices.ContainsFunc(words, func(u openflow.TaskUpdate) bool { return u.Key == k }) {
			words = append(words, openflow.TaskUpdate{Key: k, Status: openflow.TaskCanceled, Reason: f.end.Reason})
		}
	}
	for _, k := range f.run.Silent() {
		stopped(k)
	}
	if f.end.Status != openflow.JobSuccess && !f.job.Again && !f.run.tasks.Begun() {
		for _, t := range f.run.tasks.Tasks { // there is no rerun of a job that has never started a task
			if slices.Contains(t.Parties, p) {
				stopped(f.run.key(t.Name, t.Version, p))
			}
		}
	}
	if f.end.Status == openflow.JobSuccess {
		for i := range words {
			words[i].Progress = 0 // the end says that it is 100
		}
	}
	return words
}

// Order is what a party is told of the end.
func (f *Farewell) Order(p openflow.Party) openflow.JobEnd {
	return openflow.JobEnd{Status: f.end.Status, Reason: f.For(p, f.end.Reason), Tasks: f.words[p]}
}

// For is a reason as a party may read it. A refusal of the job itself may name what the DAG says to the party that
// refuses, as its tables: that party and the initiator, who wrote it, read more than the others.
func (f *Farewell) For(p openflow.Party, reason string) string {
	refusal := f.creation.Refusal
	var e *openflow.Error
	if refusal == nil || p.ID == f.job.Initiator || errors.As(refusal, &e) && p.ID == e.Party {
		return reason
	}
	return strings.Replace(reason, f.Reason(), Refused(openflow.CodeOf(refusal), f.job.Initiator), 1)
}

// Answered takes a party's answer to the first news of the end; acknowledged: it knows of it, or need not. A party that
// has refused the job and refuses to hear of its end has nothing of it.
func (f *Farewell) Answered(p openflow.Party, acknowledged bool, code openflow.Code) {
	f.reached[p] = acknowledged || f.creation.Strangers[p] && !code.Retryable()
}

// Acknowledged takes that a party knows of the end which was told again and again. It hears the cause where that has
// become known meanwhile.
func (f *Farewell) Acknowledged(p openflow.Party) {
	f.reached[p] = true
	if f.For(p, f.Reason()) != f.For(p, f.end.Reason) {
		f.misled = append(f.misled, p)
	}
}

// Absent lists the parties that have not acknowledged the end.
func (f *Farewell) Absent() []openflow.Party {
	return slices.DeleteFunc(slices.Clone(f.job.Parties), func(p openflow.Party) bool { return f.reached[p] })
}

// Unbegun tells that the same submission may be made again.
func (f *Farewell) Unbegun() bool { return f.creation.Unbegun() }

// Report takes over how a run has ended.
func (f *Farewell) Report(r openflow.Report) { f.run.Report(r) }

// Record is how the tasks stand at the end, for the scheduler's record, and how many percent of them have ended.
func (f *Farewell) Record() (runs []openflow.TaskRun, progress int) {
	return f.run.tasks.Runs(), f.run.tasks.Progress()
}

// Questions lists the runs whose end the parties that know of the job's end have not reported.
func (f *Farewell) Questions() []openflow.TaskKey {
	return slices.DeleteFunc(f.run.Silent(), func(k openflow.TaskKey) bool { return !f.reached[k.Party] })
}

// Answer is what a party says of a run that should have ended.
type Answer struct {
	Report  openflow.Report
	Unknown bool // there is no such run, or nobody who would know it any more
	Failed  bool // there is no answer
}

// Weigh tells what follows from an answer: the run has ended so, or its party is to be told of the job's end once more;
// or neither, so far. A run that has never begun, or is not known, does not run. One that does run was perhaps started
// while its party heard of the end. One that waits may have its start on the way, which will be refused.
func (f *Farewell) Weigh(a Answer) (end openflow.TaskStatus, again bool) {
	switch status := a.Report.Status; {
	case a.Unknown, !a.Failed && status == openflow.TaskWaiting && !f.run.Starting():
		return openflow.TaskCanceled, false
	case a.Failed, status == openflow.TaskWaiting:
		return "", false
	case status.Terminal():
		return status, false
	}
	return "", true
}

// Reason is why the job has ended, as far as it is known now: the cause of a failure may be reported after the end.
func (f *Farewell) Reason() string {
	switch {
	case f.given != "":
		return f.given
	case f.end.Blames:
		return f.run.tasks.Reason()
	}
	return f.end.Reason
}

// Code is that of the Reason.
func (f *Farewell) Code() openflow.Code {
	if f.end.Blames {
		return f.run.tasks.Code()
	}
	return f.end.Code
}

// Corrected tells that the reason is not the one any more with which the parties have heard of the end.
func (f *Farewell) Corrected() bool { return f.Reason() != f.end.Reason }

// Standing is how far the end has come.
func (f *Farewell) Standing() openflow.Stopped {
	s := openflow.Stopped{Status: f.end.Status, Reason: f.Reason()}
	if f.over {
		return s
	}
	running := map[openflow.Party]bool{}
	for _, k := range f.run.Silent() {
		running[k.Party] = true
	}
	for _, p := range f.job.Parties {
		if !f.reached[p] || running[p] {
			s.Stopping = append(s.Stopping, p)
		}
	}
	s.Reason = StoppingReason(s.Status, s.Reason, s.Stopping)
	return s
}

// Over tells that nothing of the job is left at any party.
func (f *Farewell) Over() bool { return f.Standing().Over() }

// Changed tells whether there is something to explain that was not so before.
func (f *Farewell) Changed(before openflow.Stopped) bool {
	now := f.Standing()
	return now.Reason != before.Reason || !slices.Equal(now.Stopping, before.Stopping) || len(f.misled) > 0
}

// Explanation is what people are to read of the end, and who has to be told so.
type Explanation struct {
	Reason string
	Record bool             // the scheduler's record says something else
	Tell   []openflow.Party // of those that know of the end
}

// Explain tells what there is to explain now: to the scheduler's record, and where the wait lasts, to the parties too.
func (f *Farewell) Explain(lasts bool) Explanation {
	e := Explanation{Reason: f.Standing().Reason, Tell: f.misled}
	e.Record = e.Reason != f.shown
	if lasts && e.Reason != f.told {
		f.told = e.Reason
		e.Tell = slices.DeleteFunc(slices.Clone(f.job.Parties), func(p openflow.Party) bool { return !f.reached[p] })
	}
	f.shown, f.misled = e.Reason, nil
	return e
}

// Close ends the wait. Who has not confirmed the end by now, never will: they are listed, and the reason names them.
func (f *Farewell) Close() (unconfirmed []openflow.Party) {
	s := f.Standing()
	f.given, f.over = f.Reason(), true
	f.end.Code, f.end.Blames = f.Code(), false
	if len(s.Stopping) > 0 {
		f.given = UnconfirmedReason(s.Status, f.given, s.Stopping)
	}
	return s.Stopping
}

// Refused is what the parties of a job read that another one did not accept, or could not be asked to.
func Refused(code openflow.Code, initiator openflow.PartyID) string {
	return fmt.Sprintf("not all parties accepted the job (%s); party %s, which submitted it, knows more", code, initiator)
}

// StoppingReason is what people read of a job that has ended early while parties have not confirmed yet that nothing of
// it runs there. Nothing runs at the end of a job that has succeeded.
func StoppingReason(status openflow.JobStatus, reason string, stopping []openflow.Party) string {
	if len(stopping) == 0 || status == openflow.JobSuccess {
		return reason
	}
	return reason + "; stopping at " + names(stopping) + " until it is confirmed"
}

// UnconfirmedReason is what remains of StoppingReason when there is no use in asking further.
func UnconfirmedReason(status openflow.JobStatus, reason string, stopping []openflow.Party) string {
	if status == openflow.JobSuccess {
		return reason
	}
	return reason + "; never confirmed by " + names(stopping)
}

func names(parties []openflow.Party) string {
	list := make([]string, len(parties))
	for i, p := range parties {
		list[i] = fmt.Sprintf("%s (%s)", p.ID, p.Role)
	}
	return strings.Join(list, ", ")
}
