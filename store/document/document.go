// Package document is the JSON of what this node keeps and sends to itself: in columns of SQL, in the histories of
// workflows, and between a node and the workers of its pool.
//
// It has a tagged type for each domain type that is kept so, and conversion both ways. The domain may rename a field
// without touching what was written before, and what was written keeps its names. Flat types convert like
// document.Party(p), which the compiler checks; the others have an Encode function and a Decode method. Fields that hold
// their zero value are left out, so a field that is added later is absent from what was written before it.
//
// [Canonical] and [Hash] make of a document what two releases can compare. Start reading at [DAG].
package document

import (
	"openflow"
)

// Party is an openflow.Party.
type Party struct {
	Role openflow.Role    `json:"role,omitzero"`
	ID   openflow.PartyID `json:"party_id,omitzero"`
}

// EncodeParties keeps the order.
func EncodeParties(parties []openflow.Party) []Party {
	return each(parties, func(p openflow.Party) Party { return Party(p) })
}

// DecodeParties is the inverse of EncodeParties.
func DecodeParties(parties []Party) []openflow.Party {
	return each(parties, func(p Party) openflow.Party { return openflow.Party(p) })
}

// Run is an openflow.TaskKey: one run of a task at one party.
type Run struct {
	Scheduler openflow.PartyID  `json:"scheduler,omitzero"`
	Job       openflow.JobID    `json:"job_id,omitzero"`
	Task      openflow.TaskName `json:"task_name,omitzero"`
	Version   int               `json:"version,omitzero"`
	Party     Party             `json:"party,omitzero"`
}

// EncodeRun is the inverse of Decode.
func EncodeRun(k openflow.TaskKey) Run {
	return Run{Scheduler: k.Scheduler, Job: k.Job, Task: k.Task, Version: k.Version, Party: Party(k.Party)}
}

// Decode gives the key back.
func (r Run) Decode() openflow.TaskKey {
	return openflow.TaskKey{Scheduler: r.Scheduler, Job: r.Job, Task: r.Task, Version: r.Version, Party: openflow.Party(r.Party)}
}

// Cause is an openflow.Cause.
type Cause struct {
	Code        openflow.Code `json:"code,omitzero"`
	Text        string        `json:"text,omitzero"`
	Consequence bool          `json:"consequence,omitzero"`
}

// TaskRun is an openflow.TaskRun: how a task stood when its job ended.
type TaskRun struct {
	Name     openflow.TaskName   `json:"name,omitzero"`
	Version  int                 `json:"version,omitzero"`
	Started  bool                `json:"started,omitzero"`
	Status   openflow.TaskStatus `json:"status,omitzero"`
	Protocol Protocol            `json:"protocol,omitzero"`
}

// EncodeTaskRuns keeps the order.
func EncodeTaskRuns(runs []openflow.TaskRun) []TaskRun {
	return each(runs, func(r openflow.TaskRun) TaskRun {
		return TaskRun{Name: r.Name, Version: r.Version, Started: r.Started, Status: r.Status, Protocol: Protocol(r.Protocol)}
	})
}

// DecodeTaskRuns is the inverse of EncodeTaskRuns.
func DecodeTaskRuns(runs []TaskRun) []openflow.TaskRun {
	return each(runs, func(r TaskRun) openflow.TaskRun {
		return openflow.TaskRun{Name: r.Name, Version: r.Version, Started: r.Started, Status: r.Status, Protocol: openflow.Protocol(r.Protocol)}
	})
}

// Mandate is an openflow.Mandate.
type Mandate struct {
	Text      []byte `json:"text,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	Salt      []byte `json:"salt,omitempty"`
}

// each converts a list. Nothing stays nil.
func each[A, B any](list []A, convert func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}

// either converts what a pointer points to.
func either[A, B any](p *A, convert func(A) B) *B {
	if p == nil {
		return nil
	}
	b := convert(*p)
	return &b
}
