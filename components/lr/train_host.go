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
	party      *he.Party
	columns    []*he.Columns // per batch
	norms      bool
	unscaled   bool // the table has columns that were warned of
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
	if err := h.checkPlan(); err != nil {
		return err
	}
	if h.party, h.norms, err = s.receiveKey(ctx); err != nil {
		return err
	}
	if h.columns, err = s.encode(h.party, h.plan, h.rows, false); err != nil {
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
	return s.warn(ctx, h.parameters, outcomes, h.unscaled)
}

func (h *host) prepare(ctx context.Context) (enrolment, error) {
	s := h.session
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
	if h.unscaled, err = warnOfScales(ctx, s.task, h.rows); err != nil {
		return enrolment{}, err
	}
	mine := enrolmentOf(h.rows, h.validate)
	mine.Models = len(h.previous)
	return mine, nil
}

// checkPlan refuses a plan that is not about this host's table.
func (h *host) checkPlan() error {
	columns := h.plan.Columns[1+slices.Index(h.hosts, h.task.Party())]
	if h.plan.Rows != h.rows.count() || columns != len(h.rows.columns) || h.previous != nil && h.plan.Models != len(h.previous) {
		return openflow.Errorf(openflow.CodeInvalid, "the guest's training plan does not fit the table of %s", h.task.Party()).
			WithPublic("the guest's training plan does not fit the table of %s", h.task.Party())
	}
	return nil
}

func (h *host) trainModel(ctx context.Context, k int) (estimator, []float64, outcome, error) {
	own, err := newSlice(h.parameters, len(h.rows.columns), false)
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
	scores, err := h.party.Encrypt(quarter, h.plan.layout())
	if err != nil {
		return err
	}
	message := scores.Encode()
	if h.plan.withLoss() {
		sum, err := h.party.EncryptSum(squares + float64(part.rows())*own.penaltyLoss())
		if err != nil {
			return err
		}
		message = append(message, sum.Encode()...)
	}
	if err := h.task.Send(ctx, h.guest, tagScores, message); err != nil {
		return err
	}
	if message, err = h.task.Receive(ctx, h.guest, tagResidual); err != nil {
		return err
	}
	residual, err := he.ParseVector(message, h.plan.layout().Blocks(part.rows()))
	if err != nil {
		return err
	}
	sealed, mask, err := h.party.Multiply(h.columns[b], residual)
	if err != nil {
		return err
	}
	gradient, err := h.openGradient(ctx, sealed.Encode(), mask)
	if err != nil {
		return err
	}
	local := h.rows.dotColumns(quarter, part.lo, part.hi, false)
	return own.step(h.task, mean(gradient, local, part.rows()), epoch)
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
		Optimizer: h.parameters.Optimizer, LabelCount: labelCount(h.plan.Models), Precision: &precision,
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
