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

// awaitStart waits for the arbiter's word that all parties agree, and hears whether it wants norms.
func (s *session) awaitStart(ctx context.Context) (norms bool, err error) {
	var st start
	if err := s.task.ReceiveJSON(ctx, s.arbiter, tagStart, &st); err != nil {
		return false, err
	}
	if st.Fault != "" {
		return false, endedBy(s.arbiter, "no training", st.Fault)
	}
	return st.Norms, nil
}

// endedBy is the end of what another party has refused. Its words are for this party's users; it tells the others itself.
func endedBy(from openflow.Party, what, fault string) error {
	return openflow.Errorf(openflow.CodeInvalid, "%s: %s", what, fault).WithPublic("%s: %s refuses it"+elsewhere, what, from).AsConsequence()
}

// faultOf is what other parties are told of err: its public text, or else only who knows more.
func faultOf(err error, fallback string) string {
	if text := openflow.PublicText(err); text != "" {
		return text
	}
	return fallback
}

// receiveKey waits for the arbiter's public key of the next round.
func (s *session) receiveKey(ctx context.Context, e *he.Encoder) (*he.Party, error) {
	message, err := s.task.Receive(ctx, s.arbiter, tagKey)
	if err != nil {
		return nil, err
	}
	return e.Party(message)
}

// encode prepares the columns of party number i for all epochs: [batch][round].
func (s *session) encode(e *he.Encoder, pl plan, i int, r *rows) ([][]*he.Columns, error) {
	var list [][]*he.Columns
	for _, b := range pl.batches() {
		columns := r.part(b.lo, b.hi, i == 0 && pl.Intercept)
		rounds := make([]*he.Columns, pl.rounds())
		for k := range rounds {
			lo, hi := pl.share(i, k)
			var err error
			if rounds[k], err = e.Encode(columns[lo:hi], pl.layout(), pl.Precision); err != nil {
				return nil, err
			}
		}
		list = append(list, rounds)
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
