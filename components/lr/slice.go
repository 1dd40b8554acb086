package lr

import (
	crand "crypto/rand"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"openflow"
	"openflow/sdk/component"
)

// slice is one party's own part of a model while it is trained: its coefficients, and the guest's intercept as the last
// entry. It never leaves the party.
type slice struct {
	weights   []float64
	intercept bool
	penalty   string
	alpha     float64
	optimizer *optimizer
	schedule  schedule
	moved     []float64 // steps of the current epoch, summed over its batches
}

// maxCoefficient is where upstream gives up.
//
// Spec: fate-components §6.0.
const maxCoefficient = 1e8

func newSlice(p parameters, r *rows, intercept bool) (*slice, error) {
	n := len(r.columns)
	if intercept {
		n++
	}
	o, err := newOptimizer(p.Optimizer, n)
	if err != nil {
		return nil, err
	}
	sched, err := newSchedule(p.Scheduler, o.rate)
	if err != nil {
		return nil, err
	}
	w, err := initial(p.Init, r, n)
	return &slice{
		weights: w, intercept: intercept, penalty: p.Optimizer.Penalty, alpha: p.Optimizer.Alpha,
		optimizer: o, schedule: sched, moved: make([]float64, n),
	}, err
}

// initial makes n coefficients to start with. A random_state gives the same numbers for the same table every time, but not
// torch's. All parties read the random_state; so the party's own columns are part of the seed. Who knew where a host
// starts, and had it train with steps that move nothing, would know what its scores are made of.
//
// Spec: fate-components §2 (init_param).
func initial(set initSet, r *rows, n int) ([]float64, error) {
	w := make([]float64, n)
	var seed [32]byte
	if set.RandomState != nil {
		seed = r.seed(*set.RandomState)
	} else if _, err := crand.Read(seed[:]); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "no randomness for the initial coefficients: %w", err)
	}
	random := rand.New(rand.NewChaCha8(seed))
	for i := range w {
		switch set.Method {
		case "ones":
			w[i] = 1
		case "consts":
			w[i] = set.FillVal
		case "random":
			w[i] = random.NormFloat64()
		case "random_uniform":
			w[i] = random.Float64()
		}
	}
	return w, nil
}

// penalized calls f for every coefficient that the penalty acts on: all but the intercept.
func (s *slice) penalized(f func(i int)) {
	n := len(s.weights)
	if s.intercept {
		n--
	}
	for i := range n {
		f(i)
	}
}

// step moves the coefficients by the mean gradient g of a batch.
//
// Spec: fate-components §6.1 (Penalty). Upstream's l1 divides by the root of an epoch index that starts at 0; here it
// starts at 1.
func (s *slice) step(t *component.Task, g []float64, epoch int) error {
	if s.penalty == "l2" {
		s.penalized(func(i int) { g[i] += s.alpha * s.weights[i] })
	}
	lr := s.schedule(epoch)
	for i, d := range s.optimizer.step(g, lr) {
		s.weights[i] -= d
		s.moved[i] += d
	}
	if s.penalty == "l1" {
		shrink := s.alpha * lr / math.Sqrt(float64(epoch+1))
		s.penalized(func(i int) {
			s.weights[i] = math.Copysign(max(0, math.Abs(s.weights[i])-shrink), s.weights[i])
		})
	}
	for i, w := range s.weights {
		if !(math.Abs(w) <= maxCoefficient) || !s.optimizer.finite(i) {
			return openflow.Errorf(openflow.CodeInvalid, "value(s) greater than %g found in model param of %s", maxCoefficient, t.Party()).
				WithPublic("training diverges").
				WithHint("training diverges: scale the columns to mean 0 and standard deviation 1 before they are uploaded, or lower optimizer.optimizer_params.lr")
		}
	}
	return nil
}

// penaltyLoss is this party's part of the reported loss. The intercept counts for l2, as upstream has it.
func (s *slice) penaltyLoss() float64 {
	sum := 0.0
	switch s.penalty {
	case "l2":
		for _, w := range s.weights {
			sum += s.alpha / 2 * w * w
		}
	case "l1":
		s.penalized(func(i int) { sum += s.alpha * math.Abs(s.weights[i]) })
	}
	return sum
}

// endEpoch returns the squared length of the epoch's step and begins a new one.
func (s *slice) endEpoch() float64 {
	sum := 0.0
	for i, m := range s.moved {
		sum += m * m
		s.moved[i] = 0
	}
	return sum
}

// encodeNumbers renders values for decodeNumbers: 8 bytes each.
func encodeNumbers(values []float64) []byte {
	out := make([]byte, 0, 8*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}

// decodeNumbers reads exactly n finite numbers. Errors: CodeInvalid.
func decodeNumbers(data []byte, n int) ([]float64, error) {
	if len(data) != 8*n {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a message holds %d bytes, not %d numbers", len(data), n).
			WithPublic("a message has another length than it should")
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		if math.IsNaN(values[i]) || math.IsInf(values[i], 0) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "a message holds a number that is not finite").
				WithPublic("a message holds a number that is not finite")
		}
	}
	return values, nil
}
