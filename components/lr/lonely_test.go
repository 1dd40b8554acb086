package lr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
)

// A guest whose columns are each non-zero in a single row reads the host's partial score of that row from its own gradient,
// in every epoch. With ten rows that it knows it has the host's features of the others. Everybody keeps to the protocol, one
// score vector is counted, and no limit stops it: docs/algorithms.md says so.
func TestColumnsOfOneRowGiveTheHostsFeaturesAway(t *testing.T) {
	const rows, lone, columns, knows, epochs = 200, 20, 6, 10, 9
	j := made(rows, lone, columns, 2)
	for k, f := range j.guest.Features {
		clear(f.Floats)
		f.Floats[k] = 1
	}
	// The guest sees its gradient in each epoch. The test sees coefficients at the end only, so it stops the same training
	// after each epoch. What each adds to the steps of rmsprop is g/(|g|+eps), from
	// which g is found.
	const eps, momentum = 0.02, 0.5
	pushed := make([]float64, lone) // the step before
	before := make([]float64, lone+1)
	var z [][]float64 // [epoch][row]
	for epoch := 1; epoch <= epochs; epoch++ {
		c := trainCase(j, object{"epochs": epoch, "tol": 0, "optimizer": object{"method": "rmsprop", "penalty": "none",
			"optimizer_params": object{"lr": 1, "alpha": 0, "eps": eps, "momentum": momentum}}})
		c.Override = map[openflow.Party]map[string]any{guest: {"init_param": object{"method": "zeros"}},
			host: {"init_param": object{"method": "random", "random_state": 7}}}
		r := componenttest.RunOK(t, c)
		require.Contains(t, strings.Join(r.Parties[guest].Warnings, "\n"), `columns of guest 9999 differ from their most frequent value in fewer than 10 rows of a batch: "c0", `)
		require.NotContains(t, fmt.Sprint(r.Parties[host].Warnings, r.Parties[arbiter].Warnings), "most frequent")
		require.Equal(t, 1, r.Parties[host].Scores[guest.ID], "one vector is counted, however many epochs there are")
		e := estimatorOf(t, r, guest)
		var row, after []float64
		for _, c := range e.Param.Coef {
			after = append(after, c[0])
		}
		after = append(after, e.Param.Intercept[0])
		for i := range lone {
			step := before[i] - after[i]
			part := step - momentum*pushed[i]
			gradient := part / (1 - max(part, -part)) * eps * rows
			pushed[i] = step
			row = append(row, 4*(gradient+j.ref.y[i]/2)-before[i]-before[lone])
		}
		z, before = append(z, row), after
	}
	var known [][]float64 // the features of ten rows
	for i := range knows {
		known = append(known, j.ref.x[i][lone:])
	}
	var of [][]float64 // what the host said of them: [row][epoch]
	for i := range knows {
		var each []float64
		for epoch := range z {
			each = append(each, z[epoch][i])
		}
		of = append(of, each)
	}
	w := solve(times(transposed(known), known), times(transposed(known), of)) // the host's coefficients: [column][epoch]
	found := solve(times(w, transposed(w)), times(w, z))                      // [column][row]
	worst := 0.0
	for k, f := range j.host.Features {
		worst = max(worst, gap(f.Floats[knows:lone], found[k][knows:lone]))
	}
	require.Less(t, worst, 0.1, "the features have a standard deviation of 1")
}

// Columns that tell few rows from the rest are warned of at their owner, be the rest zero or not; rare rows of any batch count.
func TestColumnsOfFewRowsAreWarnedOf(t *testing.T) {
	for name, tc := range map[string]struct {
		few, batch int
		rest       float64
		warned     bool
	}{
		"nine rows":                   {few: 9, warned: true},
		"nine rows, others not zero":  {few: 9, rest: 3, warned: true},
		"ten rows":                    {few: 10},
		"a constant":                  {few: 0},
		"ten rows over two batches":   {few: 10, batch: 100, warned: true},
		"forty rows over two batches": {few: 40, batch: 100},
	} {
		t.Run(name, func(t *testing.T) {
			j := made(200, 2, 3, 2)
			for i := range j.host.Features[1].Floats {
				j.host.Features[1].Floats[i] = tc.rest
				if i%(200/max(tc.few, 1)) == 0 && i/(200/max(tc.few, 1)) < tc.few {
					j.host.Features[1].Floats[i] = 1
				}
			}
			p := quick(object{"epochs": 1})
			if tc.batch > 0 {
				p["batch_size"] = tc.batch
			}
			r := componenttest.RunOK(t, trainCase(j, p))
			told := strings.Join(r.Parties[host].Warnings, "\n")
			require.Equal(t, tc.warned, strings.Contains(told, `in fewer than 10 rows of a batch: "c1". `), told)
			require.NotContains(t, strings.Join(r.Parties[guest].Warnings, "\n"), "most frequent")
		})
	}
}
