package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results is what a benchmark writes of one run. Names that a build does not know stay zero.
type results struct {
	Process, Docker map[string]float64
	Adopted         float64 `json:"worker_killed_to_ended_s"`
}

// measures are the lines of docs/performance.md that have a budget. Less is better in each.
var measures = []struct {
	name, unit string
	of         func(results) float64
}{
	{"chain of 1", "s", func(r results) float64 { return r.Process["chain_1"] }},
	{"chain of 5", "s", func(r results) float64 { return r.Process["chain_5"] }},
	{"chain of 10", "s", func(r results) float64 { return r.Process["chain_10"] }},
	{"own share per two-party task", "ms", func(r results) float64 { return (r.Process["chain_10"] - r.Process["chain_1"]) / 9 * 1000 }},
	{"20 jobs at once, last done", "s", func(r results) float64 { return r.Process["burst_20"] }},
	{"100 jobs at once, last done", "s", func(r results) float64 { return r.Process["burst_100"] }},
	{"chain of 10 in Docker", "s", func(r results) float64 { return r.Docker["chain_10"] }},
	{"the same less its 20 bare containers", "s", func(r results) float64 { return r.Docker["chain_10"] - r.Docker["containers_20_s"] }},
	{"exit → job visible at both parties", "ms", func(r results) float64 { return r.Process["exit_to_visible_ms"] }},
	{"idle node: memory", "MB", func(r results) float64 { return r.Process["idle_mb"] }},
	{"idle node: CPU", "% of a core", func(r results) float64 { return r.Process["idle_cpu_percent"] }},
	{"kill −9 → task followed", "s", func(r results) float64 { return r.Process["kill_to_followed_s"] }},
	{"a pool's worker killed −9 → its task ended", "s", func(r results) float64 { return r.Adopted }},
}

// table shows the medians of both builds, the median of the ratios after / before, and the interval of that median.
func (c *comparison) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| measure | %s | %s | ratio | its interval |\n|---|---|---|---|---|\n", c.before.Name, c.after.Name)
	for _, m := range measures {
		var before, after, ratios []float64
		for i := range min(len(c.before.Runs), len(c.after.Runs)) {
			x, y := m.of(c.before.Runs[i]), m.of(c.after.Runs[i])
			if x == 0 && y == 0 {
				continue // it was not measured
			}
			before, after, ratios = append(before, x), append(after, y), append(ratios, y/x)
		}
		if len(ratios) == 0 {
			continue
		}
		low, high := interval(ratios)
		fmt.Fprintf(&b, "| %s, %s | %.4g | %.4g | %.2f | %.2f–%.2f |\n", m.name, m.unit, median(before), median(after), median(ratios), low, high)
	}
	return b.String()
}

func (c *comparison) page() string {
	return fmt.Sprintf(`# Before and after

%[1]smake compare BEFORE=<commit>%[1]s writes this page; do not edit it. Date: %[2]s. Machine: %[3]d cores, %[4]s, everything on it.
It ran %[5]d pairs: one run of each build, in turn, and each build first in every second pair.

The columns show medians. The ratio is the median of the pairs' ratios, after to before; less is better in each line.
The interval is the one from the second least to the second greatest of ten ratios. It holds the true median
in 98 of 100 such comparisons. With fewer than ten pairs it is the whole range.

%[6]s
[performance.md](performance.md) has the budgets, and the floor.
`, "`", time.Now().Format("2006-01-02"), runtime.NumCPU(), runtime.Version(), len(c.after.Runs), c.table())
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// interval holds the true median of what the ratios are drawn from. With ten ratios or more it leaves one out at each end:
// it is right with a probability of 1 − 2·(1+10)/2¹⁰ = 0.979 for ten.
func interval(ratios []float64) (low, high float64) {
	sorted := slices.SortedFunc(slices.Values(ratios), cmp.Compare[float64])
	if len(sorted) >= 10 {
		sorted = sorted[1 : len(sorted)-1]
	}
	return sorted[0], sorted[len(sorted)-1]
}
