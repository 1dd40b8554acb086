package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"openflow"
	"openflow/residence/trial"
	"openflow/runtime/driver"
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

// askLodging puts one question to a container that serves.
func askLodging(ctx context.Context, l *programs.Lodging, to trial.Container, probe openflow.ComponentProbe) (err error) {
	limited, cancel := context.WithTimeout(ctx, probe.Timeout)
	defer cancel()
	status, said := http.StatusOK, driver.Answer{}
	if probe.HTTP != "" {
		status, err = trial.Get(limited, to, probe.HTTP)
	} else {
		said, err = l.Execute(limited, probe.Command, maxProbed)
	}
	switch {
	case err != nil && limited.Err() != nil:
		return fmt.Errorf("there is no answer after %s", probe.Timeout)
	case err != nil:
		return errors.New(openflow.Heard(err.Error()))
	}
	return badAnswer(status, said)
}

// resides holds a resident container of a program or image against its contract, and asks its resident components in it whether
// they work: where they are asked while they serve.
//
// Spec: algorithm-image §10, §12, §13.
func (p *asking) resides(ctx context.Context, h *held, g *Registry, list []openflow.ComponentRecord) error {
	on, can := g.Machine.(Lodger)
	var l *programs.Lodging
	err := error(openflow.Errorf(openflow.CodeUnimplemented, "machine %s has no resident containers", g.Name))
	if can {
		l, err = on.Lodge(ctx, p.of)
	}
	if openflow.CodeOf(err) == openflow.CodeUnimplemented {
		h.warn("resident", "ask a node with --runtime docker", "it cannot be tried here: this node's runtime has no resident containers")
		h.unasked(list)
		return nil
	}
	if err != nil {
		h.unasked(list)
		return err
	}
	places := 0
	for _, c := range list {
		places = max(places, c.Runs)
	}
	to := trial.Container{Address: l.Address, Key: l.Key, Places: places, Gone: l.Gone}
	serving := l.Address != ""
	if serving {
		for _, f := range trial.Hold(ctx, to) {
			f.Check = "resident: " + f.Check
			h.list = append(h.list, f)
			serving = serving && f.Verdict == openflow.VerdictOK
		}
	}
	if serving {
		h.askProbes(ctx, list, func(ctx context.Context, probe openflow.ComponentProbe) (error, bool) {
			return askLodging(ctx, l, to, probe), true
		})
	} else {
		h.unasked(list)
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
