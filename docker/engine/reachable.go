package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// socketTables are where Linux lists the sockets of this network namespace.
var socketTables = map[string]string{
	"/proc/net/tcp": "tcp", "/proc/net/tcp6": "tcp", "/proc/net/udp": "udp", "/proc/net/udp6": "udp",
}

// Reachable lists the host's services, besides TCP port, that a container could reach through the gateway: those that
// listen on every address or on the gateway's. A firewall rule may keep it out all the same; see FirewallBase. Entries
// read "tcp 0.0.0.0:22". The network is created if missing. Systems without /proc/net yield CodeUnimplemented.
func (r *Runtime) Reachable(ctx context.Context, port int) ([]string, error) {
	b, err := r.ensureNetwork(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for path, protocol := range socketTables {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) && strings.HasSuffix(path, "6") {
			continue // IPv6 is switched off
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeUnimplemented, "listening services of the host: %w", err)
		}
		for _, l := range ParseListeners(string(text)) {
			if protocol == "tcp" && int(l.Port()) == port {
				continue
			}
			if l.Addr().IsUnspecified() || l.Addr().Unmap() == b.gateway {
				found[protocol+" "+l.String()] = true
			}
		}
	}
	out := make([]string, 0, len(found))
	for entry := range found {
		out = append(out, entry)
	}
	slices.SortFunc(out, cmp.Compare)
	return out, nil
}

// Socket states of /proc/net (include/net/tcp_states.h): UDP sockets that nobody has connected count as closed.
const (
	stateListen = "0A"
	stateClosed = "07"
)

// ParseListeners returns the local addresses of listening TCP and unconnected UDP sockets in the text of one of
// /proc/net/{tcp,tcp6,udp,udp6}. Lines that it cannot read are left out.
func ParseListeners(text string) []netip.AddrPort {
	var out []netip.AddrPort
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != stateListen && fields[3] != stateClosed {
			continue
		}
		if at, ok := parseSocketAddr(fields[1]); ok {
			out = append(out, at)
		}
	}
	return out
}

// parseSocketAddr decodes "0100007F:0016": 32-bit words in the byte order of the machine, and the port.
func parseSocketAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}
