// Package noop is a component that does nothing, for measuring a node and for trying a DAG: it waits or fails as told,
// and passes a table through when it is given one.
//
// Start at [Component].
package noop

import (
	"context"
	"encoding/json"
	"time"

	"openflow"
	"openflow/sdk/component"
)

type params struct {
	Sleep int     `json:"sleep_ms" min:"0" doc:"how long to wait, in milliseconds"`
	Fail  failure `json:"fail"     doc:"true, or a reason: fail after the wait"`
}

// failure is a reason to fail, or none.
type failure string

// UnmarshalJSON accepts true, false, or a reason.
func (f *failure) UnmarshalJSON(data []byte) error {
	var yes bool
	if json.Unmarshal(data, &yes) == nil {
		*f = ""
		if yes {
			*f = "it was asked to fail"
		}
		return nil
	}
	var reason string
	if err := json.Unmarshal(data, &reason); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "want true, false or a reason")
	}
	*f = failure(reason)
	return nil
}

// Component is the noop.
func Component() component.Component {
	return component.Component{
		Name:        "noop",
		Description: "does nothing: waits, fails or passes its input on",
		Roles:       []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal},
		Parameters:  params{},
		Inputs:      []component.Artifact{{Key: "input_data", Optional: true}},
		Outputs:     []component.Artifact{{Key: "output_data", Type: component.Unresolved, Optional: true, Like: "input_data"}},
		Protocols:   component.Alone,
		Run:         run,
	}
}

func run(ctx context.Context, t *component.Task) error {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if p.Sleep > 0 {
		wait := time.NewTimer(time.Duration(p.Sleep) * time.Millisecond)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return openflow.Errorf(openflow.CodeCanceled, "noop was stopped: %w", context.Cause(ctx))
		}
	}
	if p.Fail != "" {
		return openflow.Errorf(openflow.CodeInternal, "noop failed: %s", string(p.Fail)).WithPublic("it was asked to fail")
	}
	if !t.HasInput("input_data") {
		return nil
	}
	in, err := t.Tables(ctx, "input_data")
	if err != nil {
		return err
	}
	if len(in) != 1 {
		return openflow.Errorf(openflow.CodeInvalid, "noop passes one table on and was given %d", len(in)).
			WithPublic("noop passes one table on, not several")
	}
	return t.PassTable(ctx, "output_data", in[0].Namespace, in[0].Name)
}
