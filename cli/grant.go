package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
)

func grantCommands(o *options) *cobra.Command {
	return group("grant", "Say what the jobs of peers may use here",
		`A job that another site schedules (usually the one that submitted it) is accepted only if grants allow every component
that it runs here and every table that it reads here. Jobs that this site schedules need no grants.`,
		`  openflow grant add 10000 --component psi --table demo/breast
  openflow grant list`,
		grantChangeCommand(o, "add", "Allow a peer's jobs components and tables",
			"Allow a peer's jobs components and tables of this site. --component '*' allows all components.", "granted",
			func(ctx context.Context, id openflow.PartyID, w wanted) error {
				return o.client().Grant(ctx, id, w.components, w.names)
			}),
		grantsCommand(o),
		grantChangeCommand(o, "remove", "Take grants back",
			"Take grants back. Jobs that have been accepted go on; later ones are refused.", "revoked",
			func(ctx context.Context, id openflow.PartyID, w wanted) error {
				all, err := o.client().Grants(ctx)
				if err != nil {
					return err
				}
				if missing := w.missing(id, all); len(missing) > 0 {
					return openflow.Errorf(openflow.CodeNotFound, "party %s has no grant of %s, so nothing is revoked", id, strings.Join(missing, ", ")).
						WithHint("openflow grant list shows what it has")
				}
				return o.client().Revoke(ctx, id, w.components, w.names)
			}))
}

// wanted is what a grant is about.
type wanted struct {
	components, tables []string
	names              []openflow.TableName // of tables
}

func (w *wanted) parse() error {
	if len(w.components) == 0 && len(w.tables) == 0 {
		return usagef("name what is meant with --component or --table")
	}
	for _, t := range w.tables {
		name, err := tableName("--table", t)
		if err != nil {
			return err
		}
		w.names = append(w.names, name)
	}
	return nil
}

// missing lists what is wanted of a party that no grant gives it.
func (w *wanted) missing(id openflow.PartyID, all []sdk.Grants) (list []string) {
	var has sdk.Grants
	for _, g := range all {
		if g.PartyID == string(id) {
			has = g
		}
	}
	for _, names := range w.components {
		for name := range strings.SplitSeq(names, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(has.Components, name) {
				list = append(list, "component "+name)
			}
		}
	}
	for _, t := range w.names {
		if !slices.Contains(has.Tables, sdk.Dataset(t)) {
			list = append(list, "table "+t.String())
		}
	}
	return list
}

// tableName reads the NAMESPACE/NAME that a flag was given.
func tableName(flag, value string) (openflow.TableName, error) {
	namespace, name, ok := strings.Cut(value, "/")
	if !ok || namespace == "" || name == "" {
		return openflow.TableName{}, usagef("%s %q is not of the form NAMESPACE/NAME", flag, value)
	}
	return openflow.TableName{Namespace: namespace, Name: name}, nil
}

// granted is the document of the commands that change grants.
type granted struct {
	PartyID    openflow.PartyID `json:"party_id"`
	Components []string         `json:"components"`
	Tables     []string         `json:"tables"`
	Done       string           `json:"done"`
}

func grantChangeCommand(
	o *options, verb, short, long, done string, do func(context.Context, openflow.PartyID, wanted) error,
) *cobra.Command {
	var want wanted
	c := &cobra.Command{
		Use:   verb + " PARTY [--component NAME]… [--table NAMESPACE/NAME]…",
		Short: short,
		Long:  long,
		Example: `  openflow grant ` + verb + ` 10000 --component psi --table demo/breast
  openflow grant ` + verb + ` 10000 --component '*'`,
		Args: positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			if err := want.parse(); err != nil {
				return err
			}
			if err := do(c.Context(), id, want); err != nil {
				return err
			}
			doc := granted{id, append([]string{}, want.components...), append([]string{}, want.tables...), done}
			return o.show(c, doc, func(w io.Writer) {
				line(w, done+" for party "+string(id)+": "+strings.Join(append(doc.Components, doc.Tables...), ", "))
			})
		},
	}
	c.Flags().StringArrayVar(&want.components, "component", nil, "name of a component, or *; may be repeated")
	c.Flags().StringArrayVar(&want.tables, "table", nil, "table as NAMESPACE/NAME; may be repeated")
	return c
}

func grantsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PARTY]",
		Short: "List what peers may use",
		Long:  `List what the jobs of peers, or of one peer, may use here.`,
		Example: `  openflow grant list
  openflow grant list 10000 -o json`,
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			all, err := o.client().Grants(c.Context())
			if err != nil {
				return err
			}
			list := []sdk.Grants{}
			for _, g := range all {
				if len(args) == 0 || args[0] == g.PartyID {
					list = append(list, g)
				}
			}
			if len(args) == 1 && len(list) == 0 {
				return openflow.Errorf(openflow.CodeNotFound, "party %s is not known here", args[0]).
					WithHint("openflow site list shows who is")
			}
			return o.show(c, list, func(w io.Writer) { listGrants(w, list) })
		},
	}
}

func listGrants(w io.Writer, list []sdk.Grants) {
	line(w, "PARTY", "KIND", "NAME")
	for _, g := range list {
		for _, name := range g.Components {
			line(w, g.PartyID, "component", name)
		}
		for _, t := range g.Tables {
			line(w, g.PartyID, "table", t.Namespace+"/"+t.Name)
		}
		if len(g.Components)+len(g.Tables) == 0 {
			line(w, g.PartyID, "nothing")
		}
	}
}
