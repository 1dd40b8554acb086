package cli

import (
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
)

func siteCheckCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check PARTY",
		Short: "Check one peer: both ways to it, how each proves itself, grants",
		Long: `Have the node look at one peer, and show what it finds: whether each reaches the other and takes it for who it is, clocks, version,
grants and limits. Of a site of FATE-Flow, a call that lacks every argument shows that it is there and believes this node. Each
finding is ok, warn or FAIL with what to do about it. The exit code is 1 when something failed.`,
		Example: `  openflow site check 10000`,
		Args:    positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			known, err := o.client().Sites(c.Context())
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(known, func(s sdk.Site) bool { return s.PartyID == string(id) }) {
				return openflow.Errorf(openflow.CodeNotFound, "party %s is no peer of this node", id).WithHint("openflow site list shows those that are")
			}
			found, err := o.client().Doctor(c.Context())
			if err != nil {
				return err
			}
			d := diagnosis{Checks: []check{}, OK: true}
			name := regexp.QuoteMeta(string(id))
			about, of := regexp.MustCompile(`(^| )`+name+`($| )`), regexp.MustCompile(`party `+name+`($|[^\w.-])`)
			for _, f := range found {
				if about.MatchString(f.Name) || of.MatchString(f.Detail) {
					d.Checks = append(d.Checks, check{f.Name, verdict(f.Status), f.Detail, f.Remedy})
					d.OK = d.OK && verdict(f.Status) != failed
				}
			}
			if err := o.show(c, d, d.text); err != nil {
				return err
			}
			if !d.OK {
				return Failed("a check of party " + string(id) + " failed")
			}
			return nil
		},
	}
}
