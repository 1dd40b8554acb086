package cli

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk/wire"
)

func scoresCommands(o *options) *cobra.Command {
	return group("scores", "How much partners were told about this site's columns",
		`A host of coordinated_lr tells the guest its partial score of every row: one score vector for each class of each model.
As many of them as there are columns give the columns away. So the node counts them by the content of the table and by
partner, and refuses a run that would reach the number of columns. docs/policy.md has the rules.`,
		`  openflow scores list
  openflow scores raise 9999 demo/credit --to 40
  openflow scores reset 9999 demo/credit`,
		scoresListCommand(o), scoresRaiseCommand(o), scoresResetCommand(o))
}

func scoresListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PARTY]",
		Short: "List what partners were told, and their limits",
		Long: `List what partners, or one partner, were told about the content of tables: the score vectors that count now, and when the
oldest stop to count. The limit is for as many columns as the latest run had.`,
		Example: `  openflow scores list
  openflow scores list 9999 -o json`,
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			var partner openflow.PartyID
			if len(args) == 1 {
				var err error
				if partner, err = partyArgument(args); err != nil {
					return err
				}
			}
			list, err := o.client().Scores(c.Context(), partner)
			if err != nil {
				return err
			}
			return o.show(c, list, func(w io.Writer) { listScores(w, list) })
		},
	}
}

func listScores(w io.Writer, list []wire.ScoreAccount) {
	line(w, "PARTY", "TABLE", "COLUMNS", "TOLD", "LIMIT", "RAISED TO", "OLDEST COUNTS UNTIL")
	for _, a := range list {
		names := make([]string, len(a.Tables))
		for i, t := range a.Tables {
			names[i] = t.Namespace + "/" + t.Name
		}
		table, raised := strings.Join(names, ", "), ""
		if table == "" {
			table = a.Object
		}
		if a.Raised > 0 {
			raised = strconv.Itoa(a.Raised)
		}
		line(w, a.PartyID, table, strconv.Itoa(a.Columns), strconv.Itoa(a.Vectors), strconv.Itoa(a.Limit), raised, moment(a.FreesTime))
	}
}

func scoresRaiseCommand(o *options) *cobra.Command {
	var to int
	c := &cobra.Command{
		Use:   "raise PARTY TABLE --to N",
		Short: "Let a partner have more score vectors than there are columns",
		Long: `Let a partner have up to N score vectors about the content of a table. TABLE is NAMESPACE/NAME, or the digest that openflow
scores list shows for a table that is gone. What it can compute from them is not protected any more. --to 0 takes a raised limit back.`,
		Example: `  openflow scores raise 9999 demo/credit --to 40`,
		Args:    positional("PARTY", "TABLE"),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("to") || to < 0 {
				return usagef("name the new limit with --to N")
			}
			return changeScores(o, c, args, to, "raised to "+strconv.Itoa(to), o.client().RaiseScores)
		},
	}
	c.Flags().IntVar(&to, "to", 0, "score vectors that the partner may have; 0 takes a raised limit back")
	return c
}

func scoresResetCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "reset PARTY TABLE",
		Short: "Forget what a partner was told, and a raised limit",
		Long: `Forget what a partner was told about the content of a table, and a raised limit: it starts at zero. The partner forgets
nothing: do this when you know that it has not kept, or cannot combine, what it was told.`,
		Example: `  openflow scores reset 9999 demo/credit`,
		Args:    positional("PARTY", "TABLE"),
		RunE: func(c *cobra.Command, args []string) error {
			return changeScores(o, c, args, 0, "reset", o.client().ResetScores)
		},
	}
}

// changedScores is the document of the commands that change accounts.
type changedScores struct {
	PartyID openflow.PartyID `json:"party_id"`
	Table   string           `json:"table"`
	Done    string           `json:"done"`
}

func changeScores(
	o *options, c *cobra.Command, args []string, to int, done string, do func(context.Context, wire.ScoreChange) error,
) error {
	id, err := partyArgument(args)
	if err != nil {
		return err
	}
	name, content, err := tableOrContent(args[1])
	if err != nil {
		return err
	}
	change := wire.ScoreChange{PartyID: wire.Text(id), Namespace: name.Namespace, Name: name.Name, Object: content, To: to}
	if err := do(c.Context(), change); err != nil {
		return err
	}
	doc := changedScores{id, args[1], done}
	return o.show(c, doc, func(w io.Writer) { line(w, done+": scores of "+args[1]+" for party "+string(id)) })
}

// tableOrContent reads a table as people or openflow scores list name it: NAMESPACE/NAME, or the digest of its content.
func tableOrContent(s string) (n openflow.TableName, content string, err error) {
	namespace, name, ok := strings.Cut(s, "/")
	switch {
	case ok && namespace != "" && name != "":
		return openflow.TableName{Namespace: namespace, Name: name}, "", nil
	case !ok && len(s) == 64:
		return n, s, nil
	}
	return n, "", usagef("TABLE %q is neither NAMESPACE/NAME nor the digest of a content", s)
}
