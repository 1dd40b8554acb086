package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"openflow/sdk"
	"openflow/site/osv"
	"openflow/site/policy"
)

func policyCommands(o *options) *cobra.Command {
	return group("policy", "What the owner of this site's data allows, whoever submits",
		`The policy of a site is a file, policy.yaml, which the node reads when it starts: from its home folder, or from --policy of
openflow server. Every party of a job applies its own. docs/policy.md says what each key stops.`,
		`  openflow policy check policy.yaml
  openflow policy show`,
		policyCheckCommand(o), policyShowCommand(o))
}

func policyCheckCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Read a policy file as a node would, and print what it puts in force",
		Long: `Read a policy file as a node would at its start, and print what it would put in force, defaults included. No node is asked.
A key that does not exist, or a value out of its bounds, is told with its line, with exit code 2. A folder of vulnerabilities that is
not there, or has no record, is a warning: the file may be for another machine.`,
		Example: `  openflow policy check /etc/openflow/policy.yaml`,
		Args:    positional("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := policy.Read(args[0])
			if err != nil {
				return err
			}
			if folder := p.Images.Vulnerabilities; folder != "" {
				if err := osv.Folder(folder).Check(c.Context()); err != nil {
					say(c, "warning: %v", err)
				}
			}
			return showPolicy(o, c, sdk.SitePolicy{File: args[0], Policy: p}, "# as "+args[0]+" says")
		},
	}
}

func policyShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print the policy that the node has in force",
		Long: `Print the policy that the node has in force, in the form of a policy file. It is what the node read when it started; openflow
doctor tells when the file has changed since.`,
		Example: `  openflow policy show`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := o.client().Policy(c.Context())
			if err != nil {
				return err
			}
			return showPolicy(o, c, p, "# in force; read at the start from "+p.File+", or the defaults without that file")
		},
	}
}

func showPolicy(o *options, c *cobra.Command, p sdk.SitePolicy, heading string) error {
	return o.show(c, p, func(w io.Writer) {
		line(w, heading)
		for _, l := range strings.Split(strings.TrimSuffix(policy.Format(p.Policy), "\n"), "\n") {
			line(w, l)
		}
	})
}
