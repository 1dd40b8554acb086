package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk"
	"openflow/site/trust"
)

// envPrefix begins the environment variable of a setting: --node is OPENFLOW_NODE.
const envPrefix = "OPENFLOW_"

const (
	nodeFlag  = "node"
	tokenFlag = "token"
	caFlag    = "ca"

	outputText = "text"
	outputJSON = "json"
)

// options are the flags that all commands share.
type options struct {
	node, token, output string
	ca                  string       // file of certificates by which the node is known; empty: that in the home
	home                string       // of the node, if it is on this machine
	scheduler           string       // whose job is meant, where several have the same ID
	known               *http.Client // by which the node is called; nil: as the web does
	version             string
	runtimes            driver.Openers // that a node of this version may have
}

// complete takes from the environment what the command line leaves open. Other flags of client commands are not taken
// from it, because their names mean something else to the server.
func (o *options) complete(flags *pflag.FlagSet) error {
	for _, name := range []string{nodeFlag, tokenFlag, caFlag} {
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
	return &sdk.Client{URL: o.node, Token: o.token, Scheduler: openflow.PartyID(o.scheduler), HTTP: o.known}
}

// know prepares how a node that speaks TLS is known: by the file of --ca and nothing else; or by what its home on this machine
// says that it shows, and as the web does.
func (o *options) know() (err error) {
	if !strings.HasPrefix(strings.ToLower(o.node), "https:") {
		return nil
	}
	if o.ca != "" {
		text, err := trust.ReadOwned(o.ca, othersWrite)
		if err != nil {
			return usagef("--ca: %w", err)
		}
		if o.known, err = sdk.Trusting(o.node, text); err != nil {
			return usagef("--ca %s: %w", o.ca, err)
		}
		return nil
	}
	file := filepath.Join(o.home, "users.pem")
	if _, err := os.Lstat(file); err != nil {
		return nil // the node is elsewhere, or its home is another one
	}
	o.known, err = sdk.TrustingToo(o.node, func() ([]byte, error) { return trust.ReadOwned(file, othersWrite) })
	return err
}

// othersWrite is what nobody else may do to a file of certificates: who could would choose whom this command believes.
const othersWrite fs.FileMode = 0o022

// homeFlag adds --home, which the environment can give, too.
func homeFlag(c *cobra.Command, home *string, what string) {
	c.Flags().StringVar(home, homeName, usualHome(), what+" (or OPENFLOW_HOME)")
}

const homeName = "home"

// usualHome is the node's folder where none is named.
func usualHome() string {
	if home := os.Getenv(envPrefix + "HOME"); home != "" {
		return home
	}
	return DefaultHome()
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
