package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"openflow"
	"openflow/runtime/process"
	"openflow/sdk"
)

// transport is what messages between two parties' programs cost, beside the same bytes through two bare HTTP proxies:
// program → own node → peer's node → peer's program.
type transport struct {
	RoundTripMS     float64 `json:"round_trip_ms"` // of 1 KiB there and back
	MBs             float64 `json:"mb_per_s"`      // of 1 MiB messages, one after the other
	BareRoundTripMS float64 `json:"bare_round_trip_ms"`
	BareMBs         float64 `json:"bare_mb_per_s"`
}

const (
	rounds      = 200
	freights    = 200
	freightSize = 1 << 20
)

func measureTransport(ctx context.Context, o options, dir string) (*transport, error) {
	var t transport
	if err := t.bare(ctx); err != nil {
		return nil, fmt.Errorf("bare proxies: %w", err)
	}
	program := filepath.Join(dir, "exchange")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./tests/bench/exchange")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("exchange: %w: %s", err, out)
	}
	o.components = program
	o.flags = append(slices.Clone(o.flags), "--trust-provider", "bench")
	p, err := startPair(ctx, o, dir, process.Opener{})
	if err != nil {
		return nil, err
	}
	err = t.nodes(ctx, p.Nodes[0].Client())
	return &t, errors.Join(err, p.Stop())
}

func (t *transport) nodes(ctx context.Context, guest *sdk.Client) error {
	p := sdk.NewPipeline(sdk.Guest("9999"), sdk.Host("10000"))
	p.AddTask("exchange_0", "exchange").Set(openflow.Parameters{"rounds": rounds, "count": freights, "bytes": freightSize})
	dag, err := p.DAG()
	if err != nil {
		return err
	}
	id, err := finish(ctx, guest, dag)
	if err != nil {
		return err
	}
	metrics, err := guest.Metrics(ctx, openflow.TaskKey{Job: id, Task: "exchange_0", Party: sdk.Guest("9999")})
	if err != nil {
		return err
	}
	if len(metrics) != 1 {
		return fmt.Errorf("%d metrics of the exchange", len(metrics))
	}
	var took struct {
		RoundTripMS float64 `json:"round_trip_ms"`
		Seconds     float64 `json:"seconds"`
	}
	if err := json.Unmarshal(metrics[0].Data, &took); err != nil {
		return err
	}
	t.RoundTripMS, t.MBs = took.RoundTripMS, freights*freightSize/took.Seconds/1e6
	return nil
}

// finish runs a job to its end.
func finish(ctx context.Context, c *sdk.Client, dag *openflow.DAG) (openflow.JobID, error) {
	made, err := c.Submit(ctx, dag, "")
	if err != nil {
		return "", err
	}
	end, err := c.Watch(ctx, made.ID, func(sdk.Snapshot) {})
	if err == nil && end.Status() != openflow.JobSuccess {
		err = fmt.Errorf("job %s is %s: %s", made.ID, end.Status(), end.Reason())
	}
	return made.ID, err
}

// bare sends the same messages through two reverse proxies in a row, as plain POST requests. There and back is two of
// them, because both programs are clients.
func (t *transport) bare(ctx context.Context) error {
	sink := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	address := ""
	for range 3 {
		s := httptest.NewServer(sink)
		defer s.Close()
		next, err := url.Parse(s.URL)
		if err != nil {
			return err
		}
		sink, address = httputil.NewSingleHostReverseProxy(next), s.URL
	}
	send := func(body []byte) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err == nil {
			_, err = read(r)
		}
		return err
	}
	ball, freight := make([]byte, 1<<10), make([]byte, freightSize)
	var trips []time.Duration
	for range rounds {
		begun := time.Now()
		if err := errors.Join(send(ball), send(ball)); err != nil {
			return err
		}
		trips = append(trips, time.Since(begun))
	}
	t.BareRoundTripMS = middle(trips).Seconds() * 1000
	begun := time.Now()
	for range freights {
		if err := send(freight); err != nil {
			return err
		}
	}
	t.BareMBs = freights * freightSize / time.Since(begun).Seconds() / 1e6
	return nil
}
