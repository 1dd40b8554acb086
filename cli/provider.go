package cli

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
)

func providerCommands(o *options) *cobra.Command {
	return group("provider", "Say whose programs run the components here",
		`A provider is whoever brings components: the built-in one comes with the node, others are programs of yours or of a
vendor. A registered program is run as it was registered and not otherwise: the node compares its digest at every start.`,
		`  openflow provider add acme --program /opt/acme/components
  openflow provider list`,
		providerAddCommand(o), providersCommand(o), providerShowCommand(o),
		providerChangeCommand(o, "enable", "Let a provider take new jobs", "is enabled",
			`Let a provider take new jobs again.`,
			func(c *cobra.Command, provider string) (sdk.Provider, error) {
				return o.client().EnableProvider(c.Context(), provider, true)
			}),
		providerChangeCommand(o, "disable", "Keep new jobs from a provider", "is disabled: its jobs go on, and it takes no new ones",
			`Keep new jobs from a provider. Jobs that it has go on.`,
			func(c *cobra.Command, provider string) (sdk.Provider, error) {
				return o.client().EnableProvider(c.Context(), provider, false)
			}),
		providerChangeCommand(o, "remove", "Forget a provider", "is removed",
			`Forget a provider. It is refused while runs of it have not ended. What it has run keeps its name, version and digest.`,
			func(c *cobra.Command, provider string) (sdk.Provider, error) {
				return o.client().RemoveProvider(c.Context(), provider)
			}))
}

func providerAddCommand(o *options) *cobra.Command {
	var program, dialect string
	c := &cobra.Command{
		Use:   "add NAME --program PATH",
		Short: "Register a program",
		Long: `Register a program that is a file of the node's machine. The node runs it, as its own user, to ask for its components. It
must say that it is of provider NAME. Its version is what it says. Nobody but root and the node's user may be able to
write the file. Where tasks run in Docker, it must be one static program. Its containers speak the dialect of --dialect.`,
		Example: `  openflow provider add acme --program /opt/acme/components`,
		Args:    positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if program == "" {
				return usagef("name the program with --program")
			}
			path, err := filepath.Abs(program)
			if err != nil {
				return openflow.Errorf(openflow.CodeInvalid, "path of the program: %w", err)
			}
			p, err := o.client().AddProvider(c.Context(), args[0], path, dialect)
			if err != nil {
				return err
			}
			return o.show(c, p, func(w io.Writer) {
				line(w, "provider "+p.Ref()+" is registered: "+strings.Join(p.Components, ", "))
				for _, text := range p.Warnings {
					line(w, "warning: "+text)
				}
			})
		},
	}
	c.Flags().StringVar(&program, "program", "", "path of the program, at the node's machine")
	c.Flags().StringVar(&dialect, "dialect", "", "which its containers speak (default: fate-flow, as those of our kit do)")
	return c
}

func providersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the providers",
		Long:    `List the providers of this site, the built-in one first.`,
		Example: `  openflow provider list`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := o.client().Providers(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, append([]sdk.Provider{}, list...), func(w io.Writer) {
				line(w, "PROVIDER", "KIND", "TAKES JOBS", "SPEAKS", "PROGRAM", "DIGEST")
				for _, p := range list {
					line(w, p.Ref(), p.Kind, yesNo(p.Enabled), p.Dialect, p.Program, shortDigest(p.Digest))
				}
			})
		},
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shortDigest is enough of a digest to tell two programs apart by eye.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

func providerShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "show PROVIDER",
		Short:   "Show a provider and its components",
		Long:    `Show a provider and its components. PROVIDER is its name, or name:version where it has several versions.`,
		Example: `  openflow provider show acme:1.2.0`,
		Args:    positional("PROVIDER"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := o.client().Provider(c.Context(), args[0])
			if err != nil {
				return err
			}
			return o.show(c, p, func(w io.Writer) {
				for _, row := range [][2]string{
					{"provider", p.Ref()}, {"kind", p.Kind}, {"takes jobs", yesNo(p.Enabled)}, {"speaks", p.Dialect}, {"program", p.Program}, {"digest", p.Digest},
					{"added", moment(&p.AddedAt)}, {"by", p.AddedBy}, {"components", strings.Join(p.Components, ", ")},
				} {
					line(w, row[0], row[1])
				}
			})
		},
	}
}

func providerChangeCommand(
	o *options, verb, short, done, long string, do func(c *cobra.Command, provider string) (sdk.Provider, error),
) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " PROVIDER",
		Short:   short,
		Long:    long + "\nPROVIDER is its name, or name:version where it has several versions.",
		Example: `  openflow provider ` + verb + ` acme:1.2.0`,
		Args:    positional("PROVIDER"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := do(c, args[0])
			if err != nil {
				return err
			}
			return o.show(c, p, func(w io.Writer) { line(w, "provider "+p.Ref()+" "+done) })
		},
	}
}
