package cli

import (
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/cli/connect"
	"openflow/sdk"
	"openflow/site/trust"
)

// connected is the document of openflow connect.
type connected struct {
	Address string `json:"address"`  // on this machine
	Node    string `json:"node"`     // to which it leads
	PartyID string `json:"party_id"` // of the node; empty: it has not told
}

func connectCommand(o *options) *cobra.Command {
	var file, listen string
	c := &cobra.Command{
		Use:   "connect URL",
		Short: "Give FATE's clients an address on this machine that leads to a node",
		Long: `Give any client of FATE, which knows neither TLS nor tokens, an address on this machine. What it sends there goes to the node over
TLS, with the node's token. Only programs of this user are let in: no page in a browser, no other user and no other machine.
It leads to the routes of users and to nothing else. The file of the token is closed to others, and read with each request.

Without a token, the node takes what its clients sign themselves: "flow init --app-id … --app-token …", see openflow app.`,
		Example: `  openflow connect https://node.example:9380 --token-file ~/node.token --ca users.pem
  flow init --ip 127.0.0.1 --port 9380
  pipeline init --ip 127.0.0.1 --port 9380`,
		Args: positional("URL"),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := connect.NodeAddress(args[0])
			if err != nil {
				return Usage(err)
			}
			o.node = strings.TrimSuffix(node.String(), "/")
			if err := o.know(); err != nil {
				return err
			}
			token := func() (string, error) { return o.token, nil }
			if file != "" {
				token = func() (string, error) {
					text, err := trust.ReadPrivate(file)
					return strings.TrimSpace(string(text)), err
				}
			}
			if o.token, err = token(); err != nil {
				return err
			}
			l, err := connect.Listen(c.Context(), listen)
			if err != nil {
				return err
			}
			party, err := o.reached(c)
			if err != nil {
				_ = l.Close() // nobody has been told of it
				return err
			}
			way := connect.Way{Node: node, Token: token, HTTP: o.known, Log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))}
			if err := o.told(c, connected{"http://" + l.Addr().String(), o.node, party}, l); err != nil {
				_ = l.Close() // nobody has been told of it
				return err
			}
			return way.Serve(c.Context(), l)
		},
	}
	c.Flags().StringVar(&file, "token-file", "", "file of the node's token, closed to others")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:9380", "loopback address for the clients")
	return c
}

// reached asks the node for its party. A node that is away may come; one that does not take the token will not.
func (o *options) reached(c *cobra.Command) (party string, err error) {
	if o.token == "" {
		say(c, "note: there is no token, so the node takes only what is signed with an app's: openflow app add")
		return "", nil
	}
	var about sdk.About
	if about, err = o.client().About(c.Context()); openflow.CodeOf(err) == openflow.CodeUnavailable {
		say(c, "note: %v", err)
		return "", nil
	}
	return about.PartyID, err
}

func (o *options) told(c *cobra.Command, at connected, l net.Listener) error {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	return o.show(c, at, func(w io.Writer) {
		line(w, "address", at.Address)
		line(w, "node", at.Node)
		if at.PartyID != "" {
			line(w, "party", at.PartyID)
		}
		line(w, "FATE's command line", "flow init --ip "+host+" --port "+port)
		line(w, "FATE's pipeline", "pipeline init --ip "+host+" --port "+port)
	})
}
