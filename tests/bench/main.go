// Command bench measures a node against the budgets of the design. Where the floor's source is at hand, it measures the
// least that the same work can cost too, in the same run and driven by the same client.
//
// It prints a table, writes tests/bench/results.json, and with -doc the dated page docs/performance.md. It never fails for a
// time: figures are for people, ratios more than seconds. Start reading at [run].
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"openflow/runtime/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder of openflow and openflow-components")
	flag.StringVar(&o.floor, "floor", "../shared/floor", "folder of the floor's source; left out when it is not there")
	flag.StringVar(&o.out, "out", "tests/bench/results.json", "file for the figures")
	flag.StringVar(&o.doc, "doc", "", "page to write, such as docs/performance.md")
	flag.IntVar(&o.runs, "runs", 9, "runs per chain; the median counts")
	flag.StringVar(&o.parts, "parts", "nodes,secured,docker,resident,pool,transport,intersection,growth,strangers,fate", "what to measure")
	flag.IntVar(&o.ids, "ids", 100_000, "identifiers a side of the intersection")
	flag.IntVar(&o.jobs, "jobs", 1000, "the largest wave of jobs, from 10 on in powers of ten")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bin, floor, out, doc string
	components           string   // instead of bin's openflow-components
	parts                string   // names, with commas between
	flags                []string // further ones of every node
	runs, ids, jobs      int
	plain                bool // the nodes reach each other without TLS
}

// run measures everything that can be measured here and shows it.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "openflow-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	for _, p := range []*string{&o.bin, &o.floor} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	r := results{Date: today(), Machine: machine(), Durability: "SQLite NORMAL on both sides: survives kill -9, not power loss"}
	if err := r.measure(ctx, o, dir); err != nil {
		return err
	}
	fmt.Println(r.tables())
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, append(b, '\n'), 0o644); err != nil {
		return err
	}
	if o.doc == "" {
		return nil
	}
	return os.WriteFile(o.doc, []byte(r.page()), 0o644)
}

// measure fills r with the parts that o asks for.
func (r *results) measure(ctx context.Context, o options, dir string) error {
	parts := map[string]func(dir string) error{
		"nodes": func(dir string) (err error) {
			if r.Floor, err = measureFloor(ctx, o, dir+"-floor"); err == nil {
				r.Process, err = measureNodes(ctx, o, dir, process.Opener{})
			}
			return err
		},
		"secured":      func(dir string) (err error) { r.Secured, err = measureSecured(ctx, o, dir); return err },
		"docker":       func(dir string) (err error) { r.Docker, err = measureDocker(ctx, o, dir); return err },
		"resident":     func(dir string) (err error) { r.Residents, err = measureResidents(ctx, o, dir); return err },
		"pool":         func(dir string) (err error) { r.Adopted, err = measurePool(ctx, o, dir); return err },
		"transport":    func(dir string) (err error) { r.Transport, err = measureTransport(ctx, o, dir); return err },
		"intersection": func(dir string) (err error) { r.Intersection, err = measureIntersection(ctx, o, dir); return err },
		"growth":       func(dir string) (err error) { r.Growth, err = measureGrowth(ctx, o, dir); return err },
		"strangers":    func(dir string) (err error) { r.Strangers, err = measureStrangers(ctx, o, dir); return err },
		"fate":         func(dir string) (err error) { r.FATE, err = measureFATE(ctx, o, dir); return err },
	}
	for name := range strings.SplitSeq(o.parts, ",") {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("unknown part %q: use %s", name, strings.Join(slices.Sorted(maps.Keys(parts)), ", "))
		}
		if err := part(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
