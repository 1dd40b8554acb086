package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/cmd/openflow/settings"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/trust"
	"openflow/temporal/embedded"
)

func temporalCommand() *cobra.Command {
	s := settings.NewTemporal()
	c := &cobra.Command{
		Use:   "temporal --postgres URL",
		Short: "Run a Temporal server on PostgreSQL, for several replicas of a node",
		Long: `Run a Temporal server whose state is in PostgreSQL, for sites that run several replicas of a node and have no Temporal
cluster. A node alone needs none: it has one inside. It runs until SIGTERM or Ctrl-C; a server that was killed is started
again, and workflows go on.

The database of the URL, and a second one called DATABASE_visibility, are made when they are missing and migrated when they
are of an older release. One server runs on a database at a time.

Its clients send a token. It is made at the first start, in the file api.token of the home folder; copy it to the nodes. With
--tls-cert the frontend speaks TLS, without which the token can be read on the way: use it beyond one machine.

Every flag can also be given as an environment variable, --postgres as OPENFLOW_POSTGRES, or in the YAML file of --config.
See docs/settings.md.`,
		Example: `  OPENFLOW_POSTGRES='postgres://openflow:SECRET@127.0.0.1:5432/temporal?sslmode=disable' \
      openflow temporal --home /var/lib/openflow-temporal --ui 127.0.0.1:8233
  openflow temporal --config temporal.yaml --listen 10.0.0.5:7233 --tls-cert server.pem --tls-key server.key
  openflow temporal --postgres postgres://me:x@127.0.0.1/temporal --open        # a trial on one machine`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := settings.Apply(c.Flags(), s); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // a token is for its own user
			o, err := temporalOptions(s)
			if err != nil {
				return cli.Usage(err)
			}
			return serveTemporal(c.Context(), o, s.UI, c.ErrOrStderr())
		},
	}
	settings.Register(c.Flags(), s)
	return c
}

// temporalOptions are a Temporal server as the settings say.
func temporalOptions(s *settings.Temporal) (embedded.Options, error) {
	o := embedded.Options{
		Postgres: s.Postgres, Listen: s.Listen, Open: s.Open, Certificate: s.Certificate, Key: s.Key,
		Namespace: s.Namespace, Retention: s.Retention, UI: s.UI != "", Logger: logger(s.Level),
	}
	if s.UI != "" {
		if at, err := netip.ParseAddrPort(s.UI); err != nil || !at.Addr().IsLoopback() {
			return o, openflow.Errorf(openflow.CodeInvalid, "--ui %s: the UI knows no login, so it listens on loopback only", s.UI).
				WithHint("use 127.0.0.1:8233, and a tunnel from elsewhere")
		}
	}
	if s.Open {
		if s.TokenFile != "" {
			return o, openflow.Errorf(openflow.CodeInvalid, "--open and --token-file exclude each other")
		}
		return o, nil
	}
	var err error
	if s.TokenFile != "" {
		o.Token, err = tokenIn("--token-file", s.TokenFile)
	} else {
		o.Token, err = trust.LoadOrCreateToken(s.Home)
	}
	return o, err
}

// serveTemporal runs a server until it is told to stop or cannot go on.
func serveTemporal(ctx context.Context, o embedded.Options, ui string, out io.Writer) error {
	s, err := embedded.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // a second time changes nothing
	closePage := func() error { return nil }
	if ui != "" {
		l, err := server.Listen(ctx, "the UI", ui)
		if err != nil {
			return err
		}
		page := server.Serve(l, server.Handler(o.Logger, uiLayers(s, o.Open)...), o.Logger, server.Bounds{Connections: server.Connections(), Closes: true})
		closePage = func() error { return page.Close(context.WithoutCancel(ctx), time.Second) }
	}
	printTemporal(out, s, o, ui)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.Failed():
	}
	fmt.Fprintln(out, "stopping; workflows go on at the next start")
	return errors.Join(failure, closePage(), s.Close())
}

// uiLayers are the UI, and a way to it. It knows no login: unless everybody may do everything, the user that runs this and root
// may look.
func uiLayers(s *embedded.Server, open bool) []server.Layer {
	guard := application.Access{}.Plain
	if open {
		guard = func(next http.Handler) http.Handler { return next }
	}
	return []server.Layer{
		server.Guarded{Layer: server.Mount{Prefix: "/temporal", Handler: s.UIHandler()}, Guard: guard},
		server.Mount{Prefix: "/", Handler: http.RedirectHandler("/temporal/", http.StatusFound)},
	}
}

func printTemporal(out io.Writer, s *embedded.Server, o embedded.Options, ui string) {
	fmt.Fprintf(out, "frontend         %s\n", s.Frontend())
	fmt.Fprintf(out, "namespace        %s\n", o.Namespace)
	if ui != "" {
		fmt.Fprintf(out, "temporal ui      http://%s/temporal/\n", ui)
	}
	at, err := netip.ParseAddrPort(o.Listen)
	switch {
	case o.Open:
		fmt.Fprintln(out, "warning          every user of this machine may do everything here (--open)")
	case err == nil && !at.Addr().IsLoopback() && o.Certificate == "":
		fmt.Fprintln(out, "warning          without --tls-cert, the token can be read on the way")
	}
	fmt.Fprintln(out, "ready")
}
