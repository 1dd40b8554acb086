// Package docker is the runtime whose containers a Docker daemon of this machine has. docker/engine speaks with the
// daemon. Here are the answers that a node asks of every runtime: its image, its network and rules, what is wrong with
// them, and what is left of a node.
//
// Start reading at [Opener].
package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// Name is the kind of this runtime.
const Name = "docker"

// Opener implements driver.Opener. The daemon is that of DOCKER_HOST, or the system's own.
type Opener struct{}

var _ driver.Opener = Opener{}

// Kind implements driver.Opener.
func (Opener) Kind() string { return Name }

// Traits implements driver.Opener. The daemon is on this machine, and so are its containers.
func (Opener) Traits() driver.Traits {
	return driver.Traits{Device: "docker", Followers: driver.ThisMachine, Ahead: true, Isolates: true}
}

// NetworkName is the network of the containers of a node; its UUID is in it, so nodes on one daemon do not meet.
func NetworkName(node string) string { return "openflow-" + strings.SplitN(node, "-", 2)[0] }

// Open implements driver.Opener. It first removes what nodes that are gone have left: their networks may have used up
// what there is room for.
func (Opener) Open(ctx context.Context, o driver.Options) (driver.Host, error) {
	network := NetworkName(o.Node)
	rt, err := engine.New(ctx, engine.Options{
		Network: network, Owner: engine.OwnerOf(o.Home), Outputs: filepath.Join(o.Home, "outputs"), Logger: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if _, err := abandoned(ctx, rt, o); err != nil {
		o.Log.WarnContext(ctx, "the remains of nodes that are gone were not removed", "err", err)
	}
	if err := rt.ClearAsked(ctx); err != nil {
		o.Log.WarnContext(ctx, "a container that described its program was not removed", "err", err)
	}
	return &host{Runtime: rt, options: o, network: network, open: errNotYet}, nil
}

// Probe implements driver.Opener.
func (Opener) Probe(ctx context.Context) (string, error) {
	rt, err := engine.New(ctx, engine.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	return "every task runs in a container of its own, on an internal network", rt.Close()
}

// Vacate implements driver.Opener.
func (Opener) Vacate(ctx context.Context, o driver.Options) (removed []string, err error) {
	network := NetworkName(o.Node)
	rt, err := engine.New(ctx, engine.Options{Network: network})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	containers, err := rt.List(ctx, nil)
	if err != nil {
		return nil, err
	}
	networked, err := rt.HasNetwork(ctx, network)
	if err != nil {
		return nil, err
	}
	if err := rt.Discard(ctx, network, true); err != nil {
		return nil, err
	}
	if len(containers) > 0 {
		removed = append(removed, fmt.Sprintf("%d containers", len(containers)))
	}
	if networked {
		removed = append(removed, "network "+network+" with its rules")
	}
	return removed, nil
}

// VacateGone implements driver.Opener.
func (Opener) VacateGone(ctx context.Context, o driver.Options) ([]string, error) {
	rt, err := engine.New(ctx, engine.Options{})
	if err != nil {
		return nil, err
	}
	removed, err := abandoned(ctx, rt, o)
	return removed, errors.Join(err, rt.Close())
}

// abandoned removes the networks, rules and ended containers of nodes whose home is no more on this machine, and tells
// of which. What runs, and what belongs to a node whose home cannot be seen from here, stays.
func abandoned(ctx context.Context, rt *engine.Runtime, o driver.Options) ([]string, error) {
	all, err := rt.Networks(ctx)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, n := range ofTheGone(all, o, time.Now()) {
		if e := rt.Discard(ctx, n.Name, false); e != nil {
			err = errors.Join(err, e)
			continue
		}
		o.Log.InfoContext(ctx, "removed the container network of a node that is gone", "network", n.Name, "home", n.Owner.Home)
		removed = append(removed, "network "+n.Name+" with its rules and containers")
	}
	return removed, err
}

// ofTheGone are the networks on a daemon whose nodes are gone.
func ofTheGone(all []engine.Network, o driver.Options, now time.Time) (left []engine.Network) {
	here := engine.OwnerOf("")
	for _, n := range all {
		if gone(n, here, o, func(n engine.Network) bool { return engine.Served(n.Gateway) }, now) {
			left = append(left, n)
		}
	}
	return left
}
