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
	parties    []openflow.Party // in the order of plan.Columns
}

func (s *session) trainArbiter(ctx context.Context, p parameters) error {
	a := &arbiter{session: s, parameters: p, parties: s.data()}
	var err error
	if a.plan, err = s.receivePlan(ctx); err != nil {
		return err
	}
	if a.plan.Fault != "" {
		return endedBy(s.guest, "no training", a.plan.Fault)
	}
	fault, err := a.prepare(ctx, p)
	if err != nil {
		fault = faultOf(err, s.arbiter.String()+" cannot take part"+elsewhere)
	}
	for _, to := range a.parties {
		word := start{Fault: fault, Norms: a.parameters.EarlyStop == "weight_diff"}
		if sendErr := s.task.SendJSON(ctx, to, tagStart, word); sendErr != nil && err == nil {
			err = sendErr
		}
	}
	switch {
	case err != nil:
		return err
	case fault != "":
		return refusal("no training", fault).AsConsequence()
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

// prepare checks the plan and waits for the hosts' agreement. fault is a refusal of a host, for everybody's eyes.
func (a *arbiter) prepare(ctx context.Context, given parameters) (fault string, err error) {
	if a.task.HasInput(warmStart) {
		m, _, err := loadModel(ctx, a.task, warmStart)
		if err != nil {
			return "", err
		}
		a.parameters = given.warm(m.Meta)
		a.parameters.Precision = a.plan.Precision // which the arbiter's model does not keep
	}
	if err := a.checkPlan(a.plan, given, a.parameters); err != nil {
		return "", err
	}
	if a.parameters.EarlyStop != "weight_diff" && !a.plan.withLoss() {
		text := "early_stop %s needs the loss, which exists with one host only"
		return "", openflow.Errorf(openflow.CodeInvalid, text, a.parameters.EarlyStop).WithPublic(text, a.parameters.EarlyStop).
			WithHint("use weight_diff")
	}
	digest, err := a.plan.digest()
	if err != nil {
		return "", err
	}
	for _, h := range a.hosts {
		var word agreement
		if err := a.task.ReceiveJSON(ctx, h, tagAgreed, &word); err != nil {
			return "", err
		}
		switch {
		case fault != "":
		case word.Fault:
			fault = h.String() + " refuses the training plan" + elsewhere
		case word.Digest != digest:
			text := "the guest has sent %s another training plan than %s"
			return "", openflow.Errorf(openflow.CodeRejected, text, h, a.arbiter).WithPublic(text, h, a.arbiter)
		}
	}
	return fault, nil
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
		for round := range a.plan.rounds() {
			l, err := a.round(ctx, part, round)
			if err != nil {
				return 0, err
			}
			loss += l
		}
	}
	return loss, nil
}

// round draws a key, serves every party once under it, and forgets it.
func (a *arbiter) round(ctx context.Context, part span, round int) (loss float64, err error) {
	authority, err := he.NewAuthority(a.parallel(ctx))
	if err != nil {
		return 0, err
	}
	key := authority.PublicKey()
	for _, to := range a.parties {
		if err := a.task.Send(ctx, to, tagKey, key); err != nil {
			return 0, err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range a.parties {
		group.Go(func() error {
			l, err := a.serve(groupCtx, authority, i, part, round)
			if i == 0 {
				loss = l // by the guest's goroutine only
			}
			return err
		})
	}
	return loss, group.Wait()
}

// serve opens one party's gradient of one round, and in the first round of a batch the guest's loss.
func (a *arbiter) serve(ctx context.Context, authority *he.Authority, i int, part span, round int) (loss float64, err error) {
	message, err := a.task.Receive(ctx, a.parties[i], tagGradient)
	if err != nil {
		return 0, err
	}
	query := a.plan.query(i, part, round)
	size := min(he.SealedSize(query.Layout, query.Columns), len(message))
	withLoss := i == 0 && round == 0 && a.plan.withLoss()
	if !withLoss {
		size = len(message) // more than the columns that were announced is refused
	}
	sealed, err := he.ParseSealed(message[:size], query.Layout, query.Columns)
	if err != nil {
		return 0, err
	}
	if withLoss {
		sum, err := he.ParseDot(message[size:])
		if err != nil {
			return 0, err
		}
		total, err := authority.DecryptDot(sum, part.rows())
		if err != nil {
			return 0, err
		}
		loss = total / float64(part.rows())
	}
	answer, err := authority.Decrypt(sealed, query)
	if err != nil {
		return 0, err
	}
	return loss, a.task.Send(ctx, a.parties[i], tagOpened, answer.Encode())
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
