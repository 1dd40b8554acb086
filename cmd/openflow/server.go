package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/cmd/openflow/settings"
	"openflow/node"
	"openflow/runtime/launch"
	"openflow/site/partner"
	"openflow/site/peers"
	"openflow/site/upkeep"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/telemetry/traces"
)

func serverCommand() *cobra.Command {
	s := settings.NewServer()
	c := &cobra.Command{
		Use:   "server --party ID",
		Short: "Run this site's node",
		Long: `Run this site's node: it prints its addresses and its public key, then "ready", and runs until SIGTERM or Ctrl-C.
Requests are then finished; running tasks go on, and the next start on the same home folder takes them up.

Every flag can also be given as an environment variable, --log-level as OPENFLOW_LOG_LEVEL (--token as
OPENFLOW_REQUIRE_TOKEN; a list with ";" between its values). The YAML file of --config has each under its name without the
dashes. The command line comes first, then the environment, then the file. See docs/settings.md.

A peer of --peer is registered at the first start that names it. From then on its record counts (openflow site list):
a later start warns where --peer says something else, and brings nobody back who was removed.`,
		Example: `  openflow server --party 9999 --home /var/lib/openflow --listen 127.0.0.1:9380 --listen-interconnection 0.0.0.0:9390 \
      --peer 10000=https://10.0.0.2:9390,ed25519:rJVw-VPaXEs3GGeWhFL0aFEP5qAIeChVypbJztlDDfk`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := settings.Apply(c.Flags(), s); err != nil {
				return cli.Usage(err)
			}
			syscall.Umask(0o077) // what a node writes is for its own user
			cfg, err := config(s)
			if err != nil {
				return cli.Usage(err)
			}
			if cfg.Spans, err = traces.OTLP(c.Context(), s.OTLP, os.Getenv); err != nil {
				return cli.Usage(err)
			}
			return serve(c.Context(), cfg, c.ErrOrStderr())
		},
	}
	settings.Register(c.Flags(), s)
	return c
}

// logger writes to standard error.
func logger(level settings.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(level)}))
}

// config is a node as the settings say.
func config(s *settings.Server) (node.Config, error) {
	limits, err := limits(s.Share, s.Quota)
	if err != nil {
		return node.Config{}, err
	}
	runtime, err := runtimes.Find(s.Runtime)
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{
		Party: openflow.PartyID(s.Party), Home: s.Home, Version: version(), Log: logger(s.Level),
		Listen: s.Application, Interconnection: s.Interconnection, Plain: s.Plain, Packets: s.Packets, PlainPackets: s.PlainPackets, Workers: s.Workers, PlainWorkers: s.PlainWorkers, UI: !s.NoUI,
		Users:       node.Users{TLS: s.Listen.TLS, Plain: s.Unencrypted, Certificate: s.Listen.Certificate, Key: s.Listen.Key, Names: s.Names},
		Certificate: s.PeerCertificate, CertificateKey: s.PeerKey, Authorities: s.PeerAuthorities,
		Token: s.Token, GrantAll: s.GrantAll, Policy: s.Policy, UploadFolders: s.Access.Uploads, DownloadFolders: s.Down, Exports: s.Exports,
		Runtime: runtime, Unconfined: s.Unconfined, Components: s.Components, ComponentsFolder: s.ComponentsFolder, Trusted: s.Trusted, Base: s.Base, Advertise: s.Advertise, Labels: s.Labels,
		NoTasks: s.NoTasks, Residents: launch.Residents{Most: s.ResidentMost, Idle: s.ResidentIdle},
		Pooling: openflow.Pooling{Wait: s.WorkerWait, Gone: s.MachineGone}, Limits: limits, Durability: s.Durability,
		Retention: upkeep.Retention{
			Workflows: s.Keep.Histories, Jobs: s.Keep.Jobs, Logs: s.Keep.Logs, Messages: s.Keep.Messages, Unstarted: s.Keep.Unstarted,
		},
	}
	cfg.Bounds = node.Bounds{
		Messages: messages.Options{JobBytes: int64(s.JobMessages), PeerBytes: int64(s.PeerMessages), TotalBytes: int64(s.AllMessages)},
		Objects: catalogue.Bound{
			Run: int64(s.RunData), Job: int64(s.JobData), Peer: int64(s.PeerData), Total: int64(s.AllData),
		},
		TaskDisk: int64(s.TaskDisk),
	}
	if cfg.Shared, err = shared(s.Shared); err != nil {
		return cfg, err
	}
	for _, text := range s.Peers {
		p, err := peers.Parse(text)
		if err != nil {
			return cfg, err
		}
		cfg.Peers = append(cfg.Peers, p)
	}
	return cfg, nil
}

// limits are the site's own rules, as far as the settings say.
func limits(s settings.Share, peer settings.Quota) (partner.Limits, error) {
	l := partner.DefaultLimits()
	if s.GPUs < -1 {
		return l, openflow.Errorf(openflow.CodeInvalid, "--gpus %d is not a number of devices", s.GPUs).WithHint("-1 means all of the machine's")
	}
	l.Cores, l.GPUs = int(s.Cores), s.GPUs
	if s.Memory != 0 {
		l.Memory = int64(s.Memory)
	}
	if s.JobMemory != 0 {
		l.JobMemory = int64(s.JobMemory)
	}
	l.Lease, l.Unrenewed, l.Idle = peer.Lease, peer.Unrenewed, peer.Idle
	l.Quota = openflow.Quota{
		Jobs: peer.Jobs, Waiting: peer.Waiting, Cores: int(peer.Cores), Memory: int64(peer.Memory), GPUs: peer.GPUs, Calls: peer.Calls,
		Bytes: int64(peer.Bytes), Priority: peer.Priority,
	}
	return l, l.Check()
}

// shutdown is how long running requests may take to end.
const shutdown = 40 * time.Second

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
