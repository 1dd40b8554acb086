package activities

import (
	"slices"
	"time"

	"openflow"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// This file holds what workflows and activities give to each other, as histories keep it. A field that is added is absent
// from older histories; one that is renamed or taken away keeps them from being replayed.

// TaskOrder is an openflow.TaskOrder: the input of a task workflow and of its activities.
type TaskOrder struct {
	Run       document.Run  `json:"run"`
	Report    bool          `json:"report,omitzero"`
	Begun     bool          `json:"begun,omitzero"`
	Timeout   time.Duration `json:"timeout_ns,omitzero"`
	Label     string        `json:"label,omitzero"`
	Component string        `json:"component,omitzero"`
	Cores     int           `json:"cores,omitzero"`
	Pool      *Pooling      `json:"pool,omitempty"`
	Lost      string        `json:"lost,omitzero"`
	Revision  int           `json:"revision,omitzero"`
}

// Pooling is an openflow.Pooling.
type Pooling struct {
	Wait time.Duration `json:"wait_ns,omitzero"`
	Gone time.Duration `json:"gone_ns,omitzero"`
}

// EncodeOrder is the inverse of Decode.
func EncodeOrder(o openflow.TaskOrder) TaskOrder {
	out := TaskOrder{
		Run: document.EncodeRun(o.Key), Report: o.Report, Begun: o.Begun, Timeout: o.Timeout, Label: o.Label,
		Component: o.Component, Cores: o.Cores, Lost: o.Lost, Revision: o.Revision,
	}
	if o.Pool != nil {
		pool := Pooling(*o.Pool)
		out.Pool = &pool
	}
	return out
}

// Decode gives the order back.
func (o TaskOrder) Decode() openflow.TaskOrder {
	out := openflow.TaskOrder{
		Key: o.Run.Decode(), Report: o.Report, Begun: o.Begun, Timeout: o.Timeout, Label: o.Label, Component: o.Component,
		Cores: o.Cores, Lost: o.Lost, Revision: o.Revision,
	}
	if o.Pool != nil {
		pool := openflow.Pooling(*o.Pool)
		out.Pool = &pool
	}
	return out
}

// TaskUpdate is an openflow.TaskUpdate.
type TaskUpdate struct {
	Run      document.Run        `json:"run"`
	Status   openflow.TaskStatus `json:"status,omitzero"`
	Reason   string              `json:"reason,omitzero"`
	Progress int                 `json:"progress,omitzero"`
}

// EncodeUpdate is the inverse of Decode.
func EncodeUpdate(u openflow.TaskUpdate) TaskUpdate {
	return TaskUpdate{Run: document.EncodeRun(u.Key), Status: u.Status, Reason: u.Reason, Progress: u.Progress}
}

// Decode gives the update back.
func (u TaskUpdate) Decode() openflow.TaskUpdate {
	return openflow.TaskUpdate{Key: u.Run.Decode(), Status: u.Status, Reason: u.Reason, Progress: u.Progress}
}

// EncodeUpdates keeps the order.
func EncodeUpdates(updates []openflow.TaskUpdate) []TaskUpdate {
	var out []TaskUpdate
	for _, u := range updates {
		out = append(out, EncodeUpdate(u))
	}
	return out
}

func decodeUpdates(updates []TaskUpdate) []openflow.TaskUpdate {
	var out []openflow.TaskUpdate
	for _, u := range updates {
		out = append(out, u.Decode())
	}
	return out
}

// TaskStart is an openflow.TaskStart.
type TaskStart struct {
	Run       document.Run      `json:"run"`
	StartsJob bool              `json:"starts_job,omitzero"`
	Protocol  document.Protocol `json:"protocol,omitzero"`
	Ended     []TaskUpdate      `json:"ended,omitempty"`
	Again     bool              `json:"again,omitzero"`
	Begun     bool              `json:"begun,omitzero"`
}

// EncodeStart is the inverse of Decode.
func EncodeStart(s openflow.TaskStart) TaskStart {
	return TaskStart{
		Run: document.EncodeRun(s.TaskKey), StartsJob: s.StartsJob, Protocol: document.Protocol(s.Protocol), Ended: EncodeUpdates(s.Ended),
		Again: s.Again, Begun: s.Begun,
	}
}

// Decode gives the start back.
func (s TaskStart) Decode() openflow.TaskStart {
	return openflow.TaskStart{
		TaskKey: s.Run.Decode(), StartsJob: s.StartsJob, Protocol: openflow.Protocol(s.Protocol), Ended: decodeUpdates(s.Ended),
		Again: s.Again, Begun: s.Begun,
	}
}

// Report is an openflow.Report: the argument of an update of the job workflow, and how a run stands at a party.
type Report struct {
	Run    document.Run        `json:"run"`
	Status openflow.TaskStatus `json:"status,omitzero"`
	Cause  document.Cause      `json:"cause,omitzero"`
}

// EncodeReport is the inverse of Decode.
func EncodeReport(r openflow.Report) Report {
	return Report{Run: document.EncodeRun(r.Key), Status: r.Status, Cause: document.Cause(r.Cause)}
}

// Decode gives the report back.
func (r Report) Decode() openflow.Report {
	return openflow.Report{Key: r.Run.Decode(), Status: r.Status, Cause: openflow.Cause(r.Cause)}
}

// ReserveAnswer is a plan.ReserveAnswer: a party's answer to the application for a job's resources.
type ReserveAnswer struct {
	Party  document.Party `json:"party"`
	Code   openflow.Code  `json:"code,omitzero"`
	Text   string         `json:"text,omitzero"`
	Spoken []Spoken       `json:"spoken,omitempty"` // in the answer to the creation
}

// Spoken is an openflow.Spoken, for all tasks of which the same is said.
type Spoken struct {
	Tasks     []openflow.TaskName `json:"tasks,omitempty"`
	Provider  document.Provider   `json:"provider,omitzero"`
	Protocols []document.Protocol `json:"protocols,omitempty"`
}

// encodeSpoken writes what is said of several tasks once.
func encodeSpoken(list []openflow.Spoken) []Spoken {
	var out []Spoken
	for _, s := range list {
		said := Spoken{Provider: document.Provider(s.Provider), Protocols: document.EncodeProtocols(s.Protocols)}
		i := slices.IndexFunc(out, func(o Spoken) bool { return o.Provider == said.Provider && slices.Equal(o.Protocols, said.Protocols) })
		if i < 0 {
			i, out = len(out), append(out, said)
		}
		out[i].Tasks = append(out[i].Tasks, s.Task)
	}
	return out
}

// Decode gives the answer back.
func (g ReserveAnswer) Decode() plan.ReserveAnswer {
	answer := plan.ReserveAnswer{Party: openflow.Party(g.Party), Code: g.Code, Text: g.Text}
	for _, s := range g.Spoken {
		for _, task := range s.Tasks {
			answer.Spoken = append(answer.Spoken, openflow.Spoken{
				Task: task, Provider: openflow.ProviderRef(s.Provider), Protocols: document.DecodeProtocols(s.Protocols),
			})
		}
	}
	return answer
}

// PartyCall addresses one party of a job.
type PartyCall struct {
	Job   openflow.JobID `json:"job_id,omitzero"`
	Party document.Party `json:"party"`
}

// JobUpdate is news about a job for one party.
type JobUpdate struct {
	Call   PartyCall          `json:"call"`
	Status openflow.JobStatus `json:"status,omitzero"`
	Reason string             `json:"reason,omitzero"`
	Tasks  []TaskUpdate       `json:"tasks,omitempty"` // in StopJob: ends that the party has not heard of
}

// JobNews is what the scheduler's own record of a job is to say.
type JobNews struct {
	Job      openflow.JobID     `json:"job_id,omitzero"`
	Status   openflow.JobStatus `json:"status,omitzero"` // empty: it stays, and the reason is another
	Reason   string             `json:"reason,omitzero"`
	Progress int                `json:"progress,omitzero"`
	Tasks    []document.TaskRun `json:"tasks,omitempty"` // in EndJob: how its tasks stand
	// Unbegun says in EndJob that a party could not be reached at the creation, so the submission may be repeated.
	Unbegun bool `json:"unbegun,omitzero"`
}

// JobEnd is what the job's page says beside its end: warnings of this site's tasks, for this site's users.
type JobEnd struct {
	Warnings []string `json:"warnings,omitempty"`
}

// Outcome is how a run ended.
type Outcome struct {
	Status openflow.TaskStatus `json:"status,omitzero"`
	Error  string              `json:"error,omitzero"` // one line for this party's users, when it did not succeed
	Cause  document.Cause      `json:"cause,omitzero"` // what other parties may know of it
	// Warnings are for this site's own users: they go no further than the page of the run's workflow.
	Warnings []string `json:"warnings,omitempty"`
}

// End is a run with its outcome.
type End struct {
	Order   TaskOrder `json:"order"`
	Outcome Outcome   `json:"outcome"`
}

// Place is the machine that runs a task.
type Place struct {
	Machine string `json:"machine,omitzero"` // ID
	Name    string `json:"name,omitzero"`
}

// String is what people read.
func (p Place) String() string {
	if p.Name == "" {
		return p.Machine
	}
	return p.Name + " (" + p.Machine + ")"
}

// Waiting is why a run has no machine yet.
type Waiting struct {
	Reason  string `json:"reason,omitzero"`
	Workers int    `json:"workers,omitzero"` // that are alive and may run it; it waits for one of them to have cores free
}
