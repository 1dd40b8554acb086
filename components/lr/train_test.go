package lr_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	second  = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10002"}
)

type object = map[string]any

// estimator is what the tests read of a model.
type estimator struct {
	Param struct {
		Coef      [][]float64 `json:"coef_"`
		Intercept []float64   `json:"intercept_"`
	} `json:"param"`
	Header       []string `json:"header"`
	EndEpoch     int      `json:"end_epoch"`
	IsConverged  bool     `json:"is_converged"`
	FitIntercept *bool    `json:"fit_intercept"`
}

type model struct {
	Data struct {
		Estimator json.RawMessage `json:"estimator"`
	} `json:"data"`
	Meta object `json:"meta"`
}

func trainCase(j joined, parameters object) componenttest.Case {
	return componenttest.Case{
		Component: lr.Component(), Stage: openflow.StageTrain, Cores: 2, Timeout: 3 * time.Minute,
		Parties:    []openflow.Party{guest, host, arbiter},
		Parameters: parameters,
		Inputs: map[openflow.Party]componenttest.Inputs{
			guest: {Data: map[string]*tables.Frame{"train_data": j.guest}},
			host:  {Data: map[string]*tables.Frame{"train_data": j.host}},
		},
	}
}

func estimatorOf(t testing.TB, r *componenttest.Result, p openflow.Party) estimator {
	t.Helper()
	var m model
	r.Model(p, "output_model", &m)
	var e estimator
	require.NoError(t, json.Unmarshal(m.Data.Estimator, &e))
	return e
}

// weights returns the coefficients of all parties in the order of the reference.
func weights(t testing.TB, r *componenttest.Result, hosts ...openflow.Party) []float64 {
	t.Helper()
	g := estimatorOf(t, r, guest)
	var w []float64
	for _, c := range g.Param.Coef {
		w = append(w, c[0])
	}
	for _, h := range hosts {
		for _, c := range estimatorOf(t, r, h).Param.Coef {
			w = append(w, c[0])
		}
	}
	return append(w, g.Param.Intercept...)
}

func losses(t testing.TB, r *componenttest.Result) []float64 {
	t.Helper()
	var list []float64
	for i, m := range r.MetricsNamed(arbiter, "lr_loss") {
		require.Equal(t, "loss", *m.Type)
		require.Equal(t, "iterations", *m.StepAxis)
		require.Len(t, m.Groups, 2)
		require.Equal(t, "train", m.Groups[1].Name)
		var points []struct {
			Metric []float64 `json:"metric"`
			Step   int       `json:"step"`
		}
		require.NoError(t, json.Unmarshal(m.Data, &points))
		require.Len(t, points, 1)
		require.Len(t, points[0].Metric, 1)
		require.Equal(t, i, points[0].Step)
		list = append(list, points[0].Metric[0])
	}
	return list
}

func gap(a, b []float64) float64 {
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i]))
	}
	return worst
}

// scores returns predict_score of the guest's training rows, in the order of the guest's frame, and their AUC.
func scores(t testing.TB, r *componenttest.Result, j joined) ([]float64, float64) {
	t.Helper()
	out := r.Table(guest, "train_output_data")
	require.Equal(t, j.guest.SampleID, out.SampleID)
	v, err := out.Feature("predict_score")
	require.NoError(t, err)
	return v.Floats, auc(v.Floats, func(i int) bool { return j.guest.Label.Ints[i] == 1 })
}

// The acceptance test: encrypted training equals plaintext training with the same objective, start, batches and epochs.
func TestTrainingEqualsPlaintext(t *testing.T) {
	sets := map[string]func(testing.TB) joined{
		"credit":        func(t testing.TB) joined { return creditSet(t, 1500, 1000) },
		"breast_hetero": breastSet,
	}
	linear := func(base float64) func(int) float64 {
		return func(e int) float64 { return base * (0.7 + 0.3*float64(e)/100) }
	}
	constant := func(base float64) func(int) float64 { return func(int) float64 { return base } }
	tests := map[string]struct {
		parameters object
		alpha      float64
		epochs     int
		batch      int
		rate       func(int) float64
		step       func(columns int) func(int, float64, int, float64) float64
	}{
		"sgd, full batch": {
			parameters: object{"epochs": 10, "optimizer": object{"method": "SGD", "penalty": "L2", "alpha": 0.001, "optimizer_params": object{"lr": 0.1}},
				"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 0.7, "total_iters": 100}},
				"init_param":              object{"method": "zeros", "fit_intercept": true}},
			alpha: 0.001, epochs: 10, batch: 1 << 30, rate: linear(0.1), step: func(int) func(int, float64, int, float64) float64 { return plainSGD },
		},
		"sgd, batches of 300": {
			parameters: object{"epochs": 10, "batch_size": 300, "optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 0.001, "optimizer_params": object{"lr": 0.1}},
				"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 0.7, "total_iters": 100}},
				"init_param":              object{"method": "zeros"}},
			alpha: 0.001, epochs: 10, batch: 300, rate: linear(0.1), step: func(int) func(int, float64, int, float64) float64 { return plainSGD },
		},
		"rmsprop": {
			parameters: object{"epochs": 20, "optimizer": object{"method": "rmsprop", "penalty": "l2", "alpha": 0.1, "optimizer_params": object{"lr": 0.05}},
				"learning_rate_scheduler": object{"method": "constant", "scheduler_params": object{"factor": 1.0, "total_iters": 100}},
				"init_param":              object{"method": "zeros"}},
			alpha: 0.1, epochs: 20, batch: 1 << 30, rate: constant(0.05), step: rmspropStep,
		},
		"adam": {
			parameters: object{"epochs": 8, "optimizer": object{"method": "adam", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.05}},
				"init_param": object{"method": "zeros"}},
			alpha: 0.01, epochs: 8, batch: 1 << 30, rate: constant(0.05), step: adamStep,
		},
	}
	for set, load := range sets {
		for name, tc := range tests {
			t.Run(set+"/"+name, func(t *testing.T) {
				j := load(t)
				j.ref.alpha = tc.alpha
				want := j.ref.run(tc.epochs, tc.batch, tc.rate, tc.step(len(j.ref.x[0])+1))
				tc.parameters["tol"] = 0 // never stop early
				r := componenttest.RunOK(t, trainCase(j, tc.parameters))

				got := weights(t, r, host)
				require.Len(t, got, len(want.weights))
				require.Less(t, gap(want.weights, got), 1e-3, "coefficients")
				gotLosses := losses(t, r)
				require.Len(t, gotLosses, len(want.losses))
				require.Less(t, gap(want.losses, gotLosses), 1e-3, "losses")

				plain := make([]float64, len(j.ref.x))
				for i := range plain {
					plain[i] = j.ref.score(want.weights, i)
				}
				wantAUC := auc(plain, func(i int) bool { return j.ref.y[i] > 0 })
				_, gotAUC := scores(t, r, j)
				require.InDelta(t, wantAUC, gotAUC, 0.005)
				_, loss := j.ref.gradient(got, 0, len(j.ref.x))
				t.Logf("coefficients differ by %.1e, losses by %.1e, AUC %.6f by %.1e; loss %.6f is %.6f above the converged one",
					gap(want.weights, got), gap(want.losses, gotLosses), gotAUC, math.Abs(wantAUC-gotAUC), loss, loss-j.ref.converged())
			})
		}
	}
}

// The reference itself, against the figures computed for the specification.
//
// Spec: fate-components §9.2, run B and run A.
func TestPublishedFigures(t *testing.T) {
	j := breastSet(t)
	r := componenttest.RunOK(t, trainCase(j, object{"epochs": 10,
		"optimizer":               object{"method": "sgd", "penalty": "l2", "alpha": 0.001, "optimizer_params": object{"lr": 0.1}},
		"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 0.7, "total_iters": 100}},
		"init_param":              object{"method": "zeros"}}))
	want := []float64{0.693147, 0.568184, 0.492440, 0.446106, 0.417349, 0.399115, 0.387203, 0.379114, 0.373360, 0.369055}
	got := losses(t, r)
	require.Len(t, got, len(want))
	require.Less(t, gap(want, got), 1e-5, "losses %v", got)
	w := weights(t, r, host)
	require.Less(t, gap([]float64{
		-0.11847, -0.08556, -0.11668, -0.10639, -0.07126, -0.08147, -0.09293, -0.11985, -0.07096, -0.04356,
		-0.10829, -0.07341, -0.10850, -0.10067, -0.04596,
	}, w[:15]), 2e-5, "weights %v", w)
	require.InDelta(t, 0.08395, w[len(w)-1], 2e-5)
	s, a := scores(t, r, j)
	require.InDelta(t, 0.989654, a, 1e-5)
	for id, want := range map[string]float64{"133": 0.559453, "273": 0.839120} {
		for i, match := range j.guest.MatchID {
			if match == id {
				require.InDelta(t, want, s[i], 1e-5, "score of id %s", id)
			}
		}
	}
	g := estimatorOf(t, r, guest)
	require.Equal(t, 10, g.EndEpoch)
	require.False(t, g.IsConverged)
	require.True(t, *g.FitIntercept)
	require.Equal(t, "x0", g.Header[0])
	h := estimatorOf(t, r, host)
	require.Nil(t, h.Param.Intercept)
	require.Nil(t, h.FitIntercept)
}

// BenchmarkDemo is the demo's training: 8,000 shared rows, 10 and 10 columns, 10 epochs, full batch.
func BenchmarkDemo(b *testing.B) {
	j := creditSet(b, 12000, 8000)
	for b.Loop() {
		r := componenttest.RunOK(b, trainCase(j, object{"epochs": 10, "tol": 0, "optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 0.001, "optimizer_params": object{"lr": 0.5}},
			"init_param": object{"method": "zeros"}}))
		_, a := scores(b, r, j)
		b.ReportMetric(a, "AUC")
		total := 0
		for _, m := range r.Messages() {
			total += len(m.Payload)
		}
		b.ReportMetric(float64(total)/1e6, "MB")
	}
}
