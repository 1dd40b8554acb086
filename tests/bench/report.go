package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results is everything of one run.
type results struct {
	Date       string     `json:"date"`
	Machine    string     `json:"machine"`
	Durability string     `json:"durability"`
	Floor      *chains    `json:"floor,omitempty"`
	Process    *figures   `json:"process"`
	Docker     *figures   `json:"docker,omitempty"`
	Residents  *residents `json:"residents,omitempty"`
	Adopted    float64    `json:"worker_killed_to_ended_s,omitempty"` // of a pool

	Secured      *secured      `json:"secured,omitempty"`
	Transport    *transport    `json:"transport,omitempty"`
	Intersection *intersection `json:"intersection,omitempty"`
	Growth       *growth       `json:"growth,omitempty"`
	Strangers    *strangers    `json:"strangers,omitempty"`
	FATE         *withFATE     `json:"fate,omitempty"`
}

func today() string { return time.Now().Format("2006-01-02") }

func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s", runtime.NumCPU(), model, runtime.Version())
}

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// line is one row of the table: a figure beside its budget and the floor.
type line struct{ measure, fateFlow, floor, openflow, ratio, budget string }

func (r results) lines() []line {
	p := r.Process
	against := func(what, fate string, ours float64, floor func(*chains) float64) line {
		l := line{what, fate, "–", secs(ours), "–", "≤ 2 × floor"}
		if r.Floor != nil {
			f := floor(r.Floor)
			l.floor, l.ratio = secs(f), fmt.Sprintf("%.2f", ours/f)
		}
		return l
	}
	if p == nil {
		return append(append(r.dockerLine(), r.Residents.lines()...), r.poolLine()...)
	}
	lines := []line{
		against("chain of 1, s", "3.3", p.Chain1, func(c *chains) float64 { return c.Chain1 }),
		against("chain of 5, s", "12.9", p.Chain5, func(c *chains) float64 { return c.Chain5 }),
		against("chain of 10, s", "24.4", p.Chain10, func(c *chains) float64 { return c.Chain10 }),
		against("20 jobs at once, last done, s", "51", p.Burst20, func(c *chains) float64 { return c.Burst20 }),
	}
	share := func(c chains) float64 { return (c.Chain10 - c.Chain1) / 9 * 1000 }
	perTask := line{"own share per two-party task, ms", "≈ 2,300", "–", fmt.Sprintf("%.0f", share(p.chains)), "–", "≤ 65"}
	rate := line{"jobs per second, 100 at once", "0.4", "–", fmt.Sprintf("%.1f", 100/p.Burst100), "–", "≥ 13"}
	if r.Floor != nil {
		perTask.floor, perTask.ratio = fmt.Sprintf("%.0f", share(*r.Floor)), fmt.Sprintf("%.2f", share(p.chains)/share(*r.Floor))
		rate.floor, rate.ratio = fmt.Sprintf("%.1f", 100/r.Floor.Burst100), fmt.Sprintf("%.2f", r.Floor.Burst100/p.Burst100)
	}
	lines = append(lines, perTask, rate)
	lines = append(append(lines, r.dockerLine()...), r.Residents.lines()...)
	lines = append(lines,
		line{"exit → job visible at both parties, ms", "0–2,300", "–", fmt.Sprintf("%.0f", p.ExitToVisible), "–", "≤ 100"},
		line{"idle node: memory, MB", "101", "145", fmt.Sprintf("%.0f", p.IdleMB), "–", "≤ 250"},
		line{"idle node: CPU, % of a core", "–", "1.3", fmt.Sprintf("%.1f", p.IdleCPU), "–", "≤ 3"},
		line{"node after 120 jobs at once: memory, MB", "–", "210–290", fmt.Sprintf("%.0f", p.AfterMB), "–", "–"},
		line{"kill −9 → task followed, from process start, s", "job fails", "0.8–1.2", fmt.Sprintf("%.2f", p.KillToFollowed), "–", "≤ 3"},
	)
	return append(lines, r.poolLine()...)
}

func secs(v float64) string { return fmt.Sprintf("%.3f", v) }

// dockerLine is the row of chains in containers, if they were measured.
func (r results) dockerLine() []line {
	d := r.Docker
	if d == nil {
		return nil
	}
	return []line{{
		"chain of 10 in Docker, s", "–", secs(d.Containers20) + " (20 bare containers)", secs(d.Chain10),
		fmt.Sprintf("+ %.2f s", d.Chain10-d.Containers20), "+ 0.6 s",
	}}
}

// poolLine is the row of a pool's worker that was killed, if that was measured.
func (r results) poolLine() []line {
	if r.Adopted == 0 {
		return nil
	}
	return []line{{"a pool's worker killed −9 → its task ended by the next process, s", "job fails", "heartbeat 5", fmt.Sprintf("%.2f", r.Adopted), "–", "≤ 8"}}
}

func (r results) table() string {
	var b strings.Builder
	fmt.Fprintln(&b, "| measure | FATE-Flow 2.2 | floor | openflow | ratio | budget |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|")
	for _, l := range r.lines() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", l.measure, l.fateFlow, l.floor, l.openflow, l.ratio, l.budget)
	}
	return b.String()
}

// tables is everything, for the terminal and the page.
func (r results) tables() string {
	var b strings.Builder
	if r.Process != nil || r.Docker != nil || r.Residents != nil || r.Adopted > 0 {
		b.WriteString(r.table())
	}
	if s := r.Secured; s != nil {
		b.WriteString(s.table())
	}
	if t := r.Transport; t != nil {
		fmt.Fprintf(&b, `
Messages between two parties' programs, through both nodes, beside plain requests through two bare HTTP proxies:

| measure | bare proxies | openflow | ratio |
|---|---|---|---|
| 1 KiB there and back, ms | %.2f | %.2f | %.1f |
| 1 MiB messages, one after the other, MB/s | %.0f | %.0f | %.2f |
`, t.BareRoundTripMS, t.RoundTripMS, t.RoundTripMS/t.BareRoundTripMS, t.BareMBs, t.MBs, t.MBs/t.BareMBs)
	}
	if x := r.Intersection; x != nil {
		fmt.Fprintf(&b, `
Private set intersection of %[1]d × %[1]d identifiers, half of them shared, both parties on this machine: %.1[2]f s. The
curve's multiplications alone take %.1[3]f s on all of its cores; the ratio is %.2[4]f.
`, x.IDs, x.Seconds, x.Curve, x.Seconds/x.Curve)
	}
	if g := r.Growth; g != nil {
		fmt.Fprintf(&b, `
One-task jobs of two parties in waves, %d at a time, on nodes that have run all the waves before:

| jobs | a second | scheduler's memory, MB | one more job, s | newest page of jobs, s |
|---|---|---|---|---|
`, inFlight)
		for _, f := range g.Jobs {
			fmt.Fprintf(&b, "| %d | %.1f | %.0f | %.3f | %.4f |\n", f.Jobs, f.PerS, f.MB, f.Chain1, f.ListSec)
		}
		b.WriteString("\nChains of no-op tasks with every party on a node of its own, all on this machine:\n\n| parties | chain of 1, s | chain of 5, s |\n|---|---|---|\n")
		for _, f := range g.Parties {
			fmt.Fprintf(&b, "| %d | %.3f | %.3f |\n", f.Parties, f.Chain1, f.Chain5)
		}
	}
	if s := r.Strangers; s != nil {
		fmt.Fprintf(&b, `
A user asks for the status of a job while strangers make %d connections to the interconnection layer, say half a greeting and make
them again when the node closes them. In the middle of it %d were held.

| measure | at rest | besieged | ratio | budget |
|---|---|---|---|---|
| p95 of a query, ms | %.1f | %.1f | %.1f | ≤ 5 |
| the strangers' CPU, %% of a core | – | %.1f | – | ≤ 10 |
| the node's CPU, %% of a core | – | %.1f | – | – |
| the node's memory, MB | – | %.0f | – | – |
`, s.Connections, s.Held, s.IdleP95, s.P95, s.P95/s.IdleP95, s.TheirCPU, s.NodeCPU, s.MB)
	}
	if r.FATE != nil {
		b.WriteString(r.FATE.table())
	}
	return b.String()
}

// table sets everything with TLS and signatures beside the same without.
func (s secured) table() string {
	var b strings.Builder
	b.WriteString(`
The same with TLS and signatures, as everywhere on this page, and without. Nodes have no switch for signatures, so only a single
call of 1 KiB, there and back, is measured without them. The runs took turns.

| measure | without TLS | with TLS | ratio |
|---|---|---|---|
`)
	for _, l := range []struct {
		measure    string
		plain, tls float64
	}{
		{"chain of 1, s", s.Plain.Chain1, s.TLS.Chain1}, {"chain of 10, s", s.Plain.Chain10, s.TLS.Chain10},
		{"100 jobs at once, last done, s", s.Plain.Burst100, s.TLS.Burst100},
	} {
		fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.2f |\n", l.measure, l.plain, l.tls, l.tls/l.plain)
	}
	c := s.Calls
	fmt.Fprintf(&b, "\n| measure | bare | signed | signed, in TLS |\n|---|---|---|---|\n| a call, ms | %.2f | %.2f | %.2f |\n", c.Bare, c.Signed, c.TLS)
	return b.String()
}

// page is docs/performance.md.
func (r results) page() string {
	return fmt.Sprintf(`# Performance

%[1]smake bench ARGS="-doc docs/performance.md"%[1]s writes this page; do not edit it. Date: %[2]s. Machine: %[3]s, everything on it: both
nodes, the clients, and whatever else ran. Durability: %[4]s.

The tasks do nothing. Two parties have a node each, with the process runtime unless it says Docker. *Floor* is the least that the same
shape of work costs on bare Temporal, measured in the same run by the same client. Values in the floor column without a
ratio are from its own description. Ratios count, seconds depend on the machine. FATE-Flow's figures are from a run of
its own.

%[5]s
tests/bench/measure.go has how each is measured. A job here takes one core at each party. So of 100 jobs at once 32 run at a
time, and the others wait for resources.

The chain in Docker was + 1.39 s in the run above, on a machine that did nothing else. Two waits of each task are gone since.
The daemon hides the log of a container that has ended, for 50 to 60 ms, until its network is down. And the next container
was made only after the end had been reported. On 2026-11-30 old and new ran in turns on a machine with a load of 20 to 60.
From an end to the next start it was 130 to 150 ms before, and 75 to 90 ms after. Later that day five runs of each took
turns on a quiet machine. The middle one was + 0.9 s before, and + 0.7 s after, where single runs lie between + 0.4 and + 1.2.
The rest is the network of a container that goes down while the next one starts: both need the same two cores.

The same with and without TLS was last measured on 2026-11-30, on a quiet 2-core machine with both pairs of nodes up, in turns
(%[1]s-parts secured%[1]s). A chain of 1 took 0.067 s with TLS and 0.064 s without, a chain of 10 took 0.566 s both ways. A hundred jobs at
once were done in 8.3 s with and 9.6 s without. A call of 1 KiB, there and back, takes 0.07 ms bare, 0.38 ms signed, and 0.39 ms
signed in TLS.

Resident containers were measured on 2026-12-01, on a quiet 2-core machine that is slower than the one of the table above
(%[1]s-parts resident%[1]s). One more no-op task of two parties took 73 ms as processes, 63 ms in resident containers, and 598 ms in
containers of its own. No container was started for 218 tasks. In the same run the chain of 10 in Docker took 0.55 s more than bare
containers. Of a hundred jobs at once 10.3 to 11.6 were done in a second, where the floor did 19 to 24. The commit before the
bounds of peers did 12.7 there, where the floor did 21.6. A fifth of the CPU then is this node's own code, and the rest is Temporal's.

%[1]smake big%[1]s last ran on 2026-11-30, on a 2-core machine that was running other tests (load 20 to 30). Ten million rows went in
within 199.7 s and out again in 295.5 s. On 2026-11-24 it took 80.5 s and 97.8 s. The heap grew by at most 118 MiB.

%[1]smake queue%[1]s last ran on 2026-11-25, on a 2-core machine that was running other tests. A thousand one-task jobs queued in
28.5 s behind one that held the whole capacity. In 12 s of waiting nothing was written to their histories, so no workflow task or
activity of theirs ran. Nothing was written to the catalogue. Then all ran in their order, eight at a time, in 70.6 s. Each
job took ten writes to Temporal's histories, as many as with two hundred jobs.

%[1]smake besieged%[1]s last ran on 2026-12-01, on a 2-core machine that was running other tests. Of 1,000 connections of strangers at the
interconnection layer, in TLS, all were held, for 0.9 %% of a core of theirs and 1.4 %% of one of the node's. The 95th percentile of a
status query was 1.8 ms with them, and 1.7 ms before.
`, "`", r.Date, r.Machine, r.Durability, r.tables())
}
