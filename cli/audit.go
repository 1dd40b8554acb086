package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func auditCommands(o *options) *cobra.Command {
	return group("audit", "See who changed what at this site, and what peers were refused",
		`The node keeps a record of who changed its peers, its grants and its tables. Nothing of that is ever changed or removed.
It also keeps what it decided about the jobs of peers: who asked, on whose authority, for what, whether it was refused or done,
and on which grants. Refusals that are alike are one entry, which counts them; of these decisions the newest are kept.`,
		`  openflow audit list --since 24h
  openflow audit list --action grant -o json`,
		auditListCommand(o))
}

func auditListCommand(o *options) *cobra.Command {
	var f sdk.AuditFilter
	var since, until, job string
	var refused bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List who changed what, newest first",
		Long: `List who changed what at this site, and what was decided about jobs of peers, newest first. --since and --until take a date (2026-01-31), a time
(2026-01-31T15:04:05Z) or how long ago (36h). The other filters take a part of the text. A page has --limit entries; when there
are more, the last line names the --after of the next page.`,
		Example: `  openflow audit list
  openflow audit list --actor ann --action grant --since 2026-01-01
  openflow audit list --party 9999 --refused
  openflow audit list --job 202601021504050000000000001 -o json`,
		Args: positional(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if f.Limit < 1 {
				return usagef("--limit %d is not a number of entries", f.Limit)
			}
			if job != "" && f.Subject != "" {
				return usagef("--job and --subject cannot both be given")
			}
			f.Subject += job
			if refused {
				f.Outcome = openflow.OutcomeRefused
			}
			now := time.Now()
			if f.Since, err = pointInTime("--since", since, now); err != nil {
				return err
			}
			if f.Until, err = pointInTime("--until", until, now); err != nil {
				return err
			}
			page, err := o.client().Audit(c.Context(), f)
			if err != nil {
				return err
			}
			return o.show(c, page, func(w io.Writer) {
				line(w, "TIME", "WHO", "ACTION", "SUBJECT", "OUTCOME", "DETAIL")
				for _, e := range page.Events {
					line(w, moment(e.Time), e.Actor, e.Action, e.Subject, outcome(e), details(e))
				}
				if page.Next != "" {
					line(w, "more: --after "+page.Next)
				}
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&since, "since", "", "only from then on: a date, a time, or how long ago")
	flags.StringVar(&until, "until", "", "only before then")
	flags.StringVar(&f.Actor, "actor", "", "only of users or parties whose name has this part")
	flags.StringVar(&f.Action, "action", "", "only actions with this part, such as grant, site or table")
	flags.StringVar(&f.Subject, "subject", "", "only on what has this part, such as a party ID")
	flags.StringVar((*string)(&f.Party), "party", "", "only decisions on what this party has asked for")
	flags.StringVar(&job, "job", "", "only on the job of this ID; like --subject")
	flags.BoolVar(&refused, "refused", false, "only what was refused")
	flags.IntVar(&f.Limit, "limit", 50, "entries of a page, at most 1000")
	flags.StringVar(&f.After, "after", "", "the page after the one that named this")
	return c
}

// outcome tells how a decision came out, and how often.
func outcome(e wire.AuditEvent) string {
	if e.Count > 1 {
		return fmt.Sprintf("%s %d times", e.Outcome, e.Count)
	}
	return e.Outcome
}

// details are what else an entry tells, in one cell.
func details(e wire.AuditEvent) string {
	var parts []string
	if e.Authority != "" {
		parts = append(parts, "on the word of "+e.Authority)
	}
	if len(e.Grants) > 0 {
		parts = append(parts, "by "+strings.Join(e.Grants, ", "))
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, "; ")
}

// pointInTime reads a date, a time, or how long before now; empty is the zero time.
func pointInTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if at, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return at, nil
	}
	return time.Time{}, usagef("%s %q is not a date (2026-01-31), time (2026-01-31T15:04:05Z) or duration (36h)", flag, text)
}
