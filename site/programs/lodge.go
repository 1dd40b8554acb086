package programs

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
)

// Residents are a runtime whose containers may serve many runs.
type Residents interface {
	driver.Runtime
	driver.Residence
}

// Lodging is a resident container of a provider that is only held against the contract: no run of a job ever gets to it.
type Lodging struct {
	Address string // host:port, as this machine reaches it
	Key     string // OPENFLOW_SERVE_KEY

	on     Residents
	images driver.Images
	name   string
	image  string
}

// What such a container gets: what a question does, on the network of its node, where it has no credential.
const (
	lodgingLabel = "openflow.lodging"
	lodgingPort  = 7070
	lodgingAge   = 10 * time.Minute // more than anybody needs one: it was left by a process that is gone
)

var lodgingLimits = driver.Limits{CPUs: 1, MemoryBytes: 512 << 20, PIDs: 256, DiskBytes: 16 << 20, LogBytes: 1 << 20}

// Lodge starts a resident container of a provider's program or image; the caller ends it. Errors: CodeUnimplemented (the runtime
// has no such containers), those of Ready and of driver.Runtime.
func (p *Programs) Lodge(ctx context.Context, r openflow.ProviderRecord) (_ *Lodging, err error) {
	if p.Residents == nil {
		return nil, openflow.Errorf(openflow.CodeUnimplemented, "the runtime of machine %s has no resident containers", p.Machine).
			WithHint("ask a node with --runtime docker")
	}
	image, err := p.Ready(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := p.clearLodgings(ctx); err != nil {
		return nil, err
	}
	l := &Lodging{Key: rand.Text() + rand.Text(), on: p.Residents, images: p.Images, image: image, name: "openflow-lodging-" + strings.ToLower(rand.Text())}
	defer func() {
		if err != nil {
			_, wrong := l.End(context.WithoutCancel(ctx), 0)
			err = errors.Join(err, wrong)
		}
	}()
	port := strconv.Itoa(lodgingPort)
	if _, err := l.on.Ensure(ctx, driver.Spec{
		Name: l.name, Labels: map[string]string{lodgingLabel: l.name}, Image: image, Command: []string{residence.Argument},
		Env:    []string{residence.Address + "=" + net.JoinHostPort("0.0.0.0", port), residence.Key + "=" + l.Key},
		Limits: lodgingLimits,
	}); err != nil {
		return nil, err
	}
	if err := l.on.Start(ctx, l.name); err != nil {
		return nil, err
	}
	l.Address, err = l.on.Reach(ctx, l.name, lodgingPort)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		l.Address, err = "", nil // it has ended already: End tells how
	}
	return l, err
}

// Execute runs the entry point of its image with these arguments in the container, as driver.Residence does.
func (l *Lodging) Execute(ctx context.Context, args []string, most int) (driver.Answer, error) {
	img, err := l.images.Image(ctx, l.image)
	if err != nil {
		return driver.Answer{}, err
	}
	return l.on.Execute(ctx, l.name, slices.Concat(img.Entrypoint, args), most)
}

// Gone reports whether the container has ended by itself.
func (l *Lodging) Gone(ctx context.Context) bool {
	st, err := l.on.Inspect(ctx, l.name)
	return err == nil && st.State == driver.StateExited || openflow.CodeOf(err) == openflow.CodeNotFound
}

// ending bounds what it takes to end a container and to remove it.
const ending = 30 * time.Second

// End asks the container to end, ends it after grace, and removes it. It tells how it has ended. One that there is not is a
// zero Status.
func (l *Lodging) End(ctx context.Context, grace time.Duration) (driver.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, grace+ending)
	defer cancel()
	if err := l.on.Stop(ctx, l.name, grace); err != nil {
		return driver.Status{}, err
	}
	st, err := l.on.Inspect(ctx, l.name)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return st, nil
	}
	return st, errors.Join(err, l.on.Remove(ctx, l.name))
}

// clearLodgings removes those of a process that is gone.
func (p *Programs) clearLodgings(ctx context.Context) (err error) {
	list, err := p.Residents.List(ctx, nil)
	for _, c := range list {
		if c.Labels[lodgingLabel] == c.Name && time.Since(c.Created) > lodgingAge {
			_, wrong := (&Lodging{on: p.Residents, name: c.Name}).End(ctx, 0)
			err = errors.Join(err, wrong)
		}
	}
	return err
}
