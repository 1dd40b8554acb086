package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/docker/engine"
	"openflow/sdk"
	"openflow/trust"
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
		Long: `Check that the node answers and can take jobs, that version and clock fit, that its peers answer, trust and reach it, what its
containers can reach, and on this machine: the home folder, its disk, and Docker. Each finding is ok, warn or FAIL with what to
do about it. The exit code is 1 when something failed, 3 when the node does not answer.`,
		Example: `  openflow doctor
  openflow doctor --home /var/lib/openflow
  openflow doctor --node http://10.0.0.1:9380 -o json`,
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
	runtime := d.examineNode(ctx, o.client(), o.version)
	d.examineHome(home, insisted)
	d.examineDocker(ctx, runtime)
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
			fmt.Fprintf(w, "\t\t→ %s\n", clean(c.Remedy))
		}
	}
}

// examineNode checks what the node tells and returns its runtime, empty when it is not known.
func (d *diagnosis) examineNode(ctx context.Context, client *sdk.Client, version string) (runtime string) {
	if err := client.Healthz(ctx); err != nil {
		d.away = openflow.CodeOf(err) == openflow.CodeUnavailable
		d.fail("node", err, "start it: openflow server --party ID")
		return ""
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
		return ""
	}
	if about.Version == version {
		d.add(fine, "version", "", "%s here and there", version)
	} else {
		d.add(doubt, "version", "use the same version on both sides", "the node has %s, this command %s", about.Version, version)
	}
	d.add(fine, "site", "", "party %s, runtime %s, %s", about.PartyID, about.Runtime, about.Durability)
	for _, w := range about.Warnings {
		d.add(doubt, "node", remedyOf(w), "%s", w)
	}
	d.examinePeers(ctx, client)
	return about.Runtime
}

// remedyOf knows what to do about the warnings that nodes give.
func remedyOf(warning string) string {
	switch {
	case strings.Contains(warning, "firewall"):
		return "let the node run with CAP_NET_ADMIN, or bind what is listed to 127.0.0.1"
	case strings.Contains(warning, "isolates nothing"):
		return "use --runtime docker for algorithms and partners that are not trusted"
	}
	return ""
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

func (d *diagnosis) examinePeers(ctx context.Context, client *sdk.Client) {
	sites, err := client.Sites(ctx)
	if err != nil {
		d.fail("peers", err, "")
		return
	}
	if len(sites) == 0 {
		d.add(doubt, "peers", "register one: openflow site add PARTY --url URL --key KEY", "no peers are known")
	}
	for _, s := range sites {
		name := "peer " + s.PartyID
		if err := client.CheckSite(ctx, openflow.PartyID(s.PartyID)); err != nil {
			d.fail(name, err, "check its address and key: openflow site list")
			continue
		}
		d.add(fine, name, "", "answers at %s, trusts this node's key, and reaches it", s.URL)
	}
}

func (d *diagnosis) examineDocker(ctx context.Context, runtime string) {
	rt, err := engine.New(ctx, engine.Options{})
	if err == nil {
		err = rt.Close()
	}
	switch detail, remedy := "the daemon answers", ""; {
	case err == nil:
		d.add(fine, "docker", "", "%s", detail)
	case runtime == "docker":
		d.fail("docker", err, "start the Docker daemon")
	default:
		detail, remedy = explain(err)
		d.add(doubt, "docker", remedy, "%s", detail)
	}
}
