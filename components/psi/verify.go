package psi

import (
	"context"
	"encoding/json"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// verification sums up pairs of points that the other party claims to belong to one id each: one sum a core.
type verification struct {
	task *component.Task
	sums []blind.Pairs
}

func newVerification(t *component.Task) *verification {
	return &verification{task: t, sums: make([]blind.Pairs, t.Cores())}
}

// add takes n pairs.
func (v *verification) add(ctx context.Context, n int, pair func(i int) (mine, theirs blind.Point)) error {
	parts := len(v.sums)
	return v.task.Parallel(ctx, parts, func(part int) error {
		for i := n * part / parts; i < n*(part+1)/parts; i++ {
			if err := v.sums[part].Add(pair(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// check asks peer for the product that only right pairs have.
func (v *verification) check(ctx context.Context, peer openflow.Party) error {
	for i := range v.sums[1:] {
		v.sums[0].Join(&v.sums[1+i])
	}
	question, answer, err := v.sums[0].Question()
	if err != nil {
		return err
	}
	if err := v.task.Send(ctx, peer, tagQuestion, question[:]); err != nil {
		return err
	}
	given, err := receiveChunk(ctx, v.task, peer, tagAnswer, 1, blind.PointSize)
	if err != nil {
		return err // which accuses nobody: an answer that does not come is not a wrong one
	}
	if err := answer.Check(blind.Point(given)); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "%s: %w", peer, err).
			WithPublic("%s claims ids to be shared that are not", peer)
	}
	return nil
}

// answerOnce multiplies the one point that peer may ask about. That tells peer no more than one id more in its list
// would.
func answerOnce(ctx context.Context, t *component.Task, key blind.Key, peer openflow.Party) error {
	question, err := receiveChunk(ctx, t, peer, tagQuestion, 1, blind.PointSize)
	if err != nil {
		return err
	}
	answer, err := key.Raise(blind.Point(question))
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "message %q from %s: %w", tagQuestion, peer, err).
			WithPublic("message %q from %s holds something that is not a point", tagQuestion, peer)
	}
	return t.Send(ctx, peer, tagAnswer, answer[:])
}

func decodeNote(peer openflow.Party, tag string, text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "message %q from %s is not readable: %w", tag, peer, err).
			WithPublic("message %q from %s is not readable", tag, peer).
			WithHint("all parties of a task must run the same implementation of the component")
	}
	return nil
}
