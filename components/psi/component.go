package psi

import (
	"context"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/component"
)

const (
	inputKey  = "input_data"
	outputKey = "output_data"
)

// parameters of the component.
//
// Spec: fate-components §4.3.
type parameters struct {
	Protocol  string `json:"protocol" enum:"ecdh_psi" doc:"ecdh_psi is the only one"`
	CurveType string `json:"curve_type" enum:"curve25519,p256,p-256" doc:"curve25519, FATE's name for the default, and p256 both mean NIST P-256"`
	// MinIntersection is ours. A grant can want it.
	MinIntersection int `json:"min_intersection" min:"0" doc:"with fewer shared ids the task fails here; the policy of a site may want more"`
}

var defaults = parameters{Protocol: "ecdh_psi", CurveType: "curve25519"}

// Component describes psi to a node and runs it.
//
// Spec: fate-components §4.3.
func Component() component.Component {
	return component.Component{
		Name: "psi",
		Description: "keeps the rows whose match id all parties share, found by elliptic-curve Diffie-Hellman on NIST P-256; " +
			"hosts take over the guest's sample ids; rows come out sorted by sample id",
		Roles:      []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
		Parameters: defaults,
		Inputs:     []component.Artifact{{Key: inputKey}},
		Outputs:    []component.Artifact{{Key: outputKey, Like: inputKey}},
		Needs:      []component.Need{{Role: openflow.RoleGuest, Min: 1, Max: 1}, {Role: openflow.RoleHost, Min: 1}},
		Protocols:  []openflow.Protocol{{Name: "openflow/psi", Version: "1"}},
		Run:        run,
	}
}

func run(ctx context.Context, t *component.Task) error {
	p := defaults
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if err := p.validate(t); err != nil {
		return err
	}
	guests, hosts := t.PartiesOf(openflow.RoleGuest), t.PartiesOf(openflow.RoleHost)
	if len(guests) != 1 || len(hosts) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%s has %d guests and %d hosts; psi needs one guest and at least one host",
			t.Key(), len(guests), len(hosts)).WithPublic("psi needs one guest and at least one host")
	}
	began := time.Now()
	list, err := readIDs(ctx, t)
	if err != nil {
		return err
	}
	t.Log().Info("ids read", "rows", list.rows(), "parties", len(t.Parties()), "seconds", time.Since(began).Seconds())
	var result arrangement
	if t.Role() == openflow.RoleGuest {
		result, err = runGuest(ctx, t, list, hosts)
	} else {
		result, err = runHost(ctx, t, list, guests[0])
	}
	if err != nil {
		return err
	}
	t.Log().Info("intersected", "rows", list.rows(), "shared_rows", result.rows(), "seconds", time.Since(began).Seconds())
	if err := result.write(ctx, t); err != nil {
		return err
	}
	t.Log().Info("intersection written", "rows", result.rows(), "seconds", time.Since(began).Seconds())
	return report(ctx, t, list.rows(), result.rows())
}

func (p parameters) validate(t *component.Task) error {
	if p.Protocol != "ecdh_psi" { // in FATE's own words, as fate-components.md has them
		return openflow.Errorf(openflow.CodeUnimplemented, "PSI protocol=%s does not implemented yet", p.Protocol).
			WithPublic("psi does not offer that protocol").WithHint("use ecdh_psi")
	}
	switch strings.ToLower(p.CurveType) {
	case "p256", "p-256":
	case "curve25519":
		t.Log().Info("curve_type curve25519 is FATE's default; this implementation intersects on NIST P-256")
	default:
		return openflow.Errorf(openflow.CodeInvalid, "curve_type %q is not known", p.CurveType).
			WithPublic("psi does not offer that curve").WithHint("use curve25519 (the default) or p256; both run on NIST P-256")
	}
	return nil
}

// report saves the two metrics.
//
// Spec: fate-components §4.3 (metrics), §10.1 item 4 (method is a constant, an extra key says what was used).
func report(ctx context.Context, t *component.Task, input, intersection int) error {
	err := t.Metric(ctx, component.Metric{Name: "summary", Data: map[string]any{
		"input_count": input, "intersect_count": intersection, "intersect_rate": float64(intersection) / float64(input),
		"method": "curve25519", "curve": "P-256",
	}})
	if err != nil {
		return err
	}
	return t.Metric(ctx, component.Metric{Name: "intersect_id_count", Type: "custom", Data: map[string]any{"intersect_count": intersection}})
}
