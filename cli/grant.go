package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk/wire"
)

func grantCommands(o *options) *cobra.Command {
	return group("grant", "Say what the jobs of peers may do here",
		`What no grant allows is refused. A peer that submits jobs must be allowed to initiate them here (--initiate), and a peer that
drives them must be allowed to schedule them (--schedule); usually that is the same peer. Its jobs may use the components,
tables and models that grants give them, for the purpose, with the partners, within the limits, as often and as long as these
say. This site's own jobs need no grants, as long as it schedules them itself. docs/grants.md has all of it.`,
		`  openflow grant add 9999 --initiate --schedule --component reader --component psi --table demo/accounts
  openflow grant list
  openflow grant show 9999`,
		grantAddCommand(o), grantListCommand(o), grantShowCommand(o), grantRemoveCommand(o))
}

// wanted is what the flags of openflow grant add say.
type wanted struct {
	initiate, schedule                           bool
	components, tables, models, partners, limits []string
	scheduler, purpose, until                    string
	uses                                         int
}

// anybody stands for every peer that may initiate jobs here.
const anybody = "*"

// grants are those that a command makes: each of use, to initiate and to schedule is one of its own, on the same terms.
func (w *wanted) grants(party string, now time.Time) ([]openflow.Grant, error) {
	terms := openflow.Grant{Initiator: openflow.PartyID(party), Scheduler: openflow.PartyID(w.scheduler), Purpose: w.purpose, Uses: w.uses}
	if party == anybody {
		terms.Initiator = ""
	}
	for _, p := range w.partners {
		terms.Partners = append(terms.Partners, openflow.PartyID(p))
	}
	var err error
	if terms.Until, err = endOf(w.until, now); err != nil {
		return nil, err
	}
	use, err := w.use(terms)
	if err != nil {
		return nil, err
	}
	var list []openflow.Grant
	if w.initiate {
		g := terms
		g.Kind = openflow.GrantInitiate
		list = append(list, g)
	}
	if w.schedule {
		g := terms
		g.Kind, g.Initiator, g.Scheduler = openflow.GrantSchedule, "", openflow.PartyID(party)
		list = append(list, g)
	}
	if len(use.Components)+len(use.Tables)+len(use.Models)+len(use.Limits) > 0 {
		list = append(list, use)
	}
	if len(list) == 0 {
		return nil, usagef("say what is granted: --initiate, --schedule, --component, --table or --model")
	}
	for _, g := range list {
		if err := g.Check(); err != nil {
			return nil, Usage(err)
		}
	}
	return list, nil
}

// use is the grant of components, tables and models.
func (w *wanted) use(g openflow.Grant) (openflow.Grant, error) {
	g.Kind = openflow.GrantUse
	for _, list := range w.components {
		for text := range strings.SplitSeq(list, ",") {
			c, err := openflow.ParseGrantedComponent(strings.TrimSpace(text))
			if err != nil {
				return g, Usage(err)
			}
			g.Components = append(g.Components, c)
		}
	}
	for _, text := range w.tables {
		if _, err := tableName("--table", text); err != nil {
			return g, err
		}
		t, err := openflow.ParseGrantedTable(text)
		if err != nil {
			return g, Usage(err)
		}
		g.Tables = append(g.Tables, t)
	}
	for _, text := range w.models {
		m, err := openflow.ParseGrantedModel(text)
		if err != nil {
			return g, Usage(err)
		}
		g.Models = append(g.Models, m)
	}
	for _, text := range w.limits {
		l, err := openflow.ParseParameterLimit(text)
		if err != nil {
			return g, Usage(err)
		}
		g.Limits = append(g.Limits, l)
	}
	return g, nil
}

// endOf reads when a grant ends: a date, from whose beginning on it allows nothing, a time, or how long from now.
func endOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if in, err := time.ParseDuration(text); err == nil && in > 0 {
		return now.Add(in), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		at, err := time.Parse(layout, text)
		switch {
		case err == nil && !at.After(now):
			return at, usagef("--until %s is over: such a grant allows nothing", text)
		case err == nil:
			return at, nil
		}
	}
	return time.Time{}, usagef("--until %q is not a date (2027-01-31), time (2027-01-31T15:04:05Z) or duration (720h)", text)
}

// tableName reads the NAMESPACE/NAME that a flag was given.
func tableName(flag, value string) (openflow.TableName, error) {
	namespace, name, ok := strings.Cut(value, "/")
	if !ok || namespace == "" || name == "" {
		return openflow.TableName{}, usagef("%s %q is not of the form NAMESPACE/NAME", flag, value)
	}
	return openflow.TableName{Namespace: namespace, Name: name}, nil
}

func grantAddCommand(o *options) *cobra.Command {
	var w wanted
	c := &cobra.Command{
		Use:   "add PARTY [--initiate] [--schedule] [--component NAME]… [--table NAMESPACE/NAME]… [--model ID]…",
		Short: "Allow the jobs of a peer something",
		Long: `Allow the jobs of a peer something at this site. PARTY is whose jobs they are; '*' is every peer that may initiate jobs here.

A component may be of one provider (psi@acme), in one version (psi@acme:1.2.0), or of the program with one digest
(psi@sha256:…); '*' is every component. A table may be some of its columns (demo/accounts:id,x0): jobs then get those and no
others, and one of them must be the id. Components and tables of one command belong together: the tables are for jobs that run
nothing else here. Dates are in UTC.`,
		Example: `  openflow grant add 9999 --initiate --schedule
  openflow grant add 9999 --component reader --component psi --table demo/accounts:id,x0 --partner 10001 --uses 5
  openflow grant add 9999 --component psi --limit 'psi.min_intersection>=100' --purpose 'churn study' --until 2027-01-01`,
		Args: positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != anybody {
				if _, err := partyArgument(args); err != nil {
					return err
				}
			}
			list, err := w.grants(args[0], time.Now())
			if err != nil {
				return err
			}
			made, err := o.client().Grant(c.Context(), list...)
			if err != nil {
				return err
			}
			return o.show(c, encodeGrants(made), func(out io.Writer) { listGrants(out, made, time.Now()) })
		},
	}
	flags := c.Flags()
	flags.BoolVar(&w.initiate, "initiate", false, "jobs of the party are taken")
	flags.BoolVar(&w.schedule, "schedule", false, "the party may drive jobs here")
	flags.StringArrayVar(&w.components, "component", nil, "NAME, NAME@PROVIDER, NAME@PROVIDER:VERSION or NAME@sha256:DIGEST; may be repeated")
	flags.StringArrayVar(&w.tables, "table", nil, "NAMESPACE/NAME, or NAMESPACE/NAME:COLUMN,COLUMN; may be repeated")
	flags.StringArrayVar(&w.models, "model", nil, "ID or ID/VERSION of a model that jobs of others have made; may be repeated")
	flags.StringVar(&w.scheduler, "scheduler", "", "only in jobs that this party schedules")
	flags.StringVar(&w.purpose, "purpose", "", "only in jobs with this purpose, word for word")
	flags.StringArrayVar(&w.partners, "partner", nil, "only in jobs in which, besides PARTY and this site, none but these take part; may be repeated")
	flags.StringArrayVar(&w.limits, "limit", nil, "COMPONENT.PARAMETER>=NUMBER, <=NUMBER or =VALUE|VALUE; may be repeated")
	flags.IntVar(&w.uses, "uses", 0, "for so many jobs; 0: any number")
	flags.StringVar(&w.until, "until", "", "a date, a time, or for how long from now")
	return c
}

func grantListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PARTY]",
		Short: "List grants, each in words",
		Long:  `List what the jobs of peers, or of one peer, may do here: one line for each grant, with the ID that takes it back.`,
		Example: `  openflow grant list
  openflow grant list 10000 -o json`,
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			var id openflow.PartyID
			if len(args) == 1 {
				id = openflow.PartyID(args[0])
			}
			list, err := o.client().Grants(c.Context(), id)
			if err != nil {
				return err
			}
			about, err := o.client().About(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, encodeGrants(list), func(w io.Writer) {
				if about.GrantAll {
					line(w, "note", openflow.GrantsAll)
				}
				if listGrants(w, list, time.Now()); len(list) == 0 && !about.GrantAll {
					line(w, "none", "peers may do nothing here")
				}
			})
		},
	}
}

func grantShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "show PARTY",
		Short:   "Tell in words what a peer may do here",
		Long:    `Tell in words what a peer may do here, as an initiator and as a scheduler, and what it may not.`,
		Example: `  openflow grant show 9999`,
		Args:    positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			list, err := o.client().Grants(c.Context(), "")
			if err != nil {
				return err
			}
			var its []openflow.Grant
			for _, g := range list {
				concerns := g.Initiator == id || g.Scheduler == id || g.Kind == openflow.GrantUse && g.Initiator == "" && g.Scheduler == ""
				if concerns {
					its = append(its, g)
				}
			}
			about, err := o.client().About(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, encodeGrants(its), func(w io.Writer) {
				for _, sentence := range sentences(id, its, about.GrantAll, time.Now()) {
					line(w, sentence)
				}
			})
		},
	}
}

// sentences tell what a party may do, and what it may not.
func sentences(id openflow.PartyID, grants []openflow.Grant, all bool, now time.Time) (list []string) {
	may := map[openflow.GrantKind]bool{}
	for _, g := range grants {
		switch over := g.Over(now); {
		case over != "":
			list = append(list, g.String()+". That is over: it has "+map[string]string{"expired": "expired", "used up": "been used up"}[over]+".")
		default:
			may[g.Kind] = may[g.Kind] || g.Kind == openflow.GrantUse || g.Kind == openflow.GrantInitiate && g.Initiator == id || g.Kind == openflow.GrantSchedule && g.Scheduler == id
			list = append(list, g.String()+".")
		}
	}
	if all {
		return append(list, fmt.Sprintf("Party %s may do everything here but use models of others: %s.", id, openflow.GrantsAll))
	}
	for _, not := range []struct {
		kind openflow.GrantKind
		says string
	}{
		{openflow.GrantInitiate, "initiate jobs here"}, {openflow.GrantSchedule, "schedule jobs here"}, {openflow.GrantUse, "use any component, table or model here"},
	} {
		if !may[not.kind] {
			list = append(list, fmt.Sprintf("Party %s may not %s.", id, not.says))
		}
	}
	return list
}

func grantRemoveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Take a grant back",
		Long: `Take a grant back. New jobs are refused that need it, and jobs that were created on it start no further task here, unless another
grant gives the same. What runs goes on; openflow job stop ends it.`,
		Example: `  openflow grant remove g-4kq7x2ab`,
		Args:    positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := o.client().Revoke(c.Context(), openflow.GrantID(args[0]))
			if err != nil {
				return err
			}
			return o.show(c, wire.EncodeGrant(g), func(w io.Writer) { line(w, "taken back: "+g.String()) })
		},
	}
}

func encodeGrants(list []openflow.Grant) []wire.Grant {
	out := make([]wire.Grant, len(list))
	for i, g := range list {
		out[i] = wire.EncodeGrant(g)
	}
	return out
}

func listGrants(w io.Writer, list []openflow.Grant, now time.Time) {
	line(w, "ID", "STATE", "GRANT")
	for _, g := range list {
		line(w, string(g.ID), cmp.Or(g.Over(now), "good"), g.String())
	}
}
