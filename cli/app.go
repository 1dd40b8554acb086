package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
)

func appCommands(o *options) *cobra.Command {
	return group("app", "Say which programs sign with a token, as FATE's do",
		`FATE's command line proves who calls with the ID and token of an app: "flow init --app-id … --app-token …". An app of the kind
client is such a program. A peer that runs FATE-Flow signs its calls with an app that this site makes for it (kind site), and gives
this site one for the calls back (kind partner).

`+weakness,
		`  openflow app add portal
  openflow app list
  openflow app remove portal`,
		appAddCommand(o), appListCommand(o), appRemoveCommand(o))
}

// weakness is what whoever makes an app has to know.
const weakness = `What an app signs is weak: an MD5 sum over its ID, a name, four digits and the time. It covers neither path nor body, so whoever
reads a request on the way can send another one in its place. Only TLS keeps them off.`

// kindFlag adds --kind.
func kindFlag(c *cobra.Command, kind *string) {
	c.Flags().StringVar(kind, "kind", string(openflow.AppClient), "client: a program of users; site: a peer that calls this site; partner: this site at a peer")
}

func kindOf(kind string) (openflow.AppKind, error) {
	k := openflow.AppKind(kind)
	if !k.Valid() {
		return k, usagef("--kind %q is not known: use client, site or partner", kind)
	}
	return k, nil
}

func appAddCommand(o *options) *cobra.Command {
	var kind, role, id, file string
	var plain bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an app, and show its token once",
		Long: `Make an app, and show its token once: the node keeps it encrypted and tells it to nobody again. NAME of a client is the name under
which its jobs and acts are recorded. NAME of the other kinds is the party.

A client has the role client: it may call all that users call, but no route of apps and permissions. With super_client it may call
these too. Its requests count over TLS and from this machine, each once and for a minute. With --plain they count without TLS as
well; then whoever is on the way can do in its name what it may do. openflow connect is the better way.

--kind partner keeps the app that a peer has made for this site: its operator tells --id and the token, which is read from a file.`,
		Example: `  openflow app add portal
  openflow app add 10000 --kind site
  openflow app add 10000 --kind partner --id 40172236 --app-token-file token-of-10000`,
		Args: positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := kindOf(kind)
			if err != nil {
				return err
			}
			a := wire.App{Kind: string(k), Name: wire.Text(args[0]), Role: role, Plain: plain, ID: id}
			switch {
			case k == openflow.AppPartner && (id == "" || file == ""):
				return usagef("an app of the kind partner needs --id and --app-token-file: the peer's operator tells both")
			case k != openflow.AppPartner && (id != "" || file != ""):
				return usagef("--id and --app-token-file are for the kind partner: the node makes its own")
			case plain && k != openflow.AppClient:
				return usagef("--plain is for the kind client")
			case role == "" && k == openflow.AppClient:
				a.Role = string(openflow.AppMayUse)
			case role == "" && k == openflow.AppSite:
				a.Role = string(openflow.AppMayPeer)
			}
			if file != "" {
				text, err := trust.ReadPrivate(file)
				if err != nil {
					return err
				}
				a.Token = strings.TrimSpace(string(text))
			}
			made, err := o.client().AddApp(c.Context(), a)
			if err != nil {
				return err
			}
			if err := o.show(c, made, func(w io.Writer) { showApp(w, made) }); err != nil {
				return err
			}
			if made.Token != "" {
				say(c, "note: the token is not shown again. %s", weakness)
			}
			return nil
		},
	}
	kindFlag(c, &kind)
	c.Flags().StringVar(&role, "role", "", "client or super_client of a client, site of a site (default: the first)")
	c.Flags().BoolVar(&plain, "plain", false, "take its requests from other machines without TLS too")
	c.Flags().StringVar(&id, "id", "", "app_id that a peer has given")
	c.Flags().StringVar(&file, "app-token-file", "", "file of the app_token that a peer has given, closed to others")
	return c
}

func showApp(w io.Writer, a wire.App) {
	line(w, "kind", a.Kind)
	line(w, "name", string(a.Name))
	line(w, "app_id", a.ID)
	if a.Token != "" {
		line(w, "app_token", a.Token)
	}
	if a.Role != "" {
		line(w, "role", a.Role)
	}
	switch {
	case a.Kind == string(openflow.AppClient) && a.Token != "":
		line(w, "there", "flow init --ip HOST --port PORT --app-id "+a.ID+" --app-token "+a.Token)
	case a.Kind == string(openflow.AppSite) && a.Token != "":
		line(w, "there", "flow client create-partner --party-id THIS --app-id "+a.ID+" --app-token "+a.Token)
	}
}

func appListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the apps, without their tokens",
		Long:    `List the apps of all kinds: who they are, what they may call, and who has made them. Their tokens are not shown.`,
		Example: `  openflow app list -o json`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := o.client().Apps(c.Context(), "")
			if err != nil {
				return err
			}
			return o.show(c, list, func(w io.Writer) {
				line(w, "KIND", "NAME", "APP ID", "ROLE", "TAKEN", "MADE BY", "MADE")
				for _, a := range list {
					taken := map[string]string{string(openflow.AppClient): "over TLS", string(openflow.AppSite): "from the peer", string(openflow.AppPartner): "by the peer"}[a.Kind]
					if a.Plain {
						taken = "also without TLS"
					}
					line(w, a.Kind, string(a.Name), a.ID, a.Role, taken, a.By, moment(a.Made))
				}
			})
		},
	}
}

func appRemoveCommand(o *options) *cobra.Command {
	var kind string
	c := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Take an app back: what it signs is refused from now on",
		Long:    `Take an app back: what it signs is refused from now on. Its jobs go on; openflow job stop ends them.`,
		Example: `  openflow app remove portal`,
		Args:    positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := kindOf(kind)
			if err != nil {
				return err
			}
			gone, err := o.client().RemoveApp(c.Context(), k, args[0])
			if err != nil {
				return err
			}
			return o.show(c, gone, func(w io.Writer) { line(w, "taken back: app "+gone.ID+" of "+gone.Kind+" "+string(gone.Name)) })
		},
	}
	kindFlag(c, &kind)
	return c
}
