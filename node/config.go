package node

import (
	"log/slog"
	"net"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"openflow"
	"openflow/dialect"
	"openflow/runtime/driver"
	"openflow/site/partner"
	"openflow/site/peers"
	"openflow/site/upkeep"
	"openflow/worker/roster"
)

// Durability says what an embedded node promises about what it has acknowledged.
const (
	// DurablePower survives loss of power: SQLite FULL.
	DurablePower = "power"
	// DurableProcess survives the end of the process, however it ends, and may lose the last seconds on loss of power:
	// SQLite NORMAL. For demos and benchmarks.
	DurableProcess = "process"
)

// Config is everything that a node is told from outside.
type Config struct {
	Party           openflow.PartyID
	Home            string
	Listen          string   // application layer and UI; interconnection too unless it has its own
	Interconnection string   // own listener of the interconnection layer; empty: none
	Base            string   // listener of the base layer; empty: chosen by the runtime and kept in the home folder
	Advertise       string   // where containers find the base layer, for runtimes that cannot tell
	Workers         string   // listener for the workers of the site's pool; empty: none
	Labels          []string // of this node as a machine of its own pool
	NoTasks         bool     // this node runs no tasks itself: its pool does
	Pooling         openflow.Pooling
	Token           bool // the application layer needs the token of the home folder
	Peers           []peers.Peer
	GrantAll        bool
	Policy          string // path of the site's policy file; empty: policy.yaml in the home folder, if there is one
	Runtime         driver.Opener
	Dialects        dialect.All // that this node speaks; nil: Dialects()
	Components      string      // path of the built-in provider's program
	Trusted         []string    // providers whose programs run although the runtime isolates nothing
	Durability      string
	Limits          partner.Limits
	Retention       upkeep.Retention
	Timing          openflow.Timing
	Shared          Shared // services instead of embedded parts
	Stores          Stores // stores of another kind
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
	if c.Runtime == nil {
		return c, openflow.Errorf(openflow.CodeInvalid, "no runtime").WithHint("give one with --runtime")
	}
	if c.Dialects == nil {
		c.Dialects = Dialects()
	}
	if c.Limits == (partner.Limits{}) {
		c.Limits = partner.DefaultLimits()
	}
	if c.Retention == (upkeep.Retention{}) {
		c.Retention = upkeep.DefaultRetention()
	}
	if err := c.Retention.Check(); err != nil {
		return c, err
	}
	if c.Timing == (openflow.Timing{}) {
		c.Timing = DefaultTiming()
	}
	if c.Pooling == (openflow.Pooling{}) {
		c.Pooling = roster.DefaultPooling()
	}
	for _, label := range c.Labels {
		if err := openflow.CheckIdentifier("label", label); err != nil {
			return c, err
		}
	}
	if len(c.Labels) > 0 && c.Runtime.Traits().Followers == driver.AnyReplica {
		return c, openflow.Errorf(openflow.CodeInvalid, "containers of the %s runtime belong to no machine, so that this node takes no tasks by label", c.Runtime.Kind()).
			WithHint("leave --label out; a worker of the pool may have it")
	}
	if c.NoTasks && c.Workers == "" {
		return c, openflow.Errorf(openflow.CodeInvalid, "a node that runs no tasks needs a pool of workers").
			WithHint("add --listen-workers")
	}
	for _, p := range c.Peers {
		if err := p.Check(); err != nil {
			return c, err
		}
		if p.Party == c.Party {
			return c, openflow.Errorf(openflow.CodeInvalid, "peer %s is this node itself", p.Party)
		}
	}
	return c, c.checkExposure()
}

// limited is what jobs share: what the operator says, or else what the runtime has.
func limited(l partner.Limits, has openflow.Resources) partner.Limits {
	if l.Cores == 0 {
		l.Cores = has.Cores
	}
	if l.Memory == 0 {
		l.Memory = has.Memory
	}
	if l.GPUs < 0 {
		l.GPUs = has.GPUs
	}
	return l
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
