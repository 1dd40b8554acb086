package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/site/trust"
	"openflow/temporal/embedded"
)

// temporalFlags are the settings of a Temporal server of its own.
type temporalFlags struct {
	postgres, listen, ui, home, namespace, tokenFile, certificate, key, config, logLevel string
	open                                                                                 bool
	retention                                                                            time.Duration
}

func temporalCommand() *cobra.Command {
	var f temporalFlags
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

Every flag can also be given as an environment variable, --postgres as OPENFLOW_POSTGRES, or in the YAML file of --config.`,
		Example: `  OPENFLOW_POSTGRES='postgres://openflow:SECRET@127.0.0.1:5432/temporal?sslmode=disable' \
      openflow temporal --home /var/lib/openflow-temporal --ui 127.0.0.1:8233
  openflow temporal --config temporal.yaml --listen 10.0.0.5:7233 --tls-cert server.pem --tls-key server.key
  openflow temporal --postgres postgres://me:x@127.0.0.1/temporal --open        # a trial on one machine`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.ApplySettings(c, f.config); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // a token is for its own user
			o, err := f.options()
			if err != nil {
				return cli.Usage(err)
			}
			return serveTemporal(c.Context(), o, f.ui, c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.postgres, "postgres", "", "postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=… (required); better by environment, where others do not see it")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:7233", "address of the frontend")
	flags.StringVar(&f.ui, "ui", "", "address of the read-only web UI, of loopback; it knows no login")
	flags.StringVar(&f.home, "home", cli.DefaultHome()+"-temporal", "folder of the token")
	flags.StringVar(&f.namespace, "namespace", "openflow", "namespace that is made at the start; nodes may make others")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the token instead of the one in the home folder")
	flags.BoolVar(&f.open, "open", false, "without a token; on loopback only, for trials")
	flags.StringVar(&f.certificate, "tls-cert", "", "PEM file with the frontend's certificate")
	flags.StringVar(&f.key, "tls-key", "", "PEM file with its key")
	flags.DurationVar(&f.retention, "retention", 72*time.Hour, "how long closed workflows stay visible")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.config, "config", "", "YAML file with these settings; flags and environment come first")
	return c
}

func (f temporalFlags) options() (embedded.Options, error) {
	o := embedded.Options{
		Postgres: f.postgres, Listen: f.listen, Open: f.open, Certificate: f.certificate, Key: f.key,
		Namespace: f.namespace, Retention: f.retention, UI: f.ui != "",
	}
	if f.postgres == "" {
		return o, openflow.Errorf(openflow.CodeInvalid, "--postgres is missing").
			WithHint("for example: openflow temporal --postgres postgres://openflow:SECRET@127.0.0.1:5432/temporal")
	}
	level, err := logLevel(f.logLevel)
	if err != nil {
		return o, err
	}
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if f.ui != "" {
		if at, err := netip.ParseAddrPort(f.ui); err != nil || !at.Addr().IsLoopback() {
			return o, openflow.Errorf(openflow.CodeInvalid, "--ui %s: the UI knows no login, so it listens on loopback only", f.ui).
				WithHint("use 127.0.0.1:8233, and a tunnel from elsewhere")
		}
	}
	if f.open {
		if f.tokenFile != "" {
			return o, openflow.Errorf(openflow.CodeInvalid, "--open and --token-file exclude each other")
		}
		return o, nil
	}
	o.Token, err = f.token()
	return o, err
}

// token reads the token, or makes the one in the home folder.
func (f temporalFlags) token() (string, error) {
	if f.tokenFile == "" {
		return trust.LoadOrCreateToken(f.home)
	}
	return tokenIn("--token-file", f.tokenFile)
}

// serveTemporal runs a server until it is told to stop or cannot go on.
func serveTemporal(ctx context.Context, o embedded.Options, ui string, out io.Writer) error {
	s, err := embedded.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // a second time changes nothing
	page := &http.Server{Handler: uiRouter(s), ReadHeaderTimeout: 10 * time.Second}
	if ui != "" {
		l, err := net.Listen("tcp", ui)
		if err != nil {
			return openflow.Errorf(openflow.CodeConflict, "listen on %s: %w", ui, err).WithHint("choose another address with --ui")
		}
		go func() { _ = page.Serve(l) }() // until it is closed
	}
	printTemporal(out, s, o, ui)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.Failed():
	}
	fmt.Fprintln(out, "stopping; workflows go on at the next start")
	return errors.Join(failure, page.Close(), s.Close())
}

func uiRouter(s *embedded.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/temporal/", s.UIHandler())
	mux.Handle("/", http.RedirectHandler("/temporal/", http.StatusFound))
	return mux
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
