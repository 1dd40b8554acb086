package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func dataCommands(o *options) *cobra.Command {
	return group("data", "Bring tables into this site, look at them, and delete them",
		`Tables are what jobs read. They stay at this site: partners see only what a job's algorithm shows them, and only of
tables that a grant allows (openflow grant).`,
		`  openflow data upload breast.csv --namespace demo --name breast --id id --label y
  openflow data list --namespace demo
  openflow data show demo/breast`,
		uploadCommand(o), tablesCommand(o), tableCommand(o), deleteTableCommand(o))
}

func uploadCommand(o *options) *cobra.Command {
	var u sdk.Upload
	c := &cobra.Command{
		Use:   "upload FILE --namespace NAMESPACE --name NAME",
		Short: "Make a table from a CSV file",
		Long: `Make a table from a CSV file; - reads standard input. The file is streamed, whatever its size. A table of that name is
replaced when the whole file has been read without a mistake; otherwise nothing changes, and the mistake is told by line.`,
		Example: `  openflow data upload breast.csv --namespace demo --name breast --id id --label y
  openflow data upload people.csv --namespace crm --name people --id row --match phone --dtype float64
  zcat big.csv.gz | openflow data upload - --namespace demo --name big --id id`,
		Args: positional("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, f := range [][2]string{{"namespace", u.Table.Namespace}, {"name", u.Table.Name}} {
				if f[1] == "" {
					return usagef("--%s is missing", f[0])
				}
				if err := openflow.CheckIdentifier("--"+f[0], f[1]); err != nil {
					return Usage(err)
				}
			}
			done, err := o.upload(c, u, args[0])
			if err != nil {
				return err
			}
			return o.show(c, done, func(w io.Writer) {
				line(w, "table", done.Namespace+"/"+done.Name)
				line(w, "rows", strconv.FormatInt(done.Count, 10))
				line(w, "columns", short(fmt.Sprint(done.Columns)))
				line(w, "job", string(done.JobID))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&u.Table.Namespace, "namespace", "", "namespace of the table (required)")
	f.StringVar(&u.Table.Name, "name", "", "name of the table (required)")
	f.StringVar(&u.Columns.SampleID, "id", "", "column that identifies rows (default: the first)")
	f.StringVar(&u.Columns.MatchID, "match", "", "column that parties match on (default: that of --id)")
	f.StringVar(&u.Columns.Label, "label", "", "column with the label")
	f.StringVar(&u.Columns.LabelType, "label-type", "", "type of the label (default: int32)")
	f.StringVar(&u.Columns.Weight, "weight", "", "column with weights of rows")
	f.StringVar(&u.Columns.DType, "dtype", "", "type of the features (default: float32)")
	f.StringVar(&u.Columns.Delimiter, "delimiter", "", "character between columns (default: a comma)")
	f.StringArrayVar(&u.Columns.NAValues, "na", nil, "cell that means \"missing\"; may be repeated")
	f.StringSliceVar(&u.Columns.Header, "header", nil, "names of the columns, when the first line has none")
	f.BoolVar(&u.Columns.ExtendSID, "extend-sid", false, "make sample ids instead of reading them")
	return c
}

func (o *options) upload(c *cobra.Command, u sdk.Upload, file string) (sdk.Uploaded, error) {
	u.Rows = c.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return sdk.Uploaded{}, openflow.Errorf(openflow.CodeInvalid, "the CSV file cannot be read: %w", err)
		}
		defer func() { _ = f.Close() }() // reading only
		info, err := f.Stat()
		if err != nil {
			return sdk.Uploaded{}, openflow.Errorf(openflow.CodeInvalid, "the CSV file cannot be read: %w", err)
		}
		if info.Mode().IsRegular() {
			u.Size = info.Size()
		}
		u.Rows = f
	}
	p := &transfer{out: c.ErrOrStderr(), size: u.Size, last: time.Now()}
	u.Progress = p.sent
	return o.client().Upload(c.Context(), u)
}

// transfer tells of a long upload every few seconds.
type transfer struct {
	out  io.Writer
	size int64

	mu   sync.Mutex
	last time.Time
}

// often is the time between two words on a long upload.
const often = 2 * time.Second

func (t *transfer) sent(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.last) < often {
		return
	}
	t.last = time.Now()
	if t.size > 0 {
		fmt.Fprintf(t.out, "sent %s of %s (%d%%)\n", bytesText(n), bytesText(t.size), 100*n/t.size)
		return
	}
	fmt.Fprintf(t.out, "sent %s\n", bytesText(n))
}

func bytesText(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func tablesCommand(o *options) *cobra.Command {
	var namespace string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tables of this site",
		Long:  `List the tables that people have put here. Those that jobs made for themselves are not shown; see openflow job output.`,
		Example: `  openflow data list
  openflow data list --namespace demo -o json`,
		Args: positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			tables, err := o.client().Tables(c.Context(), namespace)
			if err != nil {
				return err
			}
			return o.show(c, append([]wire.TableInfo{}, tables...), func(w io.Writer) {
				line(w, "NAMESPACE", "NAME", "ROWS", "TYPE", "MADE BY")
				for _, t := range tables {
					rows := ""
					if t.Count != nil {
						rows = strconv.FormatInt(*t.Count, 10)
					}
					line(w, t.Namespace, t.Name, rows, t.DataType, t.Source.TaskID)
				}
			})
		},
	}
	c.Flags().StringVar(&namespace, "namespace", "", "only tables of this namespace")
	return c
}
