package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/node"
	"openflow/telemetry/traces"
)

// workerFlags are the settings of a pool's worker.
type workerFlags struct {
	site, token, tokenFile, home, runtime, components, base, config, logLevel, otlp string
	labels                                                                          []string
	cores                                                                           int
}

func workerCommand() *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:   "worker --site URL",
		Short: "Run tasks for a site's node on this machine",
		Long: `Run tasks for a site's node on this machine: take tasks while cores are free, run their containers, and follow them. The
node listens for workers at its --listen-workers; openflow site worker-token prints the token. The worker reaches that
address and nothing else of the site, and so do its containers, through it. It prints "ready" and runs until SIGTERM or
Ctrl-C; running tasks go on, and the next start on the same home folder takes them up.

What passes between worker and node is encrypted with an https address only: a proxy in front of the node, which must
speak HTTP/2 to it, brings the certificate.

Every flag can also be given as an environment variable, --log-level as OPENFLOW_LOG_LEVEL (--token as
OPENFLOW_WORKER_TOKEN; a list with ";" between its values). The YAML file of --config has each under its name without the
dashes.`,
		Example: `  openflow worker --site http://10.0.0.2:9391 --token-file /etc/openflow/worker.token --label gpu --home /var/lib/openflow-worker`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.ApplySettings(c, f.config); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // what a worker writes is for its own user
			cfg, err := f.worker()
			if err != nil {
				return cli.Usage(err)
			}
			if cfg.Spans, err = traces.OTLP(c.Context(), f.otlp, os.Getenv); err != nil {
				return cli.Usage(err)
			}
			return work(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.site, "site", "", "address of the node's listener for workers (required)")
	flags.StringVar(&f.token, "token", "", "the site's worker token")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the site's worker token")
	flags.StringArrayVar(&f.labels, "label", nil, "kind of tasks that this machine takes besides those without one, such as gpu; may be repeated")
	flags.StringVar(&f.home, "home", cli.DefaultHome()+"-worker", "folder of this worker")
	flags.StringVar(&f.runtime, "runtime", node.RuntimeDocker, "docker, or process (isolates nothing)")
	flags.StringVar(&f.components, "components", beside("openflow-components"), "the algorithms' binary")
	flags.StringVar(&f.base, "listen-base", "", "address at which containers find their node (default: chosen by the runtime)")
	flags.IntVar(&f.cores, "cores", 0, "cores that tasks share (default: those of the machine)")
	flags.StringVar(&f.otlp, "otlp", "", "collector of traces, as of openflow server")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	// OPENFLOW_TOKEN holds the application layer's, for clients on the same machine.
	flags.Lookup("token").Annotations = map[string][]string{cli.EnvironmentAnnotation: {"WORKER_TOKEN"}}
	flags.StringVar(&f.config, "config", "", "YAML file with these settings; flags and environment come first")
	return c
}

func (f workerFlags) worker() (node.WorkerConfig, error) {
	if f.site == "" {
		return node.WorkerConfig{}, openflow.Errorf(openflow.CodeInvalid, "--site is missing").
			WithHint("the address that the node was given as --listen-workers, such as http://10.0.0.2:9391")
	}
	level, err := logLevel(f.logLevel)
	if err != nil {
		return node.WorkerConfig{}, err
	}
	if f.token == "" && f.tokenFile != "" {
		if f.token, err = tokenIn("--token-file", f.tokenFile); err != nil {
			return node.WorkerConfig{}, err
		}
	}
	return node.WorkerConfig{
		Site: f.site, Token: f.token, Home: f.home, Labels: f.labels, Runtime: f.runtime, Components: f.components, Base: f.base,
		Cores: f.cores, Version: version, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
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
