package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"openflow/node/fleet"
	"openflow/runtime/process"
	"openflow/sdk/httpclient"
)

// strangers is how long users wait for the status of a job while strangers hold connections at the interconnection layer.
type strangers struct {
	Connections int     `json:"connections"`   // that strangers make, and make again when the node has closed them
	Held        int     `json:"held"`          // of them, in the middle of it
	IdleP95     float64 `json:"idle_p95_ms"`   // of a query, without them
	P95         float64 `json:"p95_ms"`        // with them
	TheirCPU    float64 `json:"their_cpu_pct"` // of the strangers, in percent of a core
	NodeCPU     float64 `json:"node_cpu_pct"`  // of the node, with nothing else to do
	MB          float64 `json:"mb"`            // of the node, of memory
}

const (
	hostile   = 1000
	addresses = 20  // that they come from
	queries   = 500 // of the user, each on a connection of its own
)

// halves are what strangers say before they fall silent: nothing, or the beginning of a greeting of TLS. Who says more is answered and
// sent away.
var halves = []string{"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}

func measureStrangers(ctx context.Context, o options, dir string) (*strangers, error) {
	p, err := startPair(ctx, o, dir, process.Opener{})
	if err != nil {
		return nil, err
	}
	s := strangers{Connections: hostile}
	err = s.run(ctx, p.Nodes[0])
	return &s, errors.Join(err, p.Stop())
}

func (s *strangers) run(ctx context.Context, n *fleet.Node) (err error) {
	if s.IdleP95, err = queried(ctx, n); err != nil {
		return err
	}
	peers, err := url.Parse(n.Peers)
	if err != nil {
		return err
	}
	besieging, end := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer end()
	var held atomic.Int64
	for i := range hostile {
		all.Go(func() { besiege(besieging, i, peers.Host, &held) })
	}
	if err := wait(ctx, idleFor); err != nil { // until all have been closed and made again once
		return err
	}
	_, node, err := usage(n.PID())
	if err != nil {
		return err
	}
	_, own, err := usage(os.Getpid())
	if err != nil {
		return err
	}
	if err := wait(ctx, idleFor); err != nil {
		return err
	}
	mb, nodeThen, err := usage(n.PID())
	if err != nil {
		return err
	}
	_, ownThen, err := usage(os.Getpid())
	if err != nil {
		return err
	}
	if s.MB, s.Held = mb, int(held.Load()); s.Held == 0 {
		return errors.New("no stranger is held: nothing was besieged")
	}
	s.NodeCPU, s.TheirCPU = (nodeThen-node)/idleFor.Seconds()*100, (ownThen-own)/idleFor.Seconds()*100
	s.P95, err = queried(ctx, n)
	return err
}

// besiege holds a connection, and makes it again when the node has closed it.
func besiege(ctx context.Context, i int, address string, held *atomic.Int64) {
	from := netip.MustParseAddr(fmt.Sprintf("127.0.1.%d", 1+i%addresses))
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			_ = wait(ctx, time.Second) // ctx is asked above
			continue
		}
		held.Add(1)
		stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // it may be closed already
		if _, err := io.WriteString(c, halves[i%len(halves)]); err == nil {
			_, _ = io.Copy(io.Discard, c) // until the node closes it
		}
		stop()
		_ = c.Close() // it may be closed already
		held.Add(-1)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queried is the 95th percentile of what a user waits for the status of a job, in milliseconds.
func queried(ctx context.Context, n *fleet.Node) (float64, error) {
	client := httpclient.New(httpclient.Options{})
	var times []time.Duration
	for range queries {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/v2/job/query?job_id=20200101000000000000", nil)
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return 0, err
		}
		times = append(times, time.Since(begun))
		client.CloseIdleConnections()
		if err := wait(ctx, 10*time.Millisecond); err != nil { // as a user who looks again, not as a load
			return 0, err
		}
	}
	slices.Sort(times)
	return times[len(times)*95/100].Seconds() * 1000, nil
}
