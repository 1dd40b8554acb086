package lr_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

func TestRefusals(t *testing.T) {
	clone := func(f *tables.Frame) *tables.Frame {
		all := make([]int, f.Rows())
		for i := range all {
			all[i] = i
		}
		g := f.Take(all)
		g.Schema = f.Schema.Clone()
		return g
	}
	tests := map[string]struct {
		change     func(g, h *tables.Frame)
		parameters object
		want       map[openflow.Party]string
	}{
		"no label": {
			change: func(g, _ *tables.Frame) { g.Schema.Label, g.Label = nil, tables.Vector{} },
			want:   map[openflow.Party]string{guest: "no label column", host: "no training: ", arbiter: "no training: "},
		},
		"label with one value": {
			change: func(g, _ *tables.Frame) { clear(g.Label.Ints) },
			want:   map[openflow.Party]string{guest: `label "y" has one value only`, host: "guest 9999 is not usable", arbiter: "guest 9999 is not usable"},
		},
		"missing value at the host": {
			change: func(_, h *tables.Frame) { h.Features[2].Floats[5] = math.NaN() },
			want:   map[openflow.Party]string{host: `column "monthly_inflow" has no value in the row of `, guest: "host 10000 cannot take part", arbiter: "host 10000 cannot take part"},
		},
		"missing value at the guest": {
			change: func(g, _ *tables.Frame) { g.Features[0].Floats[7] = math.Inf(1) },
			want:   map[openflow.Party]string{guest: `column "age" has an infinite value in the row of `, host: "not usable", arbiter: "not usable"},
		},
		"text column": {
			change: func(_, h *tables.Frame) {
				h.Schema.Features[0].DType, h.Features[0] = tables.Object, tables.NewStrings(h.SampleID)
			},
			want: map[openflow.Party]string{host: `column "balance" is text`, guest: "host 10000 cannot take part", arbiter: "host 10000 cannot take part"},
		},
		"other ids": {
			change: func(_, h *tables.Frame) { h.SampleID[3] = "somebody else" },
			want: map[openflow.Party]string{guest: "does not have the same sample ids", host: "does not have the same sample ids",
				arbiter: "does not have the same sample ids"},
		},
		"repeated sample id": {
			change: func(g, _ *tables.Frame) { g.SampleID[3] = g.SampleID[4] },
			want:   map[openflow.Party]string{guest: "a sample id occurs more than once", host: "not usable", arbiter: "not usable"},
		},
		"weight column": {
			change: func(g, _ *tables.Frame) {
				g.Schema.Weight, g.Weight = &tables.Column{Name: "w", DType: tables.Float64}, g.Features[0]
			},
			want: map[openflow.Party]string{guest: "does not weight rows", host: "no training: ", arbiter: "no training: "},
		},
		"batch below the number of columns": {
			parameters: object{"batch_size": 10},
			want:       map[openflow.Party]string{guest: "would give the residuals away", host: "would give the residuals away", arbiter: "would give the residuals away"},
		},
		"batch size as in FATE 1.x": {
			parameters: object{"batch_size": -1},
			want:       map[openflow.Party]string{guest: "batch_size", host: "batch_size", arbiter: "batch_size"},
		},
		"optimizer that is not offered": {
			parameters: object{"optimizer": object{"method": "rprop", "optimizer_params": object{"lr": 1}}},
			want:       map[openflow.Party]string{guest: `optimizer "rprop" is not offered`, host: `"rprop"`, arbiter: `"rprop"`},
		},
		"option that torch does not have": {
			parameters: object{"optimizer": object{"method": "sgd", "optimizer_params": object{"lr": 1, "speed": 2}}},
			want:       map[openflow.Party]string{guest: `unknown option "speed"`, host: `unknown option "speed"`, arbiter: `unknown option "speed"`},
		},
		"learning rate of zero": {
			parameters: object{"optimizer": object{"method": "adam", "optimizer_params": object{"lr": 0}}},
			want:       map[openflow.Party]string{guest: "lr is 0, want more than 0", host: "more than 0", arbiter: "more than 0"},
		},
		"no encryption": {
			parameters: object{"he_param": object{"kind": "mock"}},
			want:       map[openflow.Party]string{guest: "mock means no encryption", host: "forbidden", arbiter: "forbidden"},
		},
	}
	j := creditSet(t, 150, 100)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g, h := clone(j.guest), clone(j.host)
			if tc.change != nil {
				tc.change(g, h)
			}
			k := j
			k.guest, k.host = g, h
			r := componenttest.Run(t, trainCase(k, quick(tc.parameters)))
			for party, want := range tc.want {
				require.Equal(t, openflow.TaskFailed, r.Parties[party].Status, party.String())
				require.Contains(t, r.Parties[party].Error, want, party.String())
				require.False(t, r.HasModel(party, "output_model"))
			}
		})
	}
}

func TestDivergenceIsAnError(t *testing.T) {
	j := creditSet(t, 150, 100)
	c := trainCase(j, quick(object{"epochs": 50, "optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 1, "optimizer_params": object{"lr": 1000}}}))
	c.Timeout = 5 * time.Second // the others wait for the party that gave up until somebody stops them
	r := componenttest.Run(t, c)
	require.Contains(t, r.Parties[guest].Error+r.Parties[host].Error, "training diverges")
}

func TestCrossValidationIsNotOffered(t *testing.T) {
	c := trainCase(creditSet(t, 100, 60), quick(nil))
	c.Stage = openflow.StageCrossValidation
	r := componenttest.Run(t, c)
	require.Contains(t, r.Parties[guest].Error, "cross_validation")
}
