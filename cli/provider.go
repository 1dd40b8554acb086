package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust/publisher"
)

func providerCommands(o *options) *cobra.Command {
	return group("provider", "Say whose programs and images run the components here",
		`A provider is whoever brings components: the built-in one comes with the node, others are programs and images of yours or of
a vendor. What is registered is run as it was registered and not otherwise: the node compares its digest at every start.`,
		`  openflow provider register acme.tar
  openflow provider list`,
		providerRegisterCommand(o), providersCommand(o), providerShowCommand(o), providerRemoveCommand(o),
		providerKeyCommand(o), providerSignCommand(o), providerVerifyCommand(o))
}

// registering are the flags of what is to be registered, or held against the contract.
type registering struct {
	name, version, dialect string
	interpreter            string
	descriptions           []string
	signature, sbom        string
}

func (r *registering) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.name, "name", "", "whose it must say to be (default: whoever it says)")
	c.Flags().StringVar(&r.version, "version", "", "in which version (default: which it says)")
	c.Flags().StringVar(&r.dialect, "dialect", "", "which its containers speak (default: fate-flow, as those of our kit do)")
	c.Flags().StringVar(&r.interpreter, "python", "", "interpreter that runs code of FATE's component contract, in a folder or an image: docs/fate-components.md")
	c.Flags().StringVar(&r.signature, "signature", "", "file with its publisher's signature, in minisign's form (default: FILE.minisig, if there is one)")
	c.Flags().StringVar(&r.sbom, "sbom", "", "file with the list of what it is made of, in CycloneDX's JSON (default: made from what it says)")
	c.Flags().StringArrayVar(&r.descriptions, "description", nil, "file with the description, in JSON or YAML, of a component of an image that does not describe itself; may be repeated")
}

func (r *registering) read(what string) (sdk.Registration, error) {
	n := sdk.Registration{Name: r.name, Version: r.version, Dialect: r.dialect, Interpreter: r.interpreter}
	var err error
	if n.Place, err = place(what); err != nil {
		return n, err
	}
	if err := r.papers(&n); err != nil {
		return n, err
	}
	for _, path := range r.descriptions {
		text, err := readDescription(path)
		if err != nil {
			return n, err
		}
		n.Descriptions = append(n.Descriptions, text)
	}
	return n, nil
}

// maxDescription is how many bytes of a description are sent to a node, which reads no more.
const maxDescription = 1 << 20

// readDescription reads a description in JSON or YAML, and gives it as JSON.
func readDescription(path string) (json.RawMessage, error) {
	text, err := readBounded("description", path, maxDescription)
	if err != nil || json.Valid(text) {
		return text, err
	}
	tree, err := wire.Plain(text)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "description %s is neither JSON nor YAML: %s", path, openflow.FirstLine(err.Error())).
			WithHint("docs/descriptions.md shows what one looks like")
	}
	if text, err = json.Marshal(tree); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "description %s: %w", path, err)
	}
	return text, nil
}

// papers reads what the operator has of its publisher.
func (r *registering) papers(n *sdk.Registration) error {
	path := r.signature
	if path == "" && strings.HasPrefix(n.Place, "/") {
		if _, err := os.Lstat(n.Place + signatureEnding); err == nil {
			path = n.Place + signatureEnding
		}
	}
	if path != "" {
		text, err := readBounded("signature", path, publisher.MaxSignature)
		if err != nil {
			return err
		}
		n.Signature = string(text)
	}
	if r.sbom == "" {
		return nil
	}
	text, err := readBounded("SBOM", r.sbom, maxSBOM)
	if err == nil && !json.Valid(text) {
		err = openflow.Errorf(openflow.CodeInvalid, "SBOM %s is no JSON", r.sbom).WithHint("give a list in CycloneDX's JSON")
	}
	n.SBOM = text
	return err
}

// maxSBOM is how many bytes of a list are sent to a node.
const maxSBOM = 16 << 20

// readBounded reads a file of at most so many bytes.
func readBounded(what, path string, most int64) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: %w", what, err).WithHint("name a file that you may read")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: %w", what, err)
	case int64(len(text)) > most:
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s %s has more than %d bytes", what, path, most)
	}
	return text, nil
}

// archive is how the name of an archive ends. No reference that a tag follows does.
var archive = regexp.MustCompile(`\.(tar|tgz|tar\.[a-z0-9]+)$`)

// place is where a program or archive lies, or the reference of an image. What begins like a path is one, and so is what is
// here under that name.
func place(what string) (string, error) {
	_, err := os.Lstat(what)
	if err != nil && archive.MatchString(what) && !strings.HasPrefix(what, "/") {
		return "", openflow.Errorf(openflow.CodeInvalid, "there is no file %s here", what).
			WithHint("give the path of the file, from the root if it is on another machine, where the node is; a reference of an image does not end so")
	}
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
a tar. With --python it may be a folder of code. IMAGE is the reference of an image that the node's runtime has, or can pull.`

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
  openflow provider register /opt/acme/components --name acme
  openflow provider register /opt/fate/python --python /opt/fate/venv/bin/python --name fate`,
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
				for _, one := range p.Components {
					if !openflow.ComponentState(one.State).TakesJobs() {
						line(w, one.Name+" takes no jobs: "+condition(one))
					}
					if one.Way == openflow.WayResident {
						line(w, one.Name+" is resident: runs of several jobs share a container (--resident-most 0 of the node gives each its own)")
					}
					for _, wish := range wished(one.Wishes) {
						line(w, one.Name+" wishes for "+wish)
					}
					for _, text := range one.Warnings {
						line(w, "warning: "+one.Name+": "+text)
					}
				}
			})
		},
	}
	r.flags(c)
	return c
}

func names(list []wire.Component) []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return names
}

// standing says how the components of a provider stand, in few words.
func standing(list []wire.Component) string {
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
				line(w, "PROVIDER", "KIND", "COMPONENTS", "DIALECT", "PLACE", "DIGEST")
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
	var sbom bool
	c := &cobra.Command{
		Use:   "show PROVIDER",
		Short: "Show a provider, its components, who vouches for it and what is known against it",
		Long: `Show a provider, its components, who vouches for it and what is known against it. PROVIDER is its name, or name:version
where it has several versions. --sbom prints what it is made of instead, in CycloneDX's JSON.`,
		Example: `  openflow provider show acme:1.2.0
  openflow provider show acme --sbom`,
		Args: positional("PROVIDER"),
		RunE: func(c *cobra.Command, args []string) error {
			papers, err := o.client().ProviderPapers(c.Context(), args[0])
			if err != nil {
				return err
			}
			if sbom {
				return showSBOM(o, c, papers)
			}
			p, err := o.client().Provider(c.Context(), args[0])
			if err != nil {
				return err
			}
			papers.SBOM = nil // it is long, and asked for by itself
			return o.show(c, shownProvider{p, papers}, func(w io.Writer) {
				for _, row := range [][2]string{
					{"provider", p.Ref()}, {"kind", p.Kind}, {"dialect", p.Dialect}, {"place", p.Place}, {"digest", p.Digest}, {"archive", p.Archive},
					{"interpreter", p.Python}, {"added", moment(&p.AddedAt)}, {"by", p.AddedBy}, {"signed by", papers.SignedBy}, {"signed text", papers.Comment}, {"SBOM", papers.Origin},
					{"refused", papers.Refused},
				} {
					if row[1] != "" {
						line(w, row[0], row[1])
					}
				}
				for _, c := range p.Components {
					line(w, "component "+c.Name, condition(c))
				}
				for _, v := range papers.Vulnerabilities {
					line(w, v.ID, cmp.Or(v.Severity, "unrated")+" in "+v.Package+" "+v.Version+mendedIn(v.Fixed)+" "+v.Summary)
				}
				for _, text := range papers.Warnings {
					line(w, "warning", text)
				}
			})
		},
	}
	c.Flags().BoolVar(&sbom, "sbom", false, "print what it is made of, in CycloneDX's JSON")
	return c
}

// shownProvider is a provider with its papers.
type shownProvider struct {
	sdk.Provider
	Papers sdk.ProviderPapers `json:"papers"`
}

func mendedIn(versions []string) string {
	if len(versions) == 0 {
		return ", not mended yet."
	}
	return ", mended in " + strings.Join(versions, ", ") + "."
}

// showSBOM prints what a provider is made of.
func showSBOM(o *options, c *cobra.Command, papers sdk.ProviderPapers) error {
	if len(papers.SBOM) == 0 {
		return openflow.Errorf(openflow.CodeNotFound, "nobody knows what provider %s is made of", papers.Provider).
			WithHint("register it with --sbom FILE")
	}
	var text bytes.Buffer
	if err := json.Indent(&text, papers.SBOM, "", "  "); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the SBOM of the node is no JSON: %w", err)
	}
	return o.show(c, papers.SBOM, func(w io.Writer) {
		for _, l := range strings.Split(text.String(), "\n") {
			line(w, l)
		}
	})
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
