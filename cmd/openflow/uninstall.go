package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli"
	"openflow/node/vacate"
)

func uninstallCommand() *cobra.Command {
	var home string
	var purge, yes, abandoned bool
	c := &cobra.Command{
		Use:   "uninstall --home DIR",
		Short: "Remove what a node or worker has on this machine",
		Long: `Remove what the node, or worker, with that home folder has on this machine: its programs and containers, its container
network and its firewall rules. It must be stopped; what still runs of it is ended, and the jobs that it belongs to fail. The
home folder stays unless --purge is given, which removes keys, tables, models and records for good. It asks first, unless
--yes is given.

--gone does it for the nodes whose home folder is no more. It removes nothing that runs, nothing that has ended in the last
hour, and nothing of a node whose home cannot be seen from here, such as another user's. Every start of a node does the same.`,
		Example: `  openflow uninstall --home /var/lib/openflow
  openflow uninstall --home /var/lib/openflow --purge --yes
  openflow uninstall --gone`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			if abandoned {
				if purge || c.Flags().Changed("home") {
					return cli.Usage(openflow.Errorf(openflow.CodeInvalid, "--gone goes with neither --home nor --purge: it is about other nodes"))
				}
				removed, err := vacate.Gone(c.Context(), runtimes)
				for _, what := range removed {
					fmt.Fprintf(out, "removed          %s\n", what)
				}
				if err == nil && len(removed) == 0 {
					fmt.Fprintln(out, "nothing          is left of nodes that are gone")
				}
				return err
			}
			if !c.Flags().Changed("home") {
				return cli.Usage(openflow.Errorf(openflow.CodeInvalid, "--home is missing: which node?"))
			}
			if !yes {
				what := "end what runs of the node with home " + home + ", and remove its containers, network and rules"
				if purge {
					what += ", and then its keys, tables, models and records for good"
				}
				if err := cli.Confirm(c, what); err != nil {
					return err
				}
			}
			v, err := vacate.Node(c.Context(), home, runtimes)
			if err != nil {
				return err
			}
			tell(out, v)
			if v.Unasked != nil && purge {
				return openflow.Errorf(openflow.CodeUnavailable, "the home stays, because it is needed to find what a runtime has: %w", v.Unasked).
					WithHint("start that, or remove the folder yourself")
			}
			if purge {
				if err := vacate.Purge(home); err != nil {
					return err
				}
				fmt.Fprintf(out, "removed          %s\n", home)
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&home, "home", "", "home folder of the node or worker")
	flags.BoolVar(&purge, "purge", false, "remove the home folder too, with keys, tables, models and records")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	flags.BoolVar(&abandoned, "gone", false, "for nodes whose home folder is gone")
	return c
}

func tell(out io.Writer, v vacate.Found) {
	if !v.Started {
		fmt.Fprintln(out, "nothing          no node has ever started there")
		return
	}
	for _, what := range v.Removed {
		fmt.Fprintf(out, "removed          %s\n", what)
	}
	if v.Unasked != nil {
		fmt.Fprintf(out, "warning          not looked at: %v\n", v.Unasked)
	}
	if len(v.Removed) == 0 {
		fmt.Fprintln(out, "nothing          else is left of it")
	}
}
