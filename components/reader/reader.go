// Package reader is the component that gives an existing table a task output. It moves no data: the output names the
// table, and the node refuses a table that does not exist.
//
// Start at [Component].
package reader

import (
	"context"
	"time"

	"openflow"
	"openflow/sdk/component"
)

type params struct {
	Name      string `json:"name"      required:"true" doc:"name of the table"`
	Namespace string `json:"namespace" required:"true" doc:"namespace of the table"`
}

// Component is the reader.
//
// Spec: fate-components §4.1.
func Component() component.Component {
	return component.Component{
		Name:       "reader",
		Roles:      []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter},
		Parameters: params{},
		Outputs:    []component.Artifact{{Key: "output_data", Type: component.Unresolved}},
		Protocols:  component.Alone,
		Run:        run,
	}
}

func run(ctx context.Context, t *component.Task) error {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	began := time.Now()
	if err := t.PassTable(ctx, "output_data", p.Namespace, p.Name); err != nil {
		return err
	}
	t.Log().Info("table passed on", "namespace", p.Namespace, "name", p.Name, "seconds", time.Since(began).Seconds())
	return nil
}
