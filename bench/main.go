// Command bench measures a node against the budgets of the design and, where the floor's source is at hand, against
// the least that the same work can cost, in the same run and driven by the same client.
//
// It prints a table, writes bench/results.json, and with -doc the dated page docs/performance.md. It never fails for a
// time: figures are for people, ratios more than seconds. Start reading at [run].
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder of openflow and openflow-components")
	flag.StringVar(&o.floor, "floor", "../shared/floor", "folder of the floor's source; left out when it is not there")
	flag.StringVar(&o.out, "out", "bench/results.json", "file for the figures")
	flag.StringVar(&o.doc, "doc", "", "page to write, such as docs/performance.md")
	flag.IntVar(&o.runs, "runs", 9, "runs per chain; the median counts")
	flag.BoolVar(&o.docker, "docker", true, "measure chains in Docker containers too")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bin, floor, out, doc string
	runs                 int
	docker               bool
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
	if r.Floor, err = measureFloor(ctx, o, filepath.Join(dir, "floor")); err != nil {
		return err
	}
	if r.Process, err = measureNodes(ctx, o, filepath.Join(dir, "process"), "process"); err != nil {
		return err
	}
	if o.docker {
		if r.Docker, err = measureDocker(ctx, o, filepath.Join(dir, "docker")); err != nil {
			return err
		}
	}
	fmt.Println(r.table())
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
