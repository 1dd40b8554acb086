package registry

import (
	"context"
	"time"

	"openflow"
	"openflow/residence/trial"
	"openflow/site/programs"
)

// lodgingGrace is what a container has to end by itself, as a run has.
var lodgingGrace = 5 * time.Second

// Lodger is a Machine whose runtime may have resident containers; see programs.Programs.
type Lodger interface {
	// Lodge starts a resident container of a provider. CodeUnimplemented: the runtime has none.
	Lodge(ctx context.Context, r openflow.ProviderRecord) (*programs.Lodging, error)
}

var _ Lodger = (*programs.Programs)(nil)

// resides holds a resident container of a program or image against its contract, where one of the components is resident.
//
// Spec: algorithm-image §10, §12.
func (g *Registry) resides(ctx context.Context, h *held, of openflow.ProviderRecord) error {
	on, can := g.Machine.(Lodger)
	var l *programs.Lodging
	err := error(openflow.Errorf(openflow.CodeUnimplemented, "machine %s has no resident containers", g.Name))
	if can {
		l, err = on.Lodge(ctx, of)
	}
	if openflow.CodeOf(err) == openflow.CodeUnimplemented {
		h.warn("resident", "ask a node with --runtime docker", "it cannot be tried here: this node's runtime has no resident containers")
		return nil
	}
	if err != nil {
		return err
	}
	serving := l.Address != ""
	if serving {
		for _, f := range trial.Hold(ctx, trial.Container{Address: l.Address, Key: l.Key, Gone: l.Gone}) {
			f.Check = "resident: " + f.Check
			h.list = append(h.list, f)
			serving = serving && f.Verdict == openflow.VerdictOK
		}
	}
	begun := time.Now()
	st, err := l.End(context.WithoutCancel(ctx), lodgingGrace)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
	case l.Address == "" || !st.Finished.IsZero() && st.Finished.Before(begun):
		h.fail("resident: stays", "it has ended by itself, with exit code %d", st.ExitCode)
	case serving && st.ExitCode == 128+9:
		h.fail("resident: ends", "it has not ended %s after SIGTERM, and was killed", lodgingGrace)
	case serving:
		h.ok("resident: ends", "asked to end, it does, with exit code %d", st.ExitCode)
	}
	return nil
}
