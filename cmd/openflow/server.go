package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/node"
	"openflow/site/partner"
	"openflow/telemetry/traces"
)

// serverFlags are the settings of a node; each is also a key of --config and an environment variable.
type serverFlags struct {
	party, listen, interconnection, base, home, runtime, components, durability, config, logLevel string
	policy                                                                                        string
	workers, otlp                                                                                 string
	peers, labels                                                                                 []string
	grantAll, token, noUI, noTasks                                                                bool
	cores, gpus                                                                                   int
	memory, jobMemory                                                                             string
	workerWait, machineGone                                                                       time.Duration
	keep                                                                                          node.Retention
	shared                                                                                        sharedFlags
}

// defaultListen is where FATE-Flow's clients look.
const defaultListen = "127.0.0.1:9380"

func serverCommand() *cobra.Command {
	var f serverFlags
	c := &cobra.Command{
		Use:   "server --party ID",
		Short: "Run this site's node",
		Long: `Run this site's node: it prints its addresses and its public key, then "ready", and runs until SIGTERM or Ctrl-C.
Requests are then finished; running tasks go on, and the next start on the same home folder takes them up.

Every flag can also be given as an environment variable, --log-level as OPENFLOW_LOG_LEVEL (--token as
OPENFLOW_REQUIRE_TOKEN; a list with ";" between its values). The YAML file of --config has each under its name without the
dashes. The command line comes first, then the environment, then the file.`,
		Example: `  openflow server --party 9999 --home /var/lib/openflow --listen 127.0.0.1:9380 --listen-interconnection 0.0.0.0:9390 \
      --peer 10000=http://10.0.0.2:9390,ed25519:…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.ApplySettings(c, f.config); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // what a node writes is for its own user
			cfg, err := f.node()
			if err != nil {
				return cli.Usage(err)
			}
			if cfg.Spans, err = traces.OTLP(c.Context(), f.otlp, os.Getenv); err != nil {
				return cli.Usage(err)
			}
			return serve(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.party, "party", "", "party ID of this site (required)")
	flags.StringVar(&f.listen, "listen", defaultListen, "address of the application layer, the UI and, unless it has its own, the interconnection layer")
	flags.StringVar(&f.interconnection, "listen-interconnection", "", "own address of the interconnection layer")
	flags.StringVar(&f.base, "listen-base", "", "address of the base layer for containers (default: chosen by the runtime)")
	flags.StringVar(&f.workers, "listen-workers", "", "address for the workers of this site's pool (openflow worker); not encrypted")
	flags.StringArrayVar(&f.labels, "label", nil, "kind of tasks that this node takes of its own pool, such as gpu; may be repeated")
	flags.BoolVar(&f.noTasks, "no-tasks", false, "run no tasks here: the pool does")
	flags.DurationVar(&f.workerWait, "worker-wait", node.DefaultPooling().Wait, "how long a task waits where no worker may run it")
	flags.DurationVar(&f.machineGone, "machine-gone", node.DefaultPooling().Gone, "how long the worker of a silent machine may take to come back")
	flags.StringVar(&f.home, "home", cli.DefaultHome(), "folder of this node")
	flags.StringArrayVar(&f.peers, "peer", nil, "a partner, ID=URL,KEY; may be repeated")
	flags.StringVar(&f.runtime, "runtime", node.RuntimeDocker, "docker, or process (isolates nothing)")
	flags.StringVar(&f.components, "components", beside("openflow-components"), "the algorithms' binary")
	flags.StringVar(&f.durability, "durability", node.DurablePower, "what survives: power (loss of power too) or process (its end only; faster)")
	flags.BoolVar(&f.token, "token", false, "the application layer needs the token that the home folder, or --secrets, holds")
	flags.StringVar(&f.policy, "policy", "", "what the owner of this site's data allows, see openflow policy (default: policy.yaml in the home folder, if there is one)")
	flags.BoolVar(&f.grantAll, "grant-all", false, "peers may use every table and component; for trials")
	flags.BoolVar(&f.noUI, "no-ui", false, "without the Temporal UI")
	flags.IntVar(&f.cores, "cores", 0, "cores that jobs share, over all machines of the site (default: this machine's)")
	flags.StringVar(&f.memory, "memory", "", "memory that jobs share, as in 64GiB (default: the machine's)")
	flags.IntVar(&f.gpus, "gpus", -1, "GPUs that jobs share, the first of the machine's; -1 means all that it has")
	flags.StringVar(&f.jobMemory, "job-memory", "", "memory that a job takes which does not say (default: none; each of its containers may use 4GiB)")
	kept := node.DefaultRetention()
	flags.DurationVar(&f.keep.Workflows, "keep-histories", kept.Workflows, "how long Temporal keeps the history of a workflow after its end")
	flags.DurationVar(&f.keep.Jobs, "keep-jobs", kept.Jobs, "how long a job is kept after its end: rows, metrics, logs, intermediate tables")
	flags.DurationVar(&f.keep.Logs, "keep-logs", kept.Logs, "how long the log of a task is kept after its end, at most as long as its job")
	flags.DurationVar(&f.keep.Messages, "keep-messages", kept.Messages, "how long messages wait that no container has read, once nobody uses their session")
	flags.DurationVar(&f.keep.Unstarted, "keep-unstarted", kept.Unstarted, "how long a job of another site waits here whose scheduler has gone silent")
	f.shared.register(flags)
	flags.StringVar(&f.otlp, "otlp", "", "collector of traces, such as http://127.0.0.1:4318 (default: that of OTEL_EXPORTER_OTLP_ENDPOINT; else none)")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	// OPENFLOW_TOKEN holds the token itself, for clients on the same machine.
	flags.Lookup("token").Annotations = map[string][]string{cli.EnvironmentAnnotation: {"REQUIRE_TOKEN"}}
	flags.StringVar(&f.config, "config", "", "YAML file with these settings; flags and environment come first")
	return c
}

// beside is the path of another program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

func logLevel(text string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(text)) != nil {
		err = openflow.Errorf(openflow.CodeInvalid, "--log-level %q is not known", text)
	}
	return level, err
}

func (f serverFlags) node() (node.Config, error) {
	if f.party == "" {
		return node.Config{}, openflow.Errorf(openflow.CodeInvalid, "--party is missing").
			WithHint("for example: openflow server --party 9999")
	}
	level, err := logLevel(f.logLevel)
	if err != nil {
		return node.Config{}, err
	}
	limits, err := f.limits()
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{
		Party: openflow.PartyID(f.party), Home: f.home, Listen: f.listen, Interconnection: f.interconnection, Base: f.base,
		Token: f.token, GrantAll: f.grantAll, Policy: f.policy, Runtime: f.runtime, Components: f.components, Durability: f.durability,
		Limits: limits, UI: !f.noUI, Version: version, Workers: f.workers, Labels: f.labels, NoTasks: f.noTasks,
		Pooling: openflow.Pooling{Wait: f.workerWait, Gone: f.machineGone}, Retention: f.keep,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	}
	if cfg.Shared, err = f.shared.shared(); err != nil {
		return cfg, err
	}
	for _, s := range f.peers {
		p, err := node.ParsePeer(s)
		if err != nil {
			return cfg, err
		}
		cfg.Peers = append(cfg.Peers, p)
	}
	return cfg, nil
}

// limits are the site's own rules, as far as flags say.
func (f serverFlags) limits() (partner.Limits, error) {
	l := partner.DefaultLimits()
	if l.Cores = f.cores; l.Cores < 0 {
		return l, openflow.Errorf(openflow.CodeInvalid, "--cores %d: a node needs at least one", f.cores)
	}
	if f.gpus < -1 {
		return l, openflow.Errorf(openflow.CodeInvalid, "--gpus %d is no number of devices", f.gpus).WithHint("-1 means all of the machine's")
	}
	l.GPUs = f.gpus
	for _, m := range []struct {
		flag, text string
		into       *int64
	}{{"--memory", f.memory, &l.Memory}, {"--job-memory", f.jobMemory, &l.JobMemory}} {
		if m.text == "" {
			continue
		}
		n, err := openflow.ParseBytes(m.text)
		if err == nil && n == 0 {
			err = openflow.Errorf(openflow.CodeInvalid, "0 is not enough")
		}
		if err != nil {
			return l, openflow.Errorf(openflow.CodeInvalid, "%s: %w", m.flag, err)
		}
		*m.into = n
	}
	return l, nil
}

// shutdown is how long running requests may take to end.
const shutdown = 15 * time.Second

// serve runs a node until it is told to stop or cannot go on. Running tasks are left for the next process.
func serve(ctx context.Context, cfg node.Config, out io.Writer) error {
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	printAddresses(out, n)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-n.Failed():
	}
	fmt.Fprintln(out, "stopping; running tasks go on and are taken up at the next start")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	if err := n.Close(stop); err != nil && failure == nil {
		return err
	}
	return failure
}

func printAddresses(out io.Writer, n *node.Node) {
	fmt.Fprintf(out, "party            %s\n", n.Party())
	fmt.Fprintf(out, "home             %s\n", n.Home())
	fmt.Fprintf(out, "application      %s\n", n.URL())
	fmt.Fprintf(out, "interconnection  %s\n", n.InterconnectionURL())
	fmt.Fprintf(out, "base             %s\n", n.BaseURL())
	if n.WorkersURL() != "" {
		fmt.Fprintf(out, "workers          %s\n", n.WorkersURL())
	}
	if n.UIURL() != "" {
		fmt.Fprintf(out, "temporal ui      %s\n", n.UIURL())
	}
	fmt.Fprintf(out, "resources        %s\n", n.Resources())
	fmt.Fprintf(out, "public key       %s\n", n.PublicKey())
	for _, w := range n.Warnings() {
		fmt.Fprintf(out, "warning          %s\n", w)
	}
	fmt.Fprintln(out, "ready")
}
