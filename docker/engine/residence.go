package engine

import (
	"context"
	"net"
	"strconv"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
)

var _ driver.Residence = (*Runtime)(nil)

// Reach implements driver.Residence: a container has an address of its own on its node's network. This machine may begin
// connections there, and the firewall lets their answers in.
func (r *Runtime) Reach(ctx context.Context, name string, port int) (string, error) {
	c, err := r.runs(ctx, name)
	if err != nil {
		return "", err
	}
	if c.NetworkSettings != nil {
		if at := c.NetworkSettings.Networks[r.name]; at != nil && at.IPAddress.IsValid() {
			return net.JoinHostPort(at.IPAddress.String(), strconv.Itoa(port)), nil
		}
	}
	return "", openflow.Errorf(openflow.CodeUnavailable, "%s: it has no address on the network %s", subject(name), r.name)
}

// runs is a container that runs.
func (r *Runtime) runs(ctx context.Context, name string) (container.InspectResponse, error) {
	c, err := r.inspect(ctx, name)
	if err == nil && (c.Config.Labels[networkLabel] != r.name) {
		err = driver.NotFound(name) // another node's
	}
	if err == nil && c.State.Status != container.StateRunning {
		err = driver.NotRunning(name)
	}
	return c, err
}

// cannotRun is how a command ends that cannot be executed, as a shell says it.
const cannotRun = 127

// Execute implements driver.Residence. The daemon cannot end a command: one that does not end by itself, or has said too much,
// goes on within the limits of its container, and ends with it.
func (r *Runtime) Execute(ctx context.Context, name string, command []string, most int) (driver.Answer, error) {
	c, err := r.runs(ctx, name)
	if err != nil {
		return driver.Answer{}, err
	}
	made, err := r.api.ExecCreate(ctx, c.ID, client.ExecCreateOptions{
		Cmd: command, User: nobody, Env: residence.Withheld(), AttachStdout: true, AttachStderr: true,
	})
	if cerrdefs.IsConflict(err) {
		return driver.Answer{}, driver.NotRunning(name) // it has ended since
	}
	if err != nil {
		return driver.Answer{}, r.wrap(ctx, err, subject(name))
	}
	limited, enough := context.WithCancel(ctx)
	defer enough()
	heard := driver.NewHearing(driver.Question{Image: c.Image, Command: command, Most: most}, enough)
	attached, err := r.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	switch {
	case cerrdefs.IsInvalidArgument(err):
		_, _ = heard.Complaint.Write([]byte(err.Error()))
		return heard.Answer(cannotRun), nil
	case cerrdefs.IsConflict(err):
		return driver.Answer{}, driver.NotRunning(name)
	case err != nil:
		return driver.Answer{}, r.wrap(ctx, err, subject(name))
	}
	defer attached.Close()
	defer context.AfterFunc(limited, attached.Close)()
	_, err = stdcopy.StdCopy(&heard.Text, &heard.Complaint, attached.Reader)
	switch said := heard.Answer(0); {
	case said.TooMuch:
		return said, nil
	case ctx.Err() != nil:
		return driver.Answer{}, ctx.Err()
	case err != nil:
		return driver.Answer{}, r.wrap(ctx, err, subject(name))
	}
	code, err := r.execEnd(ctx, made.ID, name)
	return heard.Answer(code), err
}

// execEnd waits until a command has ended whose output has.
func (r *Runtime) execEnd(ctx context.Context, id, name string) (int, error) {
	st, err := driver.Poll(ctx, name, func(ctx context.Context, _ string) (driver.Status, error) {
		looked, err := r.api.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if cerrdefs.IsNotFound(err) {
			return driver.Status{}, driver.NotRunning(name) // the container has ended, and the command with it
		}
		st := driver.Status{State: driver.StateRunning, ExitCode: looked.ExitCode}
		if !looked.Running {
			st.State = driver.StateExited
		}
		return st, r.wrap(ctx, err, subject(name))
	}, lookEvery)
	return st.ExitCode, err
}
