package engine

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/runtime/driver"
)

// Labels of a network that say whose it is: the node's home folder, and the machine whose file system that is in.
const (
	homeLabel = "openflow.home"
	hostLabel = "openflow.host"
)

// Owner is whose a node's network is. The zero value says nothing.
type Owner struct {
	Home string // absolute path
	Host string // name of the machine, and its root file system
}

// OwnerOf is the owner of a node with that home on this machine. In a container the same path is another folder than on
// its host, also where both have one name; the root's file system tells them apart.
func OwnerOf(home string) Owner {
	host, err := os.Hostname()
	var root unix.Stat_t
	if err != nil || unix.Stat("/", &root) != nil {
		return Owner{}
	}
	return Owner{home, fmt.Sprintf("%s %x", host, root.Dev)}
}

func (o Owner) labels(name string) map[string]string {
	labels := map[string]string{networkLabel: name}
	if o != (Owner{}) {
		labels[homeLabel], labels[hostLabel] = o.Home, o.Host
	}
	return labels
}

// Network is what the daemon has for one node.
type Network struct {
	Name    string
	Owner   Owner
	Created time.Time
	Gateway netip.Addr
	// Containers are those of the node, in any state; Running are those that run and will end by themselves.
	Containers, Running int
	// Ended is when the last of the others ended; zero if none has run.
	Ended time.Time
}

// HasNetwork tells whether the daemon has the network of that name that a node has made.
func (r *Runtime) HasNetwork(ctx context.Context, name string) (bool, error) {
	all, err := r.networks(ctx)
	return slices.ContainsFunc(all, func(n network.Summary) bool { return n.Name == name && n.Labels[networkLabel] == name }), err
}

// Networks lists the networks of all nodes on this daemon, this one's too, by name.
func (r *Runtime) Networks(ctx context.Context) ([]Network, error) {
	all, err := r.networks(ctx)
	if err != nil {
		return nil, err
	}
	var list []Network
	for _, n := range all {
		if n.Labels[networkLabel] != n.Name {
			continue // somebody else's, whatever it is called
		}
		one := Network{Name: n.Name, Owner: Owner{n.Labels[homeLabel], n.Labels[hostLabel]}, Created: n.Created, Gateway: gatewayOf(n)}
		containers, err := r.of(n.Name).List(ctx, nil)
		if err != nil {
			return nil, err
		}
		one.Containers = len(containers)
		for _, c := range containers {
			if lasting(c) {
				one.Running++
			}
			one.Ended = latest(one.Ended, c.Finished, c.Created)
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Network) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// lasting tells that a container runs a program that somebody may wait for. A resident one runs for ever: without its node it
// has no work.
func lasting(c driver.Status) bool {
	_, resident := c.Labels[driver.LabelResident]
	return c.State == driver.StateRunning && !resident
}

func gatewayOf(n network.Summary) netip.Addr {
	if len(n.IPAM.Config) == 0 {
		return netip.Addr{}
	}
	return n.IPAM.Config[0].Gateway
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

// of is a Runtime for another node's network, on the same connection.
func (r *Runtime) of(name string) *Runtime {
	return &Runtime{api: r.api, host: r.host, name: name, log: r.log}
}

// Discard removes what the daemon and the firewall have for the node whose network has that name: containers, rules and
// the network, which goes last, because it is what tells of the others. Absent is nil. Without force, one that still
// runs a container of a run is left alone: CodeConflict.
func (r *Runtime) Discard(ctx context.Context, name string, force bool) error {
	its := r.of(name)
	if err := its.ClearAsked(ctx); err != nil {
		return err
	}
	containers, err := its.List(ctx, nil)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if lasting(c) && !force {
			return driver.Running(c.Name)
		}
	}
	for _, c := range containers {
		_, err := r.api.ContainerRemove(ctx, c.Name, client.ContainerRemoveOptions{RemoveVolumes: true, Force: force || !lasting(c)})
		if err := r.wrap(ctx, ignoreNotFound(err), subject(c.Name)); err != nil {
			return err
		}
	}
	err = its.RemoveFirewall(ctx)
	if code := openflow.CodeOf(err); err != nil && code != openflow.CodePermission && code != openflow.CodeUnimplemented {
		return err // who may not write rules has written none
	}
	return its.RemoveNetwork(ctx)
}

// Served reports whether something on this machine listens at the gateway of a network: the node whose it is. Without
// that address on this machine nobody can tell, and the answer is yes.
func Served(gateway netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	here := slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == gateway
	})
	if !here {
		return true
	}
	for path, protocol := range socketTables {
		text, err := os.ReadFile(path)
		if err != nil {
			if protocol == "tcp" && !os.IsNotExist(err) {
				return true
			}
			continue
		}
		if slices.ContainsFunc(ParseListeners(string(text)), func(l netip.AddrPort) bool { return l.Addr().Unmap() == gateway }) {
			return true
		}
	}
	return false
}
