// Command compare runs the benchmarks of two builds in turn and shows both side by side: the build before a change and
// the build after it. It reads the results.json of each run, so either build is measured by its own benchmark.
//
// `make compare BEFORE=<commit>` builds both and calls it. It never fails for a time: figures are for people.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c comparison
	flag.StringVar(&c.before.Folder, "before", "", "folder of a built tree, its benchmark in bin/bench")
	flag.StringVar(&c.after.Folder, "after", ".", "folder of a built tree, its benchmark in bin/bench")
	flag.StringVar(&c.before.Name, "before-name", "before", "what the page calls the build before")
	flag.StringVar(&c.after.Name, "after-name", "after", "what the page calls the build after")
	flag.StringVar(&c.parts, "parts", "nodes,docker,pool", "what to measure")
	flag.IntVar(&c.pairs, "pairs", 10, "how often each build is measured")
	doc := flag.String("doc", "", "page to write")
	flag.Parse()
	if err := c.run(ctx, os.Stdout, *doc); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// comparison is what to measure, how often, and what came out.
type comparison struct {
	before, after build
	parts         string
	pairs         int
}

// build is a built tree and the figures of each of its runs.
type build struct {
	Folder, Name string
	Runs         []results
}

// run measures pair by pair. The page is written after every pair, so that a run that is cut short has shown something.
func (c *comparison) run(ctx context.Context, out io.Writer, doc string) error {
	if c.before.Folder == "" {
		return errors.New("-before names no folder: give one in which the build before the change stands")
	}
	for _, b := range []*build{&c.before, &c.after} {
		dir, err := b.copied()
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	}
	for i := range c.pairs {
		order := []*build{&c.before, &c.after}
		if i%2 == 1 { // what drifts during a pair favors neither
			order[0], order[1] = order[1], order[0]
		}
		for _, b := range order {
			r, err := c.measure(ctx, *b)
			if err != nil {
				return fmt.Errorf("pair %d of %s: %w", i+1, b.Name, err)
			}
			b.Runs = append(b.Runs, r)
		}
		fmt.Fprintf(out, "%s\n%s\n", time.Now().UTC().Format(time.RFC3339), c.table())
		if doc == "" {
			continue
		}
		if err := os.WriteFile(doc, []byte(c.page()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// copied has a build run from copies of its programs, and returns their folder. How much of a program the kernel maps depends
// on how its file came to be: some 30 MB more of one that was just linked.
func (b *build) copied() (string, error) {
	dir, err := os.MkdirTemp("", "openflow-compare-*")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"openflow", "openflow-components", "bench"} {
		content, err := os.ReadFile(filepath.Join(b.Folder, "bin", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o700)
		}
		if err != nil {
			return dir, err
		}
	}
	b.Folder = dir
	return dir, nil
}

// attempts bounds how often a run is repeated: the floor loses a job now and then.
const attempts = 3

func (c *comparison) measure(ctx context.Context, b build) (r results, err error) {
	for range attempts {
		if r, err = c.attempt(ctx, b); err == nil || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

func (c *comparison) attempt(ctx context.Context, b build) (results, error) {
	dir, err := os.MkdirTemp("", "openflow-compare-*")
	if err != nil {
		return results{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	file := filepath.Join(dir, "results.json")
	cmd := exec.CommandContext(ctx, filepath.Join(b.Folder, "bench"), "-bin", b.Folder, "-floor", dir, "-parts", c.parts, "-runs", "1", "-out", file)
	if said, err := cmd.CombinedOutput(); err != nil {
		return results{}, fmt.Errorf("%w: %s", err, said)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return results{}, err
	}
	var r results
	return r, json.Unmarshal(text, &r)
}
