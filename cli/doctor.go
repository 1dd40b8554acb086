package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk"
	"openflow/site/trust"
)

// verdict is how a check ended.
type verdict string

const (
	fine   verdict = "ok"
	doubt  verdict = "warn"
	failed verdict = "FAIL"
)

// check is one line of a diagnosis.
type check struct {
	Name   string  `json:"name"`
	Status verdict `json:"status"`
	Detail string  `json:"detail"`
	Remedy string  `json:"remedy,omitempty"`
}

// diagnosis is the document of doctor.
type diagnosis struct {
	OK     bool    `json:"ok"` // no check failed
	Checks []check `json:"checks"`
	away   bool    // the node does not answer at all
}

func (d *diagnosis) add(status verdict, name, remedy, format string, args ...any) {
	d.Checks = append(d.Checks, check{name, status, fmt.Sprintf(format, args...), remedy})
}

// fail adds a failed check; the remedy is the error's hint, or fallback.
func (d *diagnosis) fail(name string, err error, fallback string) {
	detail, remedy := explain(err)
	if remedy == "" {
		remedy = fallback
	}
	d.add(failed, name, remedy, "%s", detail)
}

func asError(err error, into **openflow.Error) bool { return errors.As(err, into) }

// explain takes an error apart into what is wrong and what to do.
func explain(err error) (detail, hint string) {
	var e *openflow.Error
	if !asError(err, &e) {
		return err.Error(), ""
	}
	plain := *e
	plain.Hint = ""
	return plain.Error(), e.Hint
}

func doctorCommand(o *options) *cobra.Command {
	var home string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the node, its peers and this machine",
		Long: `Check that the node answers and can take jobs, and have it check itself:

  peers     reachable both ways, keys, clock, version, grants
  machine   home folder, disk, fsync, algorithms
  runtime   daemon, image, what containers reach, orphans
  Temporal  workers, backlog, workflows that cannot go on
  work      long waits, the capacity, retention

On this machine: the home folder and its secrets. Each finding is ok, warn or FAIL with what to do about it. The exit code is 1 when something failed, 3 when the
node does not answer.`,
		Example: `  openflow doctor
  openflow doctor --home /var/lib/openflow
  openflow doctor --node https://10.0.0.1:9380 --ca users.pem -o json`,
		Args: positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			d := examine(c.Context(), o, home, c.Flags().Changed("home"))
			if err := o.show(c, d, d.text); err != nil {
				return err
			}
			switch {
			case d.away:
				return silent{openflow.Errorf(openflow.CodeUnavailable, "the node does not answer")}
			case !d.OK:
				return Failed("a check failed")
			}
			return nil
		},
	}
	homeFlag(c, &home, "home folder of the node, if it runs on this machine")
	return c
}

// examine makes all checks. insisted says that the home folder was named, so its absence is a failure.
func examine(ctx context.Context, o *options, home string, insisted bool) diagnosis {
	d := diagnosis{Checks: []check{}}
	told := d.examineNode(ctx, o.client(), o.version)
	d.examineHome(home, insisted, told)
	if !told {
		d.examineRuntimes(ctx, o.runtimes)
	}
	d.OK = true
	for _, c := range d.Checks {
		d.OK = d.OK && c.Status != failed
	}
	return d
}

func (d diagnosis) text(w io.Writer) {
	for _, c := range d.Checks {
		line(w, string(c.Status), c.Name, c.Detail)
		if c.Remedy != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", openflow.Line(c.Remedy))
		}
	}
}

// examineNode checks what the node tells. It reports false when the node could not be asked about itself.
func (d *diagnosis) examineNode(ctx context.Context, client *sdk.Client, version string) (told bool) {
	if err := client.Healthz(ctx); err != nil {
		d.away = openflow.CodeOf(err) == openflow.CodeUnavailable
		d.fail("node", err, "start it: openflow server --party ID")
		return false
	}
	d.add(fine, "node", "", "answers at %s", client.URL)
	if err := client.Ready(ctx); err != nil {
		d.fail("ready", err, "wait a moment; if it lasts, look into the node's log")
	} else {
		d.add(fine, "ready", "", "takes jobs")
	}
	d.examineClock(ctx, client)
	about, err := client.About(ctx)
	if err != nil {
		d.fail("about", err, "give the token with --token or OPENFLOW_TOKEN")
		return false
	}
	if about.Version == version {
		d.add(fine, "version", "", "%s here and there", version)
	} else {
		d.add(doubt, "version", "use the same version on both sides", "the node has %s, this command %s", about.Version, version)
	}
	d.add(fine, "site", "", "party %s, runtime %s, %s", about.PartyID, about.Runtime, about.Durability)
	found, err := client.Doctor(ctx)
	if err != nil {
		d.fail("doctor", err, "read the node's log; a node before this version does not check itself")
		return false
	}
	for _, f := range found {
		d.Checks = append(d.Checks, check{f.Name, verdict(f.Status), f.Detail, f.Remedy})
	}
	return true
}

// hardlyApart is a difference of clocks that says nothing: the node tells whole seconds.
const hardlyApart = 2 * time.Second

func (d *diagnosis) examineClock(ctx context.Context, client *sdk.Client) {
	before := time.Now()
	there, err := client.Clock(ctx)
	if err != nil {
		d.fail("clock", err, "")
		return
	}
	here := before.Add(time.Since(before) / 2)
	apart := here.Sub(there).Abs()
	const remedy = "synchronise the clocks (NTP): peers refuse requests that are a minute off"
	switch {
	case apart > trust.Window:
		d.add(failed, "clock", remedy, "the node's clock and this one are %s apart", apart.Round(time.Second))
	case apart > hardlyApart:
		d.add(doubt, "clock", remedy, "the node's clock and this one are %s apart", apart.Round(time.Second))
	default:
		d.add(fine, "clock", "", "agrees to %s", hardlyApart)
	}
}

// examineRuntimes looks at what could run containers here, when there is no node to ask. It may be that none is needed.
func (d *diagnosis) examineRuntimes(ctx context.Context, runtimes driver.Openers) {
	for _, r := range runtimes {
		says, err := r.Probe(ctx)
		if err != nil {
			detail, remedy := explain(err)
			d.add(doubt, r.Kind(), remedy, "%s", detail)
			continue
		}
		d.add(fine, r.Kind(), "", "%s", says)
	}
}
