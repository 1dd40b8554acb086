package node

import (
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"openflow"
	"openflow/site/partner"
	"openflow/site/trust"
)

// Runtimes that a node can run tasks in.
const (
	RuntimeDocker  = "docker"
	RuntimeProcess = "process"
)

// Durability says what an embedded node promises about what it has acknowledged.
const (
	// DurablePower survives loss of power: SQLite FULL.
	DurablePower = "power"
	// DurableProcess survives the end of the process, however it ends, and may lose the last seconds on loss of power:
	// SQLite NORMAL. For demos and benchmarks.
	DurableProcess = "process"
)

// Peer is a partner that is known from the start.
type Peer struct {
	Party openflow.PartyID
	URL   string
	Key   string // public key, text form
}

// ParsePeer reads "ID=URL,KEY".
func ParsePeer(s string) (Peer, error) {
	id, rest, ok := strings.Cut(s, "=")
	address, key, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return Peer{}, openflow.Errorf(openflow.CodeInvalid, "peer %q is not of the form ID=URL,KEY", s).
			WithHint("the other site prints its key with: openflow site key --home DIR")
	}
	p := Peer{Party: openflow.PartyID(id), URL: strings.TrimSuffix(address, "/"), Key: key}
	return p, CheckPeer(p)
}

// CheckPeer refuses a party ID, address or key that cannot be one.
func CheckPeer(p Peer) error {
	if err := openflow.CheckIdentifier("party ID of a peer", string(p.Party)); err != nil {
		return err
	}
	u, err := url.Parse(p.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		return openflow.Errorf(openflow.CodeInvalid, "peer %s: %q is not an http or https address", p.Party, p.URL).
			WithHint("write it like http://10.0.0.2:9390")
	}
	_, err = trust.ParsePublicKey(p.Key)
	return err
}

// Retention says how long things are kept, so that an idle year or a million jobs do not fill a disk.
type Retention struct {
	Workflows time.Duration // histories in Temporal after the end
	Jobs      time.Duration // rows, metrics and intermediate tables of ended jobs
	Logs      time.Duration // of runs that have ended; no longer than their jobs
	Messages  time.Duration // unread messages of sessions that nobody uses
	Unstarted time.Duration // jobs that were created here and never heard of again
}

// DefaultRetention keeps what an operator may want to look at after a weekend.
func DefaultRetention() Retention {
	return Retention{Workflows: 72 * time.Hour, Jobs: 30 * 24 * time.Hour, Logs: 30 * 24 * time.Hour, Messages: 30 * time.Minute, Unstarted: time.Hour}
}

// Least of what is kept: Temporal keeps no history for less than an hour, an operator needs an hour to look, and a
// container that waits for its machine to come back has messages that nobody else has.
const (
	leastKept     = time.Hour
	leastMessages = 5 * time.Minute
)

// check refuses what would take from jobs what they need.
func (r Retention) check() error {
	for _, k := range []struct {
		what, flag   string
		kept, needed time.Duration
	}{
		{"histories", "--keep-histories", r.Workflows, leastKept}, {"jobs", "--keep-jobs", r.Jobs, leastKept},
		{"logs", "--keep-logs", r.Logs, leastKept}, {"messages", "--keep-messages", r.Messages, leastMessages},
		{"jobs that never started", "--keep-unstarted", r.Unstarted, leastMessages},
	} {
		if k.kept < k.needed {
			return openflow.Errorf(openflow.CodeInvalid, "%s would be kept for %s", k.what, k.kept).WithHint("%s takes %s at least", k.flag, k.needed)
		}
	}
	return nil
}

// Config is everything that a node is told from outside.
type Config struct {
	Party           openflow.PartyID
	Home            string
	Listen          string   // application layer and UI; interconnection too unless it has its own
	Interconnection string   // own listener of the interconnection layer; empty: none
	Base            string   // listener of the base layer; empty: chosen by the runtime and kept in the home folder
	Workers         string   // listener for the workers of the site's pool; empty: none
	Labels          []string // of this node as a machine of its own pool
	NoTasks         bool     // this node runs no tasks itself: its pool does
	Pooling         openflow.Pooling
	Token           bool // the application layer needs the token of the home folder
	Peers           []Peer
	GrantAll        bool
	Policy          string // path of the site's policy file; empty: policy.yaml in the home folder, if there is one
	Runtime         string
	Components      string // path of the openflow-components binary
	Durability      string
	Limits          partner.Limits
	Retention       Retention
	Timing          openflow.Timing
	Shared          Shared // services instead of embedded parts
	UI              bool
	Version         string
	Spans           sdktrace.SpanExporter // where traces go; nil: there are none
	Log             *slog.Logger
}

// DefaultTiming suits partners on the internet.
func DefaultTiming() openflow.Timing {
	return openflow.Timing{
		Create: 30 * time.Second, Partner: 10 * time.Minute, Undo: 7 * 24 * time.Hour, Collect: time.Minute,
	}
}

// DefaultPooling gives people time to start a worker, and a machine time to boot.
func DefaultPooling() openflow.Pooling {
	return openflow.Pooling{Wait: 10 * time.Minute, Gone: time.Minute}
}

// withDefaults fills in what is open and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if err := openflow.CheckIdentifier("party", string(c.Party)); err != nil {
		return c, err
	}
	if c.Home == "" {
		return c, openflow.Errorf(openflow.CodeInvalid, "no home folder").WithHint("give one with --home")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Durability == "" {
		c.Durability = DurablePower
	}
	if c.Durability != DurablePower && c.Durability != DurableProcess {
		return c, openflow.Errorf(openflow.CodeInvalid, "unknown durability %q", c.Durability).WithHint("use power or process")
	}
	if c.Runtime != RuntimeDocker && c.Runtime != RuntimeProcess {
		return c, openflow.Errorf(openflow.CodeInvalid, "unknown runtime %q", c.Runtime).WithHint("use docker or process")
	}
	if c.Limits == (partner.Limits{}) {
		c.Limits = partner.DefaultLimits()
	}
	if c.Limits.Cores == 0 {
		c.Limits.Cores = int(machineCPUs())
	}
	if c.Limits.Memory == 0 {
		c.Limits.Memory = machineMemory()
	}
	if c.Limits.GPUs < 0 {
		c.Limits.GPUs = machineGPUs()
	}
	if c.Retention == (Retention{}) {
		c.Retention = DefaultRetention()
	}
	if err := c.Retention.check(); err != nil {
		return c, err
	}
	if c.Timing == (openflow.Timing{}) {
		c.Timing = DefaultTiming()
	}
	if c.Pooling == (openflow.Pooling{}) {
		c.Pooling = DefaultPooling()
	}
	for _, label := range c.Labels {
		if err := openflow.CheckIdentifier("label", label); err != nil {
			return c, err
		}
	}
	if c.NoTasks && c.Workers == "" {
		return c, openflow.Errorf(openflow.CodeInvalid, "a node that runs no tasks needs a pool of workers").
			WithHint("add --listen-workers")
	}
	for _, p := range c.Peers {
		if err := CheckPeer(p); err != nil {
			return c, err
		}
		if p.Party == c.Party {
			return c, openflow.Errorf(openflow.CodeInvalid, "peer %s is this node itself", p.Party)
		}
	}
	return c, c.checkExposure()
}

// checkExposure refuses to listen beyond loopback without a token: the application layer could then be used by
// everybody who reaches it.
func (c Config) checkExposure() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "listen address %q is not host:port", c.Listen)
	}
	if !loopback(host) && !c.Token {
		return openflow.Errorf(openflow.CodeInvalid, "the application layer would be open to everybody at %s", c.Listen).
			WithHint("add --token, or listen on 127.0.0.1 and give peers --listen-interconnection")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c Config) synchronous() string {
	if c.Durability == DurablePower {
		return "FULL"
	}
	return "NORMAL"
}
