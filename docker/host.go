package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/runtime/driver"
)

// host implements driver.Host: the daemon, as one node uses it.
type host struct {
	*engine.Runtime
	options driver.Options
	network string

	mu     sync.Mutex
	images []string        // that Bring has returned
	got    map[string]bool // images that the daemon has by this process, by ID or reference
	port   int             // of the base layer, since Confine
	open   error           // why nothing keeps containers from this machine; nil: since Confine rules do, or the operator wants none
}

// Gateway implements driver.Host: the gateway of the node's own network, which is made if it is missing.
func (h *host) Gateway(ctx context.Context) (driver.Gateway, error) {
	at, err := h.Runtime.Gateway(ctx)
	if err != nil {
		return driver.Gateway{}, err
	}
	return driver.Gateway{Listen: at.String(), Host: engine.HostAlias}, nil
}

// Bring implements driver.Host: it gives the daemon an image of the program alone, unless it has it. The ID of an image
// is a hash of its content.
func (h *host) Bring(ctx context.Context, program string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "program of the components: %w", err)
	}
	if err := image.CheckStatic(text); err != nil {
		return "", err
	}
	img, err := image.Build(text, image.Options{})
	if err != nil {
		return "", err
	}
	id := img.ID
	have, err := h.HasImage(ctx, id)
	if err == nil && !have {
		h.gets(id)
		id, err = h.LoadImage(ctx, bytes.NewReader(img.Tar))
	}
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.images, id) {
		h.images = append(h.images, id)
	}
	return id, nil
}

// LoadArchive implements driver.Images. The archive is read to its end, also when the daemon has its image.
func (h *host) LoadArchive(ctx context.Context, archive string) (_ driver.Image, err error) {
	a, err := image.OpenArchive(archive)
	if err != nil {
		return driver.Image{}, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Verify(ctx); err != nil {
		return driver.Image{}, err
	}
	if have, err := h.HasImage(ctx, a.ID); err != nil || have {
		return h.imageOr(ctx, a.ID, err)
	}
	h.gets(a.ID)
	from, to := io.Pipe()
	go func() { _ = to.CloseWithError(a.Rewrite(to)) }() // whoever reads gets the error
	id, err := h.Runtime.LoadImage(ctx, from)
	_ = from.Close() // ends the writer, where the daemon has not read all
	if err == nil && id != a.ID {
		err = openflow.Errorf(openflow.CodeUnimplemented, "the daemon calls the image %s, and its configuration has the digest %s", id, a.ID).
			WithHint("let the daemon keep its images without containerd's store: its feature containerd-snapshotter is off then")
	}
	return h.imageOr(ctx, a.ID, err)
}

// Equip implements driver.Images.
func (h *host) Equip(ctx context.Context, of, program string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "program of the components: %w", err)
	}
	if err := image.CheckStatic(text); err != nil {
		return "", err
	}
	base, err := h.Base(ctx, of)
	if err != nil {
		return "", err
	}
	img, err := image.Equip(image.Base{Layers: base.Layers, Config: base.Config, OS: base.OS, Arch: base.Arch}, text)
	if err != nil {
		return "", err
	}
	have, err := h.HasImage(ctx, img.ID)
	if err != nil || have {
		return img.ID, err
	}
	h.gets(img.ID)
	return h.LoadImage(ctx, bytes.NewReader(img.Tar))
}

// ArchiveID implements driver.Images.
func (h *host) ArchiveID(_ context.Context, archive string) (string, error) {
	a, err := image.OpenArchive(archive)
	if err != nil {
		return "", err
	}
	return a.ID, a.Close()
}

// PullImage implements driver.Images.
func (h *host) PullImage(ctx context.Context, reference string) (driver.Image, error) {
	if have, err := h.HasImage(ctx, reference); err == nil && !have {
		h.gets(reference)
	}
	return h.Runtime.PullImage(ctx, reference)
}

// gets notes that the daemon is about to get an image that it does not have.
func (h *host) gets(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.got == nil {
		h.got = map[string]bool{}
	}
	h.got[name] = true
}

// Discard implements driver.Images.
func (h *host) Discard(ctx context.Context, name string) error {
	h.mu.Lock()
	got := h.got[name]
	h.mu.Unlock()
	if !got {
		return nil
	}
	if err := h.RemoveImage(ctx, name); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.got, name)
	h.images = slices.DeleteFunc(h.images, func(id string) bool { return id == name })
	return nil
}

// Layers implements driver.Images. The daemon gives all of an image at once, and its layers in any order, so it is written to
// a file of the home for a while. The file has no name, so that nothing is left of it whatever happens to this process.
func (h *host) Layers(ctx context.Context, id string, each func(io.Reader) error) (err error) {
	if _, err := h.Image(ctx, id); err != nil {
		return err
	}
	room, err := roomIn(h.options.Home)
	if err != nil {
		return openflow.Errorf(openflow.CodeExhausted, "image %s: %w", id, err)
	}
	f, err := os.CreateTemp(h.options.Home, "image-")
	if err != nil {
		return openflow.Errorf(openflow.CodeExhausted, "image %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := os.Remove(f.Name()); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "image %s: %w", id, err)
	}
	if err := h.SaveImage(ctx, id, &within{f, room}); err != nil {
		return err
	}
	a, err := image.ReadArchive(f)
	if err != nil {
		return err
	}
	return a.Layers(ctx, each)
}

// maxSaved bounds what the daemon writes of one image: what an archive may hold.
const maxSaved = 128 << 30

// roomIn is how much of a disk a file may take for a while: half of what is free, so that runs go on.
func roomIn(folder string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(folder, &disk); err != nil {
		return 0, err
	}
	return int64(min(disk.Bavail*uint64(disk.Bsize)/2, maxSaved)), nil
}

// within writes as much as there is room for.
type within struct {
	to   io.Writer
	left int64
}

func (w *within) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, openflow.Errorf(openflow.CodeExhausted, "the image is larger than half of what is free on the disk of the node's home, or than %s", openflow.FormatBytes(maxSaved)).
			WithHint("make room there, or register a smaller image")
	}
	return w.to.Write(p)
}

func (h *host) imageOr(ctx context.Context, id string, err error) (driver.Image, error) {
	if err != nil {
		return driver.Image{}, err
	}
	return h.Image(ctx, id)
}

// Confine implements driver.Host by firewall rules. Where none can be written, no container is started, unless the operator has
// said that containers may run unconfined. Then he is told what else of this machine they reach.
func (h *host) Confine(ctx context.Context, port int) ([]string, error) {
	err := h.FirewallBase(ctx, port)
	h.mu.Lock()
	h.port, h.open = port, nil
	if err != nil && !h.options.Unconfined {
		h.open = unconfined(err)
	}
	h.mu.Unlock()
	if err == nil {
		return nil, nil
	}
	reachable, err2 := h.Reachable(ctx, port)
	if err2 != nil {
		return nil, errors.Join(err, err2)
	}
	warning := fmt.Sprintf("no firewall rules could be written (%v)", err)
	if !h.options.Unconfined {
		warning += "; no task is started here"
	}
	if len(reachable) > 0 {
		warning += "; without rules containers reach on this host: " + strings.Join(reachable, ", ")
	}
	return []string{warning}, nil
}

// errNotYet is that no container is started before Confine.
var errNotYet = openflow.Errorf(openflow.CodeUnavailable, "this node starts no container yet: it still has to limit what containers reach")

// unconfined is that no container is started here, because nothing would keep it from this machine.
func unconfined(why error) error {
	e := openflow.Errorf(openflow.CodePermission, "no container is started here: %w", why).WithPublic("its node starts no containers now")
	var known *openflow.Error
	rules := "give the node CAP_NET_ADMIN"
	if errors.As(why, &known) && known.Hint != "" {
		rules = known.Hint
	}
	return e.WithHint("%s; then restart it. With --unconfined, tasks run all the same and reach what listens on this host", rules)
}

// Ensure implements driver.Runtime. Where nothing confines containers, none is made; one that runs, or has run, is followed.
func (h *host) Ensure(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	if err := h.begins(ctx, spec.Name); err != nil {
		return driver.Status{}, err
	}
	return h.Runtime.Ensure(ctx, spec)
}

// Start implements driver.Runtime. Where nothing confines containers, none is started.
func (h *host) Start(ctx context.Context, name string) error {
	if err := h.begins(ctx, name); err != nil {
		return err
	}
	return h.Runtime.Start(ctx, name)
}

// begins refuses what would make a container run that has not run yet, where nothing would confine it.
func (h *host) begins(ctx context.Context, name string) error {
	h.mu.Lock()
	open := h.open
	h.mu.Unlock()
	if open == nil {
		return nil
	}
	st, err := h.Inspect(ctx, name)
	if err == nil && st.State != driver.StateCreated {
		return nil
	}
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	return open
}

// Resources implements driver.Host: containers share this machine.
func (h *host) Resources(context.Context) (openflow.Resources, error) {
	return openflow.Resources{}, nil
}

// Trim implements driver.Host: the daemon bounds what containers write.
func (h *host) Trim(context.Context) error { return nil }

// Examine implements driver.Host.
func (h *host) Examine(ctx context.Context) []openflow.Finding {
	return append(h.look(ctx).examine(), h.examineNetworks(ctx)...)
}

// look finds out how the daemon stands to this node.
func (h *host) look(ctx context.Context) (d daemon) {
	h.mu.Lock()
	images, port, open := slices.Clone(h.images), h.port, h.open
	h.mu.Unlock()
	d = daemon{network: h.network, closed: open != nil && !errors.Is(open, errNotYet)}
	if d.release, d.api, d.err = h.Version(ctx); d.err != nil {
		return d
	}
	if d.filters, d.err = h.Filters(ctx); d.err != nil {
		return d
	}
	for _, id := range images {
		var have bool
		if have, d.err = h.HasImage(ctx, id); d.err != nil {
			return d
		}
		if !have {
			d.lost = append(d.lost, id)
		}
	}
	there, err := h.HasNetwork(ctx, h.network)
	if d.err, d.pruned = err, err == nil && !there; err != nil || !there {
		return d
	}
	if d.firewall = h.Firewalled(ctx, port); d.firewall != nil {
		d.reachable, d.err = h.Reachable(ctx, port)
	}
	return d
}

// examineNetworks looks for what other nodes have on the same daemon. That it does not answer is a finding of its own.
func (h *host) examineNetworks(ctx context.Context) []openflow.Finding {
	all, err := h.Networks(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, n := range ofTheGone(all, h.options, time.Now()) {
		names = append(names, n.Name)
	}
	others := slices.DeleteFunc(all, func(n engine.Network) bool { return n.Name == h.network })
	return []openflow.Finding{networks(names, len(others))}
}
