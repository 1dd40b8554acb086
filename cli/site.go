package cli

import (
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust"
)

func siteCommands(o *options) *cobra.Command {
	return group("site", "This node's key, and the peers that it knows",
		`Sites prove who they are by signatures. Each operator gives the public key of the own node (openflow site key) to the
others and registers theirs, once, over a way that both trust.`,
		`  openflow site key --home /var/lib/openflow
  openflow site add 10000 --url https://10.0.0.2:9390 --key ed25519:…
  openflow site list`,
		keyCommand(o), workerTokenCommand(o), workersCommand(o), sitesCommand(o), addCommand(o), probeCommand(o), siteCheckCommand(o), removeCommand(o), rotateCommand(o), limitCommand(o))
}

func keyCommand(o *options) *cobra.Command {
	var home string
	c := &cobra.Command{
		Use:   "key",
		Short: "Print this node's public key",
		Long: `Print the public key of the node with that home folder and nothing else. Its short name, which signatures and messages
have too, goes to standard error. Key and folder are made if there are none, so that keys can be exchanged before the first
start. The node need not run. Run it as the user that the node runs as: sudo -u USER openflow site key --home DIR.`,
		Example: `  openflow site key --home /var/lib/openflow`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := trust.LoadOrCreateKey(home)
			if err != nil {
				return err
			}
			text, short := key.Public().String(), key.Public().ID()
			if o.output == outputText {
				say(c, "its short name is %s", short)
			}
			return o.show(c, map[string]string{"key": text, "short": short}, func(w io.Writer) { line(w, text) })
		},
	}
	homeFlag(c, &home, "home folder of the node")
	return c
}

func workerTokenCommand(o *options) *cobra.Command {
	var home string
	var rotate bool
	c := &cobra.Command{
		Use:   "worker-token",
		Short: "Print the token of this site's workers",
		Long: `Print the token that the workers of this site's pool (openflow worker) prove themselves with, and nothing else. Behind its @
stands the node's public key, by which they know the node. Both are made if there are none. The node need not run. --rotate
replaces the token: workers with the old one are refused from then on.`,
		Example: `  openflow site worker-token --home /var/lib/openflow`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			_, text, err := trust.LoadOrCreateWorkerToken(home)
			if rotate && err == nil {
				text, err = trust.RotateWorkerToken(home)
			}
			if err != nil {
				return err
			}
			key, err := trust.LoadOrCreateKey(home)
			if err != nil {
				return err
			}
			text = trust.HandOut(text, key.Public())
			return o.show(c, map[string]string{"token": text}, func(w io.Writer) { line(w, text) })
		},
	}
	homeFlag(c, &home, "home folder of the node")
	c.Flags().BoolVar(&rotate, "rotate", false, "replace it by a new one")
	return c
}

func workersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "workers",
		Short: "List the machines that run tasks for this node",
		Long: `List the machines of this site's pool that have been heard of in the last day, with what they run. The node tells of itself
too, unless it runs no tasks. A worker that has left offers 0 cores.`,
		Example: `  openflow site workers`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := o.client().Workers(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, append([]wire.Worker{}, list...), func(w io.Writer) {
				line(w, "MACHINE", "NAME", "LABELS", "RUNTIME", "CORES", "TASKS", "SEEN")
				for _, m := range list {
					line(w, m.Machine, m.Name, strings.Join(m.Labels, ","), m.Runtime, strconv.Itoa(m.Cores),
						strconv.Itoa(len(m.Running)), moment(&m.SeenTime))
				}
			})
		},
	}
}

func sitesCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the peers that the node knows",
		Long: `List the peers that the node knows, and the keys that they may sign with. Jobs that have not ended, those of them in the
queue, and cores are shown with how many a peer may have. openflow doctor tells which of them answer.`,
		Example: `  openflow site list`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			sites, err := o.client().Sites(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, append([]sdk.Site{}, sites...), func(w io.Writer) {
				line(w, "PARTY", "URL", "KEYS", "ADDED", "SPEAKS", "TRUST", "WAY", "UNSIGNED JOBS", "JOBS", "WAITING", "CORES", "OWN LIMITS")
				for _, s := range sites {
					taken := "refused"
					switch {
					case s.Unsigned:
						taken = "taken"
					case len(s.UnsignedFrom) > 0:
						taken = "taken from " + strings.Join(s.UnsignedFrom, ",")
					}
					line(w, s.PartyID, s.URL, strings.Join(s.Keys, ","), moment(&s.AddedAt), strings.Join([]string{s.Dialect, s.Version, s.Profile}, " "),
						trusted(s.Trust), s.Way, taken, ofMost(s.Uses.Jobs, s.Limits.Jobs), ofMost(s.Uses.Waiting, s.Limits.Waiting), ofMost(s.Uses.Cores, s.Limits.Cores), s.Said.String())
				}
			})
		},
	}
}

// siteDone is the document of the commands that change a peer.
type siteDone struct {
	PartyID openflow.PartyID `json:"party_id"`
	Done    string           `json:"done"`
}

func (o *options) siteDone(c *cobra.Command, id openflow.PartyID, done string) error {
	return o.show(c, siteDone{id, done}, func(w io.Writer) { line(w, "party "+string(id)+" is "+done) })
}

// partyArgument reads the party ID of a peer.
func partyArgument(args []string) (openflow.PartyID, error) {
	if err := openflow.CheckIdentifier("PARTY", args[0]); err != nil {
		return "", Usage(err)
	}
	return openflow.PartyID(args[0]), nil
}

func checkKey(key string) error {
	if key == "" {
		return usagef("--key is missing: the other site prints it with openflow site key")
	}
	if _, err := trust.ParsePublicKey(key); err != nil {
		return Usage(err)
	}
	return nil
}

func addCommand(o *options) *cobra.Command {
	var url, key, dialect, version, profile, proof, way string
	var plain, unsigned bool
	var sources []string
	c := &cobra.Command{
		Use:   "add PARTY --url URL --key KEY",
		Short: "Register a peer, or change its address",
		Long: `Register a peer by the address of its interconnection layer and its public key, or give a registered one another
address. A registered peer's key is changed with openflow site rotate.

A node of FATE-Flow signs no answers. Only for such a peer give --dialect fate-flow: what is at its address is then believed.
It signs no jobs either. With --unsigned its jobs are taken without the signature of their initiator: this site then believes
what the peer's node says of whose job it is. --unsigned=false takes that back.

A node that signs no requests either has no key, and is known by where they come from. With --unsigned-from they are taken on
FATE-Flow's routes, with the jobs that they bring. It names an address, a network, sha256:… of the client certificate that the
node shows, or authority. The last is any client certificate in the party's name of an authority in --peer-ca. An address counts
on the listener without TLS only, and not for what somebody has passed on. Whoever can send from there speaks as the peer.
--unsigned-from= takes that back.

A node of FATE-Flow whose operator has switched the authentication of sites on has no key either: --trust fate-site-signature. Each
side then makes an app for the other (openflow app add PARTY --kind site), whose token the other signs with. That signature is weak:
it covers neither path nor body, so give such a peer an https address where you can. --trust none is a node that signs nothing.

--way says how calls get to a node of FATE-Flow. A router is an address of many parties, which finds the party by the header
dest-party-id. Packets go to the gRPC bridges of FATE (osx, rollsite), which mostly speak no TLS: give them an http address.`,
		Example: `  openflow site add 10000 --url https://10.0.0.2:9390 --key ed25519:…
  openflow site add 9998 --url https://fate.example --dialect fate-flow --unsigned-from sha256:…
  openflow site add 9997 --url https://fate.example --dialect fate-flow --trust fate-site-signature --way router`,
		Args: positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			if url == "" {
				return usagef("--url is missing: the address of the peer's interconnection layer")
			}
			if profile, err = profileOf(proof, profile, key); err != nil {
				return err
			}
			if key != "" || len(sources) == 0 && proof != string(openflow.TrustSignature) {
				if err := checkKey(key); err != nil {
					return err
				}
			}
			speaks := sdk.Speech{Dialect: openflow.Dialect(dialect), Version: version, Profile: profile, Plain: plain, Way: openflow.PeerWay(way)}
			if c.Flags().Changed("unsigned") {
				speaks.Unsigned = &unsigned
			}
			if c.Flags().Changed("unsigned-from") {
				speaks.UnsignedFrom = &sources
			}
			if err := o.client().AddSite(c.Context(), id, strings.TrimSuffix(url, "/"), key, speaks); err != nil {
				return err
			}
			if err := o.siteDone(c, id, "registered"); err != nil || proof != string(openflow.TrustSignature) {
				return err
			}
			say(c, "note: it calls with an app that this node makes: openflow app add %s --kind site. This node calls with one that its operator makes there: "+
				"openflow app add %s --kind partner --id ID --app-token-file FILE. %s", id, id, weakness)
			return nil
		},
	}
	c.Flags().StringVar(&url, "url", "", "address of its interconnection layer (required)")
	c.Flags().StringVar(&key, "key", "", "its public key (required, unless the peer signs nothing)")
	c.Flags().StringVar(&dialect, "dialect", "", "which it speaks: native (the default), or fate-flow, which signs no answers")
	c.Flags().StringVar(&version, "dialect-version", "", "of the dialect")
	c.Flags().StringVar(&profile, "profile", "", "of the dialect")
	c.Flags().StringVar(&proof, "trust", "", "how a node of FATE-Flow proves itself: fate-site-signature, or none")
	c.Flags().StringVar(&way, "way", "", "how calls get to it: direct (the default), router or packets")
	c.Flags().BoolVar(&plain, "plain", false, "call it without TLS although it is on another machine: all that is said can be read on the way")
	c.Flags().BoolVar(&unsigned, "unsigned", false, "take its jobs without the signature of their initiator")
	c.Flags().StringSliceVar(&sources, "unsigned-from", nil, "take its unsigned requests, and their jobs, from here: an address, a network, sha256:… or authority")
	return c
}

// profileOf is the profile of a peer of that trust.
func profileOf(proof, profile, key string) (string, error) {
	switch openflow.Trust(proof) {
	case "":
		return profile, nil
	case openflow.TrustSignature, openflow.TrustNone:
	case openflow.TrustKey:
		return "", usagef("--trust key goes without saying: give --key alone")
	default:
		return "", usagef("--trust %q is not known: use %s or %s", openflow.Cut(proof, 80), openflow.TrustSignature, openflow.TrustNone)
	}
	if profile != "" {
		return "", usagef("--trust says which --profile it is: give one of them")
	}
	if openflow.Trust(proof) == openflow.TrustSignature {
		return proof, nil
	}
	if key != "" {
		return "", usagef("--trust none is for a node that has no key: leave out --key, or --trust")
	}
	return "unsigned", nil
}

// trusted is how a peer proves itself, with what is weak about it.
func trusted(how string) string {
	switch openflow.Trust(how) {
	case openflow.TrustSignature:
		return how + " (weak: MD5, without path and body)"
	case openflow.TrustNone:
		return "none (by where it calls from)"
	case openflow.TrustKey:
	}
	return how
}

func probeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "probe PARTY",
		Short: "See which dialects a peer seems to speak",
		Long: `See which dialects a peer seems to speak. This changes nothing: the peer is called in the dialect of its record, which is
changed with openflow site add.`,
		Example: `  openflow site probe 10000`,
		Args:    positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			list, err := o.client().ProbeSite(c.Context(), id)
			if err != nil {
				return err
			}
			return o.show(c, append([]sdk.Heard{}, list...), func(w io.Writer) {
				line(w, "DIALECT", "VERSION", "PROFILE", "SPOKEN THERE", "IN ITS RECORD", "WHY NOT")
				for _, h := range list {
					line(w, h.Dialect, h.Version, h.Profile, yesNo(h.Speaks), yesNo(h.Recorded), h.Error)
				}
			})
		},
	}
}

func removeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove PARTY",
		Short: "Forget a peer",
		Long: `Forget a peer. Jobs that run with it are ended, here and, as far as it answers, there; its requests are refused from now
on.`,
		Example: `  openflow site remove 10000`,
		Args:    positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			if err := o.client().RemoveSite(c.Context(), id); err != nil {
				return err
			}
			return o.siteDone(c, id, "removed")
		},
	}
}

func rotateCommand(o *options) *cobra.Command {
	var key string
	var final bool
	c := &cobra.Command{
		Use:   "rotate PARTY --key KEY",
		Short: "Take a new key of a peer",
		Long: `Take a new key of a peer beside its present one, so that running jobs go on while it changes. Afterwards --final forgets
the old one.`,
		Example: `  openflow site rotate 10000 --key ed25519:…
  openflow site rotate 10000 --key ed25519:… --final`,
		Args: positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			if err := checkKey(key); err != nil {
				return err
			}
			if err := o.client().RotateSite(c.Context(), id, key, final); err != nil {
				return err
			}
			return o.siteDone(c, id, "known by the new key")
		},
	}
	c.Flags().StringVar(&key, "key", "", "its new public key (required)")
	c.Flags().BoolVar(&final, "final", false, "forget all other keys of it")
	return c
}
