package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/examples"
)

func templateCommand(*options) *cobra.Command {
	var guest, host, arbiter, guestTable, hostTable, model string
	c := &cobra.Command{
		Use:   "template [" + strings.Join(examples.Names(), "|") + "]",
		Short: "Print a job document to start from",
		Long: `Print a job document that works, with your parties and tables in it; without a name, the one that trains a model. The
document psi finds the ids that two parties share, train makes a model over the columns of both, and predict scores new rows
with a model of train. Documents of more parties and tasks grow from these: docs/jobs.md describes every line.`,
		Example: `  openflow job template train --guest 9999 --host 10000 --arbiter 10001 \
      --guest-table bank/people --host-table telco/people > job.yaml
  openflow job template predict --model 202601021504050000000 | openflow job submit - --watch`,
		Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			name := "train"
			if len(args) > 0 {
				name = args[0]
			}
			change := examples.Changes{
				Guest: openflow.PartyID(guest), Host: openflow.PartyID(host), Arbiter: openflow.PartyID(arbiter), Model: model,
			}
			var err error
			for _, t := range []struct {
				flag, value string
				into        *openflow.TableName
			}{{"--guest-table", guestTable, &change.GuestTable}, {"--host-table", hostTable, &change.HostTable}} {
				if t.value == "" {
					continue
				}
				if *t.into, err = tableName(t.flag, t.value); err != nil {
					return err
				}
			}
			text, err := examples.Job(name, change)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), text)
			return written(err)
		},
	}
	c.ValidArgs = examples.Names()
	f := c.Flags()
	f.StringVar(&guest, "guest", "", "party that submits and has the labels")
	f.StringVar(&host, "host", "", "party that brings further columns")
	f.StringVar(&arbiter, "arbiter", "", "third party, which holds the key of train")
	f.StringVar(&guestTable, "guest-table", "", "NAMESPACE/NAME of the guest's table")
	f.StringVar(&hostTable, "host-table", "", "NAMESPACE/NAME of the host's table")
	f.StringVar(&model, "model", "", "model_id that predict reads; job submit and job show tell it")
	return c
}
