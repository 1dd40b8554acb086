package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"openflow"
	"openflow/runtime/process"
	"openflow/sdk"
	"openflow/tests/fatesite"
)

// withFATE is a chain of five with a partner that is a FATE-Flow site, in seconds. The site is a stand-in whose programs take no time.
type withFATE struct {
	Push float64 `json:"push"`
	Pull float64 `json:"pull"`
}

const (
	// fatePair is what two sites of FATE-Flow 2.2.0 took for such a chain, and fateRounds what the pauses of their scheduler cost of
	// that at least: one before each task, and one before the end.
	fatePair   = 25.0
	fateRounds = (fateChain + 1) * 2.0
	fateChain  = 5
)

// fateSubject is a node whose partner is the site.
type fateSubject struct {
	nodeSubject
	site *fatesite.Site
	mode openflow.SyncType
}

func (f fateSubject) submit(ctx context.Context, _ string, tasks int) (string, error) {
	dag, err := noopsAt([]openflow.Party{sdk.Guest("9999"), sdk.Host(openflow.PartyID(f.site.Party))}, tasks, nil)
	if err != nil {
		return "", err
	}
	dag.Conf.SyncType = f.mode
	made, err := f.client.Submit(ctx, dag, "")
	return string(made.ID), err
}

// bench ends what the stand-in started, and keeps what it complains of.
type bench struct {
	wrong error
	end   []func()
}

func (*bench) Helper() {}

func (b *bench) Cleanup(f func()) { b.end = append(b.end, f) }

func (b *bench) Errorf(format string, args ...any) {
	b.wrong = errors.Join(b.wrong, fmt.Errorf(format, args...))
}

func (b *bench) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// measureFATE measures both ways on one node.
func measureFATE(ctx context.Context, o options, dir string) (_ *withFATE, err error) {
	o.plain = true // FATE-Flow speaks no TLS
	f, err := startFleet(ctx, o, filepath.Join(dir, "node"), process.Opener{}, "9999")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop()) }()
	b := &bench{}
	site := fatesite.New(b, fatesite.Options{Party: "8888"})
	defer func() {
		for _, end := range b.end {
			end()
		}
		err = errors.Join(err, b.wrong)
	}()
	node := f.Nodes[0]
	site.Reach("9999", node.Peers)
	client := node.Client()
	from := []string{"127.0.0.1"}
	if err := client.AddSite(ctx, "8888", site.URL, "", sdk.Speech{Dialect: "fate-flow", UnsignedFrom: &from}); err != nil {
		return nil, err
	}
	var w withFATE
	for mode, into := range map[openflow.SyncType]*float64{openflow.Callback: &w.Push, openflow.Poll: &w.Pull} {
		s := fateSubject{nodeSubject{client}, site, mode}
		if _, err := chain(ctx, s, "warm", 1, pollChain); err != nil {
			return nil, err
		}
		var times []time.Duration
		for i := range o.runs {
			d, err := chain(ctx, s, fmt.Sprint("fate", mode, i), fateChain, pollChain)
			if err != nil {
				return nil, err
			}
			times = append(times, d)
		}
		*into = middle(times).Seconds()
	}
	return &w, nil
}

// table sets it beside what FATE-Flow takes itself.
func (w withFATE) table() string {
	return fmt.Sprintf(`
A chain of five no-op tasks of two parties, one of which is a site of FATE-Flow: here a stand-in whose programs take no time. FATE-Flow's
scheduler pauses for 2 s before each round. So where it schedules, a chain of five takes %.0[1]f s at least, and between two of its sites
%.0[2]f s were measured. Where this node schedules, nothing waits for a round.

| measure | two sites of FATE-Flow | its rounds alone | push | pull |
|---|---|---|---|---|
| chain of 5 with a FATE partner, s | %.1[2]f | %.1[1]f | %.3[3]f | %.3[4]f |
`, fateRounds, fatePair, w.Push, w.Pull)
}
