package lr_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

func TestWhatIsFarFromTraining(t *testing.T) {
	for name, c := range map[string]struct {
		mean, deviation, nowMean, nowDeviation float64
		count                                  int
		far                                    bool
	}{
		"alike":                               {0, 1, 0.1, 0.9, 100, false},
		"a group of its own":                  {0, 1, 3, 0.2, 100, false},
		"not scaled any more":                 {0, 1, 5000, 3000, 100, true},
		"not scaled, around zero":             {0, 1, 0, 3000, 100, true},
		"scaled, and was not":                 {5000, 3000, 0, 1, 100, true},
		"near each other, by being few":       {5000, 3000, 4000, 1, 3, false},
		"one row":                             {0, 1, 2, 0, 1, false},
		"one row, far away":                   {0, 1, 800, 0, 1, true},
		"one value in all new rows":           {0, 1, 1, 0, 100, false},
		"one value in all rows of a training": {1, 0, 700, 3, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.far, lr.Differs(c.mean, c.deviation, c.nowMean, c.nowDeviation, c.count))
		})
	}
}

// Rows that were not scaled as those of the training are told to the party that has them, with their columns, and to
// nobody else. A model without the numbers of its training predicts as ever.
func TestRowsFarFromTrainingAreWarnedOf(t *testing.T) {
	j := made(150, 3, 12, 2)
	trained := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 1})))
	p := predictionWith(t, j, trained)
	for party, r := range componenttest.RunOK(t, p).Parties {
		require.NotContains(t, strings.Join(r.Warnings, "\n"), "far from the rows", party.String())
	}

	raw := *j.host
	raw.Features = append([]tables.Vector{}, j.host.Features...)
	values := append([]float64{}, raw.Features[1].Floats...)
	for i := range values {
		values[i] = 5000 + 3000*values[i]
	}
	raw.Features[1] = tables.NewFloats(tables.Float64, values)
	name := raw.Schema.Features[1].Name
	p.Inputs[host].Data["test_data"] = &raw
	r := componenttest.RunOK(t, p)
	require.Contains(t, strings.Join(r.Parties[host].Warnings, "\n"), `columns of host 10000 are far from the rows that the model was trained on: "`+name+`" (mean `)
	require.Contains(t, strings.Join(r.Parties[host].Warnings, "\n"), "Scale new rows as the training rows were")
	require.Len(t, r.Parties[host].Warnings, 1)
	for _, party := range []openflow.Party{guest, arbiter} {
		require.Empty(t, r.Parties[party].Warnings, party.String())
	}

	m, ok := p.Inputs[host].Models["input_model"].(map[string]any)["meta"].(map[string]any)
	require.True(t, ok)
	require.Len(t, m["columns"], len(raw.Features))
	delete(m, "columns")
	require.Empty(t, componenttest.RunOK(t, p).Parties[host].Warnings, "an older model")
}

// Rows of one value have no deviation, however many there are: a rest of rounding would make other rows of the same value
// look far away.
func TestRowsOfOneValueHaveNoDeviation(t *testing.T) {
	for _, value := range []float64{0, 4, 0.1, -1e6, 1e-6} {
		for _, n := range []int{1, 3, 300, 8000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = value
			}
			mean, deviation := lr.Spread(values)
			require.Equal(t, value, mean)
			require.Zero(t, deviation)
		}
	}
	mean, deviation := lr.Spread([]float64{1, 2, 3, 6})
	require.InDelta(t, 3, mean, 1e-12)
	require.InDelta(t, 1.8708286933869707, deviation, 1e-12)
}
