package lr

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/component"
)

// quality is how well scores tell the rows of one class from the others.
type quality struct {
	rows         int
	coefficients int     // that were fitted to these rows; 0: none was
	auc          float64 // the chance that a row of the class scores above another one, a tie counting one half
	spread       float64 // standard deviation of the AUC of scores that say nothing
	loss         float64 // mean log loss of the probabilities
	constant     float64 // the same of the class's share as everybody's probability: what a model without columns reaches
	flat         bool    // all rows have nearly the same score
}

// judge compares scores z with labels y of +1 and −1; both occur. The scores come from so many coefficients that were fitted
// to these rows.
func judge(z, y []float64, coefficients int) quality {
	const alike = 0.01
	q := quality{rows: len(z), coefficients: coefficients, flat: slices.Max(z)-slices.Min(z) < alike}
	positives := 0.0
	for i := range z {
		q.loss += softplus(-y[i]*z[i]) / float64(len(z))
		if y[i] > 0 {
			positives++
		}
	}
	negatives := float64(len(z)) - positives
	q.spread = math.Sqrt((float64(len(z)) + 1) / (12 * positives * negatives))
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

// byChance is how large a statistic easily gets where the columns say nothing: the square of a deviation in units of its
// standard deviation, or a likelihood ratio. It is chi-square with a degree for each coefficient: the mean and three
// standard deviations. Where nothing was fitted, it is two standard deviations of the deviation itself.
func (q quality) byChance() float64 {
	if q.coefficients == 0 {
		return 4
	}
	k := float64(q.coefficients)
	return k + 3*math.Sqrt(2*k)
}

// aucByChance is the AUC that scores which say nothing easily get.
func (q quality) aucByChance() float64 { return min(1, 0.5+q.spread*math.Sqrt(q.byChance())) }

// calibrated reports whether the probabilities are better than a constant's, and not by chance.
func (q quality) calibrated() bool {
	return 2*float64(q.rows)*(q.constant-q.loss) > q.byChance()
}

// ranks reports whether the scores order the rows better than a constant does, and not by chance. Whether they are good
// probabilities is another matter: where a class is rare, the objective makes poor ones of good scores.
func (q quality) ranks() bool {
	return q.auc > 0.5 && (q.auc > q.aucByChance() || q.calibrated())
}

func (q quality) String() string {
	return fmt.Sprintf("AUC %.3f, where a constant has 0.5, and log loss %.3f, where a constant has %.3f", q.auc, q.loss, q.constant)
}

// Settings that train a model on scaled columns of most data sets. The documents' jobs have them too.
const (
	soundMethod = "adam"
	soundRate   = 0.1
	soundAlpha  = 0.01
	soundEpochs = 50
	soundTol    = 1e-4
)

// trend is where a training was going when it ended.
type trend int

const (
	settled trend = iota // it had converged, or the loss hardly changed any more
	falling              // more or greater steps would have helped, or nobody knows
	rising               // the steps were too great
)

// A loss that moves by less than a share of itself is taken for unmoved: over all epochs, and in the last one. A loss above the
// lowest one by less than rise is noise, of batches or of an optimizer that swings.
const (
	unmoved = 1e-3
	resting = 1e-5
	rise    = 0.01
)

// trend judges the training by its losses, as far as they are known.
func (o outcome) trend(p parameters) trend {
	n := len(o.losses)
	if o.converged && p.coarse(o.losses) {
		return falling
	}
	if n > 1 {
		last, lowest := o.losses[n-1], slices.Min(o.losses)
		if o.converged {
			lowest = o.losses[0] // an optimizer that swings may come to rest above its lowest
		}
		margin := max(p.Tol, rise*math.Abs(lowest))
		comesBack := !o.converged && last < o.losses[n-2] && last < o.losses[0] && swings(o.losses, margin) < 2
		if last > lowest+margin && !comesBack {
			return rising
		}
		if math.Abs(last-o.losses[n-2]) <= resting*math.Abs(last) {
			return settled
		}
	}
	if o.converged {
		return settled
	}
	return falling
}

// coarse reports whether the tolerance ends a training while it still gets somewhere.
func (p parameters) coarse(losses []float64) bool {
	n := len(losses)
	return p.Tol > soundTol && p.EarlyStop != "abs" && n > 0 && p.Tol > unmoved*math.Abs(losses[n-1]) &&
		(n == 1 || losses[n-2]-losses[n-1] > unmoved*math.Abs(losses[n-1]))
}

// swings counts how often the losses fell by more than margin after they had risen by more than that. Once is an optimizer
// with momentum that passes the lowest point and comes back.
func swings(losses []float64, margin float64) int {
	count, up, turn := 0, false, losses[0] // turn is the lowest or greatest loss since the last turn
	for _, loss := range losses {
		switch {
		case up && loss < turn-margin:
			count, up, turn = count+1, false, loss
		case !up && loss > turn+margin:
			up, turn = true, loss
		case up:
			turn = max(turn, loss)
		default:
			turn = min(turn, loss)
		}
	}
	return count
}

// stuck reports whether a training got nowhere because its steps were too small: it counts as converged then.
func (m trained) stuck(p parameters) bool {
	rate, _ := p.Optimizer.Options["lr"].(float64)
	if p.Optimizer.Method == soundMethod && rate >= soundRate {
		return false
	}
	n := len(m.losses)
	return m.found != nil && m.found.flat || n > 1 && math.Abs(m.losses[n-1]-m.losses[0]) <= unmoved*math.Abs(m.losses[0])
}

// advice lists which parameters to set to what, in words that follow "set"; empty when there is nothing to set. unscaled:
// columns are to be scaled before, so that the sound settings are right and how the loss went says nothing of the rate.
func (p parameters) advice(to trend, unscaled bool) string {
	var list []string
	rate, _ := p.Optimizer.Options["lr"].(float64)
	if unscaled {
		to = falling
	}
	if up, _ := p.Optimizer.Options["maximize"].(bool); up {
		return "optimizer.optimizer_params.maximize to false: it makes the loss greater"
	}
	switch {
	case unscaled && p.Optimizer.Method == soundMethod && rate > soundRate:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %g instead of %g", soundRate, rate))
	case to == rising && rate > 0:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %.2g instead of %g", rate/10, rate))
	case to == rising:
		list = append(list, "optimizer.optimizer_params.lr to less than the optimizer's own default")
	case to == falling && p.Optimizer.Method != soundMethod:
		list = append(list, fmt.Sprintf("optimizer.method to %s with optimizer_params {lr: %g} instead of %s with lr %g", soundMethod, soundRate, p.Optimizer.Method, rate))
	case to == falling && rate < soundRate:
		list = append(list, fmt.Sprintf("optimizer.optimizer_params.lr to %g instead of %g", soundRate, rate))
	}
	if p.Optimizer.Penalty != "none" && p.Optimizer.Alpha > soundAlpha {
		list = append(list, fmt.Sprintf("optimizer.alpha to %g instead of %g", soundAlpha, p.Optimizer.Alpha))
	}
	if to != settled && p.Init.Method != "zeros" {
		list = append(list, "init_param.method to zeros instead of "+p.Init.Method)
	}
	if to == falling && p.Tol > soundTol {
		list = append(list, fmt.Sprintf("tol to %g instead of %g", soundTol, p.Tol))
	}
	if to == falling && !(unscaled && p.Epochs >= soundEpochs) {
		list = append(list, fmt.Sprintf("epochs to %d instead of %d", max(soundEpochs, 3*p.Epochs), p.Epochs))
	}
	return strings.Join(list, ", ")
}

// trained is one model as the warnings about it need it.
type trained struct {
	outcome
	class     string   // empty: the only model, or a party that knows no classes
	found     *quality // on the training rows; nil at a party that does not know the labels
	validated *quality // on the rows of validate_data; nil where they are not, or have no labels of both kinds
}

// warn tells this party's users of models that a constant would replace and of trainings that were cut off. The guest alone
// says what to change, since it alone knows labels, loss and quality: others could only contradict it.
func (s *session) warn(ctx context.Context, p parameters, list []trained, unscaled bool) error {
	var texts []string
	if s.task.Role() == openflow.RoleGuest {
		texts = p.weaknesses(list, unscaled)
	}
	if text := p.cutOff(list); text != "" && s.task.Role() == openflow.RoleGuest {
		texts = append(texts, text+". "+p.remedyOfCutOff(list, unscaled))
	} else if text != "" {
		texts = append(texts, fmt.Sprintf("%s. The task of %s says what to set", text, s.guest))
	}
	for _, text := range texts {
		if err := s.task.Warn(ctx, "%s", text); err != nil {
			return err
		}
	}
	return nil
}

// weaknesses says which models do not rank the rows, which have poor probabilities only, and which do not rank other rows than
// those that they were trained on.
func (p parameters) weaknesses(list []trained, unscaled bool) []string {
	var weak, skewed, byHeart []trained
	for _, m := range list {
		switch {
		case !m.found.ranks():
			weak = append(weak, m)
		case !m.found.calibrated():
			skewed = append(skewed, m)
		}
		if m.found.ranks() && m.validated != nil && !m.validated.ranks() {
			byHeart = append(byHeart, m)
		}
	}
	var texts []string
	if len(weak) > 0 {
		m := weak[0]
		text := fmt.Sprintf("the model%s is no better than a constant: on the training rows it has %s", ofClasses(weak), m.found)
		if q := m.found; q.auc > 0.5 && q.loss < q.constant {
			text = fmt.Sprintf("the model%s is hardly better than a constant: on the training rows it has %s. "+
				"With %d coefficients, columns that say nothing reach AUC %.3f on such rows", ofClasses(weak), q, q.coefficients, q.aucByChance())
		}
		texts = append(texts, text+ofFirst(weak)+". "+p.remedy(m, p.common(weak), unscaled,
			"The training has converged, so more epochs do not help: the columns may say nothing about this label. Use other columns or more rows"))
	}
	if len(skewed) > 0 {
		m := skewed[0]
		to := p.common(skewed)
		if !m.converged && !m.stuck(p) && to == falling {
			to = settled // the warning of the cut-off has the settings
		}
		texts = append(texts, fmt.Sprintf("the probabilities of the model%s are hardly better than a constant: on the training rows it has %s%s. %s",
			ofClasses(skewed), m.found, ofFirst(skewed), p.remedy(m, to, unscaled,
				"Its scores do rank the rows. Use them for the order, and not as probabilities: training approximates these, and badly where a class is rare")))
	}
	if len(byHeart) > 0 {
		q := byHeart[0].validated
		texts = append(texts, fmt.Sprintf("the model%s does not carry over: on the %d rows of %s it has AUC %.3f, and scores that say nothing reach %.3f; on the training rows it has %.3f%s. "+
			"Use fewer columns, more rows, or a greater optimizer.alpha than %g", ofClasses(byHeart), q.rows, validateData, q.auc, q.aucByChance(),
			byHeart[0].found.auc, ofFirst(byHeart), p.Optimizer.Alpha))
	}
	return texts
}

// ofFirst says whose figures they are when several models share a text.
func ofFirst(list []trained) string {
	if len(list) == 1 {
		return ""
	}
	return " (class " + list[0].class + ")"
}

// open lists the trainings that were cut off. A tolerance of 0 asks for exactly that many epochs, so then nothing is.
func (p parameters) open(list []trained) []trained {
	var open []trained
	for _, m := range list {
		if !m.converged && p.Tol > 0 {
			open = append(open, m)
		}
	}
	return open
}

// cutOff says which trainings were cut off; empty when none was.
func (p parameters) cutOff(list []trained) string {
	open := p.open(list)
	if len(open) == 0 {
		return ""
	}
	m := open[0]
	text := fmt.Sprintf("the training%s ended after %d epochs without having converged", ofClasses(open), m.epochs)
	n := len(m.losses)
	if n > 1 {
		text += fmt.Sprintf(": the loss went from %.4f to %.4f", m.losses[0], m.losses[n-1])
	}
	switch {
	case p.EarlyStop == "weight_diff":
		return text + fmt.Sprintf("; early_stop weight_diff waits for an epoch that moves the coefficients by less than %g (tol)", p.Tol)
	case p.EarlyStop == "abs":
		return text + fmt.Sprintf("; early_stop abs waits for a loss of at most %g (tol)", p.Tol)
	case n > 1:
		return text + fmt.Sprintf(", in the last epoch by %.2g; tol is %g", m.losses[n-1]-m.losses[n-2], p.Tol)
	}
	return text
}

func (p parameters) remedyOfCutOff(list []trained, unscaled bool) string {
	open := p.open(list)
	otherwise := "The loss hardly changes any more: a greater tol ends the training earlier"
	if p.EarlyStop == "abs" {
		otherwise = "The loss hardly changes any more: early_stop diff ends a training for that"
	}
	return p.remedy(open[0], p.common(open), unscaled, otherwise)
}

// common is the trend of several trainings, which share their settings: one that rises needs smaller steps.
func (p parameters) common(list []trained) trend {
	most := settled
	for _, m := range list {
		most = max(most, m.trend(p))
	}
	return most
}

// remedy says what to do about model m, or otherwise where no setting helps.
func (p parameters) remedy(m trained, to trend, unscaled bool, otherwise string) string {
	small := ""
	if to == settled && m.stuck(p) {
		to, small = falling, "The steps are too small for the loss to move. "
	}
	settings := p.advice(to, unscaled)
	const alike = ". All parties need the same"
	switch {
	case unscaled && settings == "":
		return "First scale the columns that are named above, and upload the table again"
	case unscaled:
		return "First scale the columns that are named above, and upload the table again; then set " + settings + alike
	case settings == "":
		return otherwise
	case to == settled:
		return otherwise + "; or set " + settings + alike
	}
	return small + "Set " + settings + alike
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
