package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"openflow"
)

// The shapes between a node and the workers of its pool. Both ends are ours, and of releases next to each other: a field
// that one of them does not know is passed over. Rows travel as the domain has them.

// PoolSite is what a worker is told of the site that it works for.
type PoolSite struct {
	PartyID   openflow.PartyID `json:"party_id"`
	Namespace string           `json:"namespace"` // in Temporal
}

// PoolWorker is what a worker tells of itself.
type PoolWorker struct {
	Machine   string                 `json:"machine" check:"required"`
	Name      string                 `json:"name"`
	Labels    []string               `json:"labels"`
	Runtime   string                 `json:"runtime"`
	Cores     int                    `json:"cores"`
	Version   string                 `json:"version"`
	Running   []openflow.ExecutionID `json:"running"` // the runs that it follows
	StartTime int64                  `json:"start_time"`
	SeenTime  int64                  `json:"seen_time,omitempty"` // in answers
}

// EncodeWorker is the inverse of Decode.
func EncodeWorker(w openflow.WorkerRecord) PoolWorker {
	return PoolWorker{
		Machine: w.Machine, Name: w.Name, Labels: w.Labels, Runtime: w.Runtime, Cores: w.Cores, Version: w.Version,
		Running: w.Running, StartTime: w.Started.UnixMilli(), SeenTime: w.Seen.UnixMilli(),
	}
}

// Decode checks what a worker has told. Errors: CodeInvalid.
func (w PoolWorker) Decode() (openflow.WorkerRecord, error) {
	r := openflow.WorkerRecord{
		Machine: w.Machine, Name: w.Name, Labels: w.Labels, Runtime: w.Runtime, Cores: w.Cores, Version: w.Version,
		Running: w.Running, Started: time.UnixMilli(w.StartTime),
	}
	if err := openflow.CheckIdentifier("machine", w.Machine); err != nil {
		return r, err
	}
	for _, label := range w.Labels {
		if err := openflow.CheckIdentifier("label", label); err != nil {
			return r, err
		}
	}
	return r, nil
}

// PoolStart records that a run has a container at a worker's machine.
type PoolStart struct {
	Key       openflow.TaskKey `json:"key"`
	Runtime   string           `json:"runtime" check:"required"`
	Container string           `json:"container" check:"required"`
}

// PoolEnd records how a run has ended.
type PoolEnd struct {
	Key openflow.TaskKey `json:"key"`
	End openflow.TaskEnd `json:"end"`
}

// PoolChange answers whether a row has changed.
type PoolChange struct {
	Changed bool `json:"changed"`
}

// PoolLog answers where a log is kept; empty: it was empty.
type PoolLog struct {
	Digest string `json:"digest"`
}

// DecodeTaskRecord reads a row. Numbers in parameters stay as they were written, whatever their size.
func DecodeTaskRecord(b []byte) (openflow.TaskRecord, error) {
	var r openflow.TaskRecord
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return r, openflow.Errorf(openflow.CodeInvalid, "the row of a task is not readable: %w", err)
	}
	return r, nil
}
