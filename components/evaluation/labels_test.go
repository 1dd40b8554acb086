package evaluation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

// classified makes a frame with labels and predicted classes of any type; details may be empty.
func classified(label, result tables.Vector, scores []float64, detail string) *tables.Frame {
	f := prediction(make([]int64, len(scores)), scores, nil)
	f.Schema.Label.DType, f.Label = label.DType, label
	f.Schema.Features[1].DType, f.Features[1] = result.DType, result
	if detail != "" {
		all := make([]string, len(scores))
		for i := range all {
			all[i] = detail
		}
		f.Schema.Features = append(f.Schema.Features, tables.Column{Name: "predict_detail", DType: tables.Object})
		f.Features = append(f.Features, tables.NewStrings(all))
	}
	return f
}

func whole(values ...int64) tables.Vector { return tables.NewInts(tables.Int32, values) }

// The binary figures are the same whatever the two classes are called: the greater one is positive.
func TestTwoClassesOfAnyValue(t *testing.T) {
	scores := []float64{0.9, 0.8, 0.4, 0.3, 0.2}
	for name, label := range map[string]tables.Vector{
		"0 and 1": whole(1, 0, 0, 1, 0), "-1 and 1": whole(1, -1, -1, 1, -1), "10 and 20": whole(20, 10, 10, 20, 10),
		"-20 and -10": whole(-10, -20, -20, -10, -20), "1 and 2": whole(2, 1, 1, 2, 1),
		"floats": tables.NewFloats(tables.Float64, []float64{1, 0, 0, 1, 0}), "truth": tables.NewInts(tables.Bool, []int64{1, 0, 0, 1, 0}),
		"9 and 10 as numbers": whole(10, 9, 9, 10, 9), "texts": tables.NewStrings([]string{"yes", "no", "no", "yes", "no"}),
	} {
		t.Run(name, func(t *testing.T) {
			f := classified(label, whole(0, 0, 0, 0, 0), scores, "")
			got := figures(t, record(t, evaluate(t, map[string]any{"metrics": []string{"auc", "binary_accuracy", "binary_recall"}}, f))["lr_0"]["origin"])
			require.InDelta(t, 4./6, got["auc"], 1e-12)
			require.InDelta(t, 3./5, got["binary_accuracy"], 1e-12)
			require.InDelta(t, 1./2, got["binary_recall"], 1e-12)
			record(t, evaluate(t, nil, f)) // the whole binary set
		})
	}
}

// Where the rows have one class only, the details of the predictions tell which classes there are.
func TestOneClassInTheData(t *testing.T) {
	detail := `"{'10': 0.25, '20': 0.75}"`
	for label, want := range map[int64]float64{10: 0.25, 20: 0.75} {
		f := classified(whole(label, label, label, label), whole(20, 20, 20, 10), []float64{0.75, 0.75, 0.75, 0.25}, detail)
		got := figures(t, record(t, evaluate(t, map[string]any{"metrics": []string{"binary_accuracy"}}, f))["lr_0"]["origin"])
		require.InDelta(t, want, got["binary_accuracy"], 1e-12)
	}
}

// Several classes are compared by their own values, in any order and of any type, also where only a metric's name asks for
// it.
func TestSeveralClassesOfAnyValue(t *testing.T) {
	texts := func(values ...string) tables.Vector { return tables.NewStrings(values) }
	scores := []float64{0.9, 0.5, 0.7, 0.6, 0.8, 0.4}
	for name, c := range map[string]struct{ label, result tables.Vector }{
		"1, 2, 3":            {whole(3, 1, 2, 1, 3, 2), whole(3, 1, 2, 2, 3, 3)},
		"-1, 0, 1":           {whole(1, -1, 0, -1, 1, 0), whole(1, -1, 0, 0, 1, 1)},
		"large":              {whole(3000000, 10, 20, 10, 3000000, 20), tables.NewInts(tables.Int64, []int64{3000000, 10, 20, 20, 3000000, 3000000})},
		"floats and numbers": {tables.NewFloats(tables.Float32, []float64{3, 1, 2, 1, 3, 2}), whole(3, 1, 2, 2, 3, 3)},
		"texts":              {texts("c", "a", "b", "a", "c", "b"), texts("c", "a", "b", "b", "c", "c")},
	} {
		t.Run(name, func(t *testing.T) {
			f := classified(c.label, c.result, scores, "")
			for _, parameters := range []map[string]any{
				{"default_eval_setting": "multi"},
				{"metrics": []string{"multi_accuracy", "multi_precision", "multi_recall"}},
				{"default_eval_setting": "multi", "metrics": []string{"multi_accuracy", "multi_precision", "multi_recall"}},
			} {
				r := evaluate(t, parameters, f)
				got := figures(t, record(t, r)["lr_0"]["origin"])
				require.InDelta(t, 4./6, got["multi_accuracy"], 1e-12)
				require.InDelta(t, (1+1./2+2./3)/3, got["multi_precision"], 1e-12)
				require.InDelta(t, (1./2+1./2+1)/3, got["multi_recall"], 1e-12)
				require.Empty(t, r.Parties[guest].Warnings)
			}
		})
	}
}

func TestConfusionHasTheLabelsValues(t *testing.T) {
	parameters := map[string]any{"metrics": []string{"multi_confusion_matrix"}}
	scores := []float64{0.9, 0.5, 0.7, 0.6}
	numbers := classified(whole(10, -5, 10, 7), whole(10, 10, -5, 7), scores, "")
	require.JSONEq(t, `{"metric": "multi_confusion_matrix", "val": {"label": [-5, 7, 10], "predicted_-5": [0, 0, 1], "predicted_7": [0, 1, 0], "predicted_10": [1, 0, 1]}}`,
		string(record(t, evaluate(t, parameters, numbers))["lr_0"]["origin"][0]))
	texts := classified(tables.NewStrings([]string{"b", "a", "b", "a"}), tables.NewStrings([]string{"b", "b", "a", "a"}), scores, "")
	require.JSONEq(t, `{"metric": "multi_confusion_matrix", "val": {"label": ["a", "b"], "predicted_a": [1, 1], "predicted_b": [1, 1]}}`,
		string(record(t, evaluate(t, parameters, texts))["lr_0"]["origin"][0]))
}

func TestSeveralClassesAreNoTwo(t *testing.T) {
	f := classified(whole(1, 2, 3), whole(1, 2, 3), []float64{0.5, 0.6, 0.7}, "")
	r := evaluate(t, nil, f).Parties[guest]
	require.Equal(t, openflow.TaskFailed, r.Status)
	require.Contains(t, r.Error, `label "label" has 3 values (1, 2, 3); the binary metrics compare two classes (set default_eval_setting to multi`)
}

// A result that a constant would beat is a warning, and no failure.
func TestWorseThanAConstantIsWarnedOf(t *testing.T) {
	good, bad := []float64{0.9, 0.2, 0.3, 0.1}, []float64{0.1, 0.8, 0.7, 0.9}
	label := whole(1, 0, 0, 0)
	for name, c := range map[string]struct {
		parameters map[string]any
		frame      *tables.Frame
		want       string // part of the one warning; empty: none
	}{
		"AUC":                          {nil, classified(label, whole(0, 0, 0, 0), bad, ""), "AUC 0.000 is below 0.5"},
		"good AUC":                     {nil, classified(label, whole(1, 0, 0, 0), good, ""), ""},
		"KS alone":                     {map[string]any{"metrics": []string{"ks"}}, classified(label, whole(0, 0, 0, 0), bad, ""), "AUC 0.000 is below 0.5"},
		"binary accuracy":              {map[string]any{"metrics": []string{"binary_accuracy"}}, classified(label, whole(1, 0, 0, 0), []float64{0.95, 0.6, 0.9, 0.2}, ""), "accuracy 0.500 is below 0.750"},
		"accuracy":                     {map[string]any{"default_eval_setting": "multi"}, classified(whole(1, 2, 3, 3), whole(3, 1, 2, 3), good, ""), "accuracy 0.250 is below 0.500"},
		"accuracy of majority":         {map[string]any{"default_eval_setting": "multi"}, classified(whole(1, 2, 3, 3), whole(3, 2, 1, 1), good, ""), "accuracy 0.250 is below 0.500"},
		"accuracy as majority":         {map[string]any{"default_eval_setting": "multi"}, classified(whole(1, 2, 3, 3), whole(1, 3, 3, 1), good, ""), "accuracy 0.500 is the share of the most frequent label"},
		"one class predicted":          {map[string]any{"default_eval_setting": "multi"}, classified(whole(1, 2, 3, 3), whole(3, 3, 3, 3), good, ""), `all 4 rows are predicted as "3": a constant predicts as well`},
		"one class only":               {map[string]any{"default_eval_setting": "multi"}, classified(whole(3, 3, 3, 3), whole(3, 3, 3, 3), good, ""), ""},
		"all negative":                 {map[string]any{"metrics": []string{"binary_precision", "binary_recall"}}, classified(label, whole(0, 0, 0, 0), []float64{0.4, 0.2, 0.3, 0.1}, ""), "so no row is predicted positive: precision and recall are 0"},
		"all negative, accuracy":       {map[string]any{"metrics": []string{"binary_accuracy"}}, classified(label, whole(0, 0, 0, 0), []float64{0.4, 0.2, 0.3, 0.1}, ""), "no score of 4 rows is above 0.5"},
		"all positive":                 {map[string]any{"metrics": []string{"binary_recall"}}, classified(label, whole(1, 1, 1, 1), []float64{0.9, 0.8, 0.7, 0.6}, ""), "so every row is predicted positive"},
		"all negative, judged by rank": {map[string]any{"metrics": []string{"auc"}}, classified(label, whole(0, 0, 0, 0), []float64{0.4, 0.2, 0.3, 0.1}, ""), ""},
		"all negative, and no other":   {map[string]any{"metrics": []string{"binary_accuracy"}}, classified(whole(0, 0, 0, 0), whole(0, 0, 0, 0), []float64{0.4, 0.2, 0.3, 0.1}, ""), ""},
		"r2":                           {map[string]any{"default_eval_setting": "regression"}, classified(label, whole(0, 0, 0, 0), bad, ""), "is below 0: the mean of the labels predicts better"},
	} {
		t.Run(name, func(t *testing.T) {
			r := evaluate(t, c.parameters, c.frame)
			record(t, r)
			warnings := r.Parties[guest].Warnings
			if c.want == "" {
				require.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1)
			require.True(t, strings.HasPrefix(warnings[0], `data of task "lr_0": `), warnings[0])
			require.Contains(t, warnings[0], c.want)
			require.Contains(t, warnings[0], "(origin)")
		})
	}
}

// What a details column holds is another component's word: anything that is none is passed over.
func FuzzDetail(f *testing.F) {
	for _, s := range []string{"", `"{'0': 0.5, '1': 0.5}"`, `"{'predict_score': 3}"`, "{", `"{'a': 'b'}"`, "null"} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, detail string) {
		frame := classified(whole(1, 0), whole(1, 0), []float64{0.9, 0.1}, detail)
		r := evaluate(t, map[string]any{"metrics": []string{"auc"}}, frame).Parties[guest]
		if r.Status == openflow.TaskSuccess {
			var data map[string]map[string][]entry
			require.NoError(t, json.Unmarshal(r.Metrics[0].Data, &data))
			require.Equal(t, "auc", data["lr_0"]["origin"][0].Metric)
			return
		}
		require.Contains(t, r.Error, "values", fmt.Sprintf("%q", detail))
	})
}
