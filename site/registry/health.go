package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/probes"
)

// Residents are the containers of this machine that serve many runs of a component each.
type Residents interface {
	// Serving lists the containers that serve a component of a provider now, by their names.
	Serving(of openflow.ProviderRef, component string) []string
	// Serve has one serve it, unless one does. A new one stays for so long at least without a run. An error says why none can.
	Serve(ctx context.Context, of openflow.ProviderRef, component string, stays time.Duration) error
	// Get makes a GET request of a path in a container, as the node makes its own. CodeNotFound: there is no such container. Any
	// other error is that the container does not answer as HTTP has it.
	Get(ctx context.Context, container, path string) (status int, err error)
	// Execute runs the entry point with these arguments in a container, beside what runs there, as driver.Residence does.
	Execute(ctx context.Context, container string, args []string, most int) (driver.Answer, error)
	// Replace ends a container that does not work. What ran there is run again, and the next run gets another container.
	Replace(ctx context.Context, container, why string) error
}

// What asking may cost.
const (
	askedAtOnce = 2               // providers: each question is a container
	askedFor    = 2 * time.Minute // of one provider, in one round, its containers included; more than any answer may take
	maxProbed   = 64 << 10        // bytes of an answer, which nobody reads
	runtimeTime = 5 * time.Second // in which a runtime answers that is well
)

// watched is what is known of a component that is asked whether it works. Only the round of questions looks into it.
type watched struct {
	at         time.Time // when the provider was registered
	health     probes.Health
	containers map[string]*served
	begun      time.Time // when a container was last asked for, to be asked itself
}

// served is a resident container that is asked.
type served struct {
	probes.Health
	worked bool
}

// question is a probe that is due.
type question struct {
	of        *watched
	component string
	container string // empty: it is asked in a container of its own
	health    *probes.Health
	probe     openflow.ComponentProbe
}

// resident reports whether a component is asked in containers that stay.
func (g *Registry) resident(c openflow.ComponentRecord) bool {
	return g.Residents != nil && c.Way == openflow.WayResident
}

// asked are the probes by which a component can be asked here. A request needs a container that stays.
func (g *Registry) asked(c openflow.ComponentRecord) []openflow.ComponentProbe {
	if g.resident(c) {
		return c.Probes
	}
	return slices.DeleteFunc(slices.Clone(c.Probes), func(p openflow.ComponentProbe) bool { return p.HTTP != "" })
}

// probed are the components of a provider that are asked whether they work.
func (g *Registry) probed(ctx context.Context, p openflow.ProviderRecord) ([]openflow.ComponentRecord, error) {
	if _, err := g.components(ctx, p); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.read[p.Ref()].probed), func(c openflow.ComponentRecord) bool { return len(g.asked(c)) == 0 }), nil
}

// clock is the time by which probes are due.
func (g *Registry) clock() time.Time {
	if g.now != nil {
		return g.now()
	}
	return time.Now()
}

// watch is what is known of a component since its provider was registered, or it was loaded.
func (g *Registry) watch(p openflow.ProviderRecord, name string) *watched {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := component{p.Ref(), name}
	w := g.watched[key]
	if w == nil || !w.at.Equal(p.AddedAt) {
		w = &watched{at: p.AddedAt, containers: map[string]*served{}}
		if g.watched == nil {
			g.watched = map[component]*watched{}
		}
		g.watched[key] = w
	}
	return w
}

// forget begins anew with a component that somebody has loaded or removed.
func (g *Registry) forget(of openflow.ProviderRef, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range g.watched {
		if key.of == of && (name == "" || key.name == name) {
			delete(g.watched, key)
		}
	}
}

// current reports whether what is known of a component was not begun anew meanwhile.
func (g *Registry) current(of openflow.ProviderRef, name string, w *watched) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watched[component{of, name}] == w
}

// AskProbes asks the components of registered providers whether they work, as far as their probes are due. One that fails takes no
// jobs any more. One that this machine has found so is loaded again when it has answered all of its probes well. What is unloaded
// is not asked.
func (g *Registry) AskProbes(ctx context.Context) error {
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return err
	}
	standings, err := g.Standings(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	for _, p := range list {
		if p.Kind != openflow.ProviderBuiltIn {
			group.Go(func() error { return g.askProvider(ctx, p, standings[p.Ref()]) })
		}
	}
	return group.Wait()
}

// askProvider asks the components of one provider, one after the other.
func (g *Registry) askProvider(ctx context.Context, p openflow.ProviderRecord, standings []openflow.ComponentRecord) error {
	list, err := g.probed(ctx, p)
	if err != nil {
		return err
	}
	at := map[string]openflow.ComponentStanding{}
	for _, c := range standings {
		at[c.Name] = c.Standing
	}
	list = slices.DeleteFunc(list, func(c openflow.ComponentRecord) bool {
		s := at[c.Name]
		mine := s.State == openflow.ComponentFailed && s.Machine == g.ID
		if !s.State.TakesJobs() && !mine {
			g.forget(p.Ref(), c.Name)
		}
		return !s.State.TakesJobs() && !mine
	})
	if len(list) == 0 {
		return nil
	}
	if _, err := g.ready(ctx, p); err != nil {
		return ctx.Err() // see Probe
	}
	limited, cancel := context.WithTimeout(ctx, askedFor)
	defer cancel()
	g.put(limited, p, g.due(p, list))
	if g.revive(limited, p, list, at) {
		g.put(limited, p, g.due(p, list))
	}
	for _, c := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, g.conclude(ctx, p, c, at[c.Name]))
	}
	return err
}

// due are the questions that are due, those first that have waited longest.
func (g *Registry) due(p openflow.ProviderRecord, list []openflow.ComponentRecord) []question {
	var due []question
	now := g.clock()
	for _, c := range list {
		w, asked := g.watch(p, c.Name), g.asked(c)
		if !g.resident(c) {
			for _, probe := range w.health.Due(asked, now) {
				due = append(due, question{w, c.Name, "", &w.health, probe})
			}
			continue
		}
		serving := g.Residents.Serving(p.Ref(), c.Name)
		for _, name := range serving {
			if w.containers[name] == nil {
				w.containers[name] = &served{}
			}
			for _, probe := range w.containers[name].Due(asked, now) {
				due = append(due, question{w, c.Name, name, &w.containers[name].Health, probe})
			}
		}
		for name := range w.containers {
			if !slices.Contains(serving, name) {
				delete(w.containers, name)
			}
		}
	}
	slices.SortStableFunc(due, func(a, b question) int {
		return a.health.Asked(a.probe.Kind).Compare(b.health.Asked(b.probe.Kind))
	})
	return due
}

// revive gets a container for a component that has failed and has none, so that somebody can be asked, and reports whether there is
// one. It is one component in a round, the one that has waited longest: what everybody asks waits until its container is ready.
func (g *Registry) revive(
	ctx context.Context, p openflow.ProviderRecord, list []openflow.ComponentRecord, at map[string]openflow.ComponentStanding,
) bool {
	var next *watched
	var of openflow.ComponentRecord
	for _, c := range list {
		if !g.resident(c) || at[c.Name].State != openflow.ComponentFailed || len(g.Residents.Serving(p.Ref(), c.Name)) > 0 {
			continue
		}
		w := g.watch(p, c.Name)
		if g.clock().Before(w.begun.Add(openflow.MinProbeEvery)) || next != nil && !w.begun.Before(next.begun) {
			continue
		}
		next, of = w, c
	}
	if next == nil || ctx.Err() != nil {
		return false
	}
	next.begun = g.clock()
	return g.Residents.Serve(ctx, p.Ref(), of.Name, probes.Takes(g.asked(of))) == nil // otherwise it fails still
}

// put asks questions, as far as the time of the context allows. The others come first in the next round.
func (g *Registry) put(ctx context.Context, p openflow.ProviderRecord, list []question) {
	until, bounded := ctx.Deadline()
	for _, q := range list {
		if ctx.Err() != nil || bounded && time.Until(until) < q.probe.Timeout {
			return
		}
		failure, known := g.answer(ctx, p, q.container, q.probe)
		if known && g.current(p.Ref(), q.component, q.of) {
			q.health.Answered(q.probe, g.clock(), failure)
		}
	}
}

// answer puts one question. known is false where nothing follows for the component, since the runtime does not answer.
func (g *Registry) answer(ctx context.Context, p openflow.ProviderRecord, container string, probe openflow.ComponentProbe) (failure error, known bool) {
	limited, cancel := context.WithTimeout(ctx, probe.Timeout)
	defer cancel()
	var said driver.Answer
	var err error
	status := 200
	switch {
	case probe.HTTP != "":
		status, err = g.Residents.Get(limited, container, probe.HTTP)
	case container != "":
		said, err = g.Residents.Execute(limited, container, probe.Command, maxProbed)
	default:
		said, err = g.Machine.Ask(limited, p, maxProbed, probe.Command...)
	}
	gone := container != "" && (openflow.CodeOf(err) == openflow.CodeNotFound || openflow.CodeOf(err) == openflow.CodeConflict)
	switch {
	case ctx.Err() != nil, gone:
		return nil, false
	case err != nil && limited.Err() != nil:
		return fmt.Errorf("there is no answer after %s", probe.Timeout), probe.HTTP != "" || g.answers(ctx, p)
	case err != nil && probe.HTTP != "":
		return errors.New(openflow.Heard(err.Error())), true
	case err != nil:
		return errors.New(openflow.Heard(err.Error())), !openflow.CodeOf(err).Retryable()
	}
	return badAnswer(status, said), true
}

// badAnswer says what is wrong with an answer to a probe; nil: nothing is.
func badAnswer(status int, said driver.Answer) error {
	switch {
	case status < 200 || status > 299:
		return fmt.Errorf("status %d", status)
	case said.TooMuch:
		return fmt.Errorf("it answers with more than %d bytes", maxProbed)
	case said.ExitCode != 0:
		return exited(said)
	}
	return nil
}

// answers reports whether the runtime does: otherwise a late answer is none of the component's.
func (g *Registry) answers(ctx context.Context, p openflow.ProviderRecord) bool {
	limited, cancel := context.WithTimeout(ctx, runtimeTime)
	defer cancel()
	_, err := g.Machine.Ready(limited, p)
	return err == nil
}

// conclude does what follows from the answers of a component.
func (g *Registry) conclude(ctx context.Context, p openflow.ProviderRecord, c openflow.ComponentRecord, at openflow.ComponentStanding) error {
	w := g.watch(p, c.Name)
	v := w.health.Verdict(g.asked(c))
	if g.resident(c) {
		v = g.judgeContainers(ctx, c, w)
	}
	call := openflow.ComponentCall{Provider: p.Ref(), Component: c.Name, By: "machine " + g.Name, Machine: g.ID, Probe: true}
	switch {
	case at.State.TakesJobs() && v.Failed != "":
		call.Event, call.Reason = openflow.ComponentFail, v.Reason
	case at.State == openflow.ComponentFailed && v.Works:
		call.Event = openflow.ComponentLoad
	default:
		return nil
	}
	_, err := g.change(ctx, call)
	return ifThere(err)
}

// judgeContainers says how a component stands whose containers stay. It works where one of them does. A container that is not live,
// or does not begin, is replaced. Only one that has never worked says that the component does not.
func (g *Registry) judgeContainers(ctx context.Context, c openflow.ComponentRecord, w *watched) (all probes.Verdict) {
	serves := false
	for _, name := range slices.Sorted(maps.Keys(w.containers)) {
		one := w.containers[name]
		v := one.Verdict(g.asked(c))
		one.worked, all.Works = one.worked || v.Works, all.Works || v.Works
		serves = serves || one.worked && v.Failed == ""
		unready := v.Failed == openflow.ProbeReadiness
		if v.Failed == "" {
			continue
		}
		if unready || !one.worked {
			all.Failed, all.Reason = v.Failed, v.Reason
		}
		if !unready {
			if err := g.Residents.Replace(ctx, name, v.Reason); err == nil {
				delete(w.containers, name)
			}
		}
	}
	if serves {
		all.Failed, all.Reason = "", ""
	}
	return all
}

// startUp asks components that are to be loaded whether they can work at all, once each, and tells which cannot, and why. What is
// not asked in time is asked later, as any other probe.
func (g *Registry) startUp(ctx context.Context, p openflow.ProviderRecord, list []openflow.ComponentRecord) map[string]string {
	until, failed := time.Now().Add(askedFor), map[string]string{}
	for _, c := range list {
		if g.resident(c) {
			continue // each of its containers is asked
		}
		for _, probe := range g.asked(c) {
			if probe.Kind != openflow.ProbeStartup || time.Until(until) < probe.Timeout {
				continue
			}
			if failure, known := g.answer(ctx, p, "", probe); known && failure != nil {
				failed[c.Name] = probes.Reason(probe, 1, failure.Error())
			}
		}
	}
	return failed
}

// askProbes asks each component once, for who holds an image against the contract.
func (h *held) askProbes(ctx context.Context, list []openflow.ComponentRecord, put func(context.Context, openflow.ComponentProbe) (failure error, known bool)) {
	until := time.Now().Add(askedFor)
	for _, c := range list {
		for _, probe := range c.Probes {
			point := probePoint(c, probe)
			switch {
			case ctx.Err() != nil:
				return
			case time.Until(until) < probe.Timeout:
				h.warn(point, "see whether it works: openflow component show", "it is not asked: that takes too long here")
				continue
			}
			said, well, what := "asked "+openflow.Line(fmt.Sprintf("%q", probe.Command)), "ends with exit code 0", ""
			if probe.HTTP != "" {
				said, well = "GET "+probe.HTTP, "is answered well"
			}
			failure, known := put(ctx, probe)
			switch {
			case failure != nil:
				what = failure.Error()
			case !known:
				what = "the runtime does not answer"
			}
			if what != "" {
				h.fail(point, "%s: %s", said, what)
			} else {
				h.ok(point, "%s %s", strings.TrimPrefix(said, "asked "), well)
			}
		}
	}
}

// unasked says of resident components that nobody has asked them, because none of their containers serves here.
func (h *held) unasked(list []openflow.ComponentRecord) {
	for _, c := range list {
		for _, probe := range c.Probes {
			h.warn(probePoint(c, probe), "see whether it works, once it serves: openflow component show", "it is not asked here: no container of it serves")
		}
	}
}

func probePoint(c openflow.ComponentRecord, probe openflow.ComponentProbe) string {
	return string(probe.Kind) + " probe of " + c.Name
}
