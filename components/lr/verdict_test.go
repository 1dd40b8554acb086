package lr_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component/componenttest"
)

// follow makes the label of the first share of rows positive where the first columns of both sides are large: the label
// follows from the columns.
func follow(j joined, share float64) joined {
	var sums []float64
	for i := range j.guest.Label.Ints {
		sums = append(sums, j.guest.Features[0].Floats[i]+j.host.Features[0].Floats[i])
	}
	least := slices.Sorted(slices.Values(sums))[int(float64(len(sums))*(1-share))]
	for i, sum := range sums {
		j.guest.Label.Ints[i] = 0
		if sum >= least {
			j.guest.Label.Ints[i] = 1
		}
	}
	return j
}

func with(p object, changes object) object {
	for k, v := range changes {
		p[k] = v
	}
	return p
}

// What the guest is told of its model, for good and bad columns and settings. The others never contradict it.
func TestVerdicts(t *testing.T) {
	sgd := func(rate float64) object {
		return object{"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": rate}}
	}
	for name, tc := range map[string]struct {
		data      joined
		set       object
		want, not []string
	}{
		"columns that tell the label": {data: follow(made(600, 4, 4, 2), 0.5), set: sound(), not: []string{"constant", "Set"}},
		"a rare class is ranked, and the training has converged": {data: follow(made(1000, 3, 3, 2), 0.01), set: with(sound(), object{"epochs": 150}),
			want: []string{"Its scores do rank the rows. Use them for the order"}, not: []string{"epochs", "is no better", "is hardly better", "Set "}},
		"columns that say nothing": {data: made(600, 4, 4, 2), set: with(sound(), object{"epochs": 150}),
			want: []string{"the model is hardly better than a constant", "With 8 coefficients", "the columns may say nothing about this label"}, not: []string{"epochs to", "Set "}},
		"steps too small": {data: follow(made(600, 4, 4, 2), 0.5), set: with(sound(), object{"optimizer": sgd(1e-8)}),
			want: []string{"hardly better than a constant", "The steps are too small for the loss to move. Set optimizer.method to adam"}},
		"a tolerance that ends it at once": {data: follow(made(600, 4, 4, 2), 0.5), set: with(sound(), object{"early_stop": "weight_diff", "tol": 0.9, "optimizer": sgd(0.1)}),
			want: []string{"tol to 0.0001 instead of 0.9"}, not: []string{"Use them for the order"}},
		"steps that make the loss greater": {data: follow(made(600, 4, 4, 2), 0.5), set: with(sound(), object{"epochs": 6, "tol": 0, "optimizer": object{
			"method": "sgd", "alpha": 0.01, "optimizer_params": object{"lr": 0.1, "maximize": true}}}),
			want: []string{"Set optimizer.optimizer_params.maximize to false"}, not: []string{"lr to"}},
		"steps too great": {data: follow(made(600, 4, 4, 2), 0.5), set: with(sound(), object{"epochs": 6, "tol": 1e-9, "optimizer": sgd(9)}),
			want: []string{"lr to 0.9 instead of 9"}, not: []string{"epochs to"}},
		"weight_diff": {data: follow(made(600, 4, 4, 2), 0.5), set: with(sound(), object{"epochs": 3, "early_stop": "weight_diff"}),
			want: []string{"early_stop weight_diff waits for an epoch that moves the coefficients by less than 0.0001 (tol)"}, not: []string{"in the last epoch"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := componenttest.RunOK(t, trainCase(tc.data, tc.set))
			told := strings.Join(r.Parties[guest].Warnings, "\n")
			for _, part := range tc.want {
				require.Contains(t, told, part)
			}
			for _, part := range tc.not {
				require.NotContains(t, told, part)
			}
			for _, w := range append(r.Parties[host].Warnings, r.Parties[arbiter].Warnings...) {
				require.Contains(t, w, "without having converged")
				require.NotContains(t, w, "instead of", "the guest alone says what to set")
				require.Contains(t, w, "The task of guest 9999 says what to set")
			}
		})
	}
}

// A model of columns that say nothing, which is trained on few rows, does not carry over to the rows of validate_data.
func TestValidationRowsAreJudged(t *testing.T) {
	all := made(300, 6, 6, 2)
	for i := range 100 { // the first rows follow from the columns, the others do not
		all.guest.Label.Ints[i] = 0
		if all.guest.Features[0].Floats[i]+all.host.Features[0].Floats[i] > 0 {
			all.guest.Label.Ints[i] = 1
		}
	}
	for name, tc := range map[string]struct {
		lo, hi int
		told   bool
	}{"rows of the same kind": {50, 100, false}, "rows that follow nothing": {100, 300, true}} {
		t.Run(name, func(t *testing.T) {
			c := trainCase(joined{guest: all.guest.Slice(0, 100), host: all.host.Slice(0, 100)}, sound())
			c.Inputs[guest].Data["validate_data"], c.Inputs[host].Data["validate_data"] = all.guest.Slice(tc.lo, tc.hi), all.host.Slice(tc.lo, tc.hi)
			r := componenttest.RunOK(t, c)
			told := strings.Join(r.Parties[guest].Warnings, "\n")
			require.Equal(t, tc.told, strings.Contains(told, "the model does not carry over: on the 200 rows of validate_data it has AUC 0."), told)
			require.NotContains(t, strings.Join(r.Parties[host].Warnings, "\n"), "AUC")
		})
	}
}

// Noise of the loss is no rising loss, and a training that rests is not told to go on.
func TestTrends(t *testing.T) {
	for name, tc := range map[string]struct {
		converged bool
		losses    []float64
		want      string
	}{
		"nothing known":                           {want: "falling"},
		"nothing known, converged":                {converged: true, want: "settled"},
		"falls":                                   {losses: []float64{0.69, 0.6, 0.5}, want: "falling"},
		"noise above a small tol":                 {losses: []float64{0.69, 0.3, 0.3005}, want: "falling"},
		"rests, with a tolerance too small":       {losses: []float64{0.69, 0.3, 0.300001}, want: "settled"},
		"rises":                                   {losses: []float64{0.69, 0.3, 0.32}, want: "rising"},
		"ends above where it began":               {losses: []float64{0.69, 0.9, 0.8}, want: "rising"},
		"swings, and comes to rest":               {converged: true, losses: []float64{0.69, 0.3, 0.32}, want: "settled"},
		"passes the lowest point, and comes back": {losses: []float64{0.69, 0.3, 0.23, 0.246, 0.24, 0.234}, want: "falling"},
		"swings again and again":                  {losses: []float64{0.69, 0.3, 0.5, 0.3, 0.5, 0.31}, want: "rising"},
		"rises, and counts as converged":          {converged: true, losses: []float64{0.69, 5, 5}, want: "rising"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, lr.Trend(tc.converged, tc.losses, 1e-9))
		})
	}
}

// Settings that are beyond all sense end with a refusal that says so, and not with a number that has no JSON form or a loss
// that has wrapped around.
func TestSettingsBeyondSense(t *testing.T) {
	optimizer := func(method string, alpha, decay float64) object {
		return object{"optimizer": object{"method": method, "penalty": "l2", "alpha": alpha, "optimizer_params": object{"lr": 0.1, "weight_decay": decay}}}
	}
	for name, tc := range map[string]struct {
		set  object
		want string
	}{
		"alpha of 1e12":                {optimizer("adam", 1e12, 0), "optimizer.alpha"},
		"alpha of 1e300":               {optimizer("adam", 1e300, 0), "optimizer.alpha"},
		"the greatest alpha":           {with(optimizer("adam", 1e6, 0), object{"init_param": object{"method": "consts", "fill_val": 100}}), "training diverges"},
		"weight_decay, adam":           {optimizer("adam", 0.01, 1e300), "training diverges"},
		"weight_decay, rmsprop":        {optimizer("rmsprop", 0.01, 1e300), "training diverges"},
		"weight_decay, adagrad":        {optimizer("adagrad", 0.01, 1e300), "training diverges"},
		"coefficients without measure": {object{"init_param": object{"method": "consts", "fill_val": 1e300}}, "training diverges"},
	} {
		t.Run(name, func(t *testing.T) {
			c := trainCase(made(100, 2, 3, 2), with(sound(), tc.set))
			c.Timeout = 3 * time.Second // the arbiter waits for the parties that gave up until somebody stops it
			r := componenttest.Run(t, c)
			told := ""
			for _, p := range c.Parties {
				require.NotEqual(t, openflow.TaskSuccess, r.Parties[p].Status, p.String())
				require.NotContains(t, r.Parties[p].Error, "json")
				told += r.Parties[p].Error
			}
			require.Contains(t, told, tc.want)
		})
	}
}
