package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"openflow"
)

// Options of Docker's bridge driver.
const (
	bridgeNameOption = "com.docker.network.bridge.name"
	iccOption        = "com.docker.network.bridge.enable_icc"
	masqueradeOption = "com.docker.network.bridge.enable_ip_masquerade"
)

// subnets is where subnets are taken from when Options has none: 256 of them, rarely used by others.
var subnets = netip.MustParsePrefix("10.77.0.0/16")

// bridge is the network of a node as the host sees it.
type bridge struct {
	id      string
	device  string // network interface of the host
	subnet  netip.Prefix
	gateway netip.Addr // the host's address on it
}

// networkCache saves a request for every container.
type networkCache struct {
	mu    sync.Mutex
	known *bridge
	last  netip.Prefix // of a network that has gone: created containers have its gateway in their hosts file
}

func (c *networkCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nil
}

// Gateway returns the address of the host on this node's network, where the base layer has to listen, and creates the
// network first when it is missing. The address stays the same as long as the network exists, and after that while
// this Runtime lives. Errors: CodeConflict (the name or Options.Subnet is taken), CodeExhausted (no free subnet).
func (r *Runtime) Gateway(ctx context.Context) (netip.Addr, error) {
	b, err := r.ensureNetwork(ctx)
	return b.gateway, err
}

// RemoveNetwork removes the network; absent is nil. Errors: CodeConflict (containers are connected; exited ones are not).
func (r *Runtime) RemoveNetwork(ctx context.Context) error {
	r.network.forget()
	b, found, err := r.findNetwork(ctx)
	if err != nil || !found {
		return err
	}
	_, err = r.api.NetworkRemove(ctx, b.id, client.NetworkRemoveOptions{})
	return r.wrap(ctx, ignoreNotFound(err), r.networkSubject())
}

func (r *Runtime) networkSubject() string { return "container network " + r.name }

// ensureNetwork finds or creates the network.
func (r *Runtime) ensureNetwork(ctx context.Context) (bridge, error) {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	if r.network.known != nil {
		return *r.network.known, nil
	}
	b, found, err := r.findNetwork(ctx)
	if err == nil && !found {
		b, err = r.createNetwork(ctx)
	}
	if err != nil {
		return bridge{}, err
	}
	r.network.known, r.network.last = &b, b.subnet
	return b, nil
}

// findNetwork looks by name. Of several of the same name, which older daemons allow to two creators at once, all
// finders take the same one.
func (r *Runtime) findNetwork(ctx context.Context) (b bridge, found bool, err error) {
	all, err := r.networks(ctx)
	if err != nil {
		return bridge{}, false, err
	}
	all = slices.DeleteFunc(all, func(n network.Summary) bool { return n.Name != r.name })
	if len(all) == 0 {
		return bridge{}, false, nil
	}
	first := slices.MinFunc(all, func(a, b network.Summary) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	b, err = r.check(first)
	return b, true, err
}

// check refuses a network that would not isolate, or is not this node's.
func (r *Runtime) check(n network.Summary) (bridge, error) {
	refuse := func(why string) error {
		return openflow.Errorf(openflow.CodeConflict, "%s exists and %s", r.networkSubject(), why).
			WithHint("remove it (docker network rm %s) or choose another name", r.name)
	}
	switch {
	case n.Labels[networkLabel] != r.name:
		return bridge{}, refuse("is not one of openflow's")
	case !n.Internal || n.Options[iccOption] != "false":
		return bridge{}, refuse("does not isolate")
	case len(n.IPAM.Config) == 0 || !n.IPAM.Config[0].Gateway.IsValid():
		return bridge{}, refuse("has no gateway")
	case r.subnet.IsValid() && r.subnet != n.IPAM.Config[0].Subnet:
		return bridge{}, refuse("has the subnet " + n.IPAM.Config[0].Subnet.String())
	}
	cfg := n.IPAM.Config[0]
	return bridge{id: n.ID, device: n.Options[bridgeNameOption], subnet: cfg.Subnet, gateway: cfg.Gateway}, nil
}

// maxSubnets is how many subnets are tried: those that looked free and were not.
const maxSubnets = 16

// createNetwork tries subnets until the daemon accepts one.
func (r *Runtime) createNetwork(ctx context.Context) (bridge, error) {
	candidates, err := r.freeSubnets(ctx)
	if err != nil {
		return bridge{}, err
	}
	refusal := errors.New("no free subnet in " + subnets.String())
	for _, subnet := range candidates[:min(len(candidates), maxSubnets)] {
		mine, createErr := r.api.NetworkCreate(ctx, r.name, networkOptions(r.name, subnet, r.owner))
		// Another process may have created the network, or taken the subnet, since this one looked.
		b, found, err := r.findNetwork(ctx)
		if err != nil {
			return bridge{}, err
		}
		if found && createErr == nil && b.id != mine.ID {
			_, createErr = r.api.NetworkRemove(ctx, mine.ID, client.NetworkRemoveOptions{})
			return b, r.wrap(ctx, ignoreNotFound(createErr), r.networkSubject())
		}
		if found {
			return b, nil
		}
		refusal = createErr
	}
	return bridge{}, openflow.Errorf(openflow.CodeExhausted, "%s could not be created: %w", r.networkSubject(), refusal).
		WithHint("free some: openflow uninstall --gone removes those of nodes that are gone, docker network ls lists all")
}

func networkOptions(name string, subnet netip.Prefix, owner Owner) client.NetworkCreateOptions {
	off := false
	return client.NetworkCreateOptions{
		Driver:     "bridge",
		Internal:   true,
		EnableIPv6: &off,
		IPAM:       &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet, Gateway: subnet.Addr().Next()}}},
		Labels:     owner.labels(name),
		Options: map[string]string{
			bridgeNameOption: deviceName(name),
			iccOption:        "false",
			masqueradeOption: "false",
		},
	}
}

// deviceName is the host's name for the network: fixed, so that firewall rules that name it survive the network, and
// within the 15 bytes that Linux allows.
func deviceName(name string) string { return "ofbr-" + shortHash(name) }

// shortHash is ten hexadecimal digits of name's hash.
func shortHash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:5])
}

// freeSubnets lists the subnets worth trying: the configured one; else the one there was; else those of the range that
// overlap with nothing known, beginning at one that differs from node to node.
func (r *Runtime) freeSubnets(ctx context.Context) ([]netip.Prefix, error) {
	if r.subnet.IsValid() {
		return []netip.Prefix{r.subnet}, nil
	}
	taken, err := r.takenPrefixes(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(r.name))
	candidates := []netip.Prefix{}
	if r.network.last.IsValid() {
		candidates = append(candidates, r.network.last)
	}
	for i := range 256 {
		base := subnets.Addr().As4()
		base[2] = sum[0] + byte(i)
		subnet := netip.PrefixFrom(netip.AddrFrom4(base), 24)
		if !slices.ContainsFunc(taken, subnet.Overlaps) {
			candidates = append(candidates, subnet)
		}
	}
	return candidates, nil
}

// takenPrefixes is what the daemon's networks, the host's interfaces and its routes use.
func (r *Runtime) takenPrefixes(ctx context.Context) ([]netip.Prefix, error) {
	var taken []netip.Prefix
	all, err := r.networks(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		for _, c := range n.IPAM.Config {
			taken = append(taken, c.Subnet)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "%s: %w", r.networkSubject(), err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p.Masked())
		}
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil && !os.IsNotExist(err) {
		return nil, openflow.Errorf(openflow.CodeInternal, "%s: %w", r.networkSubject(), err)
	}
	return append(taken, ParseRoutes(string(routes))...), nil
}

func (r *Runtime) networks(ctx context.Context) ([]network.Summary, error) {
	res, err := r.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, r.wrap(ctx, err, "list of container networks")
	}
	return res.Items, nil
}

// ParseRoutes returns the destinations in the text of /proc/net/route, without default routes. Lines that it cannot
// read are left out.
func ParseRoutes(text string) []netip.Prefix {
	var out []netip.Prefix
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		dest, err1 := hostOrder(fields[1])
		mask, err2 := hostOrder(fields[7])
		ones, bits := net.IPMask(mask).Size()
		if err1 != nil || err2 != nil || bits != 32 || ones == 0 {
			continue
		}
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte(dest)), ones).Masked())
	}
	return out
}

// hostOrder decodes the kernel's hexadecimal rendering of an IPv4 address: a number in the byte order of the machine.
func hostOrder(word string) ([]byte, error) {
	raw, err := hex.DecodeString(word)
	if err != nil || len(raw) != 4 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%q is not an address", word)
	}
	out := make([]byte, 4)
	binary.NativeEndian.PutUint32(out, binary.BigEndian.Uint32(raw))
	return out, nil
}
