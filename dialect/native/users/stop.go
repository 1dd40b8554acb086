package users

import (
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// jobHere names a job in a body.
type jobHere struct {
	JobID     wire.Text `json:"job_id" check:"required"`
	Scheduler wire.Text `json:"scheduler_party_id,omitempty"`
}

// stopHere ends this site's own part of a job, whatever its scheduler says.
func (a *api) stopHere(r *http.Request) (any, error) {
	var b jobHere
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	if err := openflow.CheckIdentifier("job_id", string(b.JobID)); err != nil {
		return nil, err
	}
	var stopped openflow.Stopped
	err := a.Ending(func() (err error) {
		stopped, err = a.Jobs.StopHere(r.Context(), openflow.PartyID(b.Scheduler), openflow.JobID(b.JobID))
		if err == nil {
			err = a.Audit(r, "job", string(b.JobID))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return wire.EncodeStopped(stopped), nil
}
