package evaluation

import "math"

// cut is one row of a table: a share of the ranking and the score at which it ends.
type cut struct{ share, threshold float64 }

const steps = 100

// share gives 0.00, 0.01 … 0.99 exactly as a division does, so that n·share is cut off where upstream cuts it off.
func share(i int) float64 { return float64(i) / steps }

// indexCuts takes thresholds at equal distances in the ranking of all rows.
//
// Spec: fate-components §7.1 (index cut).
func (r ranking) indexCuts() []cut { return cutsOf(r.scores) }

// stepCuts takes thresholds at equal distances in the ranking of the distinct scores.
//
// Spec: fate-components §7.1 (step cut).
func (r ranking) stepCuts() []cut {
	var distinct []float64
	for i, s := range r.scores {
		if i == 0 || s != r.scores[i-1] {
			distinct = append(distinct, s)
		}
	}
	return cutsOf(distinct)
}

// closedCuts are stepCuts and one more below the last, at which everything is predicted positive or nearly so.
func (r ranking) closedCuts() []cut {
	cuts := r.stepCuts()
	return append(cuts, cut{1, cuts[steps-1].threshold - 0.001})
}

func cutsOf(scores []float64) []cut {
	cuts := make([]cut, steps)
	for i := range cuts {
		cuts[i] = cut{share(i), scores[int(float64(len(scores))*share(i))]}
	}
	return cuts
}

// tabulate makes one column per function of the counts at each cut.
func (r ranking) tabulate(cuts []cut, of func(counts) []float64) [][]float64 {
	var columns [][]float64
	for _, c := range cuts {
		row := of(r.at(c.threshold))
		if columns == nil {
			columns = make([][]float64, len(row))
		}
		for i, v := range row {
			columns[i] = append(columns[i], v)
		}
	}
	return columns
}

func shares(cuts []cut) []number {
	out := make([]number, len(cuts))
	for i, c := range cuts {
		out[i] = number(c.share)
	}
	return out
}

func thresholds(cuts []cut) []number {
	out := make([]number, len(cuts))
	for i, c := range cuts {
		out[i] = number(c.threshold)
	}
	return out
}

// ks gives the largest distance of the two rates, and the curve. It is the one metric with two entries.
func ks(d data) (any, error) {
	r := rank(d)
	if err := r.both(); err != nil {
		return nil, err
	}
	cuts := r.indexCuts()
	rates := r.tabulate(cuts, func(c counts) []float64 { return []float64{c.tp / (c.tp + c.fn), c.fp / (c.fp + c.tn)} })
	best := math.Inf(-1)
	for i, tpr := range rates[0] {
		best = max(best, tpr-rates[1][i])
	}
	cuts = append(cuts, cut{1, 0})
	curve := columns("tpr", numbers(append(rates[0], 1)), "fpr", numbers(append(rates[1], 1)),
		"threshold", thresholds(cuts), "cuts", shares(cuts))
	return []entry{{"ks", number(best)}, {"ks_table", curve}}, nil
}

func confusionMatrix(d data) (*object, error) {
	r := rank(d)
	cuts := r.indexCuts()
	c := r.tabulate(cuts, func(c counts) []float64 { return []float64{c.tp, c.tn, c.fp, c.fn} })
	return columns("tp", numbers(c[0]), "tn", numbers(c[1]), "fp", numbers(c[2]), "fn", numbers(c[3]),
		"cuts", shares(cuts), "threshold", thresholds(cuts)), nil
}

// swapped is the counts as class 0 sees them.
func (c counts) swapped() counts { return counts{tp: c.tn, fp: c.fn, tn: c.tp, fn: c.fp} }

func gain(d data) (*object, error) {
	return pairTable(d, "gainx", "gainy", func(c counts) float64 { return ratio(c.tp, c.tp+c.fn, 1) })
}

func lift(d data) (*object, error) {
	return pairTable(d, "liftx", "lifty", func(c counts) float64 {
		base := (c.tp + c.fn) / c.n()
		if base == 0 {
			return math.MaxFloat64
		}
		return ratio(c.tp, c.tp+c.fp, 1) / base
	})
}

// pairTable has, at each cut, one value for class 0 and one for class 1.
func pairTable(d data, xName, yName string, y func(counts) float64) (*object, error) {
	r := rank(d)
	cuts := r.stepCuts()
	xs, ys := make([][2]number, len(cuts)), make([][2]number, len(cuts))
	for i, cut := range cuts {
		for class, c := range []counts{r.at(cut.threshold).swapped(), r.at(cut.threshold)} {
			xs[i][class] = number((c.tp + c.fp) / c.n())
			ys[i][class] = number(y(c))
		}
	}
	return columns(xName, xs, yName, ys, "threshold", thresholds(cuts)), nil
}

func precisionTable(d data) (*object, error) {
	return closedTable(d, "p", func(c counts) float64 { return ratio(c.tp, c.tp+c.fp, 1) })
}

func recallTable(d data) (*object, error) {
	return closedTable(d, "r", func(c counts) float64 { return ratio(c.tp, c.tp+c.fn, 0) })
}

func closedTable(d data, name string, of func(counts) float64) (*object, error) {
	r := rank(d)
	cuts := r.closedCuts()
	values := r.tabulate(cuts, func(c counts) []float64 { return []float64{of(c)} })
	return columns(name, numbers(values[0]), "threshold", thresholds(cuts), "cuts", shares(cuts)), nil
}

// accuracyTable leaves out the last of the closed cuts, as upstream does.
func accuracyTable(d data) (*object, error) {
	r := rank(d)
	cuts := r.stepCuts()
	values := r.tabulate(cuts, func(c counts) []float64 { return []float64{(c.tp + c.tn) / c.n()} })
	return columns("accuracy", numbers(values[0]), "threshold", thresholds(cuts), "cuts", shares(cuts)), nil
}

// fscoreTable has fixed thresholds instead of ones from the scores.
func fscoreTable(d data) (*object, error) {
	r := rank(d)
	cuts := make([]cut, steps)
	for i := range cuts {
		cuts[i] = cut{share(i), share(i)}
	}
	values := r.tabulate(cuts, func(c counts) []float64 {
		p, q := ratio(c.tp, c.tp+c.fp, 1), ratio(c.tp, c.tp+c.fn, 0)
		const tiny = 1e-6
		return []float64{2 * p * q / orTiny(p+q, tiny)}
	})
	return columns("f_score", numbers(values[0]), "threshold", thresholds(cuts), "cuts", shares(cuts)), nil
}

func orTiny(x, tiny float64) float64 {
	if x == 0 {
		return tiny
	}
	return x
}
