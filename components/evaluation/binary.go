package evaluation

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"openflow"
)

// counts is how predictions at one threshold compare with labels. Positive is label 1 of data; predicted positive is a score
// above the threshold.
type counts struct{ tp, fp, tn, fn float64 }

func (c counts) n() float64 { return c.tp + c.fp + c.tn + c.fn }

// ranking is the rows of a binary problem, best score first, ready to count at any threshold.
type ranking struct {
	scores    []float64 // descending
	positives []int     // positives[i] is how many of the first i rows are positive
}

func rank(d data) ranking {
	order := make([]int, len(d.scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.scores[b], d.scores[a]) })
	r := ranking{scores: make([]float64, len(order)), positives: make([]int, len(order)+1)}
	for i, row := range order {
		r.scores[i] = d.scores[row]
		r.positives[i+1] = r.positives[i]
		if d.labels[row] == 1 {
			r.positives[i+1]++
		}
	}
	return r
}

func (r ranking) at(threshold float64) counts {
	above := sort.Search(len(r.scores), func(i int) bool { return !(r.scores[i] > threshold) })
	tp, all := r.positives[above], r.positives[len(r.scores)]
	return counts{
		tp: float64(tp), fp: float64(above - tp), fn: float64(all - tp), tn: float64(len(r.scores) - above - (all - tp)),
	}
}

// both refuses data of one class only, for which a curve means nothing.
func (r ranking) both() error {
	n, positive := len(r.scores), r.positives[len(r.scores)]
	if positive == 0 || positive == n {
		return openflow.Errorf(openflow.CodeInvalid, "%d of %d labels are of the positive class; both classes are needed", positive, n)
	}
	return nil
}

// auc is the chance that a positive row scores above a negative one, a tie counting one half.
func auc(d data) (float64, error) {
	r := rank(d)
	if err := r.both(); err != nil {
		return 0, err
	}
	wins := 0.0
	for lo := 0; lo < len(r.scores); {
		hi := lo + 1
		for hi < len(r.scores) && r.scores[hi] == r.scores[lo] {
			hi++
		}
		positive := float64(r.positives[hi] - r.positives[lo])
		negative := float64(hi-lo) - positive
		wins += negative * (float64(r.positives[lo]) + positive/2)
		lo = hi
	}
	positive := float64(r.positives[len(r.scores)])
	return wins / (positive * (float64(len(r.scores)) - positive)), nil
}

// spreadOfAUC is the standard deviation of the AUC of scores that say nothing of the labels, which are of both kinds.
func spreadOfAUC(d data) float64 {
	positive := 0.0
	for _, l := range d.labels {
		positive += l
	}
	n := float64(len(d.labels))
	return math.Sqrt((n + 1) / (12 * positive * (n - positive)))
}

// half is the threshold of the single figures.
const half = 0.5

func binaryAccuracy(d data) (float64, error) {
	c := rank(d).at(half)
	return (c.tp + c.tn) / c.n(), nil
}

// binaryPrecision is 0 when no row is predicted positive, as in scikit-learn.
func binaryPrecision(d data) (float64, error) {
	c := rank(d).at(half)
	return ratio(c.tp, c.tp+c.fp, 0), nil
}

// binaryRecall is 0 when no row is positive, as in scikit-learn.
func binaryRecall(d data) (float64, error) {
	c := rank(d).at(half)
	return ratio(c.tp, c.tp+c.fn, 0), nil
}

func binaryF1(d data) (float64, error) {
	c := rank(d).at(half)
	return ratio(2*c.tp, 2*c.tp+c.fp+c.fn, 0), nil
}

func ratio(part, whole, otherwise float64) float64 {
	if whole == 0 {
		return otherwise
	}
	return part / whole
}
