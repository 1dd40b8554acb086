package lr_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

func quick(extra object) object {
	p := object{"epochs": 3, "tol": 0, "init_param": object{"method": "zeros"},
		"optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.2}}}
	for k, v := range extra {
		p[k] = v
	}
	return p
}

func constantRate(lr float64) func(int) float64 { return func(int) float64 { return lr } }

// splitHost moves the host's last columns to a second host.
func splitHost(j joined, keep int) (first, rest *tables.Frame) {
	cut := func(lo, hi int) *tables.Frame {
		f := *j.host
		f.Schema = j.host.Schema.Clone()
		f.Schema.Features, f.Features = f.Schema.Features[lo:hi], j.host.Features[lo:hi]
		return &f
	}
	return cut(0, keep), cut(keep, len(j.host.Features))
}

func twoHosts(j joined, parameters object) componenttest.Case {
	c := trainCase(j, parameters)
	a, b := splitHost(j, 4)
	c.Parties = []openflow.Party{guest, host, second, arbiter}
	c.Inputs[host] = componenttest.Inputs{Data: map[string]*tables.Frame{"train_data": a}}
	c.Inputs[second] = componenttest.Inputs{Data: map[string]*tables.Frame{"train_data": b}}
	return c
}

func TestTwoHosts(t *testing.T) {
	j := creditSet(t, 400, 300)
	j.ref.alpha = 0.01
	want := j.ref.run(3, 1<<30, constantRate(0.2), plainSGD)
	r := componenttest.RunOK(t, twoHosts(j, quick(object{"early_stop": "weight_diff"})))
	require.Less(t, gap(want.weights, weights(t, r, host, second)), 1e-4)
	require.Empty(t, losses(t, r), "there is no loss with two hosts")
}

func TestLossNeedsALoneHost(t *testing.T) {
	j := creditSet(t, 100, 80)
	r := componenttest.Run(t, twoHosts(j, quick(object{"early_stop": "diff"})))
	for _, p := range []openflow.Party{guest, host, second, arbiter} {
		require.Equal(t, openflow.TaskFailed, r.Parties[p].Status)
		require.Contains(t, r.Parties[p].Error, "early_stop diff needs the loss")
	}
}

func TestPenalties(t *testing.T) {
	j := creditSet(t, 300, 200)
	const alpha, lr = 0.05, 0.3
	l1 := j.ref
	l1.prox = func(epoch int, w []float64) {
		for i := range w[:len(w)-1] {
			s := alpha * lr / math.Sqrt(float64(epoch+1))
			switch {
			case w[i] > s:
				w[i] -= s
			case w[i] < -s:
				w[i] += s
			default:
				w[i] = 0
			}
		}
	}
	for penalty, ref := range map[string]reference{"l1": l1, "none": j.ref} {
		want := ref.run(4, 1<<30, constantRate(lr), plainSGD)
		r := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 4,
			"optimizer": object{"method": "sgd", "penalty": penalty, "alpha": alpha, "optimizer_params": object{"lr": lr}}})))
		require.Less(t, gap(want.weights, weights(t, r, host)), 1e-4, penalty)
	}
}

func TestEarlyStop(t *testing.T) {
	j := creditSet(t, 200, 150)
	for name, tc := range map[string]struct {
		rule      string
		tol       float64
		epochs    int // that ran
		converged bool
	}{
		"diff is never met in the first epoch": {"diff", 1e9, 2, true},
		"diff not met":                         {"diff", 1e-12, 5, false},
		"abs":                                  {"abs", 0.7, 1, true},
		"weight_diff":                          {"weight_diff", 1e9, 1, true},
		"weight_diff not met":                  {"weight_diff", 1e-12, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 5, "early_stop": tc.rule, "tol": tc.tol})))
			require.Len(t, losses(t, r), tc.epochs)
			for _, p := range []openflow.Party{guest, host, arbiter} {
				e := estimatorOf(t, r, p)
				require.Equal(t, tc.converged, e.IsConverged, p.String())
				want := tc.epochs
				if tc.converged {
					want--
				}
				require.Equal(t, want, e.EndEpoch, p.String())
			}
		})
	}
}

func TestOneVersusRest(t *testing.T) {
	j := creditSet(t, 300, 200)
	sum := j.guest.Features[1].Floats
	for i := range j.guest.Label.Ints {
		switch {
		case sum[i] < -0.5:
			j.guest.Label.Ints[i] = 1
		case sum[i] < 0.3:
			j.guest.Label.Ints[i] = 4
		default:
			j.guest.Label.Ints[i] = 7
		}
	}
	r := componenttest.RunOK(t, trainCase(j, quick(nil)))
	var g, h model
	r.Model(guest, "output_model", &g)
	r.Model(host, "output_model", &h)
	require.Equal(t, true, g.Meta["ovr"])
	require.Equal(t, []any{1.0, 4.0, 7.0}, g.Meta["labels"])
	require.Equal(t, 3.0, h.Meta["label_count"])
	var byClass, hostByClass map[string]estimator
	require.NoError(t, json.Unmarshal(g.Data.Estimator, &byClass))
	require.NoError(t, json.Unmarshal(h.Data.Estimator, &hostByClass))
	index := map[string]int{}
	for i, id := range j.guest.MatchID {
		index[id] = i
	}
	for k, class := range []int64{1, 4, 7} {
		ref := j.ref
		ref.alpha, ref.y = 0.01, nil
		for _, id := range j.ids {
			y := -1.0
			if j.guest.Label.Ints[index[id]] == class {
				y = 1
			}
			ref.y = append(ref.y, y)
		}
		want := ref.run(3, 1<<30, constantRate(0.2), plainSGD)
		var got []float64
		for _, e := range []estimator{byClass[strconv.Itoa(k)], hostByClass[strconv.Itoa(k)]} {
			for _, c := range e.Param.Coef {
				got = append(got, c[0])
			}
		}
		require.Less(t, gap(want.weights[:len(got)], got), 1e-4, "class %d", class)
	}
	groups := map[int]int{}
	for _, m := range r.MetricsNamed(arbiter, "lr_loss") {
		require.Equal(t, "class", m.Groups[2].Name)
		groups[*m.Groups[2].Index]++
	}
	require.Equal(t, map[int]int{0: 3, 1: 3, 2: 3}, groups)

	out := r.Table(guest, "train_output_data")
	result, err := out.Feature("predict_result")
	require.NoError(t, err)
	score, err := out.Feature("predict_score")
	require.NoError(t, err)
	detail, err := out.Feature("predict_detail")
	require.NoError(t, err)
	for i := range out.Rows() {
		var classes map[string]float64
		text := strings.ReplaceAll(strings.Trim(detail.Strings[i], `"`), "'", `"`)
		require.NoError(t, json.Unmarshal([]byte(text), &classes))
		require.Len(t, classes, 3)
		best := strconv.FormatInt(result.Ints[i], 10)
		require.Equal(t, score.Floats[i], classes[best], "predict_result is the class of the greatest score")
		for _, v := range classes {
			require.LessOrEqual(t, v, score.Floats[i])
		}
	}
}

func TestWarmStartContinues(t *testing.T) {
	j := creditSet(t, 300, 200)
	settings := func(epochs int) object {
		return quick(object{"epochs": epochs, "early_stop": "weight_diff",
			"optimizer":               object{"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.2, "momentum": 0.5}},
			"learning_rate_scheduler": object{"method": "step", "scheduler_params": object{"step_size": 2, "gamma": 0.5}}})
	}
	whole := componenttest.RunOK(t, trainCase(j, settings(6)))
	first := componenttest.RunOK(t, trainCase(j, settings(3)))
	c := trainCase(j, object{"epochs": 3, "init_param": object{"method": "ones"}})
	for _, p := range c.Parties {
		var m any
		first.Model(p, "output_model", &m)
		in := c.Inputs[p]
		in.Models = map[string]any{"warm_start_model": m}
		c.Inputs[p] = in
	}
	continued := componenttest.RunOK(t, c)
	require.Less(t, gap(weights(t, whole, host), weights(t, continued, host)), 1e-4)
	require.Greater(t, gap(weights(t, first, host), weights(t, continued, host)), 1e-3, "it did go on")
	require.Equal(t, 3, estimatorOf(t, continued, guest).EndEpoch)
}

func TestInitialCoefficients(t *testing.T) {
	j := creditSet(t, 150, 100)
	run := func(init object) []float64 {
		// A learning rate as small as this leaves the coefficients where they began.
		p := quick(object{"epochs": 1, "init_param": init})
		p["optimizer"] = object{"method": "sgd", "penalty": "none", "optimizer_params": object{"lr": 1e-300}}
		return weights(t, componenttest.RunOK(t, trainCase(j, p)), host)
	}
	for _, w := range run(object{"method": "consts", "fill_val": 0.25}) {
		require.Equal(t, 0.25, w)
	}
	require.Len(t, run(object{"method": "ones", "fit_intercept": false}), 20, "no intercept")
	a, b := run(object{"method": "random_uniform", "random_state": 7}), run(object{"method": "random_uniform", "random_state": 7})
	require.Equal(t, a, b)
	for _, w := range a {
		require.True(t, w >= 0 && w < 1)
	}
	require.NotEqual(t, run(object{"method": "random"}), run(object{"method": "random"}), "without random_state every run differs")
}

func TestPredict(t *testing.T) {
	j := creditSet(t, 300, 200)
	c := trainCase(j, quick(object{"threshold": 0.3}))
	c.Inputs[guest].Data["validate_data"], c.Inputs[host].Data["validate_data"] = j.guest.Slice(0, 50), j.host.Slice(0, 50)
	trained := componenttest.RunOK(t, c)
	out := trained.Table(guest, "train_output_data")
	require.Equal(t, []string{"sid", "id", "label", "predict_score", "predict_result", "predict_detail", "type"}, out.Schema.Names())
	require.Equal(t, 250, out.Rows(), "training rows, and the validation rows below")
	kind, err := out.Feature("type")
	require.NoError(t, err)
	require.Equal(t, "train_set", kind.Strings[199])
	require.Equal(t, "validate_set", kind.Strings[200])
	require.Equal(t, out.Features[0].Floats[:50], out.Features[0].Floats[200:])
	require.Empty(t, trained.Tables(host, "train_output_data"), "only the guest writes a prediction")

	// Prediction with the saved models, rows in another order, no label.
	reversed := make([]int, 200)
	for i := range reversed {
		reversed[i] = 199 - i
	}
	test := j.guest.Take(reversed)
	test.Schema = test.Schema.Clone()
	test.Schema.Label, test.Label = nil, tables.Vector{}
	p := componenttest.Case{Component: c.Component, Stage: openflow.StagePredict, Parties: c.Parties, Timeout: 3 * time.Minute,
		Parameters: object{"epochs": 3, "threshold": 0.9}, Inputs: map[openflow.Party]componenttest.Inputs{}}
	for party, frame := range map[openflow.Party]*tables.Frame{guest: test, host: j.host} {
		var m any
		trained.Model(party, "output_model", &m)
		p.Inputs[party] = componenttest.Inputs{Data: map[string]*tables.Frame{"test_data": frame}, Models: map[string]any{"input_model": m}}
	}
	predicted := componenttest.RunOK(t, p).Table(guest, "test_output_data")
	require.Equal(t, []string{"sid", "id", "predict_score", "predict_result", "predict_detail", "type"}, predicted.Schema.Names())
	for i := range predicted.Rows() {
		require.Equal(t, test.SampleID[i], predicted.SampleID[i])
		s := predicted.Features[0].Floats[i]
		require.InDelta(t, out.Features[0].Floats[199-i], s, 1e-12)
		require.Equal(t, s > 0.3, predicted.Features[1].Ints[i] == 1, "the threshold is the model's")
		want := `"{'0': ` + strconv.FormatFloat(1-s, 'g', -1, 64) + `, '1': ` + strconv.FormatFloat(s, 'g', -1, 64) + `}"`
		require.Equal(t, want, predicted.Features[2].Strings[i])
		require.Equal(t, "test_set", predicted.Features[3].Strings[i])
	}

	other := j.host.Slice(0, 199)
	in := p.Inputs[host]
	in.Data = map[string]*tables.Frame{"test_data": other}
	p.Inputs[host] = in
	failed := componenttest.Run(t, p)
	for _, party := range []openflow.Party{guest, host} {
		require.Contains(t, failed.Parties[party].Error, "does not have the same sample ids")
	}
}

func TestLastBatchWithFewRowsJoinsTheOneBefore(t *testing.T) {
	for name, tc := range map[string]struct {
		rows, size int
		ends       []int
	}{
		"fewer rows than columns":         {rows: 244, size: 120, ends: []int{120, 244}},
		"fewer rows than ten a column":    {rows: 339, size: 120, ends: []int{120, 339}},
		"ten rows a column":               {rows: 340, size: 120, ends: []int{120, 240, 340}},
		"one batch and a few rows":        {rows: 130, size: 100, ends: []int{130}},
		"a size above the number of rows": {rows: 100, size: 1000, ends: []int{100}},
	} {
		t.Run(name, func(t *testing.T) {
			j := creditSet(t, 400, tc.rows)
			j.ref.alpha = 0.01
			r := componenttest.RunOK(t, trainCase(j, quick(object{"batch_size": tc.size, "epochs": 1})))
			w, lo := make([]float64, 21), 0
			for _, hi := range tc.ends {
				g, _ := j.ref.gradient(w, lo, hi)
				for i := range w {
					w[i] -= 0.2 * g[i]
				}
				lo = hi
			}
			require.Less(t, gap(w, weights(t, r, host)), 1e-4)
		})
	}
}

func TestSurvivesFaults(t *testing.T) {
	j := creditSet(t, 150, 100)
	j.ref.alpha = 0.01
	want := j.ref.run(3, 1<<30, constantRate(0.2), plainSGD)
	c := trainCase(j, quick(nil))
	c.Faults = []componenttest.Fault{
		{Path: "/v1/interconn/chan/push", Kind: componenttest.DropReply, From: 3, Every: 5},
		{Path: "/v1/interconn/chan/pop", Kind: componenttest.Unavailable, From: 2, Every: 7},
	}
	require.Less(t, gap(want.weights, weights(t, componenttest.RunOK(t, c), host)), 1e-4)
}

// The description has upstream's names, but for what is not offered: cross validation.
//
// Spec: fate-components §6.1 (tables).
func TestDescription(t *testing.T) {
	c := lr.Component()
	raw, err := component.Program{Provider: "openflow", Version: "test", Components: []component.Component{c}}.Describe(c.Name)
	require.NoError(t, err)
	var d struct {
		Component struct {
			Parameters map[string]any            `json:"parameters"`
			Inputs     map[string]map[string]any `json:"input_artifacts"`
			Outputs    map[string]map[string]any `json:"output_artifacts"`
		} `json:"component"`
	}
	require.NoError(t, json.Unmarshal(raw, &d))
	names := func(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
	require.Equal(t, []string{"batch_size", "early_stop", "epochs", "floating_point_precision", "he_param", "init_param",
		"learning_rate_scheduler", "optimizer", "output_cv_data", "threshold", "tol"}, names(d.Component.Parameters))
	require.Equal(t, []string{"test_data", "train_data", "validate_data"}, names(d.Component.Inputs["data"]))
	require.Equal(t, []string{"input_model", "warm_start_model"}, names(d.Component.Inputs["model"]))
	require.Equal(t, []string{"test_output_data", "train_output_data"}, names(d.Component.Outputs["data"]))
	require.Equal(t, []string{"output_model"}, names(d.Component.Outputs["model"]))
	require.NotContains(t, string(raw), string(openflow.StageCrossValidation))
}
