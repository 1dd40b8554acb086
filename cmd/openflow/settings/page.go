package settings

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Command is a command with settings.
type Command struct {
	Name   string // after openflow
	About  string
	Groups []Group
}

// Commands lists all commands that have settings.
func Commands() []Command {
	return []Command{
		{"server", "A site's node.", groups(NewServer())},
		{"worker", "A machine of a site's pool.", groups(NewWorker())},
		{"temporal", "A Temporal server on PostgreSQL, for several servers of a site.", groups(NewTemporal())},
	}
}

const intro = `# Settings

This page is made from the code (` + "`cmd/openflow/settings`" + `); a test compares the two.

Every setting can be given in three ways. The first one that is given counts:

1. as a flag: ` + "`openflow server --party 9999`" + `;
2. as an environment variable, which holds several values with ` + "`;`" + ` between them;
3. as a key of one YAML file, which ` + "`--config`" + ` or ` + "`OPENFLOW_CONFIG`" + ` names. A key is the flag without dashes.

` + "```yaml" + `
# openflow server --config site.yaml
party: 9999
listen-interconnection: 0.0.0.0:9390
peer: ["10000=https://10.0.0.2:9390,ed25519:rJVw-VPaXEs3GGeWhFL0aFEP5qAIeChVypbJztlDDfk"]
keep-jobs: 2160h
` + "```" + `

A key that does not exist is refused, with its line and the key that may have been meant. Times are written like
` + "`90s`, `30m` or `720h`" + `, and memory like ` + "`64GiB`" + `. A file that holds passwords belongs to the user of the program, with
mode 0600. Tokens come from files of their own, which nobody else may read. The settings of client commands are in
` + "`openflow --help`" + `.
`

// Page is docs/settings.md.
func Page() string {
	var b strings.Builder
	b.WriteString(intro)
	for _, c := range Commands() {
		fmt.Fprintf(&b, "\n## openflow %s\n\n%s\n", c.Name, c.About)
		for _, g := range c.Groups {
			if g.Title != "" {
				fmt.Fprintf(&b, "\n### %s\n", g.Title)
			}
			b.WriteString("\n| flag | variable | default | meaning |\n|---|---|---|---|\n")
			for _, f := range g.Fields {
				fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.Name, f.Variable, f.standard(), f.Help)
			}
		}
	}
	return b.String()
}

// standard is the default as the page has it.
func (f Field) standard() string {
	switch {
	case f.Required != "":
		return "must be given"
	case f.Default != "":
		return f.Default
	}
	text := ""
	switch v := f.value.Addr().Interface().(type) {
	case *time.Duration:
		text = duration(*v)
	case pflag.Value:
		text = v.String()
	case *[]string:
	case *bool:
		text = map[bool]string{false: "off", true: "on"}[*v]
	default:
		text = fmt.Sprint(reflect.ValueOf(v).Elem())
	}
	if text == "" {
		return "none"
	}
	return "`" + text + "`"
}

// duration renders d as people write it: 1h instead of 1h0m0s.
func duration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}
