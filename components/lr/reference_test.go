package lr_test

import (
	"math"
	"slices"
)

// The reference: plaintext training on the joined table with the same objective, start, batches and epochs, written
// without the component's code. Rows are in the order of training; the last weight is the intercept.
type reference struct {
	x     [][]float64                  // [row][column], the guest's columns first
	y     []float64                    // +1, −1
	alpha float64                      // l2
	prox  func(epoch int, w []float64) // after every step; may be nil
}

type referenceRun struct {
	weights []float64
	losses  []float64
}

func (r reference) score(w []float64, i int) float64 {
	z := w[len(w)-1]
	for j, v := range r.x[i] {
		z += w[j] * v
	}
	return z
}

func (r reference) gradient(w []float64, lo, hi int) (g []float64, loss float64) {
	g = make([]float64, len(w))
	for i := lo; i < hi; i++ {
		z := r.score(w, i)
		loss += math.Ln2 - r.y[i]*z/2 + z*z/8
		d := z/4 - r.y[i]/2
		for j, v := range r.x[i] {
			g[j] += d * v
		}
		g[len(w)-1] += d
	}
	n := float64(hi - lo)
	loss /= n
	for j := range g {
		g[j] /= n
		loss += r.alpha / 2 * w[j] * w[j]
		if j < len(w)-1 {
			g[j] += r.alpha * w[j]
		}
	}
	return g, loss
}

// run trains for the given epochs; step turns gradient j of step t into what is subtracted.
func (r reference) run(epochs, batch int, rate func(epoch int) float64, step func(t int, lr float64, j int, g float64) float64) referenceRun {
	out := referenceRun{weights: make([]float64, len(r.x[0])+1)}
	t := 0
	for e := range epochs {
		sum := 0.0
		for lo := 0; lo < len(r.x); lo += batch {
			g, loss := r.gradient(out.weights, lo, min(lo+batch, len(r.x)))
			sum += loss
			t++
			for j := range g {
				out.weights[j] -= step(t, rate(e), j, g[j])
			}
			if r.prox != nil {
				r.prox(e, out.weights)
			}
		}
		out.losses = append(out.losses, sum)
	}
	return out
}

// converged returns the least loss there is: gradient descent on the convex objective until it stands still.
func (r reference) converged() float64 {
	last := math.Inf(1)
	run := referenceRun{weights: make([]float64, len(r.x[0])+1)}
	for range 20_000 {
		g, loss := r.gradient(run.weights, 0, len(r.x))
		for j := range g {
			run.weights[j] -= 0.3 * g[j]
		}
		if last-loss < 1e-10 {
			break
		}
		last = loss
	}
	return last
}

func plainSGD(_ int, lr float64, _ int, g float64) float64 { return lr * g }

func adamStep(columns int) func(int, float64, int, float64) float64 {
	m, v := make([]float64, columns), make([]float64, columns)
	return func(t int, lr float64, j int, g float64) float64 {
		m[j] = 0.9*m[j] + 0.1*g
		v[j] = 0.999*v[j] + 0.001*g*g
		mHat, vHat := m[j]/(1-math.Pow(0.9, float64(t))), v[j]/(1-math.Pow(0.999, float64(t)))
		return lr * mHat / (math.Sqrt(vHat) + 1e-8)
	}
}

func rmspropStep(columns int) func(int, float64, int, float64) float64 {
	v := make([]float64, columns)
	return func(_ int, lr float64, j int, g float64) float64 {
		v[j] = 0.99*v[j] + 0.01*g*g
		return lr * g / (math.Sqrt(v[j]) + 1e-8)
	}
}

// auc is the probability that a positive row scores above a negative one.
func auc(scores []float64, positive func(i int) bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return 0
	})
	var ranks, positives float64
	for lo := 0; lo < len(order); {
		hi := lo
		for hi < len(order) && scores[order[hi]] == scores[order[lo]] {
			hi++
		}
		for _, i := range order[lo:hi] {
			if positive(i) {
				ranks += float64(lo+hi+1) / 2
				positives++
			}
		}
		lo = hi
	}
	negatives := float64(len(order)) - positives
	return (ranks - positives*(positives+1)/2) / (positives * negatives)
}
