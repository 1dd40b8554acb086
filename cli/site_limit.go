package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"openflow"
)

// ofMost renders how much of what is allowed is used.
func ofMost(n, most int) string { return strconv.Itoa(n) + "/" + strconv.Itoa(most) }

func limitCommand(o *options) *cobra.Command {
	var q openflow.Quota
	var memory, bytes string
	c := &cobra.Command{
		Use:   "limit PARTY",
		Short: "Say what a peer may use of this site",
		Long: `Say what a peer may use of this site, in place of what was said of it before. What is left out is the site's rule for all
peers (openflow server --peer-jobs …), so without any flag the rule holds again. openflow site list shows what holds.

A job that asks for more than its party may hold is refused; one that does not fit beside the party's other jobs waits.`,
		Example: `  openflow site limit 10000 --jobs 20 --cores 8 --memory 32GiB
  openflow site limit 10000 --calls 20 --bytes 1GiB
  openflow site limit 10000`,
		Args: positional("PARTY"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := partyArgument(args)
			if err != nil {
				return err
			}
			for text, into := range map[*string]*int64{&memory: &q.Memory, &bytes: &q.Bytes} {
				if *text == "" {
					continue
				}
				if *into, err = openflow.ParseBytes(*text); err != nil {
					return Usage(err)
				}
			}
			if err := q.Check(); err != nil {
				return Usage(err)
			}
			if err := o.client().LimitSite(c.Context(), id, q); err != nil {
				return err
			}
			return o.siteDone(c, id, "limited as you say")
		},
	}
	f := c.Flags()
	f.IntVar(&q.Jobs, "jobs", 0, "jobs that have not ended, one for each role")
	f.IntVar(&q.Waiting, "waiting", 0, "places in this site's queue")
	f.IntVar(&q.Cores, "cores", 0, "cores that its jobs hold at a time")
	f.StringVar(&memory, "memory", "", "memory that its jobs hold at a time, as in 32GiB")
	f.IntVar(&q.GPUs, "gpus", 0, "GPUs that its jobs hold at a time")
	f.IntVar(&q.Calls, "calls", 0, "calls a second")
	f.StringVar(&bytes, "bytes", "", "what it may send in a minute, as in 1GiB")
	f.IntVar(&q.Priority, "priority", 0, "highest priority of its jobs in the queue")
	return c
}
