package embedded

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	server "go.temporal.io/server/temporal"

	"openflow"
)

// launchAttempts bounds how often new ports are tried.
const launchAttempts = 5

// running is a started server and what is needed to talk to it and to notice its end.
type running struct {
	server   server.Server
	failure  *failure
	frontend string // host:port
}

// launch starts the server's services. Another process can take a port between the moment when it was found free and
// the moment when the service listens; then new ones are tried.
func (o Options) launch(t token) (*running, error) {
	if err := o.checkListen(); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		r, err := o.launchOnce(t)
		if attempt == launchAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return r, err
		}
	}
}

// checkListen refuses a chosen address that cannot be listened on, for which trying again would not help.
func (o Options) checkListen() error {
	if o.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return openflow.Errorf(openflow.CodeConflict, "temporal server: listen on %s: %w", o.Listen, err).
			WithHint("is another server running there? choose another address")
	}
	return l.Close()
}

func (o Options) launchOnce(t token) (*running, error) {
	ports, err := o.ports(len(services))
	if err != nil {
		return nil, err
	}
	frontend := address(ports[0])
	if o.Listen != "" {
		at := netip.MustParseAddrPort(o.Listen) // checked with the options
		ports[0], frontend = int(at.Port()), o.Listen
		if at.Addr().IsUnspecified() {
			frontend = address(ports[0])
		}
	}
	internode, err := newInternodeTLS()
	if err != nil {
		return nil, err
	}
	internode.frontend = o.frontendTLS
	c, hosts := o.serverConfig(ports)
	r := &running{failure: newFailure(), frontend: frontend}
	err = r.failure.await(func() error {
		srv, err := server.NewServer(
			server.WithConfig(c),
			server.ForServices(serviceNames()),
			server.WithStaticHosts(hosts),
			server.WithLogger(serverLogger{log: o.Logger, failure: r.failure}),
			server.WithAuthorizer(adminOnly{}),
			server.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return tokenMapper{token: t, open: o.Open} }),
			server.WithTLSConfigFactory(internode),
			server.WithDynamicConfigClient(dynamicConfig()),
		)
		if err != nil {
			return openflow.Errorf(openflow.CodeInternal, "embedded temporal server: %w", err)
		}
		r.server = srv
		if err := srv.Start(); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "embedded temporal server: %w", err)
		}
		return nil
	})
	if err == nil {
		return r, nil
	}
	r.failure.silence()
	if r.server != nil {
		// Some services may be up. What stopping them says is less telling than why they are stopped.
		_ = stopWithin(stopTimeout, r.server.Stop)
	}
	return nil, err
}
