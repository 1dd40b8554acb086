package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/runtime/driver"
)

// askedLabel marks a container that only answers a question, with the name of its node's network as the value. It is none of
// those that the node runs.
const askedLabel = "openflow.asked"

// What a program may use to answer a question. It tells what it has, and computes nothing.
const (
	askedMemory = 512 << 20
	askedPIDs   = 256
	askedTmp    = "rw,nosuid,nodev,mode=1777,size=16m"
)

const (
	lookEvery = 10 * time.Millisecond // whether a program has ended whose output has
	clearing  = 30 * time.Second      // for the removal of a container that has answered, or never will
)

// Ask implements driver.Host: in a container without a network, which is removed with its answer.
func (r *Runtime) Ask(ctx context.Context, q driver.Question) (answer driver.Answer, err error) {
	name := r.name + "-asked-" + strings.ToLower(rand.Text())
	hc := isolated(driver.Limits{MemoryBytes: askedMemory, PIDs: askedPIDs})
	hc.NetworkMode, hc.LogConfig = "none", container.LogConfig{Type: "none"}
	hc.Tmpfs = map[string]string{"/tmp": askedTmp}
	_, err = r.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: q.Image, Cmd: q.Command, Labels: map[string]string{askedLabel: r.name}, User: nobody, Healthcheck: unwatched,
		},
		HostConfig: hc,
	})
	defer func() {
		// Also of a creation whose answer was lost: its outcome is not known.
		left, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearing)
		defer cancel()
		err = errors.Join(err, r.clear(left, name))
	}()
	if err != nil {
		return answer, r.unstartable(ctx, err, name, openflow.CodeNotFound)
	}
	limited, enough := context.WithCancel(ctx)
	defer enough()
	heard := driver.NewHearing(q, enough)
	err = r.hear(limited, name, heard)
	if said := heard.Answer(0); said.TooMuch {
		return said, nil
	}
	if err != nil {
		return answer, err
	}
	st, err := driver.Poll(ctx, name, r.Inspect, lookEvery)
	return heard.Answer(st.ExitCode), err
}

// hear starts a container and takes down what it writes, to the end of that.
func (r *Runtime) hear(ctx context.Context, name string, heard *driver.Hearing) error {
	attached, err := r.api.ContainerAttach(ctx, name, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return r.wrap(ctx, err, subject(name))
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if _, err := r.api.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
		return r.unstartable(ctx, err, name, "")
	}
	_, err = stdcopy.StdCopy(&heard.Text, &heard.Complaint, attached.Reader)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.wrap(ctx, err, subject(name))
}

// unstartable is why a container that is asked cannot be made or started. What the daemon refuses is what the image says of itself,
// such as an entry point that it does not have; but for another, whose code is its own.
func (r *Runtime) unstartable(ctx context.Context, err error, name string, another openflow.Code) error {
	wrapped := r.wrap(ctx, err, subject(name))
	switch code := openflow.CodeOf(wrapped); code {
	case another:
	case openflow.CodeInternal, openflow.CodeInvalid, openflow.CodeNotFound:
		return openflow.Errorf(openflow.CodeInvalid, "it cannot be run: %s", openflow.Heard(err.Error()))
	}
	return wrapped
}

// clear removes a container that was asked, whatever it does. The daemon itself may be removing one whose creation was given up.
func (r *Runtime) clear(ctx context.Context, name string) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		_, err := r.api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
		if cerrdefs.IsConflict(err) {
			return struct{}{}, err
		}
		return struct{}{}, backoff.Permanent(ignoreNotFound(err))
	}, untilSettled(tellNobody)...)
	return r.wrap(ctx, err, subject(name))
}

// ClearAsked removes what a process of the node that is gone has asked, and has not removed.
func (r *Runtime) ClearAsked(ctx context.Context) error {
	left, err := r.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", askedLabel+"="+r.name)})
	if err != nil {
		return r.wrap(ctx, err, "list of containers")
	}
	for _, c := range left.Items {
		err = errors.Join(err, r.clear(ctx, c.ID))
	}
	return err
}
