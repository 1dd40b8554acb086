package node

import (
	"context"
	"time"

	"openflow/node/home"
	"openflow/site/registry"
	"openflow/site/upkeep"
	"openflow/worker/roster"
)

// startUpkeep begins what keeps the node healthy when nobody looks.
func (n *Node) startUpkeep(context.Context) error {
	r := upkeep.Begin(n.log)
	n.rounds = r
	vigil := home.Vigil{Home: n.home, Log: n.log, Now: time.Now}
	r.Every(home.ReserveEvery, "reserve", func(context.Context) error { return vigil.Look() })
	r.Run(n.queue.Run)
	r.Run(n.watch.Run)
	if !n.config.NoTasks {
		r.Every(registry.ProbeEvery, "images of components", n.registry.Probe)
		r.Every(registry.ProbeEvery, "probes of components", n.registry.AskProbes)
	}
	orphans := n.orphaned()
	r.Every(orphans.Age, "orphans", orphans.Sweep)
	if n.taking != nil && !n.config.NoTasks {
		r.Every(roster.HelloEvery, "own worker", n.hello)
	}
	// Also without a listener for workers: then none of them comes back.
	silences := &roster.Silences{Log: n.log}
	r.Every(roster.SilentEvery, "silent machines", func(ctx context.Context) error { return n.pool().TellSilent(ctx, n.changes(), silences) })
	r.Every(upkeep.SweepEvery, "jobs with strangers", n.farewell.ToStrangers)
	r.Every(upkeep.ReconcileEvery, "jobs, runs and their workflows", n.strays.Sweep)
	r.Every(n.leases.Every, "jobs that nobody drives", n.leases.Take)
	r.Every(min(upkeep.SweepEvery, n.config.Limits.Idle), "resources that nobody uses", n.leases.ReturnIdle)
	keeper := upkeep.Keeper{
		Self: n.config.Party, Rows: n.changes(), Objects: n.objects, Messages: n.messages, Keep: n.config.Retention,
	}
	if !n.config.sharesObjects() {
		keeper.Space = n.home.CheckSpace
	}
	keeper.Start(r)
	r.Every(upkeep.RetainEvery, "size of objects", n.counts.CountObjects)
	r.Every(upkeep.TrimEvery, "what programs write", n.runtime.Trim)
	return nil
}

// orphaned is what ended runs have left here.
func (n *Node) orphaned() upkeep.Orphans {
	o := n.orphans(upkeep.OrphanAge(n.taking != nil), n.rows.TaskByRunID)
	o.Ended = n.rows.JobEnded
	return o
}
