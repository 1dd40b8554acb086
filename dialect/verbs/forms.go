package verbs

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
	Held   bool           `json:"held"`
	Short  *wire.Problem  `json:"short,omitempty"`
	Spoken []forms.Spoken `json:"spoken,omitempty"` // of /job/open
}

// tellJob is the body of /job/tell.
type tellJob struct {
	wire.JobRef
	Status   wire.Text                 `json:"status,omitempty"`
	Reason   string                    `json:"reason,omitempty" heard:"words"`
	Progress forms.Percent             `json:"progress,omitempty"`
	Tasks    []forms.PartnerUpdateTask `json:"tasks,omitempty"`
}

// stopJob is the body of /job/stop.
type stopJob struct {
	wire.JobRef
	Status wire.Text                 `json:"status" check:"required"`
	Reason string                    `json:"reason,omitempty" heard:"words"`
	Tasks  []forms.PartnerUpdateTask `json:"tasks,omitempty"`
}

// startTask is the body of /task/start.
type startTask struct {
	forms.TaskRef
	StartsJob bool                      `json:"starts_job,omitempty"`
	Protocol  wire.Protocol             `json:"protocol,omitzero"`
	Ended     []forms.PartnerUpdateTask `json:"ended,omitempty"`
}

// submitted answers /scheduled/create.
type submitted struct {
	JobID        string   `json:"job_id"`
	ModelID      string   `json:"model_id"`
	ModelVersion string   `json:"model_version"`
	Warnings     []string `json:"warnings,omitempty" heard:"words"` // for the job's users
}
