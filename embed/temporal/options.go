package temporal

import (
	"log/slog"
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

// Options say where and how the embedded server runs. The zero value of every field but Dir is usable.
type Options struct {
	// Dir is the folder of this server; it is created with mode 0700 when it does not exist. One process per folder.
	Dir string
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

	ports portChooser // tests only: freePorts when nil
}

// withDefaults fills what is not set and refuses what cannot work. Errors: CodeInvalid.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, openflow.Errorf(openflow.CodeInvalid, "embedded temporal server: no data folder given")
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

// setDefault gives v the value def when it has none.
func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
