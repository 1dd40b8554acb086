package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"openflow/sdk"
)

func componentCommands(o *options) *cobra.Command {
	return group("component", "Show the components of this site",
		`A component is what a task runs. Several providers may have one of the same name: a job may say which is meant, and this
site says which serves jobs that do not.`,
		`  openflow component list
  openflow component default psi --provider acme:1.2.0`,
		componentsCommand(o), componentShowCommand(o), componentDefaultCommand(o))
}

func componentsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the components that jobs may use",
		Long:    `List the components that jobs may use, of every provider that takes new jobs.`,
		Example: `  openflow component list`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := o.client().Components(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, append([]sdk.Component{}, list...), func(w io.Writer) {
				line(w, "COMPONENT", "PROVIDER", "DEFAULT")
				for _, one := range list {
					line(w, one.Name, one.Provider, yesNo(one.Default))
				}
			})
		},
	}
}

func componentShowCommand(o *options) *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what a component says of itself",
		Long: `Show what a component says of itself: parameters, inputs, outputs, roles and stages. Without --provider it is the one that
serves jobs which name no provider.`,
		Example: `  openflow component show psi --provider acme`,
		Args:    positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			one, err := o.client().Component(c.Context(), args[0], provider)
			if err != nil {
				return err
			}
			return o.show(c, one, func(w io.Writer) {
				line(w, one.Name+" of "+one.Provider)
				var text bytes.Buffer
				if json.Indent(&text, one.Description, "", "  ") == nil {
					for l := range strings.Lines(text.String()) {
						line(w, strings.TrimSuffix(l, "\n"))
					}
				}
			})
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "whose: name or name:version")
	return c
}

func componentDefaultCommand(o *options) *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use:   "default NAME [--provider PROVIDER]",
		Short: "Say which provider serves a component",
		Long: `Say which provider serves a component where the job names none. Without --provider the usual rule holds again: the
built-in provider, or else the only one.`,
		Example: `  openflow component default psi --provider acme:1.2.0
  openflow component default psi`,
		Args: positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.client().PreferProvider(c.Context(), args[0], provider); err != nil {
				return err
			}
			return o.show(c, map[string]string{"component": args[0], "provider": provider}, func(w io.Writer) {
				if provider == "" {
					line(w, "component "+args[0]+" has no default provider of its own any more")
					return
				}
				line(w, "component "+args[0]+" is served by "+provider+" where a job names no provider")
			})
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "name, or name:version where it has several versions")
	return c
}
