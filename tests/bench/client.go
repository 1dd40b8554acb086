package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/sdk"
)

// subject is what is measured: something that runs chains of no-op tasks at two parties. submit and ended are called by
// the same loops for both sides of a ratio.
type subject interface {
	submit(ctx context.Context, name string, tasks int) (id string, err error)
	ended(ctx context.Context, id string) (bool, error)
}

// pollChain and pollBurst are the pauses between two looks: what the floor's own script uses.
const (
	pollChain = 5 * time.Millisecond
	pollBurst = 100 * time.Millisecond
)

// patience bounds one job: the floor loses jobs on a busy machine, and a run must then say so instead of waiting.
const patience = 30 * time.Second

// chain runs one job and waits for its end.
func chain(ctx context.Context, s subject, name string, tasks int, poll time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s has not ended after %s", name, patience))
	defer cancel()
	begun := time.Now()
	id, err := s.submit(ctx, name, tasks)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		done, err := s.ended(ctx, id)
		if err != nil || done {
			return time.Since(begun), err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// medianChain is the median of several runs.
func medianChain(ctx context.Context, s subject, tasks, runs int) (float64, error) {
	var times []time.Duration
	for i := range runs {
		d, err := chain(ctx, s, fmt.Sprintf("chain%d-%d", tasks, i), tasks, pollChain)
		if err != nil {
			return 0, err
		}
		times = append(times, d)
	}
	slices.Sort(times)
	return times[len(times)/2].Seconds(), nil
}

// bursts is how often a burst is tried: the floor, which handles no error, may lose one of a hundred jobs.
const bursts = 4

// burst starts k one-task jobs at once and returns when the last one has ended. A burst that loses a job does not count.
func burst(ctx context.Context, s subject, k int) (seconds float64, err error) {
	for try := range bursts {
		if seconds, err = burstOnce(ctx, s, k, try); err == nil {
			return seconds, nil
		}
		fmt.Fprintf(os.Stderr, "bench: a burst of %d is repeated: %v\n", k, err)
	}
	return 0, err
}

func burstOnce(ctx context.Context, s subject, k, try int) (float64, error) {
	begun := time.Now()
	errs := make([]error, k)
	var wg sync.WaitGroup
	for i := range k {
		wg.Go(func() { _, errs[i] = chain(ctx, s, fmt.Sprintf("burst%d-%d-%d", k, try, i), 1, pollBurst) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begun).Seconds(), nil
}

// chains are the figures that both sides have, in seconds.
type chains struct {
	Chain1   float64 `json:"chain_1"`
	Chain5   float64 `json:"chain_5"`
	Chain10  float64 `json:"chain_10"`
	Burst20  float64 `json:"burst_20"`
	Burst100 float64 `json:"burst_100"`
}

// timed is how many seconds do takes.
func timed(do func() error) (float64, error) {
	begun := time.Now()
	err := do()
	return time.Since(begun).Seconds(), err
}

// warmUp runs a few jobs that do not count.
func warmUp(ctx context.Context, s subject) error {
	for i := range 5 {
		if _, err := chain(ctx, s, fmt.Sprintf("warm%d", i), 2, pollChain); err != nil {
			return err
		}
	}
	return nil
}

func measure(ctx context.Context, s subject, runs int, withBursts bool) (chains, error) {
	var c chains
	if err := warmUp(ctx, s); err != nil {
		return c, err
	}
	for tasks, into := range map[int]*float64{1: &c.Chain1, 5: &c.Chain5, 10: &c.Chain10} {
		var err error
		if *into, err = medianChain(ctx, s, tasks, runs); err != nil {
			return c, err
		}
	}
	if !withBursts {
		return c, nil
	}
	var err error
	if c.Burst20, err = burst(ctx, s, 20); err != nil {
		return c, err
	}
	c.Burst100, err = burst(ctx, s, 100)
	return c, err
}

// nodeSubject is openflow: jobs of parties 9999 and 10000, submitted at the first.
type nodeSubject struct{ client *sdk.Client }

func (n nodeSubject) submit(ctx context.Context, _ string, tasks int) (string, error) {
	dag, err := noops(tasks, nil)
	if err != nil {
		return "", err
	}
	made, err := n.client.Submit(ctx, dag, "")
	return string(made.ID), err
}

// noops is a chain of no-op tasks at guest and host.
func noops(tasks int, parameters openflow.Parameters) (*openflow.DAG, error) {
	return noopsAt([]openflow.Party{sdk.Guest("9999"), sdk.Host("10000")}, tasks, parameters)
}

func noopsAt(parties []openflow.Party, tasks int, parameters openflow.Parameters) (*openflow.DAG, error) {
	cores := 1
	p := sdk.NewPipeline(parties...)
	p.Conf = openflow.JobConf{Cores: &cores, Task: openflow.TaskConf{Cores: &cores}}
	var before *sdk.Task
	for i := range tasks {
		t := p.AddTask(openflow.TaskName(fmt.Sprintf("t%d", i)), "noop").Set(parameters)
		if before != nil {
			t.After(before)
		}
		before = t
	}
	return p.DAG()
}

func (n nodeSubject) ended(ctx context.Context, id string) (bool, error) {
	var e struct {
		Code int `json:"code"`
		Data []struct {
			Status openflow.JobStatus `json:"status"`
			Reason string             `json:"reason"`
		} `json:"data"`
	}
	err := getJSON(ctx, n.client.URL+"/v2/job/query?fields=short&role=guest&party_id=9999&job_id="+id, &e)
	if err != nil || e.Code != 0 || len(e.Data) == 0 {
		return false, err
	}
	row := e.Data[0]
	if row.Status.Terminal() && row.Status != openflow.JobSuccess {
		return true, fmt.Errorf("job %s is %s: %s", id, row.Status, row.Reason)
	}
	return row.Status.Terminal(), nil
}

// floorSubject is the yardstick.
type floorSubject struct{ nodes []string }

func (f floorSubject) submit(ctx context.Context, name string, tasks int) (string, error) {
	body, err := json.Marshal(map[string]any{"ID": name, "N": tasks, "Parties": f.nodes, "Scheduler": f.nodes[0]})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.nodes[0]+"/job", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	_, err = read(req)
	return name, err
}

func (f floorSubject) ended(ctx context.Context, id string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.nodes[0]+"/ended?id="+id, nil)
	if err != nil {
		return false, err
	}
	b, err := read(req)
	return string(b) == "true", err
}

// web keeps connections, as a client in use would.
var web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

func read(req *http.Request) ([]byte, error) {
	resp, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", req.URL.Path, resp.Status)
	}
	return b, err
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	b, err := read(req)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
