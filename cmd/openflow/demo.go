package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"openflow/cli"
	"openflow/cmd/openflow/settings"
	"openflow/examples/demo"
)

func demoCommand() *cobra.Command {
	o := demo.Options{Runtimes: runtimes}
	var output string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on three nodes of this machine",
		Long: `Starts three nodes (guest 9999, host 10000, arbiter 10001) as processes of their own, and uploads a table at guest
and host. It trains a model on the intersection (reader → psi → coordinated_lr → evaluation), and shows what came out.
With a Docker daemon every task runs in a container, of an image of the reference components that each node registers. Without
one, the built-in components run as processes, which isolates nothing.`,
		Example: `  openflow demo
  openflow demo --guest-csv guest.csv --host-csv host.csv --id id --label y
  openflow demo --runtime process -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Progress = c.OutOrStdout()
			if output == "json" {
				o.Progress = c.ErrOrStderr()
			}
			res, err := demo.Run(c.Context(), o)
			if output == "json" {
				if e := json.NewEncoder(c.OutOrStdout()).Encode(res); e != nil {
					return errors.Join(err, e)
				}
			}
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			fmt.Fprintf(o.Progress, "done in %.1f s\n", res.Seconds)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.GuestCSV, "guest-csv", "", "the guest's own data instead of generated data; needs --host-csv too")
	f.StringVar(&o.HostCSV, "host-csv", "", "the host's own data")
	f.StringVar(&o.ID, "id", "id", "column that both sides match on")
	f.StringVar(&o.Label, "label", "y", "the guest's label column")
	f.StringVar(&o.Runtime, "runtime", "", "docker or process (default: docker where a daemon answers)")
	f.StringVar(&o.Home, "home", cli.DefaultHome()+"-demo", "folder for the three nodes")
	f.BoolVar(&o.Keep, "keep", false, "leave the nodes up until Ctrl-C, to look around")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.StringVar(&o.Components, "components", settings.Beside("openflow-components"), "the program of the built-in provider")
	f.StringVar(&o.Reference, "reference", settings.Beside("reference.tar"), "an image of the reference components, registered where tasks run in containers")
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	o.Binary = self
	c.MarkFlagsRequiredTogether("guest-csv", "host-csv")
	return c
}
