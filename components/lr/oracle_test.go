package lr_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// What a party computes from whole runs, with nothing but what it is given.

// toldScores is the score vector that the guest was told of each row.
func toldScores(t *testing.T, r *componenttest.Result, rows int) []float64 {
	t.Helper()
	for _, m := range r.Messages() {
		if m.Topic == "host-10000~guest-9999~h_pred" {
			z, err := lr.DecodeNumbers(m.Payload[1:], rows)
			require.NoError(t, err)
			return z
		}
	}
	require.Fail(t, "no scores were told")
	return nil
}

func without(f *tables.Frame, row int) *tables.Frame {
	var keep []int
	for i := range f.Rows() {
		if i != row {
			keep = append(keep, i)
		}
	}
	return f.Take(keep)
}

// Two trainings that differ by one row give the host that row's label: the difference of the gradients is about it alone. All
// keep to the protocol, and batches may be as large as one likes. docs/algorithms.md says that no limit stops it.
func TestTwoRunsGiveTheLabelOfARowAway(t *testing.T) {
	const rows, row = 200, 17
	j := made(rows, 2, 3, 2)
	sums := func(j joined) []float64 { // Xᵀy, as the host has it after one epoch from zero
		r := componenttest.RunOK(t, trainCase(j, object{"epochs": 1, "init_param": object{"method": "zeros"},
			"optimizer": object{"method": "sgd", "penalty": "none", "optimizer_params": object{"lr": 1}}}))
		var s []float64
		for _, c := range estimatorOf(t, r, host).Param.Coef {
			s = append(s, 2*float64(j.host.Rows())*c[0])
		}
		return s
	}
	whole, less := sums(j), sums(joined{guest: without(j.guest, row), host: without(j.host, row)})
	for k, f := range j.host.Features {
		require.InDelta(t, j.ref.y[row], (whole[k]-less[k])/f.Floats[row], 0.01)
	}
}

// A guest that knows 24 rows of a host's ten flags has the flags of all other rows from one score vector. The known rows
// give the coefficients, and of 1,024 combinations one fits each score. One vector is counted, of nine that are allowed.
func TestOneScoreVectorGivesFlagsAway(t *testing.T) {
	const rows, columns, known = 240, 10, 24
	j := made(rows, 2, columns, 2)
	for _, f := range j.host.Features {
		for i, v := range f.Floats {
			f.Floats[i] = 0
			if v > 0 {
				f.Floats[i] = 1
			}
		}
	}
	r := componenttest.RunOK(t, trainCase(j, quick(nil)))
	require.Equal(t, 1, r.Parties[host].Scores[guest.ID])
	z := toldScores(t, r, rows)
	var x, of [][]float64
	for i := range known {
		var row []float64
		for _, f := range j.host.Features {
			row = append(row, f.Floats[i])
		}
		x, of = append(x, row), append(of, []float64{z[i]})
	}
	w := solve(times(transposed(x), x), times(transposed(x), of))
	for i := known; i < rows; i++ {
		best, flags := math.Inf(1), 0
		for guess := range 1 << columns {
			sum := 0.0
			for k := range columns {
				sum += float64(guess>>k&1) * w[k][0]
			}
			if d := math.Abs(sum - z[i]); d < best {
				best, flags = d, guess
			}
		}
		for k, f := range j.host.Features {
			require.Equal(t, f.Floats[i], float64(flags>>k&1), "row %d, column %d", i, k)
		}
	}
}

// All parties read the random_state of a job. Where a host starts is its secret all the same: steps that move nothing would
// tell what its scores are made of.
func TestNobodyKnowsWhereAHostStarts(t *testing.T) {
	still := quick(object{"epochs": 1, "init_param": object{"method": "random", "random_state": 7, "fit_intercept": false},
		"optimizer": object{"method": "sgd", "penalty": "none", "optimizer_params": object{"lr": 1e-300}}})
	start := func(j joined) []float64 {
		return weights(t, componenttest.RunOK(t, trainCase(j, still)), host)
	}
	j := made(120, 3, 3, 2)
	first := start(j)
	require.NotEqual(t, first[:3], first[3:], "guest and host draw their own")
	require.Equal(t, first, start(j), "the same tables begin in the same place")
	j.host.Features[0].Floats[5]++
	other := start(j)
	require.Equal(t, first[:3], other[:3])
	for k := 3; k < 6; k++ {
		require.NotEqual(t, first[k], other[k], "another table begins elsewhere")
	}
}

// Of three columns two follow from the third. So one score vector and two known rows give all of them, which is what the host
// is told, and a second run is refused.
func TestColumnsThatFollowFromOthersDoNotCount(t *testing.T) {
	const rows = 150
	j := made(rows, 2, 3, 2)
	x, double, one := j.host.Features[0].Floats, j.host.Features[1].Floats, j.host.Features[2].Floats
	for i, v := range x {
		double[i], one[i] = 2*v+1, 4
	}
	c := trainCase(j, quick(nil))
	r := componenttest.RunOK(t, c)
	z := toldScores(t, r, rows)
	slope := (z[1] - z[0]) / (x[1] - x[0])
	for i, v := range x {
		require.InDelta(t, v, x[0]+(z[i]-z[0])/slope, 1e-9)
	}
	require.Contains(t, strings.Join(r.Parties[host].Warnings, "\n"), "the columns of this table follow from one of them, or are constant")
	require.NotContains(t, strings.Join(r.Parties[guest].Warnings, "\n"), "follow from")
	c.Scores = map[openflow.Party]componenttest.ScoreLedger{host: {Told: map[openflow.PartyID]int{guest.ID: 1}}}
	require.Equal(t, openflow.TaskFailed, componenttest.Run(t, c).Parties[host].Status, "the second run")
}

// How many columns do not follow from the others and a constant is evident here.
func TestIndependentColumns(t *testing.T) {
	r := made(100, 0, 4, 2).host
	a, b, c, d := r.Features[0].Floats, r.Features[1].Floats, r.Features[2].Floats, r.Features[3].Floats
	combine := func(f func(i int) float64) []float64 {
		v := make([]float64, len(a))
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	hot := func(k int) []float64 {
		return combine(func(i int) float64 {
			if i%3 == k {
				return 1
			}
			return 0
		})
	}
	constant := combine(func(int) float64 { return 0.1 })
	for name, tc := range map[string]struct {
		columns [][]float64
		want    int
	}{
		"normal":                     {[][]float64{a, b, c, d}, 4},
		"a copy and a constant":      {[][]float64{a, b, a, constant}, 2},
		"a sum":                      {[][]float64{a, b, combine(func(i int) float64 { return 3*a[i] - b[i] + 5 })}, 2},
		"one of three, as flags":     {[][]float64{hot(0), hot(1), hot(2)}, 2},
		"1e6 beside 1e-6":            {[][]float64{combine(func(i int) float64 { return 1e6 * a[i] }), combine(func(i int) float64 { return 1e-6 * b[i] })}, 2},
		"far from zero":              {[][]float64{combine(func(i int) float64 { return 1e9 + a[i] }), b}, 2},
		"nearly a copy":              {[][]float64{a, combine(func(i int) float64 { return a[i] + 1e-5*b[i] })}, 1},
		"near a copy":                {[][]float64{a, combine(func(i int) float64 { return a[i] + 0.05*b[i] })}, 2},
		"constants":                  {[][]float64{constant, combine(func(int) float64 { return 0 })}, 0},
		"numbers beyond all squares": {[][]float64{combine(func(i int) float64 { return 1e300 * a[i] }), b}, 2},
		"few rows tell nothing":      {[][]float64{slices.Repeat([]float64{1}, 20), slices.Repeat([]float64{1}, 20)}, 2},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, lr.Independent(tc.columns)) })
	}
}
