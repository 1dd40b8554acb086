package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/node/fleet"
	"openflow/runtime/process"
	"openflow/sdk"
)

// growth is how cost grows with the number of jobs, and with the number of parties.
type growth struct {
	Jobs    []jobsFigure    `json:"jobs"`
	Parties []partiesFigure `json:"parties"`
}

// jobsFigure is a wave of one-task jobs, inFlight at a time, on the nodes that have run all the waves before.
type jobsFigure struct {
	Jobs    int     `json:"jobs"`
	PerS    float64 `json:"jobs_per_s"`
	MB      float64 `json:"memory_mb"`   // of the scheduler's node after it
	Chain1  float64 `json:"chain_1_s"`   // one more job, afterwards
	ListSec float64 `json:"list_page_s"` // a page of the newest 20 jobs
}

type partiesFigure struct {
	Parties int     `json:"parties"`
	Chain1  float64 `json:"chain_1_s"`
	Chain5  float64 `json:"chain_5_s"`
}

// inFlight is how many jobs of a wave are under way at once.
const inFlight = 32

const mostParties = 10

func measureGrowth(ctx context.Context, o options, dir string) (*growth, error) {
	var g growth
	p, err := startPair(ctx, o, filepath.Join(dir, "jobs"), process.Opener{})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(g.ofJobs(ctx, o, p), p.Stop()); err != nil {
		return nil, err
	}
	for n := 2; n <= mostParties; n += 2 {
		f, err := ofParties(ctx, o, filepath.Join(dir, strconv.Itoa(n)), n)
		if err != nil {
			return nil, err
		}
		g.Parties = append(g.Parties, f)
	}
	return &g, nil
}

func (g *growth) ofJobs(ctx context.Context, o options, p *fleet.Fleet) error {
	s := nodeSubject{p.Nodes[0].Client()}
	if err := warmUp(ctx, s); err != nil {
		return err
	}
	for n := 10; n <= o.jobs; n *= 10 {
		f := jobsFigure{Jobs: n}
		seconds, err := timed(func() error {
			wave, ctx := errgroup.WithContext(ctx)
			wave.SetLimit(inFlight)
			for i := range n {
				wave.Go(func() error {
					_, err := chain(ctx, s, fmt.Sprintf("wave%d-%d", n, i), 1, pollBurst)
					return err
				})
			}
			return wave.Wait()
		})
		if err != nil {
			return err
		}
		f.PerS = float64(n) / seconds
		if f.MB, _, err = usage(p.Nodes[0].PID()); err != nil {
			return err
		}
		if f.ListSec, err = timed(func() error {
			_, err := s.client.List(ctx, sdk.JobFilter{Limit: 20})
			return err
		}); err != nil {
			return err
		}
		if f.Chain1, err = medianChain(ctx, s, 1, 5); err != nil {
			return err
		}
		g.Jobs = append(g.Jobs, f)
	}
	return nil
}

// partiesSubject is openflow with as many hosts as it takes.
type partiesSubject struct {
	nodeSubject
	parties []openflow.Party
}

func (s partiesSubject) submit(ctx context.Context, _ string, tasks int) (string, error) {
	dag, err := noopsAt(s.parties, tasks, nil)
	if err != nil {
		return "", err
	}
	made, err := s.client.Submit(ctx, dag, "")
	return string(made.ID), err
}

func ofParties(ctx context.Context, o options, dir string, n int) (f partiesFigure, err error) {
	f.Parties = n
	ids := []openflow.PartyID{"9999"}
	parties := []openflow.Party{sdk.Guest("9999")}
	for i := 1; i < n; i++ {
		id := openflow.PartyID(strconv.Itoa(10000 + i))
		ids, parties = append(ids, id), append(parties, sdk.Host(id))
	}
	p, err := startFleet(ctx, o, dir, process.Opener{}, ids...)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	s := partiesSubject{nodeSubject{p.Nodes[0].Client()}, parties}
	if err := warmUp(ctx, s); err != nil {
		return f, err
	}
	if f.Chain1, err = medianChain(ctx, s, 1, 5); err != nil {
		return f, err
	}
	f.Chain5, err = medianChain(ctx, s, 5, 5)
	return f, err
}
