package lr_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// waves is a data set of a formula that any language has: sin(7i(j+1)+j) in row i and column j, the guest's three columns
// first, and labels that follow from three waves.
func waves(rows int) joined {
	frame := func(from int) *tables.Frame {
		f := &tables.Frame{Schema: tables.Schema{SampleID: "sid", MatchID: "id"}}
		for i := range rows {
			f.SampleID = append(f.SampleID, fmt.Sprintf("%06d", i))
		}
		f.MatchID = f.SampleID
		for j := from; j < from+3; j++ {
			v := make([]float64, rows)
			for i := range v {
				v[i] = math.Sin(7*float64(i)*float64(j+1) + float64(j))
			}
			f.Schema.Features = append(f.Schema.Features, tables.Column{Name: fmt.Sprintf("c%d", j), DType: tables.Float64})
			f.Features = append(f.Features, tables.NewFloats(tables.Float64, v))
		}
		return f
	}
	j := joined{guest: frame(0), host: frame(3)}
	labels := make([]int64, rows)
	for i := range labels {
		x := float64(i)
		if math.Sin(7*x)+math.Sin(28*x+3)+math.Sin(3*x) > 0.2 {
			labels[i] = 1
		}
	}
	j.guest.Schema.Label, j.guest.Label = &tables.Column{Name: "y", DType: tables.Int32}, tables.NewInts(tables.Int32, labels)
	return j
}

// The numbers were made with numpy 1.24 by a script of 60 lines, which has torch's update rules from its documentation and
// none of this code. The AUC is scikit-learn's roc_auc_score. The first training has four epochs over batches of rows 0–109 and
// 110–229, since a third one would be too short. Two more epochs continue it. What differs is the noise of the encryption.
func TestNumbersOfAnIndependentProgram(t *testing.T) {
	for name, tc := range map[string]struct {
		method, penalty            string
		alpha                      float64
		options, schedule          object
		scheduled                  string
		weights, losses            []float64 // the intercept is the last of the weights
		weightsAfter, lossesBefore []float64 // of the warm start
		auc                        float64
	}{
		"sgd with nesterov, l2, step": {
			method: "sgd", penalty: "l2", alpha: 0.02, options: object{"lr": 0.3, "momentum": 0.8, "nesterov": true},
			scheduled: "step", schedule: object{"step_size": 2, "gamma": 0.5},
			weights:      []float64{0.651736, -0.010706, -0.121764, 0.739469, -0.058133, -0.005677, -0.228952},
			losses:       []float64{1.357918, 1.227113, 1.124292, 1.081375},
			weightsAfter: []float64{0.744609, -0.011906, -0.138757, 0.846582, -0.066750, -0.006659, -0.248491},
			lossesBefore: []float64{1.053949, 1.042560}, auc: 0.878769,
		},
		"adam with amsgrad and decay, l1, linear": {
			method: "adam", penalty: "L1", alpha: 0.02, options: object{"lr": 0.1, "amsgrad": true, "betas": []float64{0.8, 0.95}, "weight_decay": 0.1},
			scheduled: "linear", schedule: object{"start_factor": 0.2, "end_factor": 0.9, "total_iters": 3},
			weights:      []float64{0.409906, -0.006755, -0.183211, 0.416920, -0.061681, -0.006398, -0.263633},
			losses:       []float64{1.379522, 1.347351, 1.293726, 1.231021},
			weightsAfter: []float64{0.655214, 0.000000, -0.076837, 0.682134, -0.053362, 0.004057, -0.226810},
			lossesBefore: []float64{1.170133, 1.127334}, auc: 0.874692,
		},
		"rmsprop, centered, no penalty, constant": {
			method: "rmsprop", penalty: "None", options: object{"lr": 0.05, "alpha": 0.9, "momentum": 0.5, "centered": true},
			scheduled: "constant", schedule: object{"factor": 0.5, "total_iters": 2},
			weights:      []float64{0.938607, -0.005364, -0.207196, 1.005189, -0.117886, 0.000082, -0.281073},
			losses:       []float64{1.350336, 1.223548, 1.116858, 1.013112},
			weightsAfter: []float64{1.163520, -0.004475, -0.224137, 1.288391, -0.123860, 0.007099, -0.272534},
			lossesBefore: []float64{0.967907, 0.953046}, auc: 0.878308,
		},
		"adagrad, l2, torch's own schedule": {
			method: "adagrad", penalty: "l2", alpha: 0.05, options: object{"lr": 0.3, "lr_decay": 0.1, "initial_accumulator_value": 0.2},
			scheduled: "linear", schedule: object{},
			weights:      []float64{0.227994, -0.004321, -0.049657, 0.250682, -0.024233, -0.002047, -0.101438},
			losses:       []float64{1.374931, 1.333628, 1.295596, 1.262019},
			weightsAfter: []float64{0.325511, -0.006154, -0.072124, 0.356328, -0.035392, -0.003072, -0.142141},
			lossesBefore: []float64{1.232977, 1.208131}, auc: 0.879077,
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := waves(230)
			settings := func(epochs int) object {
				return object{"epochs": epochs, "tol": 0, "batch_size": 110, "init_param": object{"method": "zeros"},
					"optimizer":               object{"method": tc.method, "penalty": tc.penalty, "alpha": tc.alpha, "optimizer_params": tc.options},
					"learning_rate_scheduler": object{"method": tc.scheduled, "scheduler_params": tc.schedule}}
			}
			first := componenttest.RunOK(t, trainCase(j, settings(4)))
			require.InDeltaSlice(t, tc.weights, weights(t, first, host), 5e-5)
			require.InDeltaSlice(t, tc.losses, losses(t, first), 5e-5)
			_, a := scores(t, first, j)
			require.InDelta(t, tc.auc, a, 5e-4)

			c := trainCase(j, settings(2))
			for _, p := range []openflow.Party{guest, host, arbiter} {
				var m any
				first.Model(p, "output_model", &m)
				in := c.Inputs[p]
				in.Models = map[string]any{"warm_start_model": m}
				c.Inputs[p] = in
			}
			after := componenttest.RunOK(t, c)
			require.InDeltaSlice(t, tc.weightsAfter, weights(t, after, host), 5e-5)
			require.InDeltaSlice(t, tc.lossesBefore, losses(t, after), 5e-5)
		})
	}
}

// A column of zeros says nothing, so its coefficient stays where it began, at either side. An optimizer that divides by the
// size of the gradient would make 0.01 an epoch of the encryption's noise.
func TestColumnsOfZerosKeepTheirCoefficient(t *testing.T) {
	for _, method := range []string{"adam", "rmsprop", "adagrad"} {
		j := waves(120)
		clear(j.guest.Features[1].Floats)
		clear(j.host.Features[2].Floats)
		r := componenttest.RunOK(t, trainCase(j, object{"epochs": 4, "tol": 0, "init_param": object{"method": "zeros"},
			"optimizer": object{"method": method, "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.1}}}))
		w := weights(t, r, host)
		require.Zero(t, w[1], method)
		require.Zero(t, w[5], method)
		require.NotZero(t, w[0]*w[2]*w[3]*w[4], method)
	}
}

// A penalty of null is none, as in Python, and a scheduler without params has torch's own. The numbers are numpy's, as above:
// three epochs of sgd with rate 0.2, which ConstantLR divides by 3 at first.
func TestWhatIsLeftOut(t *testing.T) {
	r := componenttest.RunOK(t, trainCase(waves(120), object{"epochs": 3, "tol": 0, "init_param": object{"fit_intercept": true},
		"optimizer":               object{"method": "sgd", "penalty": nil, "alpha": 0.5, "optimizer_params": object{"lr": 0.2}},
		"learning_rate_scheduler": object{"method": "constant"}}))
	require.InDeltaSlice(t, []float64{0.032349, -0.000916, -0.005537, 0.030176, -0.004506, -0.001909, -0.008203}, weights(t, r, host), 5e-5)
}

// A column that the table lacks, or has besides, is named at the party whose table it is.
func TestColumnsThatDoNotFitTheModelAreNamed(t *testing.T) {
	j := waves(120)
	trained := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 1})))
	c := predictionWith(t, j, trained)
	less := *j.host
	less.Schema = j.host.Schema.Clone()
	less.Schema.Features, less.Features = less.Schema.Features[1:], less.Features[1:]
	less.Schema.Features[0].Name = "other"
	c.Inputs[host].Data["test_data"] = &less
	r := componenttest.Run(t, c)
	require.Contains(t, r.Parties[host].Error, `the model of host 10000 has 3 features, its table 2; the table lacks "c3", "c4"; the model lacks "other"`)
	require.NotContains(t, r.Parties[guest].Error, "c3")
}
