package application

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"openflow"
	"openflow/server/reply"
)

// forwarding begins the headers of requests that a proxy has passed on. For whom, nobody here can know.
var forwarding = []string{"Forwarded", "Via", "X-Forwarded-", "X-Real-Ip", "X-Client-Ip", "X-Original-"}

// local refuses requests without a token, unless the node's own user or root sends them from this machine. An address of
// loopback alone is no identity: a proxy on this machine and all of its other users have it too.
func (a Access) local(r *http.Request) error {
	if !loopback(r.RemoteAddr) || !loopback(r.Host) {
		return openflow.Errorf(openflow.CodeUnauthorized, "without a token, the application layer answers on loopback only").
			WithHint("start the node with --token, or call http://127.0.0.1")
	}
	for name := range r.Header {
		if slices.ContainsFunc(forwarding, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			return openflow.Errorf(openflow.CodeUnauthorized, "a proxy has passed the request on, so it needs a token").
				WithHint("start the node with --token where a proxy stands before it")
		}
	}
	find := a.Owner
	if find == nil {
		find = OwnerOf
	}
	o := reply.Remembered(r, owner{}, func() (o owner) {
		o.uid, o.known = find(r)
		return o
	})
	switch {
	case !o.known:
		return openflow.Errorf(openflow.CodeUnauthorized, "the node cannot tell which user of this machine calls, so the request needs a token").
			WithHint("start the node with --token")
	case o.uid != 0 && o.uid != os.Geteuid():
		return openflow.Errorf(openflow.CodeUnauthorized, "without a token, the application layer answers the node's own user and root only").
			WithHint("start the node with --token and give the token to this user, or call as the user that the node runs as")
	}
	return nil
}

// owner is the user whose socket is at the other end of a connection of this machine.
type owner struct {
	uid   int
	known bool
}

// OwnerOf is the user of this machine whose program has sent a request to this process over loopback; false: the system does
// not tell, or the program has closed its connection. Linux lists each socket with its owner. A closed one that is still
// listed has no inode, and an owner that means nothing.
func OwnerOf(r *http.Request) (uid int, known bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return 0, false
	}
	to, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return 0, false
	}
	if from.Addr().Unmap().Is4() && to.Addr().Unmap().Is4() {
		if uid, known = ownerIn("/proc/self/net/tcp", listed(from, true), listed(to, true)); known {
			return uid, true
		}
	}
	return ownerIn("/proc/self/net/tcp6", listed(from, false), listed(to, false))
}

// listed is an address as the kernel lists it: in hexadecimal, words of 32 bits as this machine has them, then the port.
func listed(a netip.AddrPort, four bool) string {
	sixteen := a.Addr().As16()
	raw := sixteen[:]
	if four {
		raw = raw[12:]
	}
	var b strings.Builder
	for i := 0; i < len(raw); i += 4 {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(raw[i:]))
	}
	fmt.Fprintf(&b, ":%04X", a.Port())
	return b.String()
}

// ownerIn looks a connection up in one of the kernel's lists, which have a line for each socket: number, address of its own,
// address of the other end, state, queues, timers, retransmissions, user, probes, inode.
func ownerIn(file, local, remote string) (uid int, known bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }() // it was only read
	both := " " + local + " " + remote + " "
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if !strings.Contains(lines.Text(), both) {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[9] == "0" {
			return 0, false
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}
