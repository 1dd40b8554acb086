package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/server"
	"openflow/site/registry"
	"openflow/site/trust/supplies"
)

// openRuntime prepares what runs the tasks, and the listener that they find this node at.
func (n *Node) openRuntime(ctx context.Context) error {
	binary, err := registry.Program(n.config.Components)
	if err != nil {
		return err
	}
	device := "local"
	if n.config.Runtime == RuntimeDocker {
		device = "docker"
	}
	if n.catalog, err = registry.Read(ctx, binary, n.config.Party, n.config.Version, device); err != nil {
		return err
	}
	if err := n.machine.open(ctx, n.config.Runtime, binary, n.config.Base, n.supplies().Issue); err != nil {
		return err
	}
	n.launcher.Traced = n.traces.Environment
	return nil
}

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
	return m.home.Save()
}

// listenBase listens where the operator or the home folder says, and in a new home on a port that is free.
func (m *machine) listenBase(ctx context.Context, address, host string) (net.Listener, error) {
	const what = "the base layer"
	if address != "" {
		return server.Listen(ctx, what, address)
	}
	if m.home.BasePort != 0 {
		return server.Listen(ctx, what, net.JoinHostPort(host, strconv.Itoa(m.home.BasePort)))
	}
	return server.ListenAnywhere(ctx, what, host)
}

// grants says what each run is given.
func (n *Node) supplies() supplies.Issuer {
	return supplies.Issuer{Jobs: n.rows, Secrets: n.secrets, Policy: n.policy}
}
