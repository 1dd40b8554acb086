package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/runtime/driver"
)

// nobody is the user of every container: the image's own choice of user could be root.
const nobody = "65534:65534"

// unwatched keeps the daemon from running a command of the image in its container again and again.
var unwatched = &container.HealthConfig{Test: []string{"NONE"}}

// What the daemon keeps of a container's output where nothing else is said: the newest of logFiles files, at least half of it.
const (
	usualLog = 32 << 20
	logFiles = 2
)

// gpuDriver is what the NVIDIA Container Toolkit calls itself in the daemon.
const gpuDriver = "nvidia"

// Ensure implements driver.Runtime. Docker lets one of concurrent creators win and tells the others "conflict".
func (r *Runtime) Ensure(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	if err := spec.Validate(); err != nil {
		return driver.Status{}, err
	}
	net, err := r.ensureNetwork(ctx)
	if err != nil {
		return driver.Status{}, err
	}
	return backoff.Retry(ctx, func() (driver.Status, error) {
		err := r.create(ctx, spec, net)
		if err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
			return driver.Status{}, backoff.Permanent(err)
		}
		st, err := r.adopt(ctx, spec)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			return st, err // the name is taken by a container that is not complete yet or not quite gone
		}
		return st, backoff.Permanent(err)
	}, untilSettled(tellNobody)...)
}

func (r *Runtime) create(ctx context.Context, spec driver.Spec, net bridge) error {
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[networkLabel], labels[madeLabel] = r.name, spec.Made
	if len(spec.Grants.Networks) > 0 {
		labels[furtherLabel] = strings.Join(spec.Grants.Networks, " ")
	}
	_, err := r.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: spec.Name,
		Config: &container.Config{
			Image: spec.Image, Cmd: spec.Command, Env: spec.Env, Labels: labels, User: nobody,
			StopSignal: "SIGTERM", Healthcheck: unwatched, // whatever the image asks for
		},
		HostConfig: hostConfig(spec, r.name, net),
	})
	if cerrdefs.IsNotFound(err) {
		return openflow.Errorf(openflow.CodeNotFound, "image %q is not on this machine: %w", spec.Image, err).
			WithHint("load or pull it first")
	}
	return r.wrap(ctx, err, subject(spec.Name))
}

// hostConfig is what a container has of this machine: the network of its node, and what the site's policy gives to it.
func hostConfig(spec driver.Spec, network string, net bridge) *container.HostConfig {
	hc := isolated(spec.Limits)
	hc.CapAdd = spec.Grants.Capabilities
	for _, m := range spec.Grants.Mounts {
		hc.Mounts = append(hc.Mounts, mount.Mount{
			Type: mount.TypeBind, Source: m.Host, Target: m.Container, ReadOnly: true,
			// Below it, something may be mounted that can be written: read-only is said of the top alone.
			BindOptions: &mount.BindOptions{Propagation: mount.PropagationPrivate, NonRecursive: true},
		})
	}
	hc.NetworkMode = container.NetworkMode(network)
	// The daemon's resolver in the container knows this node's name. What else it is asked it would pass on to the resolvers of
	// the machine, and so to the internet. It finds none at this address of the container.
	hc.DNS = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	hc.ExtraHosts = []string{HostAlias + ":" + net.gateway.String()}
	return hc
}

// isolated is where the isolation of a container is decided. It has no network of its node yet.
func isolated(limits driver.Limits) *container.HostConfig {
	hc := &container.HostConfig{
		ReadonlyRootfs: true,
		Tmpfs:          map[string]string{"/tmp": tmpfs(limits)},
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		LogConfig:      logConfig(limits),
		IpcMode:        container.IPCModePrivate,
		CgroupnsMode:   container.CgroupnsModePrivate,
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		AutoRemove:     false, // the outcome must outlive the program until it is recorded
	}
	hc.Ulimits = []*container.Ulimit{{Name: "core", Soft: 0, Hard: 0}} // what handles dumps of core runs on the machine, as root
	hc.NanoCPUs = int64(math.Round(limits.CPUs * 1e9))
	hc.Memory, hc.MemorySwap = limits.MemoryBytes, limits.MemoryBytes
	if limits.PIDs > 0 {
		hc.PidsLimit = &limits.PIDs
	}
	if len(limits.GPUs) > 0 {
		hc.DeviceRequests = []container.DeviceRequest{{Driver: gpuDriver, DeviceIDs: limits.GPUs, Capabilities: [][]string{{"gpu"}}}}
	}
	return hc
}

// logConfig bounds what the daemon keeps of a container's output.
func logConfig(limits driver.Limits) container.LogConfig {
	size := max(cmp.Or(limits.LogBytes, usualLog)/logFiles, 1)
	return container.LogConfig{Type: "json-file", Config: map[string]string{
		"max-size": strconv.FormatInt(size, 10), "max-file": strconv.Itoa(logFiles),
	}}
}

// tmpfs is the only place that a container can write: its root is read-only, and images have no volumes. It counts as memory
// of the container, and so ends with it; its size is said too, since a container may have no bound of memory.
func tmpfs(limits driver.Limits) string {
	options := "rw,nosuid,nodev,mode=1777"
	size := limits.DiskBytes
	if limits.MemoryBytes > 0 && (size == 0 || size > limits.MemoryBytes) {
		size = limits.MemoryBytes
	}
	if size > 0 {
		options += fmt.Sprintf(",size=%d", size)
	}
	return options
}

// adopt reports the container that has spec's name. CodeNotFound includes one that is being removed.
func (r *Runtime) adopt(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	c, err := r.inspect(ctx, spec.Name)
	if err != nil {
		return driver.Status{}, err
	}
	if c.State.Status == container.StateRemoving {
		return driver.Status{}, driver.NotFound(spec.Name)
	}
	if l, ok := r.launched(spec.Name); ok && l.id != c.ID {
		r.forget(spec.Name) // another node process has removed that one and made this
	}
	if c.Config.Labels[networkLabel] != r.name || !driver.Carries(c.Config.Labels, spec.Labels) {
		return driver.Status{}, driver.Conflict(spec.Name)
	}
	return status(c), nil
}

// Start implements driver.Runtime. Docker's own start would run an exited container again, so one that is not created
// is left alone, and only one caller at a time looks and starts. Between two processes the daemon's lock on the
// container does the same, short of a program that ends within the two requests of the other.
func (r *Runtime) Start(ctx context.Context, name string) error {
	leave, err := r.starts.enter(ctx, name)
	if err != nil {
		return err
	}
	defer leave()
	c, err := r.inspect(ctx, name)
	if err != nil || c.State.Status != container.StateCreated {
		return err
	}
	if err := r.connectFurther(ctx, c); err != nil {
		return err
	}
	r.forget(name)
	l := launch{id: c.ID, status: status(c), at: time.Now()}
	l.ear = r.listen(ctx, l)
	r.launches.Store(name, l)
	_, err = r.api.ContainerStart(ctx, name, client.ContainerStartOptions{})
	if len(c.HostConfig.DeviceRequests) > 0 && cerrdefs.IsInternal(err) { // the API has no error of its own for it
		return openflow.Errorf(openflow.CodeInvalid, "%s: the Docker daemon can give no GPU to containers: %w", subject(name), err).
			WithHint("install the NVIDIA Container Toolkit at this site, or start its node with --gpus 0")
	}
	if !cerrdefs.IsNotFound(err) {
		return r.wrap(ctx, err, subject(name))
	}
	// The container was there: it is the network that somebody has pruned.
	r.network.forget()
	if _, err := r.ensureNetwork(ctx); err != nil {
		return err
	}
	_, err = r.api.ContainerStart(ctx, name, client.ContainerStartOptions{})
	return r.wrap(ctx, err, subject(name))
}

// furtherLabel has the networks of a container besides that of its node.
const furtherLabel = "openflow.further"

// connectFurther connects a container that has not started to the networks that the site's policy gives to it. Who starts it
// again after a crash finds some of them connected.
func (r *Runtime) connectFurther(ctx context.Context, c container.InspectResponse) error {
	for _, name := range strings.Fields(c.Config.Labels[furtherLabel]) {
		if c.NetworkSettings != nil && c.NetworkSettings.Networks[name] != nil {
			continue
		}
		_, err := r.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{}) // the daemon takes any name until the start
		if err == nil {
			_, err = r.api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: c.ID})
		}
		switch {
		case cerrdefs.IsNotFound(err):
			return openflow.Errorf(openflow.CodeInvalid, "%s: there is no network %q on this machine: %w", subject(c.Name), name, err).
				WithHint("make it, or take it out of containers.networks of the policy")
		case err != nil && !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsConflict(err):
			return r.wrap(ctx, err, subject(c.Name))
		}
	}
	return nil
}

// Inspect implements driver.Runtime.
func (r *Runtime) Inspect(ctx context.Context, name string) (driver.Status, error) {
	c, err := r.inspect(ctx, name)
	if err != nil {
		return driver.Status{}, err
	}
	return status(c), nil
}

func (r *Runtime) inspect(ctx context.Context, name string) (container.InspectResponse, error) {
	if driver.ValidateName(name) != nil {
		return container.InspectResponse{}, driver.NotFound(name)
	}
	res, err := r.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return container.InspectResponse{}, driver.NotFound(name)
	case err != nil:
		return container.InspectResponse{}, r.wrap(ctx, err, subject(name))
	case res.Container.State == nil || res.Container.Config == nil || res.Container.HostConfig == nil:
		return container.InspectResponse{}, openflow.Errorf(openflow.CodeInternal, "%s: the daemon's answer has no state", subject(name))
	}
	return res.Container, nil
}

// status translates the daemon's view of a container.
func status(c container.InspectResponse) driver.Status {
	st := driver.Status{
		Name:    strings.TrimPrefix(c.Name, "/"),
		Labels:  c.Config.Labels,
		Made:    c.Config.Labels[madeLabel],
		Reason:  c.State.Error,
		Created: parseTime(c.Created),
	}
	st.Started = parseTime(c.State.StartedAt)
	switch c.State.Status {
	case container.StateCreated:
		st.State = driver.StateCreated
	case container.StateExited, container.StateDead, container.StateRemoving:
		st.State = driver.StateExited
		st.ExitCode, st.OOMKilled = c.State.ExitCode, c.State.OOMKilled
		st.Finished = parseTime(c.State.FinishedAt)
		if st.Started.IsZero() { // removed before it ever ran: its exit code of 0 is no success
			st.State = driver.StateCreated
		}
		if st.Finished.Before(st.Started) { // the daemon notes the start when it hears of it
			st.Started = st.Finished
		}
	default: // running, paused, restarting
		st.State = driver.StateRunning
	}
	return st
}

// parseTime reads a time of the API's; what has not happened is the year 1 there, the zero time here.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Stop implements driver.Runtime. The daemon counts grace in whole seconds.
func (r *Runtime) Stop(ctx context.Context, name string, grace time.Duration) error {
	if driver.ValidateName(name) != nil {
		return nil
	}
	r.stopped.Store(name, true)
	seconds := int(math.Ceil(grace.Seconds()))
	_, err := r.api.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &seconds})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return r.wrap(ctx, err, subject(name))
}

// Remove implements driver.Runtime.
func (r *Runtime) Remove(ctx context.Context, name string) error {
	if driver.ValidateName(name) != nil {
		return nil
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, r.remove(ctx, name) }, untilSettled(tellNobody)...)
	return err
}

// remove is one try. What is not permanent is that somebody else is removing the container.
func (r *Runtime) remove(ctx context.Context, name string) error {
	_, err := r.api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{RemoveVolumes: true})
	if !cerrdefs.IsConflict(err) {
		if ignoreNotFound(err) == nil {
			r.forget(name)
			r.stopped.Delete(name)
			r.forgetBeginning(name)
		}
		return backoff.Permanent(r.wrap(ctx, ignoreNotFound(err), subject(name)))
	}
	c, lost := r.inspect(ctx, name)
	switch {
	case openflow.CodeOf(lost) == openflow.CodeNotFound:
		return nil
	case lost != nil:
		return backoff.Permanent(lost)
	case status(c).State == driver.StateRunning:
		return backoff.Permanent(driver.Running(name))
	}
	return err
}

// Logs implements driver.Runtime. The daemon keeps the newest 16 to 32 MiB of a container's output, and we its beginning.
func (r *Runtime) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	l, started := r.launched(name)
	if started && l.ear.all(ctx) {
		return l.ear.copy(stdout, stderr)
	}
	c, err := r.inspect(ctx, name)
	if err != nil {
		return err
	}
	if started && status(c).State == driver.StateExited {
		l.ear.end(ctx) // a busy machine hears the beginning late
	}
	body, err := r.api.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return r.wrap(ctx, err, subject(name))
	}
	firstOut, firstErr := r.begins(name)
	err = copyBegun(stdout, stderr, body, firstOut, firstErr)
	return r.wrap(ctx, errors.Join(err, body.Close()), subject(name))
}

// List implements driver.Runtime.
func (r *Runtime) List(ctx context.Context, labels map[string]string) ([]driver.Status, error) {
	filters := client.Filters{}.Add("label", networkLabel+"="+r.name)
	for k, v := range labels {
		filters.Add("label", k+"="+v)
	}
	res, err := r.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, r.wrap(ctx, err, "list of containers")
	}
	var out []driver.Status
	for _, item := range res.Items { // the list has no exit codes
		c, err := r.inspect(ctx, item.ID)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		out = append(out, status(c))
	}
	slices.SortFunc(out, func(a, b driver.Status) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func subject(name string) string { return fmt.Sprintf("container %q", name) }

func ignoreNotFound(err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}
