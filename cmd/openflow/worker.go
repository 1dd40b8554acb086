package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"openflow/cli"
	"openflow/cmd/openflow/settings"
	"openflow/node"
	"openflow/runtime/launch"
	"openflow/telemetry/traces"
)

func workerCommand() *cobra.Command {
	s := settings.NewWorker()
	c := &cobra.Command{
		Use:   "worker --site URL",
		Short: "Run tasks for a site's node on this machine",
		Long: `Run tasks for a site's node on this machine: take tasks while cores are free, run their containers, and follow them. The
node listens for workers at its --listen-workers; openflow site worker-token prints the token. The worker reaches that
address and nothing else of the site, and so do its containers, through it. It prints "ready" and runs until SIGTERM or
Ctrl-C; running tasks go on, and the next start on the same home folder takes them up.

They speak TLS. The token that is printed also names the node's key, by which the worker knows the node. Where a gateway ends
TLS in front of the node (--plain-workers), it must speak HTTP/2 to the node, and --ca names who has given its certificate.

Every flag can also be given as an environment variable, --log-level as OPENFLOW_LOG_LEVEL (--token as
OPENFLOW_WORKER_TOKEN; a list with ";" between its values). The YAML file of --config has each under its name without the
dashes. See docs/settings.md.`,
		Example: `  openflow worker --site https://10.0.0.2:9391 --token-file /etc/openflow/worker.token --label gpu --home /var/lib/openflow-worker`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := settings.Apply(c.Flags(), s); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // what a worker writes is for its own user
			cfg, err := workerConfig(s)
			if err != nil {
				return cli.Usage(err)
			}
			if cfg.Spans, err = traces.OTLP(c.Context(), s.OTLP, os.Getenv); err != nil {
				return cli.Usage(err)
			}
			return work(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	settings.Register(c.Flags(), s)
	return c
}

// workerConfig is a worker as the settings say.
func workerConfig(s *settings.Worker) (cfg node.WorkerConfig, err error) {
	if s.Token == "" && s.TokenFile != "" {
		if s.Token, err = tokenIn("--token-file", s.TokenFile); err != nil {
			return cfg, err
		}
	}
	runtime, err := runtimes.Find(s.Runtime)
	if err != nil {
		return cfg, err
	}
	return node.WorkerConfig{
		Site: s.Site, Token: s.Token, Authorities: s.Authorities, Plain: s.Plain, Home: s.Home, Labels: s.Labels, Runtime: runtime, Unconfined: s.Unconfined, Components: s.Components,
		Trusted: s.Trusted,
		Base:    s.Base, Advertise: s.Advertise,
		Cores: int(s.Cores), TaskDisk: int64(s.TaskDisk), Residents: launch.Residents{Most: s.ResidentMost, Idle: s.ResidentIdle}, Version: version(), Log: logger(s.Level),
	}, nil
}

// work runs a worker until it is told to stop or the site refuses it. Running tasks are left for the next process.
func work(ctx context.Context, cfg node.WorkerConfig, out io.Writer) error {
	w, err := node.StartWorker(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "party            %s\n", w.Party())
	fmt.Fprintf(out, "machine          %s\n", w.Machine())
	fmt.Fprintf(out, "home             %s\n", w.Home())
	for _, text := range w.Warnings() {
		fmt.Fprintf(out, "warning          %s\n", text)
	}
	fmt.Fprintln(out, "ready")
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-w.Failed():
	}
	fmt.Fprintln(out, "stopping; running tasks go on and are taken up at the next start")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	if err := w.Close(stop); err != nil && failure == nil {
		return err
	}
	return failure
}
