package component_test

import (
	"context"
	"math"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type scaleParams struct {
	Factor float64 `json:"factor" gt:"0" doc:"what every number is multiplied by"`
	Mode   string  `json:"mode"   choices:"plain,root" doc:"root multiplies by the square root of factor"`
}

var scaleDefaults = scaleParams{Factor: 1, Mode: "plain"}

// A component is one value with one function. In an image, main is the Main of a component.Program that has it.
var Scale = component.Component{
	Name:       "scale",
	Roles:      []openflow.Role{openflow.RoleGuest, openflow.RoleHost},
	Parameters: scaleDefaults,
	Inputs:     []component.Artifact{{Key: "input_data"}},
	Outputs:    []component.Artifact{{Key: "output_data"}, {Key: "output_model", Type: component.JSONModel}},
	Run:        scale,
}

func scale(ctx context.Context, t *component.Task) error {
	p := scaleDefaults
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if p.Mode == "root" {
		p.Factor = math.Sqrt(p.Factor)
	}
	table, err := t.Frame(ctx, "input_data")
	if err != nil {
		return err
	}
	err = t.Parallel(ctx, len(table.Features), func(i int) error {
		for row, x := range table.Features[i].Floats {
			table.Features[i].Floats[row] = x * p.Factor
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.Metric(ctx, component.Metric{Name: "scale", Data: map[string]any{"rows": table.Rows()}}); err != nil {
		return err
	}
	if err := t.SaveModel(ctx, "output_model", map[string]float64{"factor": p.Factor}); err != nil {
		return err
	}
	return t.SaveTable(ctx, "output_data", table)
}

func Example() {
	// func main() {
	// 	component.Program{Provider: "acme", Version: "1.0.0", Components: []component.Component{Scale}}.Main()
	// }
	_ = Scale
}

func numbers(values ...float64) *tables.Frame {
	f := &tables.Frame{
		Schema: tables.Schema{SampleID: "sample_id", MatchID: "id", Features: []tables.Column{{Name: "x0", DType: tables.Float64}}},
	}
	for i := range values {
		f.SampleID = append(f.SampleID, string(rune('a'+i)))
	}
	f.MatchID = f.SampleID
	f.Features = []tables.Vector{tables.NewFloats(tables.Float64, values)}
	return f
}
