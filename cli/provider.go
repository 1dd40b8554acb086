package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
)

func providerCommands(o *options) *cobra.Command {
	return group("provider", "Say whose programs and images run the components here",
		`A provider is whoever brings components: the built-in one comes with the node, others are programs and images of yours or of
a vendor. What is registered is run as it was registered and not otherwise: the node compares its digest at every start.`,
		`  openflow provider register acme.tar
  openflow provider list`,
		providerRegisterCommand(o), providersCommand(o), providerShowCommand(o), providerRemoveCommand(o))
}

// registering are the flags of what is to be registered, or held against the contract.
type registering struct {
	name, version, dialect string
	descriptions           []string
}

func (r *registering) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.name, "name", "", "whose it must say to be (default: whoever it says)")
	c.Flags().StringVar(&r.version, "version", "", "in which version (default: which it says)")
	c.Flags().StringVar(&r.dialect, "dialect", "", "which its containers speak (default: fate-flow, as those of our kit do)")
	c.Flags().StringArrayVar(&r.descriptions, "description", nil, "file with the description of a component of an image that does not describe itself; may be repeated")
}

func (r *registering) read(what string) (sdk.Registration, error) {
	n := sdk.Registration{Name: r.name, Version: r.version, Dialect: r.dialect}
	var err error
	if n.Place, err = place(what); err != nil {
		return n, err
	}
	for _, path := range r.descriptions {
		text, err := os.ReadFile(path)
		if err != nil {
			return n, openflow.Errorf(openflow.CodeInvalid, "description: %w", err)
		}
		if !json.Valid(text) {
			return n, openflow.Errorf(openflow.CodeInvalid, "description %s is no JSON", path)
		}
		n.Descriptions = append(n.Descriptions, text)
	}
	return n, nil
}

// place is where a program or archive lies, or the reference of an image. What begins like a path is one, and so is what is
// here under that name.
func place(what string) (string, error) {
	_, err := os.Lstat(what)
	if err != nil && !strings.HasPrefix(what, "/") && !strings.HasPrefix(what, ".") {
		return what, nil
	}
	path, err := filepath.Abs(what)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "path of the program or image: %w", err)
	}
	return path, nil
}

const whatIsRegistered = `FILE is a file of the node's machine: a program, or an image in an archive, as docker save writes it or as an OCI layout in
a tar. IMAGE is the reference of an image that the node's runtime has, or can pull.`

func providerRegisterCommand(o *options) *cobra.Command {
	var r registering
	c := &cobra.Command{
		Use:   "register FILE|IMAGE",
		Short: "Register a program or an image",
		Long: `Register a program or an image. ` + whatIsRegistered + ` The node
runs it, isolated and without a network, to ask for its components, and keeps the answers with its digest. Its components are
loaded then: jobs may use them. Nobody but root and the node's user may be able to write the file. Where the runtime isolates
nothing, no image runs, and a program only of a provider that the node trusts: give its name with --name.`,
		Example: `  openflow provider register acme.tar
  openflow provider register registry.example/acme/psi:1.2 --name acme
  openflow provider register /opt/acme/components --name acme`,
		Args: positional("FILE|IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := r.read(args[0])
			if err != nil {
				return err
			}
			p, err := o.client().RegisterProvider(c.Context(), n)
			if err != nil {
				return err
			}
			return o.show(c, p, func(w io.Writer) {
				line(w, "provider "+p.Ref()+" is registered: "+strings.Join(names(p.Components), ", "))
			})
		},
	}
	r.flags(c)
	return c
}

func names(list []sdk.Component) []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return names
}

// standing says how the components of a provider stand, in few words.
func standing(list []sdk.Component) string {
	count := map[string]int{}
	for _, c := range list {
		count[c.State]++
	}
	var words []string
	for _, state := range slices.Sorted(maps.Keys(count)) {
		words = append(words, fmt.Sprintf("%d %s", count[state], state))
	}
	return strings.Join(words, ", ")
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
				line(w, "PROVIDER", "KIND", "COMPONENTS", "SPEAKS", "PLACE", "DIGEST")
				for _, p := range list {
					line(w, p.Ref(), p.Kind, standing(p.Components), p.Dialect, p.Place, shortDigest(p.Digest))
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
					{"provider", p.Ref()}, {"kind", p.Kind}, {"speaks", p.Dialect}, {"place", p.Place}, {"digest", p.Digest}, {"archive", p.Archive},
					{"added", moment(&p.AddedAt)}, {"by", p.AddedBy},
				} {
					if row[1] != "" {
						line(w, row[0], row[1])
					}
				}
				for _, c := range p.Components {
					line(w, "component "+c.Name, condition(c))
				}
			})
		},
	}
}

func providerRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove PROVIDER",
		Short: "Forget a provider",
		Long: `Forget a provider. It is refused while runs of it have not ended. What it has run keeps its name, version and digest.
PROVIDER is its name, or name:version where it has several versions.`,
		Example: `  openflow provider remove acme:1.2.0`,
		Args:    positional("PROVIDER"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := o.client().RemoveProvider(c.Context(), args[0])
			if err != nil {
				return err
			}
			return o.show(c, p, func(w io.Writer) { line(w, "provider "+p.Ref()+" is removed") })
		},
	}
}
