package evaluation_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/evaluation"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

// prediction makes a prediction frame; types may be nil.
func prediction(labels []int64, scores []float64, types []string) *tables.Frame {
	f := &tables.Frame{Schema: tables.Schema{SampleID: "sid", MatchID: "id", Label: &tables.Column{Name: "label", DType: tables.Int32}}}
	result := make([]int64, len(scores))
	for i, s := range scores {
		f.SampleID = append(f.SampleID, fmt.Sprint(i))
		if s > 0.5 {
			result[i] = 1
		}
	}
	f.MatchID, f.Label = f.SampleID, tables.NewInts(tables.Int32, labels)
	f.Schema.Features = []tables.Column{{Name: "predict_score", DType: tables.Float64}, {Name: "predict_result", DType: tables.Int32}}
	f.Features = []tables.Vector{tables.NewFloats(tables.Float64, scores), tables.NewInts(tables.Int32, result)}
	if types != nil {
		f.Schema.Features = append(f.Schema.Features, tables.Column{Name: "type", DType: tables.Object})
		f.Features = append(f.Features, tables.NewStrings(types))
	}
	return f
}

func evaluate(t *testing.T, parameters map[string]any, frames ...*tables.Frame) *componenttest.Result {
	t.Helper()
	var in []componenttest.Produced
	for i, f := range frames {
		in = append(in, componenttest.Produced{Task: openflow.TaskName(fmt.Sprintf("lr_%d", i)), Table: f})
	}
	return componenttest.Run(t, componenttest.Case{
		Component: evaluation.Component(), Parties: []openflow.Party{guest}, Parameters: parameters,
		Inputs: map[openflow.Party]componenttest.Inputs{guest: {Multi: map[string][]componenttest.Produced{"input_datas": in}}},
	})
}

// record is the data of the one metric: task, type of rows, entries.
func record(t *testing.T, r *componenttest.Result) map[string]map[string][]json.RawMessage {
	t.Helper()
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
	require.Len(t, r.Parties[guest].Metrics, 1)
	m := r.Parties[guest].Metrics[0]
	require.Equal(t, "evaluation", m.Name)
	require.Equal(t, "evaluation", *m.Type)
	require.Nil(t, m.StepAxis)
	require.Len(t, m.Groups, 1)
	var data map[string]map[string][]json.RawMessage
	require.NoError(t, json.Unmarshal(m.Data, &data))
	return data
}

type entry struct {
	Metric string          `json:"metric"`
	Value  json.RawMessage `json:"val"`
}

func decode[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

func figures(t *testing.T, entries []json.RawMessage) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, raw := range entries {
		e := decode[entry](t, raw)
		out[e.Metric] = decode[float64](t, e.Value)
	}
	return out
}

func TestSingleFigures(t *testing.T) {
	// Two positives, three negatives; pairs won: 0.9 over all three, 0.4 over 0.2, one tie: (3 + 1 + 0.5) / 6.
	f := prediction([]int64{1, 0, 0, 1, 0}, []float64{0.9, 0.8, 0.4, 0.4, 0.2}, nil)
	data := record(t, evaluate(t, map[string]any{
		"metrics": []string{"AUC", "binary_accuracy", "binary_precision", "binary_recall", "binary_f1_score", "rmse", "mse", "mae", "r2_score"},
	}, f))
	got := figures(t, data["lr_0"]["origin"])
	want := map[string]float64{
		"auc": 4.5 / 6, "binary_accuracy": 3. / 5, "binary_precision": 1. / 2, "binary_recall": 1. / 2, "binary_f1_score": 1. / 2,
		"mse": 1.21 / 5, "rmse": math.Sqrt(1.21 / 5), "mae": (0.1 + 0.8 + 0.4 + 0.6 + 0.2) / 5, "r2_score": 1 - 1.21/1.2,
	}
	require.Len(t, got, len(want))
	for name, v := range want {
		require.InDelta(t, v, got[name], 1e-12, name)
	}
}

func TestMultiFigures(t *testing.T) {
	f := prediction([]int64{0, 0, 1, 2, 2, 3}, make([]float64, 6), nil)
	f.Features[1].Ints = []int64{0, 1, 1, 2, 0, 5} // a label that is never predicted, and a prediction that is no label
	got := figures(t, record(t, evaluate(t, map[string]any{"default_eval_setting": "Multi"}, f))["lr_0"]["origin"])
	require.InDelta(t, 3./6, got["multi_accuracy"], 1e-12)
	require.InDelta(t, (1./2+1./2+1+0+0)/5, got["multi_precision"], 1e-12)
	require.InDelta(t, (1./2+1+1./2+0+0)/5, got["multi_recall"], 1e-12)
	require.Len(t, got, 3)
	f1 := figures(t, record(t, evaluate(t, map[string]any{"metrics": []string{"multi_f1_score"}, "predict_column_name": "predict_result"}, f))["lr_0"]["origin"])
	require.InDelta(t, 3./6, f1["multi_f1_score"], 1e-12)
}

func TestRegressionSet(t *testing.T) {
	f := prediction([]int64{1, 2, 3}, []float64{1, 2, 5}, nil)
	entries := record(t, evaluate(t, map[string]any{"default_eval_setting": "regression"}, f))["lr_0"]["origin"]
	var names []string
	for _, raw := range entries {
		names = append(names, decode[entry](t, raw).Metric)
	}
	require.Equal(t, []string{"rmse", "mae", "mse", "r2_score"}, names)
	require.InDelta(t, 1-4./2, figures(t, entries)["r2_score"], 1e-12)
}

// naive counts as the specification says it, without ranking.
func naive(labels []int64, scores []float64, threshold float64) (tp, fp, tn, fn float64) {
	for i, s := range scores {
		switch {
		case s > threshold && labels[i] == 1:
			tp++
		case s > threshold:
			fp++
		case labels[i] == 1:
			fn++
		default:
			tn++
		}
	}
	return tp, fp, tn, fn
}

func descending(values []float64) []float64 {
	s := slices.Clone(values)
	sort.Sort(sort.Reverse(sort.Float64Slice(s)))
	return s
}

func safe(a, b, otherwise float64) float64 {
	if b == 0 {
		return otherwise
	}
	return a / b
}

func TestBinaryTablesAreTheSpecifications(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const n = 257
	labels, scores := make([]int64, n), make([]float64, n)
	for i := range n {
		scores[i] = float64(random.IntN(150)) / 150 // with ties
		if random.Float64() < scores[i] {
			labels[i] = 1
		}
	}
	entries := record(t, evaluate(t, nil, prediction(labels, scores, nil)))["lr_0"]["origin"]
	require.Len(t, entries, 9)
	pair := decode[[]entry](t, entries[1])
	require.Equal(t, []string{"ks", "ks_table"}, []string{pair[0].Metric, pair[1].Metric})
	all := append([]entry{decode[entry](t, entries[0])}, pair...)
	for _, raw := range entries[2:] {
		all = append(all, decode[entry](t, raw))
	}
	var names []string
	table := map[string]json.RawMessage{}
	for _, e := range all {
		names, table[e.Metric] = append(names, e.Metric), e.Value
	}
	require.Equal(t, []string{"auc", "ks", "ks_table", "confusion_matrix", "gain", "lift", "biclass_precision_table",
		"biclass_recall_table", "biclass_accuracy_table", "fscore_table"}, names)

	byIndex := descending(scores)
	byStep := slices.Compact(slices.Clone(byIndex))
	columns := func(name string) map[string][]float64 { return decode[map[string][]float64](t, table[name]) }
	pairs := func(name string) map[string]json.RawMessage {
		return decode[map[string]json.RawMessage](t, table[name])
	}
	ks, confusion, best := columns("ks_table"), columns("confusion_matrix"), 0.0
	precision, recall, accuracy := columns("biclass_precision_table"), columns("biclass_recall_table"), columns("biclass_accuracy_table")
	fscore, gain, lift := columns("fscore_table"), pairs("gain"), pairs("lift")
	gainX, gainY := decode[[][2]float64](t, gain["gainx"]), decode[[][2]float64](t, gain["gainy"])
	liftX, liftY := decode[[][2]float64](t, lift["liftx"]), decode[[][2]float64](t, lift["lifty"])

	for name, c := range map[string]struct {
		columns map[string][]float64
		rows    int
		names   []string
	}{
		"ks_table": {ks, 101, []string{"tpr", "fpr", "threshold", "cuts"}}, "confusion_matrix": {confusion, 100, []string{"tp", "tn", "fp", "fn", "cuts", "threshold"}},
		"precision": {precision, 101, []string{"p", "threshold", "cuts"}}, "recall": {recall, 101, []string{"r", "threshold", "cuts"}},
		"accuracy": {accuracy, 100, []string{"accuracy", "threshold", "cuts"}}, "fscore": {fscore, 100, []string{"f_score", "threshold", "cuts"}},
	} {
		require.Len(t, c.columns, len(c.names), name)
		for _, column := range c.names {
			require.Len(t, c.columns[column], c.rows, name+" "+column)
		}
	}
	for i := range 100 {
		share := float64(i) / 100
		th := byIndex[int(n*share)]
		tp, fp, tn, fn := naive(labels, scores, th)
		require.Equal(t, []float64{tp, fp, tn, fn, share, th}, []float64{confusion["tp"][i], confusion["fp"][i], confusion["tn"][i],
			confusion["fn"][i], confusion["cuts"][i], confusion["threshold"][i]})
		require.InDelta(t, tp/(tp+fn), ks["tpr"][i], 1e-12)
		require.InDelta(t, fp/(fp+tn), ks["fpr"][i], 1e-12)
		best = max(best, tp/(tp+fn)-fp/(fp+tn))

		th = byStep[int(float64(len(byStep))*share)]
		tp, fp, tn, fn = naive(labels, scores, th)
		require.Equal(t, th, precision["threshold"][i])
		require.InDelta(t, safe(tp, tp+fp, 1), precision["p"][i], 1e-12)
		require.InDelta(t, tp/(tp+fn), recall["r"][i], 1e-12)
		require.InDelta(t, (tp+tn)/n, accuracy["accuracy"][i], 1e-12)
		require.InDeltaSlice(t, []float64{(tn + fn) / n, (tp + fp) / n}, gainX[i][:], 1e-12)
		require.InDeltaSlice(t, []float64{tn / (tn + fp), tp / (tp + fn)}, gainY[i][:], 1e-12)
		require.Equal(t, gainX[i], liftX[i])
		require.InDeltaSlice(t, []float64{safe(tn, tn+fn, 1) / ((tn + fp) / n), safe(tp, tp+fp, 1) / ((tp + fn) / n)}, liftY[i][:], 1e-12)

		tp, fp, _, fn = naive(labels, scores, share)
		p, r := safe(tp, tp+fp, 1), tp/(tp+fn)
		require.InDelta(t, 2*p*r/max(p+r, 1e-6), fscore["f_score"][i], 1e-12)
	}
	require.InDelta(t, best, decode[float64](t, table["ks"]), 1e-12)
	require.Equal(t, []float64{1, 1, 0, 1}, []float64{ks["tpr"][100], ks["fpr"][100], ks["threshold"][100], ks["cuts"][100]})
	require.InDelta(t, precision["threshold"][99]-0.001, precision["threshold"][100], 1e-12)
	require.Equal(t, 1.0, recall["cuts"][100])

	wins := 0.0
	for i := range n {
		for j := range n {
			if labels[i] == 1 && labels[j] == 0 {
				switch {
				case scores[i] > scores[j]:
					wins++
				case scores[i] == scores[j]:
					wins += 0.5
				}
			}
		}
	}
	tp, fp, _, _ := naive(labels, scores, -1)
	require.InDelta(t, wins/(tp*fp), decode[float64](t, table["auc"]), 1e-12)
}

func TestRowsAreJudgedByTypeAndInput(t *testing.T) {
	a := prediction([]int64{1, 0, 1, 0}, []float64{0.9, 0.1, 0.2, 0.8}, []string{"validate_set", "validate_set", "train_set", "train_set"})
	b := prediction([]int64{1, 0}, []float64{0.9, 0.1}, nil)
	r := evaluate(t, map[string]any{"metrics": []string{"auc"}}, a, b)
	require.JSONEq(t, `{"lr_0":{"train_set":[{"metric":"auc","val":0}],"validate_set":[{"metric":"auc","val":1}]},"lr_1":{"origin":[{"metric":"auc","val":1}]}}`,
		string(r.Parties[guest].Metrics[0].Data))
	require.Regexp(t, "validate_set.*train_set", string(r.Parties[guest].Metrics[0].Data), "in the order of appearance")
}

func TestOtherColumnsCanBeJudged(t *testing.T) {
	f := prediction([]int64{0, 1}, []float64{0.1, 0.2}, nil)
	f.Schema.Label = nil
	f.Label = tables.Vector{}
	f.Schema.Features[0].Name = "p"
	f.Schema.Features[1].Name = "truth"
	f.Features[1].Ints = []int64{0, 1}
	got := figures(t, record(t, evaluate(t, map[string]any{"metrics": []string{"auc"}, "predict_column_name": "p", "label_column_name": "truth"}, f))["lr_0"]["origin"])
	require.Equal(t, 1.0, got["auc"])
}

func TestWhatCannotBeJudgedFails(t *testing.T) {
	good := prediction([]int64{0, 1}, []float64{0.1, 0.2}, nil)
	unlabelled := prediction([]int64{0, 1}, []float64{0.1, 0.2}, nil)
	unlabelled.Schema.Label, unlabelled.Label = nil, tables.Vector{}
	for name, c := range map[string]struct {
		parameters map[string]any
		frame      *tables.Frame
		message    string
	}{
		"no rows":        {nil, good.Take(nil), `data of task "lr_0": it has no rows`},
		"no label":       {nil, unlabelled, `data of task "lr_0": table has no column "label"`},
		"no prediction":  {map[string]any{"predict_column_name": "x"}, good, `data of task "lr_0": table has no column "x"`},
		"one class":      {nil, good.Take([]int{0}), `data of task "lr_0": metric auc of origin: 0 of 1 labels are of the positive class; both classes are needed`},
		"one class, ks":  {map[string]any{"metrics": []string{"ks"}}, good.Take([]int{1}), `metric ks of origin: 1 of 1 labels are of the positive class`},
		"unknown metric": {map[string]any{"metrics": []string{"roc"}}, good, `parameter "metrics" names "roc", which does not exist (metrics are auc, ks,`},
		"psi":            {map[string]any{"metrics": []string{"psi"}}, good, `metric psi of origin: it compares two populations`},
		"missing score":  {nil, prediction([]int64{0, 1}, []float64{0.1, math.NaN()}, nil), `column "predict_score" has no value in the row of `},
	} {
		t.Run(name, func(t *testing.T) {
			r := evaluate(t, c.parameters, c.frame).Parties[guest]
			require.Equal(t, openflow.TaskFailed, r.Status)
			require.Contains(t, r.Error, c.message)
		})
	}
}
