package lr

import "math"

// schedule gives the learning rate of an epoch, counted from 0.
type schedule func(epoch int) float64

// newSchedule reads the options of torch's ConstantLR, LinearLR or StepLR.
//
// Spec: fate-components §2 (formulas).
func newSchedule(set schedulerSet, base float64) (schedule, error) {
	r := newReader("learning_rate_scheduler "+set.Method, set.Options)
	var s schedule
	switch set.Method {
	case "linear":
		start, end, total := r.number("start_factor", 1.0/3, 0), r.number("end_factor", 1, 0), r.number("total_iters", 5, 1)
		s = func(epoch int) float64 {
			return base * (start + (end-start)*min(float64(epoch), total)/total)
		}
	case "step":
		if _, ok := r.value("step_size"); !ok {
			r.fail("step_size is required")
		}
		size, gamma := r.number("step_size", 1, 1), r.number("gamma", 0.1, 0)
		s = func(epoch int) float64 { return base * math.Pow(gamma, math.Floor(float64(epoch)/size)) }
	default:
		factor, total := r.number("factor", 1.0/3, 0), r.number("total_iters", 5, 0)
		s = func(epoch int) float64 {
			if float64(epoch) < total {
				return base * factor
			}
			return base
		}
	}
	return s, r.end()
}
