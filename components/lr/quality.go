package lr

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"openflow/sdk/component"
)

// quality is how well scores tell the rows of one class from the others.
type quality struct {
	auc      float64 // the chance that a row of the class scores above another one, a tie counting one half
	loss     float64 // mean log loss of the probabilities
	constant float64 // the same of the class's share as everybody's probability: what a model without columns reaches
}

// judge compares scores z with labels y of +1 and −1; both occur.
func judge(z, y []float64) quality {
	var q quality
	positives := 0.0
	for i := range z {
		q.loss += softplus(-y[i]*z[i]) / float64(len(z))
		if y[i] > 0 {
			positives++
		}
	}
	negatives := float64(len(z)) - positives
	share := positives / float64(len(z))
	q.constant = -share*math.Log(share) - (1-share)*math.Log(1-share)
	order := make([]int, len(z))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(z[a], z[b]) })
	wins, below := 0.0, 0.0 // below: negatives with a lower score
	for lo := 0; lo < len(order); {
		hi, won := lo, 0.0
		for ; hi < len(order) && z[order[hi]] == z[order[lo]]; hi++ {
			if y[order[hi]] > 0 {
				won++
			}
		}
		lost := float64(hi-lo) - won
		wins += won * (below + lost/2)
		below += lost
		lo = hi
	}
	q.auc = wins / (positives * negatives)
	return q
}

// softplus is ln(1 + eˣ), also where eˣ is beyond all numbers.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// useless reports whether a constant predicts as well.
func (q quality) useless() bool { return !(q.auc > 0.5 && q.loss < q.constant) }

func (q quality) String() string {
	return fmt.Sprintf("AUC %.3f, where a constant has 0.5, and log loss %.3f, where a constant has %.3f", q.auc, q.loss, q.constant)
}

// Settings that train a model on scaled columns of most data sets. The documents' jobs have them too.
const (
	soundMethod = "adam"
	soundRate   = 0.1
	soundAlpha  = 0.01
	soundEpochs = 50
)

// advice lists which parameters to set to what, in words that follow "set". rising: the loss went up. unscaled: columns
// are to be scaled before, so that the sound settings are right and how the loss went says nothing of the rate.
func (p parameters) advice(rising, unscaled bool) string {
	var list []string
	rate, _ := p.Optimizer.Options["lr"].(float64)
	rising = rising && !unscaled
	switch {
	case unscaled && p.Optimizer.Method == soundMethod && rate > soundRate:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %g instead of %g", soundRate, rate))
	case rising && rate > 0:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %.2g instead of %g", rate/10, rate))
	case !rising && p.Optimizer.Method != soundMethod:
		list = append(list, fmt.Sprintf("optimizer.method to %s with optimizer_params {lr: %g} instead of %s with lr %g", soundMethod, soundRate, p.Optimizer.Method, rate))
	case !rising && rate < soundRate:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %g instead of %g", soundRate, rate))
	}
	if p.Optimizer.Penalty != "none" && p.Optimizer.Alpha > soundAlpha {
		list = append(list, fmt.Sprintf("optimizer.alpha to %g instead of %g", soundAlpha, p.Optimizer.Alpha))
	}
	if p.Init.Method != "zeros" {
		list = append(list, "init_param.method to zeros instead of "+p.Init.Method)
	}
	if !rising && !(unscaled && p.Epochs >= soundEpochs) {
		list = append(list, fmt.Sprintf("epochs to %d instead of %d", max(soundEpochs, 3*p.Epochs), p.Epochs))
	}
	if len(list) == 0 && !unscaled {
		return "a smaller learning rate"
	}
	return strings.Join(list, ", ")
}

// rising reports whether the loss ended above where it began, or has risen in the last epoch by more than a stop would
// look at.
func (o outcome) rising(tol float64) bool {
	n := len(o.losses)
	return n > 1 && (o.losses[n-1] > o.losses[0] || o.losses[n-1] > o.losses[n-2]+tol)
}

// trained is one model as the warnings about it need it.
type trained struct {
	outcome
	class string   // empty: the only model, or a party that knows no classes
	found *quality // nil at a party that does not know the labels
}

// warn tells this party's users of models that a constant would replace and of trainings that were cut off, and what to
// change. A tolerance of 0 asks for exactly that many epochs, so then nothing is cut off.
func (s *session) warn(ctx context.Context, p parameters, list []trained, unscaled bool) error {
	var weak, open []trained
	for _, m := range list {
		if m.found != nil && m.found.useless() {
			weak = append(weak, m)
		}
		if !m.converged && p.Tol > 0 {
			open = append(open, m)
		}
	}
	if len(weak) > 0 {
		m := weak[0]
		subject, verb := "the model"+ofClasses(weak), "is"
		if m.found.auc > 0.5 {
			subject, verb = "the probabilities of "+subject, "are"
		}
		text := fmt.Sprintf("%s %s no better than a constant: on the training rows it has %s", subject, verb, m.found)
		if len(weak) > 1 {
			text += " (class " + m.class + ")"
		}
		if err := s.task.Warn(ctx, "%s. %s", text, remedy(p, m.outcome, unscaled)); err != nil {
			return err
		}
	}
	if len(open) == 0 {
		return nil
	}
	m := open[0]
	text := fmt.Sprintf("the training%s ended after %d epochs without having converged", ofClasses(open), m.epochs)
	if n := len(m.losses); n > 1 {
		text += fmt.Sprintf(": the loss went from %.4f to %.4f, in the last epoch by %.2g; tol is %g", m.losses[0], m.losses[n-1], m.losses[n-1]-m.losses[n-2], p.Tol)
	}
	return s.task.Warn(ctx, "%s. %s", text, remedy(p, m.outcome, unscaled))
}

func remedy(p parameters, o outcome, unscaled bool) string {
	text := "Set "
	settings := p.advice(o.rising(p.Tol), unscaled)
	if unscaled {
		text = "First scale the columns that are named above, and upload the table again"
		if settings == "" {
			return text
		}
		text += "; then set "
	}
	return text + settings + ". All parties need the same"
}

// ofClasses names the models' classes: "", " of class 3", " of classes 1, 2 and 3 more".
func ofClasses(list []trained) string {
	var names []string
	for _, m := range list {
		if m.class != "" {
			names = append(names, m.class)
		}
	}
	const shown = 8
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return " of class " + names[0]
	case n > shown:
		return fmt.Sprintf(" of classes %s and %d more", strings.Join(names[:shown], ", "), n-shown)
	}
	return " of classes " + strings.Join(names, ", ")
}

// Root mean squares of a column between these are near enough to 1: the optimizers' steps suit all of them.
const (
	leastScale = 0.01
	mostScale  = 10
)

// warnOfScales names this party's columns whose numbers are so large or so small that training is likely to diverge or to
// pass them over. The column names are this party's own, and so are the warning and the log.
func warnOfScales(ctx context.Context, t *component.Task, r *rows) (unscaled bool, err error) {
	var named []string
	for j, column := range r.columns {
		size := rootMeanSquare(column)
		if size == 0 || size >= leastScale && size <= mostScale {
			continue
		}
		t.Log().Warn("column is not scaled", "column", r.names[j], "root_mean_square", size)
		named = append(named, fmt.Sprintf("%q (around %.2g)", cut(r.names[j]), size))
	}
	if len(named) == 0 {
		return false, nil
	}
	return true, t.Warn(ctx, "columns of %s are not scaled: %s. Training may diverge or pass them over. Scale them to mean 0 and standard deviation 1 before the table is uploaded",
		t.Party(), listed(named))
}

// listed shows the first of many names.
func listed(names []string) string {
	const shown = 8
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// cut keeps a name short enough for a list of them.
func cut(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return name
}

func rootMeanSquare(values []float64) float64 {
	greatest := 0.0
	for _, v := range values {
		greatest = max(greatest, math.Abs(v))
	}
	if greatest == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v / greatest * (v / greatest)
	}
	return greatest * math.Sqrt(sum/float64(len(values)))
}
