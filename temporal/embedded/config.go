package embedded

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	clusterName = "active"
	storeName   = "main"
	visibility  = "visibility"
	fileName    = "temporal.db"
)

// services are the parts of the server, in the order of their ports. The internal frontend is there so that the
// server's own workers need no token.
var services = []primitives.ServiceName{
	primitives.FrontendService, primitives.InternalFrontendService, primitives.HistoryService,
	primitives.MatchingService, primitives.WorkerService,
}

func serviceNames() []string {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = string(s)
	}
	return names
}

func (o Options) file() string { return filepath.Join(o.Dir, fileName) }

// place names the store in errors.
func (o Options) place() string {
	if o.Postgres != "" {
		return o.postgres.String()
	}
	return o.file()
}

// uriPath escapes a file name for a SQLite URI, in which ?, # and % mean something.
func uriPath(file string) string { return (&url.URL{Path: file}).EscapedPath() }

// store is the server's database. MaxConns of SQLite stays 1: more writers collide, and the losers sleep.
func (o Options) store() *config.SQL {
	if o.Postgres != "" {
		return o.postgres.store(o.postgres.database)
	}
	return &config.SQL{
		PluginName: sqlite.PluginName, DatabaseName: uriPath(o.file()), MaxConns: 1, MaxIdleConns: 1,
		ConnectAttributes: map[string]string{
			"mode": "rw", "journal_mode": "WAL", "synchronous": o.Synchronous, "busy_timeout": "10000",
		},
	}
}

// persistence is where the server's state is. The number of shards is fixed for the life of a store.
func (o Options) persistence() config.Persistence {
	if o.Postgres == "" {
		return config.Persistence{
			DefaultStore: storeName, VisibilityStore: storeName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{storeName: {SQL: o.store()}},
		}
	}
	_, searched := o.postgres.databases()
	return config.Persistence{
		DefaultStore: storeName, VisibilityStore: visibility, NumHistoryShards: postgresShards,
		DataStores: map[string]config.DataStore{storeName: {SQL: o.store()}, visibility: {SQL: o.postgres.store(searched)}},
	}
}

// serverConfig is the server's configuration when its services listen on ports, one of each in the order of services.
func (o Options) serverConfig(ports []int) (*config.Config, map[primitives.ServiceName]static.Hosts) {
	c := &config.Config{
		Services:    map[string]config.Service{},
		Persistence: o.persistence(),
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address(ports[0])},
			},
		},
	}
	c.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}
	c.DCRedirectionPolicy.Policy = "noop"
	c.Archival.History.State, c.Archival.Visibility.State = "disabled", "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"

	hosts := map[primitives.ServiceName]static.Hosts{}
	for i, s := range services {
		bind := loopback
		if s == primitives.FrontendService && o.Listen != "" {
			bind = netip.MustParseAddrPort(o.Listen).Addr().String() // checked with the options
		}
		c.Services[string(s)] = config.Service{RPC: config.RPC{GRPCPort: ports[i], BindOnIP: bind}}
		hosts[s] = static.SingleLocalHost(address(ports[i]))
	}
	return c, hosts
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// dsn opens the server's file for our own work on it.
func (o Options) dsn() string {
	return fmt.Sprintf("file:%s?mode=rwc&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)",
		uriPath(o.file()))
}
