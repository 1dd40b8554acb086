package evaluation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"openflow"
	"openflow/sdk/tables"
)

// input is rows of a table of predictions.
type input struct {
	frame  *tables.Frame
	params params
	rows   []int
	made   map[family]data
}

func (in input) labelColumn() string {
	if in.params.Label != nil {
		return *in.params.Label
	}
	return "label"
}

// predictColumn is what a family of metrics judges. Upstream compares the classes' probabilities with the labels unless
// the multi set is asked for by its name; here each metric gets what it can judge.
func (in input) predictColumn(of family) string {
	switch {
	case in.params.Predict != nil:
		return *in.params.Predict
	case of == several:
		return "predict_result"
	}
	return "predict_score"
}

// data gives the rows' labels and predictions as the family compares them.
func (in input) data(of family) (data, error) {
	if d, made := in.made[of]; made {
		return d, nil
	}
	d, err := in.compare(of)
	if err == nil {
		in.made[of] = d
	}
	return d, err
}

func (in input) compare(of family) (data, error) {
	label, err := in.column(in.labelColumn())
	if err != nil {
		return data{}, err
	}
	predicted, err := in.column(in.predictColumn(of))
	if err != nil {
		return data{}, err
	}
	switch of {
	case binary:
		return in.binary(label, predicted)
	case several:
		return in.several(label, predicted), nil
	case regression:
	}
	d := data{}
	if d.labels, err = in.numbers(in.labelColumn(), label); err != nil {
		return data{}, err
	}
	d.scores, err = in.numbers(in.predictColumn(of), predicted)
	return d, err
}

// column finds a column, which may be the label, and refuses missing values.
func (in input) column(name string) (tables.Vector, error) {
	v, err := in.frame.Feature(name)
	if l := in.frame.Schema.Label; l != nil && l.Name == name {
		v, err = in.frame.Label, nil
	}
	if err != nil {
		return v, openflow.Errorf(openflow.CodeOf(err), "%w", err).WithPublic("its input lacks the column of labels or of predictions")
	}
	missing := slices.IndexFunc(v.Floats, math.IsNaN)
	if v.DType.Kind() == tables.Text {
		missing = slices.Index(v.Strings, "")
	}
	if missing >= 0 {
		return v, openflow.Errorf(openflow.CodeInvalid, "column %q has no value in %s", name, in.frame.RowName(missing))
	}
	return v, nil
}

func (in input) numbers(name string, v tables.Vector) ([]float64, error) {
	if v.DType.Kind() == tables.Text {
		return nil, openflow.Errorf(openflow.CodeInvalid, "column %q is text, want numbers", name).
			WithPublic("a column that it is to compare holds text")
	}
	values := v.Float64s()
	out := make([]float64, len(in.rows))
	for i, r := range in.rows {
		out[i] = values[r]
	}
	return out, nil
}

// named gives the classes of the rows of v as text: 1, 1.0 and true are one class, the texts "01" and "1" are two. The
// number 0.1 is one class in both types of floats.
func (in input) named(v tables.Vector) []string {
	names := make([]string, len(in.rows))
	values, bits := v.Float64s(), 64
	if v.DType == tables.Float32 {
		bits = 32
	}
	for i, r := range in.rows {
		if v.DType.Kind() == tables.Text {
			names[i] = v.Strings[r]
		} else {
			names[i] = strconv.FormatFloat(values[r], 'f', -1, bits)
		}
	}
	return names
}

// distinct lists the classes that occur, in ascending order: numbers by their value, or as text.
func distinct(text bool, lists ...[]string) []string {
	seen := map[string]float64{}
	for _, list := range lists {
		for _, name := range list {
			if _, known := seen[name]; !known {
				seen[name], _ = strconv.ParseFloat(name, 64) // 0 for all that is text
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		if !text && seen[a] != seen[b] {
			return cmp.Compare(seen[a], seen[b])
		}
		return strings.Compare(a, b)
	})
}

// binary makes labels of 1 for the positive class and 0 for the other. The greater of two classes is the positive one, as
// where the model was trained. Which classes there are is told by the details of the predictions, or else by the labels.
func (in input) binary(label, predicted tables.Vector) (data, error) {
	scores, err := in.numbers(in.predictColumn(binary), predicted)
	if err != nil {
		return data{}, err
	}
	names := in.named(label)
	found := distinct(label.DType.Kind() == tables.Text, in.detailed(), names)
	positive := "1"
	switch {
	case len(found) > 2:
		return data{}, openflow.Errorf(openflow.CodeInvalid, "label %q has %d values (%s); the binary metrics compare two classes", in.labelColumn(), len(found), few(found)).
			WithHint("set default_eval_setting to multi, or metrics to multi_accuracy, multi_precision, multi_recall, multi_confusion_matrix")
	case len(found) == 2:
		positive = found[1]
	}
	d := data{labels: make([]float64, len(names)), scores: scores}
	for i, name := range names {
		if name == positive {
			d.labels[i] = 1
		}
	}
	return d, nil
}

// few shows the first of a list.
func few(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// detailed lists the classes that the first row's predict_detail names; none where there is no such column, or it holds
// something else.
func (in input) detailed() []string {
	v, err := in.frame.Feature("predict_detail")
	if err != nil || len(v.Strings) == 0 {
		return nil
	}
	text := strings.ReplaceAll(strings.Trim(v.Strings[0], `"`), "'", `"`)
	var byClass map[string]float64
	if json.Unmarshal([]byte(text), &byClass) != nil {
		return nil
	}
	var names []string
	for name := range byClass {
		if name != "predict_score" { // of a regression
			names = append(names, name)
		}
	}
	return names
}

// several gives labels and predicted classes as indices of the classes that occur.
func (in input) several(label, predicted tables.Vector) data {
	labels, results := in.named(label), in.named(predicted)
	text := label.DType.Kind() == tables.Text || predicted.DType.Kind() == tables.Text
	d := data{classes: distinct(text, labels, results), text: text}
	index := map[string]float64{}
	for i, name := range d.classes {
		index[name] = float64(i)
	}
	for i := range labels {
		d.labels, d.scores = append(d.labels, index[labels[i]]), append(d.scores, index[results[i]])
	}
	return d
}

// poor lists in which respects, of those that were asked for, the predictions are worse than a constant.
func (in input) poor(metrics []metric) []string {
	var list []string
	asked := func(name string) bool {
		return slices.ContainsFunc(metrics, func(m metric) bool { return m.name == name })
	}
	ofFamily := func(f family) bool { return slices.ContainsFunc(metrics, func(m metric) bool { return m.family == f }) }
	if d, err := in.data(binary); err == nil && ofFamily(binary) {
		if text := poorRanking(d); text != "" {
			list = append(list, text)
		}
		judged := slices.ContainsFunc([]string{"binary_accuracy", "binary_precision", "binary_recall", "binary_f1_score"}, asked)
		if text := oneSided(d); text != "" && judged {
			list = append(list, text)
		} else if a, err := binaryAccuracy(d); err == nil && asked("binary_accuracy") && poorAccuracy(a, majority(d.labels)) {
			list = append(list, belowMajority(a, majority(d.labels)))
		}
	}
	if ofFamily(several) {
		if d, err := in.data(several); err == nil {
			if majority(d.scores) == 1 && majority(d.labels) < 1 {
				list = append(list, fmt.Sprintf("all %d rows are predicted as %.40q: a constant predicts as well, and the other labels have recall 0", len(d.scores), d.classes[int(d.scores[0])]))
			} else if a, err := multiAccuracy(d); err == nil && poorAccuracy(a, majority(d.labels)) {
				list = append(list, belowMajority(a, majority(d.labels)))
			}
		}
	}
	if asked("r2_score") {
		if d, err := in.data(regression); err == nil {
			if v, err := r2(d); err == nil && v < 0 {
				list = append(list, fmt.Sprintf("r2_score %.3f is below 0: the mean of the labels predicts better", v))
			} else if err == nil && v == 0 {
				list = append(list, "r2_score is 0: the mean of the labels predicts as well")
			}
		}
	}
	return list
}

// poorRanking says that the scores rank the rows no better than chance, or no better than what chance easily reaches on so
// few rows. It is empty when they do, or when no ranking of so few rows could.
func poorRanking(d data) string {
	a, err := auc(d)
	if err != nil {
		return ""
	}
	reached := half + 2*spreadOfAUC(d)
	switch {
	case slices.Min(d.scores) == slices.Max(d.scores):
		return fmt.Sprintf("all %d scores are %.3g: they rank no row above another, so AUC is 0.5, and a constant is as good", len(d.scores), d.scores[0])
	case a < half:
		return fmt.Sprintf("AUC %.3f is below 0.5: the scores rank the rows worse than chance, so the model learned nothing, or the wrong way round", a)
	case a <= reached && reached < 1:
		return fmt.Sprintf("AUC %.3f is no more than chance: scores that say nothing reach %.3f on %d rows of these labels", a, reached, len(d.scores))
	}
	return ""
}

// poorAccuracy reports whether a constant is right as often. Where all labels are alike nothing can be better.
func poorAccuracy(accuracy, share float64) bool { return share < 1 && accuracy <= share }

func belowMajority(accuracy, share float64) string {
	if accuracy == share {
		return fmt.Sprintf("accuracy %.3f is the share of the most frequent label: a constant predicts as well", accuracy)
	}
	return fmt.Sprintf("accuracy %.3f is below %.3f, the share of the most frequent label: a constant predicts better", accuracy, share)
}

// oneSided says that all rows are on one side of the threshold, though labels are of both kinds; empty when they are not.
func oneSided(d data) string {
	c := rank(d).at(half)
	switch {
	case c.tp+c.fn == 0 || c.tn+c.fp == 0:
		return ""
	case c.tp+c.fp == 0:
		return fmt.Sprintf("no score of %.0f rows is above %g, so no row is predicted positive: precision and recall are 0. "+
			"The model ranks the rows by its scores; where the class is rare, choose a lower threshold for it", c.n(), half)
	case c.tn+c.fn == 0:
		return fmt.Sprintf("every score of %.0f rows is above %g, so every row is predicted positive. "+
			"The model ranks the rows by its scores; choose a higher threshold for it", c.n(), half)
	}
	return ""
}

// majority is the share of the most frequent value.
func majority(values []float64) float64 {
	counts, most := map[float64]int{}, 0
	for _, v := range values {
		counts[v]++
		most = max(most, counts[v])
	}
	return float64(most) / float64(len(values))
}
