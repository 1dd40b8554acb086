package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
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
	var given columnFlags
	c := &cobra.Command{
		Use:   "upload FILE --namespace NAMESPACE --name NAME",
		Short: "Make a table from a CSV file",
		Long: `Make a table from a CSV file, which may be packed with gzip; - reads standard input. The file is streamed, whatever its
size. A table of that name is replaced when the whole file has been read without a mistake; otherwise nothing changes, and
the mistake is told by line. What is not said is guessed where there is one answer only, and the answer shows how the
first rows were read. docs/data.md tells all of it.`,
		Example: `  openflow data upload breast.csv --namespace demo --name breast --match id --label y
  openflow data upload people.csv --namespace crm --name people --id row --match phone --dtype float64 --type job=str
  openflow data upload kunden.csv.gz --namespace crm --name kunden --match id --encoding latin-1 --delimiter ';' --decimal ,
  openflow data upload a.txt --namespace demo --name a --format sparse --match id --label y --delimiter space`,
		Args: positional("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, f := range [][2]string{{"namespace", u.Table.Namespace}, {"name", u.Table.Name}} {
				if f[1] == "" {
					return usagef("--%s is missing", f[0])
				}
				if err := openflow.CheckName("--"+f[0], f[1]); err != nil {
					return Usage(err)
				}
			}
			if err := given.into(c, &u.Columns); err != nil {
				return err
			}
			done, err := o.upload(c, u, args[0])
			if err != nil {
				return err
			}
			return o.show(c, done, func(w io.Writer) { showUploaded(w, done) })
		},
	}
	f := c.Flags()
	f.StringVar(&u.Table.Namespace, "namespace", "", "namespace of the table (required)")
	f.StringVar(&u.Table.Name, "name", "", "name of the table (required)")
	f.StringVar(&u.Columns.SampleID, "id", "", "column that identifies rows (default: that of --match, or the first)")
	f.StringVar(&u.Columns.MatchID, "match", "", "column that parties match on (default: that of --id)")
	f.StringVar(&u.Columns.Label, "label", "", "column with the label")
	f.StringVar(&u.Columns.LabelType, "label-type", "", "type of the label (default: int32)")
	f.StringVar(&u.Columns.Weight, "weight", "", "column with weights of rows")
	f.StringVar(&u.Columns.DType, "dtype", "", "type of the features (default: float32)")
	f.StringArrayVar(&given.types, "type", nil, "type of one feature, as COLUMN=TYPE; may be repeated")
	f.StringVar(&u.Columns.Delimiter, "delimiter", "", "what separates columns: a sign or a few, tab or space (default: guessed)")
	f.StringVar(&u.Columns.Decimal, "decimal", "", "decimal sign of numbers, . or , (default: .)")
	f.StringVar(&u.Columns.Encoding, "encoding", "", "encoding of the file, such as gbk, latin-1, utf-16 (default: utf-8)")
	f.StringArrayVar(&u.Columns.NAValues, "na", nil, "cell that means \"missing\"; may be repeated")
	f.BoolVar(&given.head, "head", false, "the first line names the columns, also where it looks like data; --head=false: it does not")
	f.StringSliceVar(&u.Columns.Header, "header", nil, "names of the columns, when the first line has none")
	f.StringVar(&u.Columns.Format, "format", "", "dense, sparse, tag or libsvm (default: dense)")
	f.BoolVar(&given.tagWithValue, "tag-with-value", false, "tags have values, as in red:2")
	f.StringVar(&u.Columns.TagDelimiter, "tag-value-delimiter", "", "sign between a tag or an index and its value (default: a colon)")
	f.BoolVar(&u.Columns.ExtendSID, "extend-sid", false, "make sample ids instead of reading them")
	return c
}

// columnFlags are flags that are not a field of sdk.Columns each.
type columnFlags struct {
	types              []string
	head, tagWithValue bool
}

func (g columnFlags) into(c *cobra.Command, columns *sdk.Columns) error {
	if c.Flags().Changed("head") {
		columns.Head = &g.head
	}
	if c.Flags().Changed("tag-with-value") {
		columns.TagWithValue = &g.tagWithValue
	}
	for _, t := range g.types {
		at := strings.LastIndex(t, "=")
		if at <= 0 {
			return usagef("--type %q is not of the form COLUMN=TYPE", t)
		}
		if columns.DTypes == nil {
			columns.DTypes = map[string]string{}
		}
		columns.DTypes[t[:at]] = t[at+1:]
	}
	return nil
}

// What the answer to an upload shows of a wide table.
const (
	shownColumns = 20
	shownCells   = 8
)

// showUploaded tells how the file was read.
func showUploaded(w io.Writer, done sdk.Uploaded) {
	line(w, "table", done.Namespace+"/"+done.Name)
	line(w, "rows", strconv.FormatInt(done.Count, 10))
	line(w, "job", string(done.JobID))
	r := done.Read
	header := "no header"
	if r.Header {
		header = "header in the first line"
	}
	line(w, "read as", fmt.Sprintf("%s, %s, split at %q, %s", r.Format, r.Encoding, r.Delimiter, header))
	fmt.Fprintln(w)
	line(w, "COLUMN", "IS", "TYPE", "MISSING")
	for _, c := range r.Columns[:min(shownColumns, len(r.Columns))] {
		line(w, c.Name, c.Role, c.DType, strconv.Itoa(c.Missing))
	}
	if more := len(r.Columns) - shownColumns; more > 0 {
		line(w, fmt.Sprintf("… and %d more", more))
	}
	fmt.Fprintln(w)
	if len(r.FirstRows) > 0 {
		showRows(w, done.Columns, r.FirstRows)
		fmt.Fprintln(w)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, openflow.Line("note: "+note))
	}
}

// shownCell is a value as it stands in the file; a missing one is empty.
func shownCell(v any) string {
	if v == nil {
		return ""
	}
	return short(fmt.Sprint(v))
}

// showRows shows rows below the names of their columns.
func showRows(w io.Writer, names []string, rows wire.Rows) {
	row := func(cells []string) {
		if len(cells) > shownCells {
			cells = append(cells[:shownCells:shownCells], "…")
		}
		line(w, cells...)
	}
	row(slices.Clone(names))
	for _, values := range rows {
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = shownCell(v)
		}
		row(cells)
	}
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
		if info.IsDir() {
			return sdk.Uploaded{}, openflow.Errorf(openflow.CodeInvalid, "%s is a folder", file).WithHint("name one CSV file in it")
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
