package embedded

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/interceptor"

	"openflow"
)

// The settings of SQLite's synchronous mode that [Options] accepts.
const (
	SynchronousFull   = "FULL"   // every commit is on the disk before it is answered; survives loss of power
	SynchronousNormal = "NORMAL" // 10–30 % faster; loss of power may take the last transactions, kill −9 does not
)

// Options say where and how the server runs. The zero value of every field is usable, but one of Dir and Postgres is
// needed.
type Options struct {
	// Dir is the folder of this server; it is created with mode 0700 when it does not exist. One process per folder.
	Dir string
	// Postgres is where the state is instead of in Dir: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…. That
	// database, and a second one called DATABASE_visibility, are made when they are missing. One process per database.
	Postgres string
	// Listen is the IP address and port of the frontend; default a free port of loopback.
	Listen string
	// Token opens the frontend; default a new one, which only clients of [Server.Dial] know.
	Token string
	// Open lets everybody who reaches the frontend do everything. It goes with loopback only.
	Open bool
	// Certificate and Key are PEM files with which the frontend speaks TLS; without them it does not.
	Certificate, Key string
	// Namespace is created at the first start; default "openflow".
	Namespace string
	// Synchronous is [SynchronousFull] (the default) or [SynchronousNormal].
	Synchronous string
	// Retention is how long closed workflows stay visible; default 72 h. It is applied at every start, to workflows
	// that close from then on. A workflow with one activity takes about 25 KB of disk while it is retained.
	Retention time.Duration
	// SearchAttributes exist after Start, whichever the release that made the folder. Attributes that are left out
	// later stay; another type for an existing name is CodeConflict.
	SearchAttributes map[string]enumspb.IndexedValueType
	// UI says whether [Server.UIHandler] serves the web UI; without it the handler answers 404.
	UI bool
	// UIPublicPath is the path below which the UI is mounted; default "/temporal". No slash at its end.
	UIPublicPath string
	// Interceptors are those of the clients that [Server.Dial] makes, and of their workers.
	Interceptors []interceptor.ClientInterceptor
	// Logger gets the server's errors; its warnings arrive at debug level. Default slog.Default().
	Logger *slog.Logger

	ports       portChooser // tests only: freePorts when nil
	postgres    postgres    // what Postgres says
	frontendTLS *tls.Config // what Certificate and Key say
}

// withDefaults fills what is not set and refuses what cannot work. Errors: CodeInvalid.
func (o Options) withDefaults() (Options, error) {
	if (o.Dir == "") == (o.Postgres == "") {
		return o, openflow.Errorf(openflow.CodeInvalid, "temporal server: either a data folder or a database is needed")
	}
	if o.Postgres != "" {
		var err error
		if o.postgres, err = parsePostgres(o.Postgres); err != nil {
			return o, err
		}
	}
	if err := o.checkFrontend(); err != nil {
		return o, err
	}
	var err error
	if o.frontendTLS, err = o.loadFrontendTLS(); err != nil {
		return o, err
	}
	setDefault(&o.Namespace, "openflow")
	setDefault(&o.Synchronous, SynchronousFull)
	setDefault(&o.Retention, 72*time.Hour)
	setDefault(&o.UIPublicPath, "/temporal")
	setDefault(&o.Logger, slog.Default())
	if o.ports == nil {
		o.ports = freePorts
	}
	if o.Synchronous != SynchronousFull && o.Synchronous != SynchronousNormal {
		return o, openflow.Errorf(openflow.CodeInvalid, "synchronous mode %q of the embedded temporal server is unknown",
			o.Synchronous).WithHint("use %s or %s", SynchronousFull, SynchronousNormal)
	}
	if o.Retention < 0 {
		return o, openflow.Errorf(openflow.CodeInvalid, "retention %s of namespace %q is negative", o.Retention, o.Namespace)
	}
	if !strings.HasPrefix(o.UIPublicPath, "/") || strings.HasSuffix(o.UIPublicPath, "/") {
		return o, openflow.Errorf(openflow.CodeInvalid, "public path %q of the temporal ui is not a path like /temporal",
			o.UIPublicPath)
	}
	return o, nil
}

// checkFrontend refuses a frontend that strangers could use.
func (o Options) checkFrontend() error {
	if (o.Certificate == "") != (o.Key == "") {
		return openflow.Errorf(openflow.CodeInvalid, "temporal server: a certificate and its key go together")
	}
	if o.Open && o.Token != "" {
		return openflow.Errorf(openflow.CodeInvalid, "temporal server: an open frontend has no token")
	}
	if o.Listen == "" {
		return nil
	}
	at, err := netip.ParseAddrPort(o.Listen)
	if err != nil || at.Port() == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "temporal server: %q is not an address to listen on", o.Listen).
			WithHint("use an IP address and a port, such as 127.0.0.1:7233 or 0.0.0.0:7233")
	}
	if o.Open && !at.Addr().IsLoopback() {
		return openflow.Errorf(openflow.CodeInvalid, "temporal server: without a token, it would let everybody who reaches %s do everything",
			o.Listen).WithHint("listen on 127.0.0.1, or use a token")
	}
	return nil
}

// setDefault gives v the value def when it has none.
func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
