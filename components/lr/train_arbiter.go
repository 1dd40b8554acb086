package lr

import (
	"context"
	"math"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/components/lr/he"
)

// arbiter is the arbiter's side of a training. It sees the plan, masked gradients, the loss, and with early_stop
// weight_diff the length of each party's step.
type arbiter struct {
	*session
	parameters parameters
	plan       plan
	authority  *he.Authority
	parties    []openflow.Party // in the order of plan.Columns
}

func (s *session) trainArbiter(ctx context.Context, p parameters) error {
	a := &arbiter{session: s, parameters: p, parties: append([]openflow.Party{s.guest}, s.hosts...)}
	var err error
	if a.plan, err = s.receivePlan(ctx); err != nil {
		return err
	}
	if s.task.HasInput(warmStart) {
		m, _, err := loadModel(ctx, s.task, warmStart)
		if err != nil {
			return err
		}
		a.parameters = p.warm(m.Meta)
	}
	if a.parameters.EarlyStop != "weight_diff" && !a.plan.withLoss() {
		return openflow.Errorf(openflow.CodeInvalid, "early_stop %s needs the loss, which exists with one host only", a.parameters.EarlyStop).
			WithPublic("early_stop needs the loss, which exists with one host only").
			WithHint("use weight_diff")
	}
	if a.authority, err = he.NewAuthority(s.parallel(ctx)); err != nil {
		return err
	}
	key := append([]byte{norms(a.parameters.EarlyStop)}, a.authority.PublicKey()...)
	for _, to := range a.parties {
		if err := s.task.Send(ctx, to, tagKey, key); err != nil {
			return err
		}
	}
	var list []estimator
	var outcomes []trained
	s.begin(a.plan, a.parameters, nil)
	for k := range a.plan.Models {
		e, o, err := a.trainModel(ctx, k)
		if err != nil {
			return err
		}
		list, outcomes = append(list, e), append(outcomes, trained{outcome: o})
	}
	tol := a.parameters.Tol
	m, err := newModel(meta{
		Epochs: a.plan.Epochs, BatchSize: a.parameters.BatchSize, Scheduler: a.parameters.Scheduler, Optimizer: a.parameters.Optimizer,
		EarlyStop: a.parameters.EarlyStop, Tol: &tol,
	}, list)
	if err != nil {
		return err
	}
	if err := s.task.SaveModel(ctx, outputModel, m); err != nil {
		return err
	}
	return s.warn(ctx, a.parameters, outcomes, false)
}

func norms(earlyStop string) byte {
	if earlyStop == "weight_diff" {
		return 1
	}
	return 0
}

func (a *arbiter) trainModel(ctx context.Context, k int) (estimator, outcome, error) {
	stop := stopRule{rule: a.parameters.EarlyStop, tol: a.parameters.Tol}
	tol := a.parameters.Tol
	e := estimator{
		Optimizer: recordOptimizer(a.parameters.Optimizer), EndEpoch: a.plan.Epochs, Tol: &tol, EarlyStop: a.parameters.EarlyStop,
	}
	c := a.follow(a.plan, k, "")
	for c.epochs < a.plan.Epochs && !e.IsConverged {
		loss, err := a.epoch(ctx)
		if err != nil {
			return estimator{}, outcome{}, err
		}
		length, err := a.stepLength(ctx)
		if err != nil {
			return estimator{}, outcome{}, err
		}
		if e.IsConverged = stop.met(c.epochs, loss, length); e.IsConverged {
			e.EndEpoch = c.epochs
		}
		end := epochEnd{converged: e.IsConverged}
		if a.plan.withLoss() {
			end.loss = &loss
		}
		if err := c.epoch(ctx, end); err != nil {
			return estimator{}, outcome{}, err
		}
		if err := a.endEpoch(ctx, end); err != nil {
			return estimator{}, outcome{}, err
		}
	}
	e.Scheduler = recordSchedule(a.parameters.Scheduler, c.epochs)
	return e, c.ended(), nil
}

// endEpoch tells the parties whether training goes on, and the guest the loss.
func (a *arbiter) endEpoch(ctx context.Context, end epochEnd) error {
	for _, to := range a.parties {
		said := end
		if to != a.guest {
			said.loss = nil
		}
		if err := a.task.Send(ctx, to, tagConverged, said.encode()); err != nil {
			return err
		}
	}
	return nil
}

// epoch serves all batches and returns the sum of their losses.
func (a *arbiter) epoch(ctx context.Context) (loss float64, err error) {
	for _, part := range a.plan.batches() {
		group, groupCtx := errgroup.WithContext(ctx)
		for i := range a.parties {
			group.Go(func() error {
				l, err := a.serve(groupCtx, i, part)
				if i == 0 {
					loss += l // by the guest's goroutine only
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return 0, err
		}
	}
	return loss, nil
}

// serve opens one party's gradient of one batch, and the guest's loss.
func (a *arbiter) serve(ctx context.Context, i int, part span) (loss float64, err error) {
	message, err := a.task.Receive(ctx, a.parties[i], tagGradient)
	if err != nil {
		return 0, err
	}
	query := a.plan.query(i, part)
	size := min(he.SealedSize(query.Layout, query.Columns), len(message))
	sealed, err := he.ParseSealed(message[:size], query.Layout, query.Columns)
	if err != nil {
		return 0, err
	}
	answer, err := a.authority.Decrypt(sealed, query)
	if err != nil {
		return 0, err
	}
	if err := a.task.Send(ctx, a.parties[i], tagOpened, answer.Encode()); err != nil {
		return 0, err
	}
	if i != 0 || !a.plan.withLoss() {
		return 0, nil
	}
	sum, err := he.ParseDot(message[size:])
	if err != nil {
		return 0, err
	}
	total, err := a.authority.DecryptDot(sum, part.rows())
	return total / float64(part.rows()), err
}

// stepLength puts the parties' step lengths together; 0 when nobody needs it.
func (a *arbiter) stepLength(ctx context.Context) (float64, error) {
	if a.parameters.EarlyStop != "weight_diff" {
		return 0, nil
	}
	sum := 0.0
	for _, from := range a.parties {
		message, err := a.task.Receive(ctx, from, tagNorm)
		if err != nil {
			return 0, err
		}
		square, err := decodeNumbers(message, 1)
		if err != nil {
			return 0, err
		}
		sum += square[0]
	}
	return math.Sqrt(sum), nil
}

// stopRule decides when training has converged.
//
// Spec: fate-components §6.1 (Stop rules).
type stopRule struct {
	rule string
	tol  float64
	last float64 // loss of the epoch before
}

func (s *stopRule) met(epoch int, loss, length float64) bool {
	last := s.last
	s.last = loss
	switch s.rule {
	case "weight_diff":
		return length < s.tol
	case "abs":
		return loss <= s.tol
	default:
		return epoch > 0 && math.Abs(loss-last) < s.tol
	}
}
