package lr

import (
	"context"
	"math"

	"openflow"
	"openflow/components/lr/he"
)

// guest is the guest's side of a training.
type guest struct {
	*session
	parameters parameters
	plan       plan
	rows       *rows
	validate   *rows // nil without validate_data
	labels     []int // class of each row, by index
	classes    classes
	before     classes     // of the model that a warm start continues
	unscaled   bool        // the table has columns that were warned of
	previous   []estimator // of a warm start; nil otherwise
	encoder    *he.Encoder
	party      *he.Party       // under the key of the current round
	columns    [][]*he.Columns // per batch and round
	norms      bool            // the arbiter wants the length of the epoch's step
}

func (s *session) trainGuest(ctx context.Context, p parameters) error {
	g := &guest{session: s, parameters: p}
	fault, err := g.prepare(ctx)
	if err != nil {
		fault = faultOf(err, "the input of "+s.guest.String()+" is not usable"+elsewhere)
	}
	g.plan.Fault = fault
	for _, to := range s.others() {
		if sendErr := s.task.SendJSON(ctx, to, tagPlan, g.plan); sendErr != nil && err == nil {
			err = sendErr
		}
	}
	switch {
	case err != nil:
		return err
	case fault != "":
		return refusal("no training", fault)
	}
	if g.norms, err = s.awaitStart(ctx); err != nil {
		return err
	}
	if g.encoder, err = he.NewEncoder(s.parallel(ctx)); err != nil {
		return err
	}
	if g.columns, err = s.encode(g.encoder, g.plan, 0, g.rows); err != nil {
		return err
	}
	if err := s.warnOfLoneRows(ctx, g.plan, g.rows); err != nil {
		return err
	}
	var list []estimator
	var weights [][]float64
	var outcomes []trained
	s.begin(g.plan, g.parameters, g.rows)
	for k, class := range g.positives() {
		e, w, o, err := g.trainModel(ctx, k, class)
		if err != nil {
			return err
		}
		list, weights, outcomes = append(list, e), append(weights, w), append(outcomes, g.named(o, class))
	}
	return g.finish(ctx, list, weights, outcomes)
}

// prepare reads the inputs and makes the plan. fault is for everybody's eyes, err for the guest's own.
func (g *guest) prepare(ctx context.Context) (fault string, err error) {
	s, t := g.session, g.session.task
	given := g.parameters
	if err := s.checkArbiter(); err != nil {
		return "", err
	}
	if t.HasInput(warmStart) {
		m, list, err := loadModel(ctx, t, warmStart)
		if err != nil {
			return "", err
		}
		g.previous, g.parameters = list, g.parameters.warm(m.Meta)
		g.before = m.Meta.Labels
	}
	if g.rows, g.validate, err = s.readTraining(ctx); err != nil {
		return "", err
	}
	if g.labels, g.classes, err = g.rows.labels(t); err != nil {
		return "", err
	}
	if g.previous != nil {
		if err := g.classes.continues(g.before, t); err != nil {
			return "", err
		}
	}
	if g.unscaled, err = warnOfScales(ctx, t, g.rows); err != nil {
		return "", err
	}
	if err := g.classes.warn(ctx, t); err != nil {
		return "", err
	}
	mine := enrolmentOf(g.rows, g.validate)
	mine.Models = len(g.previous)
	hosts, fault, err := s.enrol(ctx, mine)
	if err != nil || fault != "" {
		return fault, err
	}
	if g.previous != nil && len(g.previous) != len(g.positives()) {
		return "", openflow.Errorf(openflow.CodeInvalid, "warm_start_model of %s has %d models, the labels need %d", t.Party(), len(g.previous), len(g.positives())).
			WithPublic("warm_start_model does not have one model for each class")
	}
	if len(hosts) > 1 && g.parameters.EarlyStop != "weight_diff" {
		return "early_stop " + g.parameters.EarlyStop + " needs the loss, which exists with one host only (use weight_diff)", nil
	}
	g.plan = g.makePlan(hosts)
	g.plan.Settings = given.settings()
	return "", s.checkPlan(g.plan, given, g.parameters)
}

func enrolmentOf(train, validate *rows) enrolment {
	e := enrolment{Rows: train.count(), Columns: len(train.columns), Digest: train.digest}
	if validate != nil {
		e.Validate = validate.digest
	}
	return e
}

func (g *guest) makePlan(hosts []enrolment) plan {
	p := plan{
		Rows: g.rows.count(), BatchRows: g.parameters.batchRows(g.rows.count()), Epochs: g.parameters.Epochs, Models: len(g.positives()),
		Columns: []int{len(g.rows.columns)}, Intercept: g.parameters.Init.FitIntercept, Precision: g.parameters.fractionBits(he.MaxPrecision),
	}
	widest, perColumn := p.Columns[0], g.task.Policy().CoordinatedLR.RowsPerColumn
	if p.Intercept {
		p.Columns[0]++
	}
	for _, h := range hosts {
		p.Columns = append(p.Columns, h.Columns)
		widest, perColumn = max(widest, h.Columns), max(perColumn, h.Ratio)
	}
	p.LeastRows = rowsFor(widest, perColumn)
	widestBatch := 0
	for _, b := range p.batches() {
		widestBatch = max(widestBatch, b.rows())
	}
	p.Block = he.NewLayout(widestBatch, p.Columns).Block
	return p
}

// positives lists the class that each model calls positive, by its index.
func (g *guest) positives() []int { return g.classes.positives() }

// named puts the class that a model calls positive to its outcome, where there are several.
func (g *guest) named(o outcome, class int) trained {
	if g.plan.Models == 1 {
		return trained{outcome: o}
	}
	return trained{outcome: o, class: g.classes.name(class)}
}

// trainModel trains the k-th model, which tells that class from all others.
func (g *guest) trainModel(ctx context.Context, k, class int) (estimator, []float64, outcome, error) {
	own, err := newSlice(g.parameters, g.rows, g.parameters.Init.FitIntercept)
	if err != nil {
		return estimator{}, nil, outcome{}, err
	}
	if g.previous != nil {
		if err := own.continueFrom(g.task, g.previous[k], g.rows.names); err != nil {
			return estimator{}, nil, outcome{}, err
		}
	}
	y := signs(g.labels, class)
	o, err := g.epochs(ctx, g.follow(g.plan, k, g.classes.name(class)), g.norms, own, func(epoch, b int, part span) error {
		return g.batch(ctx, own, y, epoch, b, part)
	})
	if err != nil {
		return estimator{}, nil, outcome{}, err
	}
	e := own.record(g.parameters, g.rows.names, o)
	e.FitIntercept = &g.parameters.Init.FitIntercept
	return e, own.weights, o, nil
}

// batch is the guest's part of one batch.
func (g *guest) batch(ctx context.Context, own *slice, y []float64, epoch, b int, part span) error {
	z := g.rows.score(own.weights, part.lo, part.hi)
	d := make([]float64, len(z))
	for i := range d {
		d[i] = z[i]/4 - y[part.lo+i]/2
	}
	if err := g.plan.checkScores(g.task, d); err != nil {
		return err
	}
	loss := g.ownLoss(own, z, y[part.lo:part.hi])
	if err := checkLoss(g.task, loss); err != nil {
		return err
	}
	var gradient []float64
	for round, columns := range g.columns[b] {
		withLoss := g.plan.withLoss() && round == 0
		var err error
		if g.party, err = g.receiveKey(ctx, g.encoder); err != nil {
			return err
		}
		scores, hostLoss, err := g.exchange(ctx, d, part, withLoss)
		if err != nil {
			return err
		}
		sealed, mask, err := g.party.Multiply(columns, scores)
		if err != nil {
			return err
		}
		message := sealed.Encode()
		if withLoss {
			sum, err := g.party.Dot(crossTerm(d), scores, hostLoss, loss, g.plan.layout())
			if err != nil {
				return err
			}
			message = append(message, sum.Encode()...)
		}
		values, err := g.openGradient(ctx, message, mask)
		if err != nil {
			return err
		}
		gradient = append(gradient, values...)
	}
	local := g.rows.dotColumns(d, part.lo, part.hi, own.intercept)
	return own.step(g.task, mean(gradient, local, part.rows()), epoch)
}

// exchange swaps encrypted vectors with the hosts. They get d plus what the other hosts sent. The guest gets the sum of
// their scores and, when it is withLoss, a lone host's part of the loss.
func (g *guest) exchange(ctx context.Context, d []float64, part span, withLoss bool) (scores, hostLoss he.Vector, err error) {
	layout := g.plan.layout()
	residual, err := g.party.Encrypt(d, layout)
	if err != nil {
		return scores, hostLoss, err
	}
	// A lone host waits for nothing but this.
	if len(g.hosts) == 1 {
		if err := g.task.Send(ctx, g.hosts[0], tagResidual, residual.Encode()); err != nil {
			return scores, hostLoss, err
		}
	}
	list := make([]he.Vector, len(g.hosts))
	for h, host := range g.hosts {
		message, err := g.task.Receive(ctx, host, tagScores)
		if err != nil {
			return scores, hostLoss, err
		}
		size := min(he.VectorSize(layout.Blocks(part.rows())), len(message))
		if list[h], err = he.ParseVector(message[:size], layout.Blocks(part.rows())); err != nil {
			return scores, hostLoss, err
		}
		if withLoss {
			if hostLoss, err = he.ParseVector(message[size:], 1); err != nil {
				return scores, hostLoss, err
			}
		}
	}
	if scores, err = g.sum(list, -1); err != nil || len(g.hosts) == 1 {
		return scores, hostLoss, err
	}
	for h, host := range g.hosts {
		others, err := g.sum(list, h)
		if err != nil {
			return scores, hostLoss, err
		}
		if others, err = g.party.Add(residual, others); err != nil {
			return scores, hostLoss, err
		}
		if err := g.task.Send(ctx, host, tagResidual, others.Encode()); err != nil {
			return scores, hostLoss, err
		}
	}
	return scores, hostLoss, nil
}

// sum adds all vectors but the one with index skip.
func (g *guest) sum(list []he.Vector, skip int) (total he.Vector, err error) {
	first := true
	for i, v := range list {
		switch {
		case i == skip:
		case first:
			total, first = v, false
		default:
			if total, err = g.party.Add(total, v); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// The loss of a batch is Σ ln 2 − ½y·z + ⅛z² with z = z_g + z_h. What mixes both sides is ⟨z_g − 2y, ¼z_h⟩ = ⟨4d, ¼z_h⟩;
// the host adds ⅛z_h².
//
// Spec: fate-components §6.1 (Objective).
func crossTerm(d []float64) []float64 {
	c := make([]float64, len(d))
	for i := range d {
		c[i] = 4 * d[i]
	}
	return c
}

func (g *guest) ownLoss(own *slice, z, y []float64) float64 {
	sum := float64(len(z)) * (math.Ln2 + own.penaltyLoss())
	for i := range z {
		sum += z[i]*z[i]/8 - y[i]*z[i]/2
	}
	return sum
}

// finish saves the model and the predictions of the training rows, and of validate_data below them, and warns of models
// that have learnt nothing.
func (g *guest) finish(ctx context.Context, list []estimator, weights [][]float64, outcomes []trained) error {
	threshold, precision := g.parameters.Threshold, g.plan.Precision
	m, err := newModel(meta{
		Epochs: g.parameters.Epochs, BatchSize: g.parameters.BatchSize, Scheduler: g.parameters.Scheduler, Init: &g.parameters.Init,
		Optimizer: g.parameters.Optimizer, Labels: g.classes, Threshold: &threshold, Precision: &precision, Columns: g.rows.spreads(),
	}, list)
	if err != nil {
		return err
	}
	scores, err := g.collect(ctx, g.rows, weights)
	if err != nil {
		return err
	}
	out := predictor{classes: g.classes, threshold: threshold, kind: "train_set"}.frame(g.rows, scores)
	if g.validate != nil {
		validated, err := g.collect(ctx, g.validate, weights)
		if err != nil {
			return err
		}
		if err := out.Append(predictor{classes: g.classes, threshold: threshold, kind: "validate_set"}.frame(g.validate, validated)); err != nil {
			return err
		}
		g.judgeValidation(validated, outcomes)
	}
	if err := g.task.SaveModel(ctx, outputModel, m); err != nil {
		return err
	}
	if err := g.task.SaveTable(ctx, trainOutput, out); err != nil {
		return err
	}
	for k, class := range g.positives() {
		found := judge(scores[k], signs(g.labels, class), g.coefficients())
		outcomes[k].found = &found
		g.task.Log().Info("quality on the training rows", "positive", g.classes.name(class), "auc", found.auc, "log_loss", found.loss,
			"log_loss_of_a_constant", found.constant)
	}
	return g.warn(ctx, g.parameters, outcomes, g.unscaled)
}

// coefficients is how many the parties fit together, the intercept aside: a constant has that too.
func (g *guest) coefficients() int {
	n := 0
	for i := range g.plan.Columns {
		n += g.plan.features(i)
	}
	return n
}

// judgeValidation puts to each model how well it does on the rows of validate_data, where these have labels and both kinds.
func (g *guest) judgeValidation(scores [][]float64, outcomes []trained) {
	index, found, err := g.validate.labels(g.task)
	if err != nil {
		g.task.Log().Info("the rows of validate_data cannot be judged", "reason", err.Error())
		return
	}
	for k, class := range g.positives() {
		for i := range found.count() {
			if found.name(i) == g.classes.name(class) {
				q := judge(scores[k], signs(index, i), 0)
				outcomes[k].validated = &q
				g.task.Log().Info("quality on the rows of validate_data", "positive", found.name(i), "auc", q.auc, "log_loss", q.loss,
					"log_loss_of_a_constant", q.constant)
			}
		}
	}
}
