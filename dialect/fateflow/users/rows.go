package users

import (
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// encodeJob renders r; the DAG is part of it only when whole.
func encodeJob(r openflow.JobRecord, whole bool) (wire.JobRow, error) {
	row := wire.JobRow{
		ApplyResourceTime: wire.Millis(r.ApplyTime), Cores: r.Cores, CreateTime: wire.Millis(r.CreateTime), Description: r.Notes,
		Elapsed: elapsed(r.StartTime, r.EndTime), EndTime: wire.Millis(r.EndTime), Inheritance: map[string]any{},
		InitiatorPartyID: string(r.Initiator), JobID: string(r.ID), ModelID: r.ModelID, ModelVersion: r.ModelVersion,
		PartyID: string(r.Party.ID), Progress: r.Progress, Protocol: wire.Kind, Reason: r.Reason, RemainingCores: r.RemainingCores,
		Memory: r.Memory, RemainingMemory: r.RemainingMemory, GPUs: r.GPUs, RemainingGPUs: r.RemainingGPUs, Priority: r.Priority,
		ResourceInUse: r.ResourceInUse, ReturnResourceTime: wire.Millis(r.ReturnTime), Role: string(r.Party.Role),
		SchedulerPartyID: string(r.Scheduler), Purpose: r.Authority().Purpose, Signed: r.Signed, StartTime: wire.Millis(r.StartTime), Status: wire.ClientStatus(r.Status),
		UpdateTime: wire.Millis(r.UpdateTime), UserName: r.UserName, Warnings: append([]string{}, r.Warnings...),
	}
	if !r.ApplyTime.IsZero() {
		engine := "openflow"
		row.EngineName = &engine
	}
	if r.Status.Terminal() {
		row.Tag = "job_end"
	}
	if r.DAG == nil {
		return row, nil
	}
	row.Parties = wire.EncodeParties(r.DAG.Parties)
	if in := r.DAG.Conf.Inheritance; in != nil {
		row.Inheritance = map[string]any{"job_id": in.Job, "task_list": in.Tasks}
	}
	if !whole {
		return row, nil
	}
	var err error
	row.DAG, err = wire.EncodeDocument(r.DAG)
	return row, err
}

// encodeTask renders r.
func encodeTask(r openflow.TaskRecord) wire.TaskRow {
	row := wire.TaskRow{
		Cmd: []string{}, Component: r.Component, ComponentParameters: map[string]any{"parameters": r.Spec.Parameters},
		Container: r.ContainerName, CreateTime: wire.Millis(r.CreateTime), Elapsed: elapsed(r.StartTime, r.EndTime),
		EndTime: wire.Millis(r.EndTime), EngineConf: map[string]any{}, ErrorReport: r.ErrorReport,
		RunID: wire.PartyTaskID(r.Key), ExitCode: r.ExitCode, JobID: string(r.Key.Job), KillStatus: r.Killed,
		GPUIDs: append([]string{}, r.GPUIDs...), Memory: r.MemoryBytes, PartyID: string(r.Key.Party.ID), PartyStatus: string(r.PartyStatus), Protocol: wire.Kind,
		ProgramDigest: r.ProgramDigest, Speaks: r.Protocol.String(), ProviderName: r.Provider, Reason: r.Reason, ResourceInUse: r.ResourceInUse, Role: string(r.Key.Party.Role),
		Runtime: r.Runtime, SchedulerPartyID: string(r.Key.Scheduler), StartTime: wire.Millis(r.StartTime), Status: string(r.Status),
		SyncType: string(r.SyncType), TaskCores: r.Cores, TaskID: string(r.Key.TaskID()), TaskName: string(r.Key.Task),
		TaskParameters: map[string]any{}, TaskRun: wire.EngineRun(r.Spec.Conf), TaskVersion: r.Key.Version,
		Timeout: int(r.Spec.Conf.Timeout.Seconds()), UpdateTime: wire.Millis(r.UpdateTime), Warnings: append([]string{}, r.Warnings...),
	}
	return row
}

// encodeJobModels renders the models of a job.
func encodeJobModels(models []openflow.ModelRecord) []wire.JobModel {
	out := make([]wire.JobModel, len(models))
	for i, m := range models {
		out[i] = wire.JobModel{TaskName: string(m.Task), OutputKey: m.OutputKey}
	}
	return out
}

// encodePins renders what a job keeps.
func encodePins(pins []openflow.Pin) []wire.Pin {
	out := make([]wire.Pin, 0, len(pins))
	for _, p := range pins {
		row := wire.Pin{
			TaskName: string(p.Task), Kind: string(p.Kind), InputKey: p.InputKey, Index: p.Index, Namespace: p.Table.Namespace,
			Name: p.Table.Name, JobID: string(p.SourceJob), ModelID: p.Model.ID, Version: p.Model.Version, Producer: string(p.Producer),
			OutputKey: p.OutputKey, Digest: p.Object,
		}
		if p.Count >= 0 {
			row.Count = &p.Count
		}
		out = append(out, row)
	}
	return out
}

// encodeMetric renders r, with its data only when asked.
func encodeMetric(r openflow.MetricRecord, data bool) wire.Metric {
	m := wire.Metric{Name: r.Name, Groups: r.Groups}
	if r.Type != "" {
		m.Type = &r.Type
	}
	if r.StepAxis != "" {
		m.StepAxis = &r.StepAxis
	}
	if data {
		m.Data = r.Data
	}
	return m
}

func elapsed(start, end time.Time) *int64 {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	ms := end.Sub(start).Milliseconds()
	return &ms
}
