package evaluation

import (
	"slices"
	"strconv"
)

// perClass counts, for every class that occurs as label or prediction, in ascending order.
type perClass struct{ predicted, labelled, both float64 }

func classes(d data) []perClass {
	names := slices.Concat(d.labels, d.scores)
	slices.Sort(names)
	names = slices.Compact(names)
	counts := make([]perClass, len(names))
	for i, label := range d.labels {
		l, _ := slices.BinarySearch(names, label)
		p, _ := slices.BinarySearch(names, d.scores[i])
		counts[l].labelled++
		counts[p].predicted++
		if l == p {
			counts[l].both++
		}
	}
	return counts
}

func multiAccuracy(d data) (float64, error) {
	right := 0
	for i, label := range d.labels {
		if label == d.scores[i] {
			right++
		}
	}
	return float64(right) / float64(len(d.labels)), nil
}

// multiPrecision is the mean over classes; a class that is never predicted counts 0, as in scikit-learn.
func multiPrecision(d data) (float64, error) {
	return macro(d, func(c perClass) (float64, float64) { return c.both, c.predicted }), nil
}

// multiRecall is the mean over classes; a class that is no row's label counts 0.
func multiRecall(d data) (float64, error) {
	return macro(d, func(c perClass) (float64, float64) { return c.both, c.labelled }), nil
}

// multiConfusion counts, for each label, how often each class was predicted. Labels and classes are the table's own values.
func multiConfusion(d data) (any, error) {
	values := make([]any, len(d.classes))
	counts := make([][]int, len(d.classes)) // [predicted][label]
	for i, name := range d.classes {
		values[i], counts[i] = name, make([]int, len(d.classes))
		if v, err := strconv.ParseFloat(name, 64); !d.text && err == nil {
			values[i] = number(v)
		}
	}
	for i, label := range d.labels {
		counts[int(d.scores[i])][int(label)]++
	}
	table := columns("label", values)
	for i, name := range d.classes {
		table.set("predicted_"+name, counts[i])
	}
	return entry{"multi_confusion_matrix", table}, nil
}

// multiF1 is the micro average, which for one class per row equals accuracy.
func multiF1(d data) (float64, error) { return multiAccuracy(d) }

func macro(d data, of func(perClass) (part, whole float64)) float64 {
	counts, sum := classes(d), 0.0
	for _, c := range counts {
		if part, whole := of(c); whole > 0 {
			sum += part / whole
		}
	}
	return sum / float64(len(counts))
}
