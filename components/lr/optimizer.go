package lr

import (
	"math"
	"slices"

	"openflow"
)

// optimizer takes torch's steps on one party's coefficients. All methods work coordinate by coordinate, which is why
// every party can run its own. Like upstream's it moves a shadow vector that starts at zero and hands out the
// differences, so weight_decay acts on the distance from the initial coefficients.
//
// Spec: fate-components §6.1 (item 6, Scheduler).
type optimizer struct {
	rule  rule
	rate  float64 // learning rate of the options
	decay float64 // weight_decay
	sign  float64 // −1 when maximizing
	state optimizerState
}

// optimizerState is what a model keeps for a warm start.
type optimizerState struct {
	Steps  int         `json:"steps"`
	Shadow []float64   `json:"shadow"`
	Slots  [][]float64 `json:"slots"` // by the rule's own order
}

// rule turns gradient g, at step t from 1 with learning rate lr, into a step; it may use slots of g's length, zero at
// first.
type rule struct {
	slots  int
	fill   float64 // what slot 0 begins with
	step   func(t int, lr float64, g []float64, slots [][]float64, out []float64)
	lrless float64 // torch's default learning rate
}

// newOptimizer reads the options of the torch optimizer set.Method for that many coefficients. Errors: CodeInvalid (an
// unknown or bad option), CodeUnimplemented (a method that is not offered).
func newOptimizer(set optimizerSet, coefficients int) (*optimizer, error) {
	r := newReader("optimizer "+set.Method, set.Options)
	var u rule
	switch set.Method {
	case "sgd":
		u = sgd(r)
	case "adam":
		u = adam(r)
	case "rmsprop":
		u = rmsprop(r)
	case "adagrad":
		u = adagrad(r)
	default:
		return nil, openflow.Errorf(openflow.CodeUnimplemented, "optimizer %q is not offered", set.Method).
			WithPublic("coordinated_lr does not offer that optimizer").
			WithHint("use sgd, adam, rmsprop or adagrad")
	}
	o := &optimizer{rule: u, rate: r.number("lr", u.lrless, 0), decay: r.number("weight_decay", 0, 0), sign: 1}
	if !(o.rate > 0) {
		r.fail("lr is %v, want more than 0", o.rate)
	}
	if r.flag("maximize") {
		o.sign = -1
	}
	o.state.Shadow = make([]float64, coefficients)
	for i := range u.slots {
		slot := make([]float64, coefficients)
		if i == 0 {
			for j := range slot {
				slot[j] = u.fill
			}
		}
		o.state.Slots = append(o.state.Slots, slot)
	}
	return o, r.end()
}

// restore continues where s was saved.
func (o *optimizer) restore(s optimizerState) error {
	fits := len(s.Shadow) == len(o.state.Shadow) && len(s.Slots) == len(o.state.Slots) &&
		!slices.ContainsFunc(s.Slots, func(slot []float64) bool { return len(slot) != len(s.Shadow) })
	if !fits {
		return openflow.Errorf(openflow.CodeInvalid, "the optimizer's state in the model does not fit its coefficients").
			WithPublic("the warm_start_model does not fit")
	}
	o.state = s
	return nil
}

// step returns what to subtract from the coefficients for gradient g.
func (o *optimizer) step(g []float64, lr float64) []float64 {
	o.state.Steps++
	d := make([]float64, len(g))
	for i := range g {
		d[i] = o.sign*g[i] + o.decay*o.state.Shadow[i]
	}
	out := make([]float64, len(g))
	o.rule.step(o.state.Steps, lr, d, o.state.Slots, out)
	for i := range out {
		o.state.Shadow[i] -= out[i]
	}
	return out
}

// finite reports whether what the optimizer keeps of coefficient i is a number: squares may overflow where steps do not.
func (o *optimizer) finite(i int) bool {
	return !slices.ContainsFunc(o.state.Slots, func(slot []float64) bool { return math.IsInf(slot[i], 0) || math.IsNaN(slot[i]) })
}

func sgd(r *reader) rule {
	momentum, dampening, nesterov := r.number("momentum", 0, 0), r.number("dampening", 0, math.Inf(-1)), r.flag("nesterov")
	if nesterov && (momentum == 0 || dampening != 0) {
		r.fail("nesterov requires a momentum and zero dampening")
	}
	if momentum == 0 {
		return rule{lrless: 1e-3, step: func(_ int, lr float64, g []float64, _ [][]float64, out []float64) {
			for i := range g {
				out[i] = lr * g[i]
			}
		}}
	}
	return rule{lrless: 1e-3, slots: 1, step: func(t int, lr float64, g []float64, slots [][]float64, out []float64) {
		buf := slots[0]
		for i := range g {
			buf[i] = momentum*buf[i] + (1-dampening)*g[i]
			if t == 1 {
				buf[i] = g[i]
			}
			out[i] = lr * buf[i]
			if nesterov {
				out[i] = lr * (g[i] + momentum*buf[i])
			}
		}
	}}
}

func adam(r *reader) rule {
	b1, b2 := r.pair("betas", 0.9, 0.999)
	eps, amsgrad := r.number("eps", 1e-8, 0), r.flag("amsgrad")
	return rule{lrless: 1e-3, slots: 3, step: func(t int, lr float64, g []float64, slots [][]float64, out []float64) {
		mean, square, greatest := slots[0], slots[1], slots[2]
		c1, c2 := 1-math.Pow(b1, float64(t)), math.Sqrt(1-math.Pow(b2, float64(t)))
		for i := range g {
			mean[i] = b1*mean[i] + (1-b1)*g[i]
			square[i] = b2*square[i] + (1-b2)*g[i]*g[i]
			greatest[i] = max(greatest[i], square[i])
			v := square[i]
			if amsgrad {
				v = greatest[i]
			}
			out[i] = lr / c1 * mean[i] / (math.Sqrt(v)/c2 + eps)
		}
	}}
}

func rmsprop(r *reader) rule {
	alpha, eps := r.number("alpha", 0.99, 0), r.number("eps", 1e-8, 0)
	momentum, centered := r.number("momentum", 0, 0), r.flag("centered")
	return rule{lrless: 1e-2, slots: 3, step: func(_ int, lr float64, g []float64, slots [][]float64, out []float64) {
		square, mean, buf := slots[0], slots[1], slots[2]
		for i := range g {
			square[i] = alpha*square[i] + (1-alpha)*g[i]*g[i]
			v := square[i]
			if centered {
				mean[i] = alpha*mean[i] + (1-alpha)*g[i]
				v = max(0, v-mean[i]*mean[i]) // rounding may push it below zero
			}
			buf[i] = momentum*buf[i] + g[i]/(math.Sqrt(v)+eps)
			out[i] = lr * buf[i]
		}
	}}
}

func adagrad(r *reader) rule {
	decay, fill, eps := r.number("lr_decay", 0, 0), r.number("initial_accumulator_value", 0, 0), r.number("eps", 1e-10, 0)
	return rule{lrless: 1e-2, slots: 1, fill: fill, step: func(t int, lr float64, g []float64, slots [][]float64, out []float64) {
		sum := slots[0]
		for i := range g {
			sum[i] += g[i] * g[i]
			out[i] = lr / (1 + float64(t-1)*decay) * g[i] / (math.Sqrt(sum[i]) + eps)
		}
	}}
}
