package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk/wire"
)

// tableDocument is a table as data show prints it.
type tableDocument struct {
	Namespace string             `json:"namespace"`
	Name      string             `json:"name"`
	Rows      *int64             `json:"rows"`
	Type      string             `json:"data_type"`
	Columns   []wire.TableColumn `json:"columns"`
	First     wire.Rows          `json:"first_rows"`
	Granted   []wire.Text        `json:"granted_to"`
	Jobs      []wire.TableReader `json:"jobs"`
}

func tableCommand(o *options) *cobra.Command {
	var rows int
	c := &cobra.Command{
		Use:   "show NAMESPACE/NAME",
		Short: "Show a table: columns, first rows, who may read it, and which jobs do",
		Long: `Show a table of this site: its columns with their types, how many rows it has, and the first of them. It also shows the
parties whose jobs a grant lets read it, and the jobs that read it by name, the newest first.`,
		Example: `  openflow data show demo/breast
  openflow data show demo/breast --rows 0 -o json`,
		Args: positional("NAMESPACE/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if rows < 0 {
				return usagef("--rows %d is negative", rows)
			}
			name, err := tableName("TABLE", args[0])
			if err != nil {
				return err
			}
			client := o.client()
			info, err := client.Table(c.Context(), name)
			if err != nil {
				return err
			}
			uses, err := client.TableUses(c.Context(), name)
			if err != nil {
				return err
			}
			d := tableDocument{
				Namespace: info.Namespace, Name: info.Name, Rows: info.Count, Type: info.DataType, Granted: uses.Parties, Jobs: uses.Jobs,
			}
			if d.Columns, err = info.Columns(); err != nil {
				return err
			}
			if d.First, err = firstRows(info, rows); err != nil {
				return err
			}
			return o.show(c, d, d.text)
		},
	}
	c.Flags().IntVar(&rows, "rows", 5, "how many of the first rows to show")
	return c
}

// firstRows reads the rows that the node keeps to be shown.
func firstRows(info wire.TableInfo, most int) (wire.Rows, error) {
	rows := wire.Rows{}
	if len(info.Display) == 0 {
		return rows, nil
	}
	if err := json.Unmarshal(info.Display, &rows); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "table %s/%s: its first rows cannot be read: %w", info.Namespace, info.Name, err)
	}
	return rows[:min(len(rows), most)], nil
}

func (d tableDocument) text(w io.Writer) {
	line(w, "table", d.Namespace+"/"+d.Name)
	if d.Rows != nil {
		line(w, "rows", strconv.FormatInt(*d.Rows, 10))
	}
	granted := "nobody else"
	if len(d.Granted) > 0 {
		parties := make([]string, len(d.Granted))
		for i, p := range d.Granted {
			parties[i] = string(p)
		}
		granted = strings.Join(parties, ", ")
	}
	line(w, "granted to", granted)
	fmt.Fprintln(w)
	line(w, "COLUMN", "TYPE", "IS")
	names := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		names[i] = c.Name
		line(w, c.Name, c.Type, roleOf(c))
	}
	if len(d.First) > 0 {
		fmt.Fprintln(w)
		line(w, "FIRST ROWS")
		showRows(w, names, d.First)
	}
	if len(d.Jobs) > 0 {
		fmt.Fprintln(w)
		line(w, "JOB", "ROLE", "STATUS", "CREATED")
		for _, j := range d.Jobs {
			line(w, j.JobID, j.Role, j.Status, moment(j.CreateTime))
		}
	}
}

// roleOf says what a column is in the words of an upload's answer.
func roleOf(c wire.TableColumn) string {
	if c.Property == "column" {
		return "feature"
	}
	return strings.ReplaceAll(c.Property, "_", " ")
}

func deleteTableCommand(o *options) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete NAMESPACE/NAME",
		Short: "Delete a table",
		Long: `Delete a table of this site. Nobody can bring it back. It asks first, unless --yes is given. A table that a job reads
which has not ended is not deleted; grants of it stay, for a table of the same name.`,
		Example: `  openflow data delete demo/breast
  openflow data delete demo/breast --yes`,
		Args: positional("NAMESPACE/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := tableName("TABLE", args[0])
			if err != nil {
				return err
			}
			if !yes {
				if err := Confirm(c, "delete table "+name.String()); err != nil {
					return err
				}
			}
			if err := o.client().DeleteTable(c.Context(), name); err != nil {
				return err
			}
			doc := map[string]string{"namespace": name.Namespace, "name": name.Name, "done": "deleted"}
			return o.show(c, doc, func(w io.Writer) { line(w, "table "+name.String()+" is deleted") })
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// Confirm asks before something that cannot be undone. Everything but "y" or "yes" means no.
func Confirm(c *cobra.Command, what string) error {
	fmt.Fprintf(c.ErrOrStderr(), "%s? [y/N] ", openflow.Line(what))
	answer, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 16)).ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(c.ErrOrStderr())
		return usagef("nobody answered; --yes goes on without asking")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return openflow.Errorf(openflow.CodeCanceled, "nothing was done")
}
