package rabbitmq

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"openflow"
	"openflow/sdk/httpclient"
)

// What components may have under way at brokers, through this node.
const (
	maxOfRun  = 64  // connections of one run
	maxOfAll  = 512 // of all runs
	maxAnswer = 1 << 20
	patience  = 30 * time.Second // for an answer of a broker's management, and for the making of a connection
	hushed    = 30 * time.Second // without a byte before a virtual host is open
	chunk     = 32 << 10         // bytes of a connection in memory, in each direction
)

// Gate passes on to brokers what components ask of them. The zero value has the usual bounds.
type Gate struct {
	Idle  time.Duration // without a byte in either direction; 0: three hours, since components compute for long
	Every time.Duration // after which it asks again whether a connection may go on; 0: five seconds

	mu   sync.Mutex
	runs map[openflow.RunID]int
	all  int
}

// Answer is what a broker's management has answered.
type Answer struct {
	Status int
	Type   string
	Body   []byte
}

// client asks brokers.
var client = httpclient.New(httpclient.Options{Patience: patience})

var dialer = &net.Dialer{Timeout: 10 * time.Second}

// Ask asks a broker's management. CodeUnavailable: it does not answer.
func (g *Gate) Ask(ctx context.Context, b openflow.Broker, a Asked) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, a.Method, "http://"+b.Management+a.Path, bytes.NewReader(a.Body))
	if err != nil {
		return Answer{}, openflow.Errorf(openflow.CodeInternal, "a request to the broker cannot be written: %w", err)
	}
	r.SetBasicAuth(b.User, b.Password)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return Answer{}, silent(b.Management, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, silent(b.Management, err)
	}
	if len(body) > maxAnswer {
		return Answer{}, openflow.Errorf(openflow.CodeExhausted, "the broker's answer has more than %d bytes", maxAnswer)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return Answer{}, openflow.Errorf(openflow.CodeUnauthorized, "the broker at %s does not take the account of engines.rabbitmq", b.Management).
			WithPublic("a service of the site refuses it").WithHint("see that the file of the account has its user and password")
	}
	return Answer{resp.StatusCode, resp.Header.Get("Content-Type"), body}, nil
}

func silent(address string, err error) error {
	return openflow.Errorf(openflow.CodeUnavailable, "the broker at %s does not answer: %w", address, err).
		WithPublic("a service of the site does not answer").WithHint("see that it runs, and that engines.rabbitmq of the policy has its address")
}

// Connect connects a run with its broker. The caller closes the connection, and calls leave then. Errors: CodeUnavailable (the
// broker does not answer), CodeExhausted (the run, or all of them, have as many as they may).
func (g *Gate) Connect(ctx context.Context, run openflow.RunID, b openflow.Broker) (conn net.Conn, leave func(), err error) {
	if err := g.enter(run); err != nil {
		return nil, nil, err
	}
	leave = sync.OnceFunc(func() { g.leave(run) })
	conn, err = dialer.DialContext(ctx, "tcp", b.Address)
	if err != nil {
		leave()
		return nil, nil, silent(b.Address, err)
	}
	return conn, leave, nil
}

func (g *Gate) enter(run openflow.RunID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.runs[run] >= maxOfRun:
		return openflow.Errorf(openflow.CodeExhausted, "run %s has %d connections to the broker, as many as it may", run, maxOfRun)
	case g.all >= maxOfAll, g.runs[run] > 0 && g.all >= maxOfAll*3/4: // the last quarter is for the first connection of a run
		return openflow.Errorf(openflow.CodeExhausted, "runs of this site have %d connections to brokers, as many as there may be", maxOfAll)
	}
	if g.runs == nil {
		g.runs = map[openflow.RunID]int{}
	}
	g.runs[run]++
	g.all++
	return nil
}

func (g *Gate) leave(run openflow.RunID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.runs[run]--; g.runs[run] == 0 {
		delete(g.runs, run)
	}
}

// errIdle ends a connection over which nothing comes.
var errIdle = openflow.Errorf(openflow.CodeDeadline, "nothing has come over the connection to the broker for too long")

// Pass passes on what a component and its broker say to each other, until one of them ends it or goes says why it must end. What the
// component says first must open a virtual host of its task. Each waits for the other: no more than a chunk is kept of either.
func (g *Gate) Pass(ctx context.Context, t Task, component, broker net.Conn, first io.Reader, goes func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var heard atomic.Int64
	heard.Store(time.Now().UnixNano())
	go g.watch(ctx, cancel, &heard, goes)
	stop := context.AfterFunc(ctx, func() {
		_ = component.Close() // so that both directions end
		_ = broker.Close()
	})
	defer stop()
	go func() {
		cancel(carry(component, broker, &heard))
	}()
	cancel(func() error {
		_ = component.SetReadDeadline(time.Now().Add(hushed)) // it is a connection
		pass := func(b []byte) error { _, err := broker.Write(b); return err }
		if err := Open(first, pass, func(o Opened) error { return t.Login(o.User, o.VHost) }); err != nil {
			return err
		}
		_ = component.SetReadDeadline(time.Time{})
		return carry(broker, struct{ io.Reader }{first}, &heard)
	}())
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// watch ends a connection that is idle, or may not go on.
func (g *Gate) watch(ctx context.Context, end context.CancelCauseFunc, heard *atomic.Int64, goes func(context.Context) error) {
	idle, every := g.Idle, g.Every
	if idle == 0 {
		idle = 3 * time.Hour
	}
	if every == 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(min(every, idle))
	defer tick.Stop()
	for unknown := 0; ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := goes(ctx)
			switch code := openflow.CodeOf(err); {
			case now.Sub(time.Unix(0, heard.Load())) > idle:
				end(errIdle)
			case err == nil:
				unknown = 0
			case code == openflow.CodeCanceled || code == openflow.CodePermission || unknown == maxUnknown:
				end(err)
			default: // what would know is away for a while
				unknown++
			}
		}
	}
}

// maxUnknown is how often in a row nobody may know whether a connection may go on.
const maxUnknown = 12

// carry copies from one side to the other, and notes when there was something.
func carry(to io.Writer, from io.Reader, heard *atomic.Int64) error {
	buffer := make([]byte, chunk)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			heard.Store(time.Now().UnixNano())
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
