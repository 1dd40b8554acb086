package cli

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"openflow/sdk"
)

func auditCommands(o *options) *cobra.Command {
	return group("audit", "See who changed what at this site",
		`The node keeps a record of who changed its peers, its grants and its tables. Nothing in it is ever changed or removed.`,
		`  openflow audit list --since 24h
  openflow audit list --action grant -o json`,
		auditListCommand(o))
}

func auditListCommand(o *options) *cobra.Command {
	var f sdk.AuditFilter
	var since, until string
	c := &cobra.Command{
		Use:   "list",
		Short: "List who changed what, newest first",
		Long: `List who changed what at this site, newest first. --since and --until take a date (2026-01-31), a time
(2026-01-31T15:04:05Z) or how long ago (36h). The other filters take a part of the text. A page has --limit entries; when there
are more, the last line names the --after of the next page.`,
		Example: `  openflow audit list
  openflow audit list --actor ann --action grant --since 2026-01-01
  openflow audit list --limit 500 -o json`,
		Args: positional(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if f.Limit < 1 {
				return usagef("--limit %d is not a number of entries", f.Limit)
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
				line(w, "TIME", "WHO", "ACTION", "SUBJECT", "DETAIL")
				for _, e := range page.Events {
					line(w, moment(e.Time), e.Actor, e.Action, e.Subject, e.Detail)
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
	flags.IntVar(&f.Limit, "limit", 50, "entries of a page, at most 1000")
	flags.StringVar(&f.After, "after", "", "the page after the one that named this")
	return c
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
