package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/node/fleet"
	"openflow/runtime/process"
	"openflow/sdk"
)

// intersection is psi of IDs × IDs identifiers, half of them shared, beside what the curve alone costs on all cores.
type intersection struct {
	IDs     int     `json:"ids"`
	Seconds float64 `json:"seconds"` // of the task at the guest
	Curve   float64 `json:"curve_s"` // both parties' blinding and tagging, on this machine's cores
}

func measureIntersection(ctx context.Context, o options, dir string) (*intersection, error) {
	x := intersection{IDs: o.ids}
	rate, err := curveSpeed()
	if err != nil {
		return nil, err
	}
	x.Curve = 2 * float64(o.ids) / rate // each party blinds its own ids and tags the other's
	p, err := startPair(ctx, o, dir, process.Opener{})
	if err != nil {
		return nil, err
	}
	err = x.run(ctx, p)
	return &x, errors.Join(err, p.Stop())
}

func (x *intersection) run(ctx context.Context, f *fleet.Fleet) error {
	table := openflow.TableName{Namespace: "bench", Name: "ids"}
	for i, n := range f.Nodes {
		up := sdk.Upload{Table: table, Rows: identifiers(i*x.IDs/2, x.IDs)}
		if _, err := n.Client().Upload(ctx, up); err != nil {
			return err
		}
	}
	cores := max(runtime.NumCPU()/2, 1) // both parties share this machine
	p := sdk.NewPipeline(sdk.Guest(f.Nodes[0].Party), sdk.Host(f.Nodes[1].Party))
	p.Conf = openflow.JobConf{Cores: &cores, Task: openflow.TaskConf{Cores: &cores}}
	in := p.AddTask("reader_0", "reader").Set(openflow.Parameters{"namespace": table.Namespace, "name": table.Name})
	p.AddTask("psi_0", "psi").Data("input_data", in.Output("output_data"))
	dag, err := p.DAG()
	if err != nil {
		return err
	}
	guest := f.Nodes[0].Client()
	id, err := finish(ctx, guest, dag)
	if err != nil {
		return err
	}
	rows, err := guest.Tasks(ctx, id)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.TaskName == "psi_0" && r.StartTime != nil && r.EndTime != nil {
			x.Seconds = float64(*r.EndTime-*r.StartTime) / 1000
			return nil
		}
	}
	return fmt.Errorf("job %s has no psi_0 that has ended", id)
}

// identifiers is a CSV file of n ids from the first on.
func identifiers(first, n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "id\n")
		for i := first; i < first+n && err == nil; i++ {
			_, err = fmt.Fprintf(w, "customer-%09d\n", i)
		}
		_ = w.CloseWithError(err) // never fails
	}()
	return r
}

// curveSpeed is how many ids this machine blinds, and points it tags, in a second: pairs of both.
func curveSpeed() (float64, error) {
	const each = 4000
	key, err := blind.NewKey()
	if err != nil {
		return 0, err
	}
	workers := runtime.NumCPU()
	errs := make([]error, workers)
	var wg sync.WaitGroup
	begun := time.Now()
	for w := range workers {
		wg.Go(func() {
			for i := 0; i < each && errs[w] == nil; i++ {
				var p blind.Point
				if p, errs[w] = key.Blind(fmt.Sprint(w, i)); errs[w] == nil {
					_, errs[w] = key.Raise(p)
				}
			}
		})
	}
	wg.Wait()
	return float64(workers*each) / time.Since(begun).Seconds(), errors.Join(errs...)
}
