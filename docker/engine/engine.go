package engine

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/runtime/driver"
)

// HostAlias is the name under which containers find their node: the gateway of their network.
const HostAlias = "openflow.internal"

// networkLabel marks what a node has made, with the name of its network as the value.
const networkLabel = "openflow.network"

// madeLabel tells what a container was made of: driver.Spec.Made.
const madeLabel = "openflow.made"

// defaultNetwork is for the machine with one node.
const defaultNetwork = "openflow"

// Options of New. The zero value suits one node on the machine's own daemon.
type Options struct {
	Host    string       // "unix:///…"; empty takes DOCKER_HOST or the system's default
	Network string       // name of this node's network; default "openflow". Nodes on one daemon must differ in it
	Subnet  netip.Prefix // of the network; the zero value takes a free /24 of 10.77.0.0/16
	Owner   Owner        // whose the network is, for those who find it later
	Outputs string       // folder for the beginnings of long outputs, which a daemon drops; empty: they are not kept
	Logger  *slog.Logger // told when the daemon is away and back; nil discards
}

// Runtime is the Docker runtime of one node. What it remembers only saves time; a restart loses nothing.
type Runtime struct {
	api      *client.Client
	host     string
	name     string
	subnet   netip.Prefix
	owner    Owner
	outputs  string
	log      *slog.Logger
	starts   gate
	launches sync.Map // container name → launch; from Start to Remove
	stopped  sync.Map // container name → true; from Stop to Remove
	network  networkCache
}

var _ driver.Runtime = (*Runtime)(nil)

// New connects to the daemon and agrees on an API version; it creates nothing. Close the Runtime when done.
// Errors: CodeUnavailable (no daemon answers), CodePermission (it does, but not to this user), CodeInvalid.
func New(ctx context.Context, o Options) (*Runtime, error) {
	if o.Subnet.IsValid() && (!o.Subnet.Addr().Is4() || o.Subnet.Bits() > 28 || o.Subnet.Masked() != o.Subnet) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "container network: %s is not an IPv4 network of at least 16 addresses", o.Subnet)
	}
	hostOption := client.WithHostFromEnv()
	if o.Host != "" {
		hostOption = client.WithHost(o.Host)
	}
	api, err := client.New(hostOption)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "docker host %q: %w", o.Host, err)
	}
	r := &Runtime{api: api, host: api.DaemonHost(), name: cmp.Or(o.Network, defaultNetwork), subnet: o.Subnet, owner: o.Owner, outputs: o.Outputs, log: o.Logger}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		err = r.wrap(ctx, err, "docker daemon")
		return nil, errors.Join(err, api.Close())
	}
	return r, nil
}

// Kind implements driver.Runtime.
func (r *Runtime) Kind() string { return "docker" }

// Close gives up the connections to the daemon. Containers and network stay.
func (r *Runtime) Close() error {
	r.launches.Range(func(name, _ any) bool {
		r.forget(name.(string))
		return true
	})
	return r.api.Close()
}

// wrap gives an error of the client a code. subject names what was asked for, such as `container "x"`.
func (r *Runtime) wrap(ctx context.Context, err error, subject string) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case cerrdefs.IsNotFound(err):
		return openflow.Errorf(openflow.CodeNotFound, "%s: %w", subject, err)
	case cerrdefs.IsConflict(err):
		return openflow.Errorf(openflow.CodeConflict, "%s: %w", subject, err)
	case cerrdefs.IsInvalidArgument(err):
		return openflow.Errorf(openflow.CodeInvalid, "%s: %w", subject, err)
	case cerrdefs.IsPermissionDenied(err), errors.Is(err, os.ErrPermission):
		return openflow.Errorf(openflow.CodePermission, "%s: %w", subject, err).
			WithHint("this user may not use the Docker daemon at %s; join its group", r.host)
	case isDisconnect(err):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: %w", subject, err).
			WithHint("is the Docker daemon at %s running? the process runtime does without", r.host)
	}
	return openflow.Errorf(openflow.CodeInternal, "%s: %w", subject, err)
}

// isDisconnect recognises a daemon that is not there, or went away in the middle of an answer.
func isDisconnect(err error) bool {
	return client.IsErrConnectionFailed(err) || cerrdefs.IsUnavailable(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ENOENT)
}

// untilSettled is how often the daemon is asked again: after 10 ms first, then after twice as long each time, up to a second,
// as long as the context lasts. tell hears of every error that is not for good.
func untilSettled(tell func(error)) []backoff.RetryOption {
	return []backoff.RetryOption{
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second}),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) { tell(err) }),
	}
}

func tellNobody(error) {}

// gate lets one caller at a time do something to a name.
type gate struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the one inside leaves
}

func (g *gate) enter(ctx context.Context, name string) (leave func(), err error) {
	for {
		g.mu.Lock()
		inside, taken := g.busy[name]
		if !taken {
			break
		}
		g.mu.Unlock()
		select {
		case <-inside:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer g.mu.Unlock()
	if g.busy == nil {
		g.busy = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	g.busy[name] = mine
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.busy, name)
		close(mine)
	}, nil
}

// Filters reports whether the daemon filters the system calls of containers: with its own profile, or the operator's.
func (r *Runtime) Filters(ctx context.Context) (bool, error) {
	info, err := r.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return false, r.wrap(ctx, err, "docker daemon")
	}
	return Filtered(info.Info.SecurityOptions), nil
}

// Filtered reads what a daemon says of its security, as in "name=seccomp,profile=default".
func Filtered(options []string) bool {
	for _, option := range options {
		if strings.HasPrefix(option+",", "name=seccomp,") {
			return !strings.Contains(option, "profile=unconfined")
		}
	}
	return false
}

// Version tells the daemon's release and the newest API that it speaks. Errors: CodeUnavailable, CodePermission.
func (r *Runtime) Version(ctx context.Context) (release, api string, err error) {
	v, err := r.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", "", r.wrap(ctx, err, "docker daemon")
	}
	return v.Version, v.APIVersion, nil
}
