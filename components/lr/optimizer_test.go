package lr_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/components/lr"
	"openflow/tests/fuzzing"
)

// The paths were worked out by hand from torch's documentation for gradients 1, 2, -1.
func TestOptimizers(t *testing.T) {
	g := []float64{1, 2, -1}
	s := math.Sqrt
	tests := map[string]struct {
		method, options string
		lr              float64
		want            []float64
	}{
		"sgd":                       {"sgd", `{"lr": 0.1}`, 0.1, []float64{-0.1, -0.3, -0.2}},
		"sgd with momentum":         {"sgd", `{"lr": 0.1, "momentum": 0.5}`, 0.1, []float64{-0.1, -0.35, -0.375}},
		"sgd with dampening":        {"sgd", `{"lr": 0.1, "momentum": 0.5, "dampening": 0.5}`, 0.1, []float64{-0.1, -0.25, -0.275}},
		"sgd with nesterov":         {"sgd", `{"lr": 0.1, "momentum": 0.5, "nesterov": true}`, 0.1, []float64{-0.15, -0.475, -0.3875}},
		"sgd with decay":            {"sgd", `{"lr": 0.1, "weight_decay": 0.5}`, 0.1, []float64{-0.1, -0.295, -0.18025}},
		"sgd that maximizes":        {"sgd", `{"lr": 0.1, "maximize": true}`, 0.1, []float64{0.1, 0.3, 0.2}},
		"adam's first step is lr":   {"adam", `{"lr": 0.1, "eps": 0}`, 0.1, []float64{-0.1, -0.1 - 0.1*(0.29/0.19)/s((0.000999+0.004)/0.001999), math.NaN()}},
		"rmsprop":                   {"rmsprop", `{"lr": 0.1, "alpha": 0.5, "eps": 0}`, 0.1, []float64{-0.1 * s(2), -0.1*s(2) - 0.2/1.5, -0.1*s(2) - 0.2/1.5 + 0.1/s(1.625)}},
		"rmsprop with momentum":     {"rmsprop", `{"lr": 0.1, "alpha": 0.5, "eps": 0, "momentum": 0.5}`, 0.1, []float64{-0.1 * s(2), -0.1*s(2) - 0.1*(s(2)/2+2/1.5), math.NaN()}},
		"rmsprop, centered":         {"rmsprop", `{"lr": 0.1, "alpha": 0.5, "eps": 0, "centered": true}`, 0.1, []float64{-0.2, -0.2 - 0.2/s(2.25-1.25*1.25), math.NaN()}},
		"adagrad":                   {"adagrad", `{"lr": 0.1, "eps": 0}`, 0.1, []float64{-0.1, -0.1 - 0.2/s(5), -0.1 - 0.2/s(5) + 0.1/s(6)}},
		"adagrad with accumulator":  {"adagrad", `{"lr": 0.1, "eps": 0, "initial_accumulator_value": 3}`, 0.1, []float64{-0.05, -0.05 - 0.2/s(8), math.NaN()}},
		"adagrad with decayed rate": {"adagrad", `{"lr": 0.1, "eps": 0, "lr_decay": 1}`, 0.1, []float64{-0.1, -0.1 - 0.1/s(5), math.NaN()}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := lr.Steps(tc.method, tc.options, tc.lr, g)
			require.NoError(t, err)
			for i, want := range tc.want {
				if !math.IsNaN(want) {
					require.InDelta(t, want, got[i], 1e-12, "step %d", i+1)
				}
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	for _, tc := range [][2]string{
		{"sgd", `{"lr": -1}`}, {"sgd", `{"lr": "fast"}`}, {"sgd", `{"nesterov": true}`}, {"sgd", `{"nesterov": 1}`}, {"sgd", `{"betas": [0.9, 0.9]}`},
		{"adam", `{"betas": [0.9]}`}, {"adam", `{"betas": [0.9, 1]}`}, {"adam", `{"betas": [0.1, 0.2, 0.3]}`}, {"adam", `{"betas": "x"}`},
		{"nadam", `{}`}, {"adamw", `{}`}, {"rprop", `{}`},
	} {
		_, err := lr.Steps(tc[0], tc[1], 0.1, nil)
		require.Error(t, err, "%v", tc)
	}
}

// Spec: fate-components §2 (formulas).
func TestSchedules(t *testing.T) {
	tests := map[string]struct {
		method, options string
		want            []float64
	}{
		"constant, torch's defaults": {"constant", `{}`, []float64{1.0 / 3, 1.0 / 3, 1.0 / 3, 1.0 / 3, 1.0 / 3, 1, 1}},
		"constant":                   {"constant", `{"factor": 0.5, "total_iters": 2}`, []float64{0.5, 0.5, 1}},
		"without options":            {"constant", `null`, []float64{1.0 / 3}},
		"linear":                     {"linear", `{"start_factor": 0.7, "total_iters": 3}`, []float64{0.7, 0.8, 0.9, 1, 1}},
		"step":                       {"step", `{"step_size": 2, "gamma": 0.5}`, []float64{1, 1, 0.5, 0.5, 0.25}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := lr.Rates(tc.method, tc.options, 1, len(tc.want))
			require.NoError(t, err)
			require.InDeltaSlice(t, tc.want, got, 1e-12)
		})
	}
	for _, bad := range [][2]string{{"step", `{}`}, {"linear", `{"gamma": 1}`}, {"constant", `{"factor": -1}`}} {
		_, err := lr.Rates(bad[0], bad[1], 1, 1)
		require.Error(t, err, "%v", bad)
	}
}

func FuzzDecodeNumbers(f *testing.F) {
	f.Add(lr.EncodeNumbers([]float64{1, -2.5}), 2)
	f.Add([]byte{1, 2, 3}, 1)
	f.Add(lr.EncodeNumbers([]float64{math.NaN()}), 1)
	fuzzing.Within(f, func(t *testing.T, data []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		values, err := lr.DecodeNumbers(data, n)
		if err != nil {
			return
		}
		require.Len(t, values, n)
		require.Equal(t, data, append([]byte{}, lr.EncodeNumbers(values)...))
	})
}

func FuzzModel(f *testing.F) {
	f.Add([]byte(`{"data":{"estimator":{"param":{"coef_":[[1]],"intercept_":null},"header":["x"]}},"meta":{"ovr":false}}`))
	f.Add([]byte(`{"data":{"estimator":{"0":{},"1":{}}},"meta":{"ovr":true}}`))
	f.Add([]byte(`{"data":{"estimator":{"1":{}}},"meta":{"ovr":true}}`))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		n, err := lr.ParseModel(data)
		require.False(t, err == nil && n < 0)
	})
}

func FuzzPlan(f *testing.F) {
	good := map[string]any{"rows": 601, "batch_rows": 300, "epochs": 3, "models": 1, "columns": []int{11, 10}, "block": 512, "precision": 23}
	raw, err := json.Marshal(good)
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte(`{"rows":1,"batch_rows":1,"epochs":1,"models":1,"columns":[0,0],"block":64,"precision":1}`))
	f.Add([]byte(`{"columns":[]}`))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		var size struct {
			Rows      int `json:"rows"`
			BatchRows int `json:"batch_rows"`
		}
		if json.Unmarshal(data, &size) != nil || size.BatchRows > 0 && size.Rows/size.BatchRows > 1<<16 {
			return
		}
		batches, err := lr.CheckPlan(data)
		if err != nil {
			return
		}
		at := 0
		for _, b := range batches {
			require.Equal(t, at, b[0])
			require.Greater(t, b[1], b[0])
			at = b[1]
		}
		require.Equal(t, size.Rows, at, "the batches cover all rows")
	})
}
