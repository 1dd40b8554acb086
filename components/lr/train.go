package lr

import (
	"context"

	"openflow"
	"openflow/components/lr/he"
)

// What guest and hosts do alike while they train.

// readTraining reads train_data and, when it is bound, validate_data.
func (s *session) readTraining(ctx context.Context) (train, validate *rows, err error) {
	if train, err = s.read(ctx, trainData); err != nil {
		return nil, nil, err
	}
	if s.task.HasInput(validateData) {
		validate, err = s.read(ctx, validateData)
	}
	return train, validate, err
}

func (s *session) read(ctx context.Context, key string) (*rows, error) {
	f, err := s.task.Frame(ctx, key)
	if err != nil {
		return nil, err
	}
	return newRows(s.task, f)
}

// receiveKey waits for the arbiter's public key, and whether it wants norms.
func (s *session) receiveKey(ctx context.Context) (*he.Party, bool, error) {
	message, err := s.task.Receive(ctx, s.arbiter, tagKey)
	if err != nil {
		return nil, false, err
	}
	if len(message) == 0 {
		return nil, false, openflow.Errorf(openflow.CodeInvalid, "the arbiter's key is empty").WithPublic("the arbiter's key is empty")
	}
	p, err := he.NewParty(message[1:], s.parallel(ctx))
	return p, message[0] == 1, err
}

// encode prepares the columns of every batch for all epochs.
func (s *session) encode(p *he.Party, pl plan, r *rows, intercept bool) ([]*he.Columns, error) {
	var list []*he.Columns
	for _, b := range pl.batches() {
		c, err := p.Encode(r.part(b.lo, b.hi, intercept), pl.layout(), pl.Precision)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// epochs runs batches until the arbiter says that training has converged, or the plan ends. It returns how that went.
func (s *session) epochs(ctx context.Context, c *curve, norms bool, own *slice, batch func(epoch, b int, part span) error) (outcome, error) {
	withLoss := c.plan.withLoss() && s.task.Role() == openflow.RoleGuest
	for c.epochs < c.plan.Epochs && !c.converged {
		for b, part := range c.plan.batches() {
			if err := batch(c.epochs, b, part); err != nil {
				return outcome{}, err
			}
		}
		if square := own.endEpoch(); norms {
			if err := s.task.Send(ctx, s.arbiter, tagNorm, encodeNumbers([]float64{square})); err != nil {
				return outcome{}, err
			}
		}
		message, err := s.task.Receive(ctx, s.arbiter, tagConverged)
		if err != nil {
			return outcome{}, err
		}
		end, err := decodeEpochEnd(message, withLoss)
		if err != nil {
			return outcome{}, err
		}
		if err := c.epoch(ctx, end); err != nil {
			return outcome{}, err
		}
	}
	return c.ended(), nil
}

// openGradient has the arbiter decrypt sealed and takes the mask off.
func (s *session) openGradient(ctx context.Context, sealed []byte, mask he.Mask) ([]float64, error) {
	if err := s.task.Send(ctx, s.arbiter, tagGradient, sealed); err != nil {
		return nil, err
	}
	message, err := s.task.Receive(ctx, s.arbiter, tagOpened)
	if err != nil {
		return nil, err
	}
	answer, err := he.ParseAnswer(message, mask.Columns())
	if err != nil {
		return nil, err
	}
	return mask.Open(answer)
}

// mean returns (a + b)/n.
func mean(a, b []float64, n int) []float64 {
	out := make([]float64, len(a))
	for i := range out {
		out[i] = (a[i] + b[i]) / float64(n)
	}
	return out
}
