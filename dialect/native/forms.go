package native

import (
	"openflow/dialect/forms"
	"openflow/sdk/wire"
)

// openJob is the body of /job/open.
type openJob struct {
	forms.PartnerCreateJob
	Later bool `json:"later,omitempty"`
}

// reservation answers /job/open and /job/reserve.
type reservation struct {
	Held  bool          `json:"held"`
	Short *wire.Problem `json:"short,omitempty"`
}

// tell is the body of /job/tell.
type tell struct {
	wire.JobRef
	Status   wire.Text                 `json:"status,omitempty"`
	Reason   string                    `json:"reason,omitempty"`
	Progress int                       `json:"progress,omitempty"`
	Tasks    []forms.PartnerUpdateTask `json:"tasks,omitempty"`
}

// stop is the body of /job/stop.
type stop struct {
	wire.JobRef
	Status wire.Text                 `json:"status" check:"required"`
	Reason string                    `json:"reason,omitempty"`
	Tasks  []forms.PartnerUpdateTask `json:"tasks,omitempty"`
}

// start is the body of /task/start.
type start struct {
	forms.TaskRef
	StartsJob bool                      `json:"starts_job,omitempty"`
	Ended     []forms.PartnerUpdateTask `json:"ended,omitempty"`
}

// probe is the body of /site: the peer is to call back when CallBack is set.
type probe struct {
	CallBack bool `json:"call_back,omitempty"`
}

// probed answers it: whom the peer takes the caller for, and what came of calling back.
type probed struct {
	Caller   string        `json:"caller"`
	CallBack *wire.Problem `json:"call_back,omitempty"` // why the peer does not reach the caller; absent when it does
	Version  string        `json:"version,omitempty"`   // what the peer's node runs
}

// submitted answers /scheduled/create.
type submitted struct {
	JobID        string `json:"job_id"`
	ModelID      string `json:"model_id"`
	ModelVersion string `json:"model_version"`
}
