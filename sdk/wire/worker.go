package wire

import (
	"time"

	"openflow"
)

// Worker is what a worker tells of itself.
type Worker struct {
	Machine   string           `json:"machine" check:"required"`
	Name      string           `json:"name"`
	Labels    []string         `json:"labels"`
	Runtime   string           `json:"runtime"`
	Cores     int              `json:"cores"`
	Version   string           `json:"version"`
	Running   []openflow.RunID `json:"running"` // the runs that it follows
	StartTime int64            `json:"start_time"`
	SeenTime  int64            `json:"seen_time,omitempty"` // in answers
}

// EncodeWorker is the inverse of Decode.
func EncodeWorker(w openflow.WorkerRecord) Worker {
	return Worker{
		Machine: w.Machine, Name: w.Name, Labels: w.Labels, Runtime: w.Runtime, Cores: w.Cores, Version: w.Version,
		Running: w.Running, StartTime: w.Started.UnixMilli(), SeenTime: w.Seen.UnixMilli(),
	}
}

// Decode checks what a worker has told. Errors: CodeInvalid.
func (w Worker) Decode() (openflow.WorkerRecord, error) {
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
