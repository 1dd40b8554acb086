package lr

import (
	"context"
	"slices"

	"openflow"
	"openflow/components/lr/he"
)

// host is a host's side of a training.
type host struct {
	*session
	parameters parameters
	plan       plan
	rows       *rows
	validate   *rows // nil without validate_data
	previous   []estimator
	encoder    *he.Encoder
	columns    [][]*he.Columns // per batch and round
	norms      bool
}

func (s *session) trainHost(ctx context.Context, p parameters) error {
	h := &host{session: s, parameters: p}
	mine, err := h.prepare(ctx)
	if err != nil {
		mine = enrolment{Fault: true}
	}
	if sendErr := s.task.SendJSON(ctx, s.guest, tagRows, mine); err == nil {
		err = sendErr
	}
	if err != nil {
		return err
	}
	if h.plan, err = s.receivePlan(ctx); err != nil {
		return err
	}
	if h.plan.Fault != "" {
		return endedBy(s.guest, "no training", h.plan.Fault)
	}
	if err := h.agree(ctx, p); err != nil {
		return err
	}
	if h.norms, err = s.awaitStart(ctx); err != nil {
		return err
	}
	if h.encoder, err = he.NewEncoder(s.parallel(ctx)); err != nil {
		return err
	}
	if h.columns, err = s.encode(h.encoder, h.plan, h.index(), h.rows); err != nil {
		return err
	}
	if err := s.warnOfLoneRows(ctx, h.plan, h.rows); err != nil {
		return err
	}
	var list []estimator
	var weights [][]float64
	var outcomes []trained
	s.begin(h.plan, h.parameters, h.rows)
	for k := range h.plan.Models {
		e, w, o, err := h.trainModel(ctx, k)
		if err != nil {
			return err
		}
		list, weights, outcomes = append(list, e), append(weights, w), append(outcomes, trained{outcome: o})
	}
	if err := h.finish(ctx, list, weights); err != nil {
		return err
	}
	return s.warn(ctx, h.parameters, outcomes, false)
}

func (h *host) prepare(ctx context.Context) (enrolment, error) {
	s := h.session
	if err := s.checkArbiter(); err != nil {
		return enrolment{}, err
	}
	h.parameters.Init.FitIntercept = false
	if s.task.HasInput(warmStart) {
		m, list, err := loadModel(ctx, s.task, warmStart)
		if err != nil {
			return enrolment{}, err
		}
		h.previous, h.parameters = list, h.parameters.warm(m.Meta)
	}
	var err error
	if h.rows, h.validate, err = s.readTraining(ctx); err != nil {
		return enrolment{}, err
	}
	if _, err = warnOfScales(ctx, s.task, h.rows); err != nil {
		return enrolment{}, err
	}
	mine := enrolmentOf(h.rows, h.validate)
	mine.Models, mine.Ratio = len(h.previous), max(0, s.task.Policy().CoordinatedLR.RowsPerColumn)
	return mine, nil
}

// index is this host's place in plan.Columns.
func (h *host) index() int { return 1 + slices.Index(h.hosts, h.task.Party()) }

// agree checks the plan, reserves the scores that the training ends with, and tells the arbiter. given are the parameters
// as submitted.
func (h *host) agree(ctx context.Context, given parameters) error {
	err := h.checkPlan(given)
	if err == nil {
		err = h.spendScores(ctx, h.rows, h.plan.Models)
	}
	word := agreement{Fault: err != nil}
	if err == nil {
		word.Digest, err = h.plan.digest()
	}
	if sendErr := h.task.SendJSON(ctx, h.arbiter, tagAgreed, word); err == nil {
		err = sendErr
	}
	return err
}

// checkPlan refuses a plan that is not about this host's table, or not what this host was asked for.
func (h *host) checkPlan(given parameters) error {
	if err := h.session.checkPlan(h.plan, given, h.parameters); err != nil {
		return err
	}
	if h.plan.Rows != h.rows.count() || h.plan.Columns[h.index()] != len(h.rows.columns) || h.previous != nil && h.plan.Models != len(h.previous) {
		text := "the guest's training plan does not fit the table of %s"
		return openflow.Errorf(openflow.CodeInvalid, text, h.task.Party()).WithPublic(text, h.task.Party())
	}
	return nil
}

func (h *host) trainModel(ctx context.Context, k int) (estimator, []float64, outcome, error) {
	own, err := newSlice(h.parameters, h.rows, false)
	if err != nil {
		return estimator{}, nil, outcome{}, err
	}
	if h.previous != nil {
		if err := own.continueFrom(h.task, h.previous[k], h.rows.names); err != nil {
			return estimator{}, nil, outcome{}, err
		}
	}
	o, err := h.epochs(ctx, h.follow(h.plan, k, ""), h.norms, own, func(epoch, b int, part span) error {
		return h.batch(ctx, own, epoch, b, part)
	})
	if err != nil {
		return estimator{}, nil, outcome{}, err
	}
	return own.record(h.parameters, h.rows.names, o), own.weights, o, nil
}

// batch is the host's part of one batch.
func (h *host) batch(ctx context.Context, own *slice, epoch, b int, part span) error {
	quarter := h.rows.score(own.weights, part.lo, part.hi)
	squares := 0.0
	for i := range quarter {
		squares += quarter[i] * quarter[i] / 8
		quarter[i] /= 4
	}
	if err := h.plan.checkScores(h.task, quarter); err != nil {
		return err
	}
	loss := squares + float64(part.rows())*own.penaltyLoss()
	if err := checkLoss(h.task, loss); err != nil {
		return err
	}
	var gradient []float64
	for round, columns := range h.columns[b] {
		values, err := h.round(ctx, quarter, loss, columns, part, h.plan.withLoss() && round == 0)
		if err != nil {
			return err
		}
		gradient = append(gradient, values...)
	}
	local := h.rows.dotColumns(quarter, part.lo, part.hi, false)
	return own.step(h.task, mean(gradient, local, part.rows()), epoch)
}

// round swaps vectors with the guest under a fresh key and has the gradient of some columns opened.
func (h *host) round(ctx context.Context, quarter []float64, loss float64, columns *he.Columns, part span, withLoss bool) ([]float64, error) {
	party, err := h.receiveKey(ctx, h.encoder)
	if err != nil {
		return nil, err
	}
	scores, err := party.Encrypt(quarter, h.plan.layout())
	if err != nil {
		return nil, err
	}
	message := scores.Encode()
	if withLoss {
		sum, err := party.EncryptSum(loss)
		if err != nil {
			return nil, err
		}
		message = append(message, sum.Encode()...)
	}
	if err := h.task.Send(ctx, h.guest, tagScores, message); err != nil {
		return nil, err
	}
	if message, err = h.task.Receive(ctx, h.guest, tagResidual); err != nil {
		return nil, err
	}
	residual, err := he.ParseVector(message, h.plan.layout().Blocks(part.rows()))
	if err != nil {
		return nil, err
	}
	sealed, mask, err := party.Multiply(columns, residual)
	if err != nil {
		return nil, err
	}
	return h.openGradient(ctx, sealed.Encode(), mask)
}

// finish gives the guest the scores that it needs to predict, and saves the model.
func (h *host) finish(ctx context.Context, list []estimator, weights [][]float64) error {
	if err := h.sendPartial(ctx, h.rows, weights); err != nil {
		return err
	}
	if h.validate != nil {
		if err := h.sendPartial(ctx, h.validate, weights); err != nil {
			return err
		}
	}
	precision := h.plan.Precision
	m, err := newModel(meta{
		Epochs: h.parameters.Epochs, BatchSize: h.parameters.BatchSize, Scheduler: h.parameters.Scheduler, Init: &h.parameters.Init,
		Optimizer: h.parameters.Optimizer, LabelCount: labelCount(h.plan.Models), Precision: &precision, Columns: h.rows.spreads(),
	}, list)
	if err != nil {
		return err
	}
	return h.task.SaveModel(ctx, outputModel, m)
}

// labelCount is what upstream's host writes: false for two classes.
func labelCount(models int) any {
	if models == 1 {
		return false
	}
	return models
}
