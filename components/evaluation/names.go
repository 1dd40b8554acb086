package evaluation

import (
	"slices"
	"strings"

	"openflow"
)

// data is what one metric judges: labels and predictions of the same rows, at least one. What the numbers are is a matter
// of the metric's family.
type data struct {
	labels, scores []float64
	classes        []string // of the family several: the values that the numbers stand for
	text           bool     // these are texts
}

// family says what a metric compares.
type family int

const (
	binary     family = iota // labels 1 for the positive class and 0 for the other, with scores
	several                  // classes by their index, with predicted classes
	regression               // numbers with numbers
)

type metric struct {
	name    string
	family  family
	compute func(data) (any, error) // an entry, or for ks a list of two
}

// all lists every metric in upstream's order, and multi_confusion_matrix, which is ours. psi, population stability, is named
// there and cannot work there.
//
// Spec: fate-components §7.1.
func all() []metric {
	return []metric{
		single("auc", binary, auc), {"ks", binary, ks},
		single("binary_accuracy", binary, binaryAccuracy), single("binary_precision", binary, binaryPrecision),
		single("binary_recall", binary, binaryRecall), single("binary_f1_score", binary, binaryF1),
		single("multi_accuracy", several, multiAccuracy), single("multi_precision", several, multiPrecision),
		single("multi_recall", several, multiRecall), single("multi_f1_score", several, multiF1),
		{"multi_confusion_matrix", several, multiConfusion},
		table("confusion_matrix", confusionMatrix), table("lift", lift), table("gain", gain),
		table("biclass_precision_table", precisionTable), table("biclass_recall_table", recallTable),
		table("biclass_accuracy_table", accuracyTable), table("fscore_table", fscoreTable),
		{"psi", regression, unavailable},
		single("rmse", regression, rmse), single("mse", regression, mse), single("mae", regression, mae), single("r2_score", regression, r2),
	}
}

var sets = map[string][]string{
	"binary": {"auc", "ks", "confusion_matrix", "gain", "lift", "biclass_precision_table", "biclass_recall_table",
		"biclass_accuracy_table", "fscore_table"},
	"multi":      {"multi_accuracy", "multi_precision", "multi_recall"},
	"regression": {"rmse", "mae", "mse", "r2_score"},
}

// choose finds the metrics that the parameters ask for.
func (p params) choose() ([]metric, error) {
	names := p.Metrics
	if len(names) == 0 {
		names = sets[p.Setting]
	}
	known := all()
	chosen := make([]metric, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(known, func(m metric) bool { return m.name == strings.ToLower(name) })
		if i < 0 {
			list := make([]string, len(known))
			for i, m := range known {
				list[i] = m.name
			}
			return nil, openflow.Errorf(openflow.CodeInvalid, "parameter \"metrics\" names %q, which does not exist", name).
				WithPublic("parameter \"metrics\" names one that does not exist").
				WithHint("metrics are %s", strings.Join(list, ", "))
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

func single(name string, of family, f func(data) (float64, error)) metric {
	return metric{name, of, func(d data) (any, error) {
		v, err := f(d)
		return entry{name, number(v)}, err
	}}
}

func table(name string, f func(data) (*object, error)) metric {
	return metric{name, binary, func(d data) (any, error) {
		v, err := f(d)
		return entry{name, v}, err
	}}
}

func unavailable(data) (any, error) {
	return nil, openflow.Errorf(openflow.CodeUnimplemented, "it compares two populations, and an evaluation has one").
		WithPublic("it cannot compute the metric psi")
}
