package evaluation_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/tables"
)

// The numbers were made with scikit-learn 1.2 (roc_auc_score, roc_curve without dropped points, accuracy_score, precision_score,
// recall_score, f1_score, mean_squared_error, mean_absolute_error, r2_score) on the same formulas in numpy. Scores are rounded to
// two digits, so there are ties.
func TestBinaryFiguresOfScikitLearn(t *testing.T) {
	const n = 300
	labels, scores := make([]int64, n), make([]float64, n)
	for i := range n {
		x := float64(i)
		scores[i] = math.Round(100*(math.Sin(11*x)+1)/2) / 100
		if math.Sin(11*x)+1.2*math.Sin(5*x+1) > 0.4 {
			labels[i] = 1
		}
	}
	r := evaluate(t, map[string]any{"metrics": []string{"auc", "binary_accuracy", "binary_precision", "binary_recall", "binary_f1_score", "rmse", "mae", "r2_score"}},
		prediction(labels, scores, nil))
	got := figures(t, record(t, r)["lr_0"]["origin"])
	for name, want := range map[string]float64{
		"auc": 0.7956866368410815, "binary_accuracy": 0.71, "binary_precision": 0.5637583892617449, "binary_recall": 0.7924528301886793,
		"binary_f1_score": 0.6588235294117648, "rmse": 0.45659500654299756, "mae": 0.33376666666666666, "r2_score": 0.08757488815405579,
	} {
		require.InDelta(t, want, got[name], 1e-9, name)
	}
	require.Empty(t, r.Parties[guest].Warnings)
	entries := record(t, evaluate(t, map[string]any{"metrics": []string{"ks"}}, prediction(labels, scores, nil)))["lr_0"]["origin"]
	// One cut in three rows is looked at, as in FATE, so the greatest distance may be missed by one row in a hundred.
	require.InDelta(t, 0.4804512740711924, decode[float64](t, decode[[]entry](t, entries[0])[0].Value), 0.01)
}

// Labels are texts. One is never predicted, and one prediction is never a label: scikit-learn with zero_division=0 and the
// macro average, micro for F1. Its confusion_matrix has labels in rows.
func TestSeveralClassesOfScikitLearn(t *testing.T) {
	const n = 300
	names := []string{"ape", "bee", "cat", "dog"}
	label, result := make([]string, n), make([]string, n)
	for i := range n {
		x := float64(i)
		label[i] = names[int((math.Sin(3*x)+1)*1.499)]
		k := int((math.Sin(3*x+0.5) + 1) * 1.499)
		if i%10 == 0 {
			k++
		}
		result[i] = names[k]
	}
	f := classified(tables.NewStrings(label), tables.NewStrings(result), make([]float64, n), "")
	r := evaluate(t, map[string]any{"metrics": []string{"multi_accuracy", "multi_precision", "multi_recall", "multi_f1_score"}}, f)
	got := figures(t, record(t, r)["lr_0"]["origin"])
	for name, want := range map[string]float64{
		"multi_accuracy": 0.6233333333333333, "multi_precision": 0.4483839503879178, "multi_recall": 0.4271456991284578, "multi_f1_score": 0.6233333333333333,
	} {
		require.InDelta(t, want, got[name], 1e-12, name)
	}
	entries := record(t, evaluate(t, map[string]any{"metrics": []string{"multi_confusion_matrix"}}, f))["lr_0"]["origin"]
	table := decode[map[string]json.RawMessage](t, decode[entry](t, entries[0]).Value)
	counts := [][]int{{85, 31, 3, 0}, {21, 17, 25, 2}, {0, 23, 85, 8}, {0, 0, 0, 0}}
	for k, name := range names {
		column := decode[[]int](t, table["predicted_"+name])
		for row := range counts {
			require.Equal(t, counts[row][k], column[row], "label %s predicted as %s", names[row], name)
		}
	}
}

// Scores that rank the rows no better than chance easily does are told as that, also where no other figure is asked for.
func TestRankingByChanceIsWarnedOf(t *testing.T) {
	labels, alike, noise, good := make([]int64, 200), make([]float64, 200), make([]float64, 200), make([]float64, 200)
	for i := range labels {
		x := float64(i)
		labels[i], alike[i], noise[i] = int64(i%2), 0.3, (math.Sin(11*x)+1)/2
		good[i] = 0.3*float64(i%2) + 0.7*noise[i]
	}
	for name, tc := range map[string]struct {
		scores []float64
		want   string
	}{
		"all alike": {alike, "all 200 scores are 0.3: they rank no row above another"},
		"noise":     {noise, "AUC 0.500 is no more than chance: scores that say nothing reach 0.582 on 200 rows"},
		"good":      {good, ""},
	} {
		t.Run(name, func(t *testing.T) {
			told := evaluate(t, nil, prediction(labels, tc.scores, nil)).Parties[guest].Warnings
			if tc.want == "" {
				require.Empty(t, told)
				return
			}
			require.Len(t, told, 1)
			require.Contains(t, told[0], tc.want)
		})
	}
	few := evaluate(t, map[string]any{"metrics": []string{"auc"}}, prediction([]int64{0, 1, 1, 0}, []float64{0.4, 0.6, 0.3, 0.2}, nil))
	require.Empty(t, few.Parties[guest].Warnings, "no ranking of four rows tells more than chance")
}
