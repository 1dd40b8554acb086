package workflows

import (
	"time"

	"openflow"
	"openflow/store/document"
)

// This file holds what workflows are started with, told and asked, as histories keep it; see activities/history.go.

// JobPlan is an openflow.JobPlan: the input of a job workflow.
type JobPlan struct {
	ID          openflow.JobID    `json:"job_id,omitzero"`
	Scheduler   openflow.PartyID  `json:"scheduler,omitzero"`
	Initiator   openflow.PartyID  `json:"initiator,omitzero"`
	Name        string            `json:"name,omitzero"`
	UserName    string            `json:"user_name,omitzero"`
	Parties     []document.Party  `json:"parties,omitempty"`
	Tasks       []PlannedTask     `json:"tasks,omitempty"`
	SyncType    openflow.SyncType `json:"sync_type,omitzero"`
	AutoRetries int               `json:"auto_retries,omitzero"`
	Timing      Timing            `json:"timing,omitzero"`
	Timeout     time.Duration     `json:"timeout_ns,omitzero"`
	Again       bool              `json:"again,omitzero"`
	Lost        Lost              `json:"lost,omitzero"`
	Revision    int               `json:"revision,omitzero"`
}

// Lost is an openflow.Lost.
type Lost struct {
	Status openflow.JobStatus `json:"status,omitzero"`
	Reason string             `json:"reason,omitzero"`
}

// PlannedTask is an openflow.PlannedTask.
type PlannedTask struct {
	Name      openflow.TaskName   `json:"name,omitzero"`
	Component string              `json:"component,omitzero"`
	Upstreams []openflow.TaskName `json:"upstreams,omitempty"`
	Parties   []document.Party    `json:"parties,omitempty"`
	Version   int                 `json:"version,omitzero"`
	Done      bool                `json:"done,omitzero"`
	Protocol  document.Protocol   `json:"protocol,omitzero"`
}

// Timing is an openflow.Timing.
type Timing struct {
	Create  time.Duration `json:"create_ns,omitzero"`
	Partner time.Duration `json:"partner_ns,omitzero"`
	Undo    time.Duration `json:"undo_ns,omitzero"`
	Collect time.Duration `json:"collect_ns,omitzero"`
}

// EncodePlan is the inverse of Decode.
func EncodePlan(p openflow.JobPlan) JobPlan {
	out := JobPlan{
		ID: p.ID, Scheduler: p.Scheduler, Initiator: p.Initiator, Name: p.Name, UserName: p.UserName,
		Parties: document.EncodeParties(p.Parties), SyncType: p.SyncType, AutoRetries: p.AutoRetries, Timing: Timing(p.Timing),
		Timeout: p.Timeout, Again: p.Again, Lost: Lost(p.Lost), Revision: p.Revision,
	}
	for _, t := range p.Tasks {
		out.Tasks = append(out.Tasks, PlannedTask{
			Name: t.Name, Component: t.Component, Upstreams: t.Upstreams, Parties: document.EncodeParties(t.Parties),
			Version: t.Version, Done: t.Done, Protocol: document.Protocol(t.Protocol),
		})
	}
	return out
}

// Decode gives the plan back.
func (p JobPlan) Decode() openflow.JobPlan {
	out := openflow.JobPlan{
		ID: p.ID, Scheduler: p.Scheduler, Initiator: p.Initiator, Name: p.Name, UserName: p.UserName,
		Parties: document.DecodeParties(p.Parties), SyncType: p.SyncType, AutoRetries: p.AutoRetries, Timing: openflow.Timing(p.Timing),
		Timeout: p.Timeout, Again: p.Again, Lost: openflow.Lost(p.Lost), Revision: p.Revision,
	}
	for _, t := range p.Tasks {
		out.Tasks = append(out.Tasks, openflow.PlannedTask{
			Name: t.Name, Component: t.Component, Upstreams: t.Upstreams, Parties: document.DecodeParties(t.Parties),
			Version: t.Version, Done: t.Done, Protocol: openflow.Protocol(t.Protocol),
		})
	}
	return out
}

// Created is the answer of UpdateCreated: what the job's users should know of it.
type Created struct {
	Warnings []string `json:"warnings,omitempty"`
}

// Stopped is an openflow.Stopped: the answer of UpdateStop and QueryStopped.
type Stopped struct {
	Status   openflow.JobStatus `json:"status,omitzero"`
	Reason   string             `json:"reason,omitzero"`
	Stopping []document.Party   `json:"stopping,omitempty"`
}

// EncodeStopped is the inverse of Decode.
func EncodeStopped(s openflow.Stopped) Stopped {
	return Stopped{Status: s.Status, Reason: s.Reason, Stopping: document.EncodeParties(s.Stopping)}
}

// Decode gives the answer back.
func (s Stopped) Decode() openflow.Stopped {
	return openflow.Stopped{Status: s.Status, Reason: s.Reason, Stopping: document.DecodeParties(s.Stopping)}
}

// StopRequest is the argument of UpdateStop.
type StopRequest struct {
	Status openflow.JobStatus `json:"status,omitzero"`
	Reason string             `json:"reason,omitzero"`
}

// EndRequest is the argument of SignalEnd.
type EndRequest struct {
	Status openflow.TaskStatus `json:"status,omitzero"`
	Reason string              `json:"reason,omitzero"`
}
