package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk"
)

// envPrefix begins the environment variable of a setting: --node is OPENFLOW_NODE.
const envPrefix = "OPENFLOW_"

const (
	nodeFlag  = "node"
	tokenFlag = "token"

	outputText = "text"
	outputJSON = "json"
)

// options are the flags that all commands share.
type options struct {
	node, token, output string
	scheduler           string // whose job is meant, where several have the same ID
	version             string
	runtimes            driver.Openers // that a node of this version may have
}

// complete takes from the environment what the command line leaves open. Other flags of client commands are not taken
// from it, because their names mean something else to the server.
func (o *options) complete(flags *pflag.FlagSet) error {
	for _, name := range []string{nodeFlag, tokenFlag} {
		f := flags.Lookup(name)
		variable := envPrefix + strings.ToUpper(name)
		if v, ok := os.LookupEnv(variable); ok && !f.Changed {
			if err := f.Value.Set(v); err != nil {
				return usagef("environment variable %s: %w", variable, err)
			}
		}
	}
	if o.output != outputText && o.output != outputJSON {
		return usagef("--output %q is not known: use text or json", o.output)
	}
	return nil
}

func (o *options) client() *sdk.Client {
	return &sdk.Client{URL: o.node, Token: o.token, Scheduler: openflow.PartyID(o.scheduler)}
}

// homeFlag adds --home, which the environment can give, too.
func homeFlag(c *cobra.Command, home *string, what string) {
	fallback := os.Getenv(envPrefix + "HOME")
	if fallback == "" {
		fallback = DefaultHome()
	}
	c.Flags().StringVar(home, "home", fallback, what+" (or OPENFLOW_HOME)")
}

// show prints v as JSON, or what text writes for people; columns are separated by tabs.
func (o *options) show(c *cobra.Command, v any, text func(w io.Writer)) error {
	out := c.OutOrStdout()
	if o.output == outputJSON {
		e := json.NewEncoder(escaped{out})
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return written(e.Encode(v))
	}
	w := &columns{}
	text(w)
	return written(w.flush(out))
}

// written is the error of standard output, such as a full disk behind it.
func written(err error) error {
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "standard output: %w", err)
	}
	return nil
}

// line writes one row of a table. A failure to write shows at the flush in the end.
func line(w io.Writer, cells ...string) {
	for i, cell := range cells {
		cells[i] = openflow.Line(cell)
		if cell == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// say tells people something beside the result.
func say(c *cobra.Command, format string, args ...any) {
	fmt.Fprintln(c.ErrOrStderr(), openflow.Line(fmt.Sprintf(format, args...)))
}

// escaped writes JSON on with everything hidden in its strings as \u…, which is the same document and moves no cursor.
type escaped struct{ to io.Writer }

// Write implements io.Writer. An encoder writes a whole document at once.
func (e escaped) Write(p []byte) (int, error) {
	var out []byte
	for _, r := range string(p) {
		if r == '\n' || !openflow.Hidden(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	if _, err := e.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// moment renders milliseconds since 1970 in local time; empty for null.
func moment(ms *int64) string {
	if ms == nil || *ms == 0 {
		return ""
	}
	return time.UnixMilli(*ms).Format(time.DateTime)
}

// elapsed renders the time from start to end, or to now while there is no end.
func elapsed(start, end *int64) string {
	if start == nil || *start == 0 {
		return ""
	}
	until := time.Now()
	if end != nil && *end != 0 {
		until = time.UnixMilli(*end)
	}
	d := until.Sub(time.UnixMilli(*start))
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
