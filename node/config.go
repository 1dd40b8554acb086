package node

import (
	"log/slog"
	"math"
	"net"
	"strconv"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"openflow"
	"openflow/dialect"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/site/folders"
	"openflow/site/partner"
	"openflow/site/peers"
	"openflow/site/upkeep"
	"openflow/store/catalogue"
	"openflow/store/messages"
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
	Party            openflow.PartyID
	Home             string
	Listen           string   // application layer and UI
	Interconnection  string   // interconnection layer, with TLS; empty: the host of Listen, ten ports up
	Plain            string   // the same without TLS, for peers that speak none; empty: none
	Packets          string   // listener for calls in packets of gRPC, with TLS; empty: none
	PlainPackets     bool     // that listener speaks no TLS
	Users            Users    // how the application layer speaks TLS
	Certificate      string   // PEM file of what the interconnection layer shows instead of the node's own key; with Key
	CertificateKey   string   // PEM file
	Authorities      string   // PEM file of those whose certificates count besides the keys of peers; empty: nobody's
	Base             string   // listener of the base layer; empty: chosen by the runtime and kept in the home folder
	Advertise        string   // where containers find the base layer, for runtimes that cannot tell
	Workers          string   // listener for the workers of the site's pool, with TLS; empty: none
	PlainWorkers     bool     // that listener speaks no TLS: something before it does
	Labels           []string // of this node as a machine of its own pool
	NoTasks          bool     // this node runs no tasks itself: its pool does
	Pooling          openflow.Pooling
	Residents        launch.Residents // zero value: the default
	Token            bool             // the application layer needs the token of the home folder
	Peers            []peers.Peer
	GrantAll         bool
	Policy           string // path of the site's policy file; empty: policy.yaml in the home folder, if there is one
	Exports          string // folder for archives of models; empty: exports in the home folder
	Runtime          driver.Opener
	Dialects         dialect.All // that this node speaks; nil: Dialects()
	Unconfined       bool        // containers may run where the runtime cannot limit what they reach of this machine
	Components       string      // path of the built-in provider's program
	ComponentsFolder string      // whose programs and archives of images are registered at the start; empty: none
	UploadFolders    []string    // whose files users may name to be uploaded or bound, besides the home's own
	DownloadFolders  []string    // into which users may have tables written, besides the home's own
	Trusted          []string    // providers whose programs run although the runtime isolates nothing
	Durability       string
	Limits           partner.Limits
	Retention        upkeep.Retention
	Bounds           Bounds
	Timing           openflow.Timing
	Shared           Shared // services instead of embedded parts
	Stores           Stores // stores of another kind
	UI               bool
	Version          string
	Spans            sdktrace.SpanExporter // where traces go; nil: there are none
	Log              *slog.Logger
}

// Bounds are how much may be put into this node's stores, in bytes; what is zero has its default. docs/bounds.md has all of
// them.
type Bounds struct {
	Messages messages.Options // its limits: of a session, a job, a sender, and of all
	Objects  catalogue.Bound
	Rows     catalogue.Bound
	TaskDisk int64 // files that one run may write on its machine
}

// DefaultTaskDisk is what one run may write, in bytes.
const DefaultTaskDisk = 16 << 30

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
	if err := c.Limits.Check(); err != nil {
		return c, err
	}
	if c.Retention == (upkeep.Retention{}) {
		c.Retention = upkeep.DefaultRetention()
	}
	if err := c.Retention.Check(); err != nil {
		return c, err
	}
	if c.Bounds.TaskDisk == 0 {
		c.Bounds.TaskDisk = DefaultTaskDisk
	}
	if _, err := c.Bounds.Messages.WithDefaults(); err != nil {
		return c, err
	}
	if c.Residents == (launch.Residents{}) {
		c.Residents = launch.DefaultResidents()
	}
	if err := c.Residents.Check(); err != nil {
		return c, err
	}
	if c.Timing == (openflow.Timing{}) {
		c.Timing = DefaultTiming()
	}
	if c.Pooling == (openflow.Pooling{}) {
		c.Pooling = roster.DefaultPooling()
	}
	for _, f := range []folders.Folders{{Named: c.UploadFolders, Flag: uploadFlag}, {Named: c.DownloadFolders, Flag: downloadFlag}} {
		if err := f.Check(); err != nil {
			return c, err
		}
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
	if c.Interconnection == "" {
		beside, err := tenUp(c.Listen)
		if err != nil {
			return c, err
		}
		c.Interconnection = beside
	}
	for _, p := range c.Peers {
		if err := p.Check(); err != nil {
			return c, err
		}
		if p.Party == c.Party {
			return c, openflow.Errorf(openflow.CodeInvalid, "peer %s is this node itself", p.Party)
		}
	}
	if err := c.checkExposure(); err != nil {
		return c, err
	}
	return c, c.Users.check()
}

// tenUp is the address of the interconnection layer where nothing is said of it: strangers call there, so users have a listener
// of their own. Port 0 is any free one.
func tenUp(listen string) (string, error) {
	host, text, err := net.SplitHostPort(listen)
	port, wrong := strconv.ParseUint(text, 10, 16)
	if err != nil || wrong != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "listen address %q is not host:port", listen)
	}
	if port > 0 {
		port += 10
	}
	if port > math.MaxUint16 {
		return "", openflow.Errorf(openflow.CodeInvalid, "no port is left for the interconnection layer above %s", listen).
			WithHint("name its address with --listen-interconnection")
	}
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), nil
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
	if !openflow.ThisMachine(host) && !c.Token {
		return openflow.Errorf(openflow.CodeInvalid, "the application layer would be open to everybody at %s", c.Listen).
			WithHint("add --token, or listen on 127.0.0.1 and give peers --listen-interconnection")
	}
	return nil
}

func (c Config) synchronous() string {
	if c.Durability == DurablePower {
		return "FULL"
	}
	return "NORMAL"
}
