package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"openflow"
	"openflow/docker"
	"openflow/docker/driver"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/objects"
	"openflow/server"
	"openflow/server/base"
)

// openRuntime prepares what runs the tasks, and the listener that they find this node at.
func (n *Node) openRuntime(ctx context.Context) error {
	binary, err := executable(n.config.Components)
	if err != nil {
		return err
	}
	device := "local"
	if n.config.Runtime == RuntimeDocker {
		device = "docker"
	}
	if n.catalog, err = readComponents(ctx, binary, n.config.Party, n.config.Version, device); err != nil {
		return err
	}
	if err := n.machine.open(ctx, n.config.Runtime, binary, n.config.Base, n.grant); err != nil {
		return err
	}
	n.launcher.Traced = n.traces.Environment
	return nil
}

// networkName is this node's own network; a node's UUID is in it, so nodes on one daemon do not meet.
func networkName(node string) string { return "openflow-" + strings.SplitN(node, "-", 2)[0] }

// loadImage gives the daemon the algorithms' image, unless it has it: the image ID is a hash of its content.
func loadImage(ctx context.Context, rt *engine.Runtime, binary string) (string, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "components binary: %w", err)
	}
	img, err := image.Build(program, image.Options{})
	if err != nil {
		return "", err
	}
	have, err := rt.HasImage(ctx, img.ID)
	if err != nil || have {
		return img.ID, err
	}
	return rt.LoadImage(ctx, bytes.NewReader(img.Tar))
}

// confine limits what containers reach of this host to the base layer. Where that cannot be done, the operator is told
// what else they reach.
func (m *machine) confine(ctx context.Context, rt *engine.Runtime) error {
	err := rt.FirewallBase(ctx, m.baseAddress.Port)
	if err == nil {
		return nil
	}
	open, err2 := rt.Reachable(ctx, m.baseAddress.Port)
	if err2 != nil {
		return errors.Join(err, err2)
	}
	warning := fmt.Sprintf("no firewall rules could be written (%v)", err)
	if len(open) > 0 {
		warning += "; containers also reach on this host: " + strings.Join(open, ", ")
	}
	m.warnings = append(m.warnings, warning)
	return nil
}

// bindBase listens for containers. The port is kept in the home folder, because containers that outlive this process
// will look for the next one there.
func (m *machine) bindBase(ctx context.Context, address, host, reach string) error {
	l, err := m.listenBase(ctx, address, host)
	if err != nil {
		return err
	}
	m.base = l
	m.onClose("base listener", ignoreClosed(l))
	at, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "address of the base layer: %w", err)
	}
	if reach == "" {
		reach = at
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "port of the base layer: %w", err)
	}
	m.baseAddress = docker.BaseLayer{Host: reach, Port: number}
	if m.home.BasePort == number {
		return nil
	}
	m.home.BasePort = number
	return m.home.save()
}

// A base port lies below those that systems give to outgoing connections (32768 and up on Linux): such a connection could
// hold the port when the node starts again.
const lowestBasePort, basePorts = 20000, 12000

// listenBase listens where the operator or the home folder says, and in a new home on a port that is free.
func (m *machine) listenBase(ctx context.Context, address, host string) (net.Listener, error) {
	const what = "the base layer"
	at := func(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	if address != "" {
		return server.Listen(ctx, what, address)
	}
	if m.home.BasePort != 0 {
		return server.Listen(ctx, what, at(m.home.BasePort))
	}
	for range 20 {
		if l, err := server.Listen(ctx, what, at(lowestBasePort+rand.IntN(basePorts))); err == nil {
			return l, nil
		}
	}
	return server.Listen(ctx, what, at(0))
}

// grant gives a run its credential, and tells which model it writes to, its partitions, which the job says, and the
// site's policy. So a machine of the pool needs no file of its own.
func (n *Node) grant(ctx context.Context, r openflow.TaskRecord) (openflow.TaskGrant, error) {
	job, err := n.rows.Job(ctx, r.Key.JobKey())
	if err != nil {
		return openflow.TaskGrant{}, openflow.About(openflow.AboutJob, err)
	}
	return openflow.TaskGrant{
		Credential: n.secrets.Issue(r.Key), ModelID: job.ModelID, ModelVersion: job.ModelVersion,
		Partitions: job.DAG.Conf.ComputingPartitions, Policy: n.policy,
	}, nil
}

// logs keeps and shows what containers have written.
type logs struct {
	objects objects.Store
	runtime driver.Runtime
}

// PutLog implements activities.LogStore. A container that has written nothing leaves no object.
func (l logs) PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (string, error) {
	r, w := io.Pipe()
	var wrote atomic.Bool
	started := make(chan struct{})
	out := &firstWrite{w: w, began: func() { wrote.Store(true); close(started) }}
	failed := make(chan error, 1)
	go func() {
		err := write(out, out)
		_ = w.CloseWithError(err) // never fails
		failed <- err
	}()
	select {
	case err := <-failed:
		if !wrote.Load() {
			return "", err
		}
	case <-started:
	}
	ref, err := l.objects.Put(ctx, r)
	_ = r.CloseWithError(err) // lets the writer end when the store has failed
	return ref.Digest, err
}

// firstWrite tells when something is written for the first time.
type firstWrite struct {
	w     io.Writer
	began func()
	once  bool
}

// Write implements io.Writer.
func (f *firstWrite) Write(p []byte) (int, error) {
	if !f.once && len(p) > 0 {
		f.once = true
		f.began()
	}
	return f.w.Write(p)
}

// TaskLog implements application.Logs: the kept log, or what a living container has written so far.
func (l logs) TaskLog(ctx context.Context, t openflow.TaskRecord, w io.Writer) error {
	if t.LogDigest != "" {
		body, _, err := l.objects.Get(ctx, t.LogDigest, 0)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }() // reading only
		_, err = io.Copy(w, body)
		return err
	}
	if t.ContainerName == "" {
		return nil
	}
	err := l.runtime.Logs(ctx, t.ContainerName, w, w)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // removed: it has left no log
	}
	return err
}

// parseTopic is base.ParseTopic; the two layers agree on one form.
func parseTopic(topic string, parties []openflow.Party) (from, to openflow.Party, ok bool) {
	return base.ParseTopic(topic, parties)
}
