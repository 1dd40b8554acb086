package origin

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Owner is the user of this machine whose program has sent a request to this process over loopback; false: the system does
// not tell, or the program has closed its connection. Such a connection may still be known to the kernel, without an inode. Then
// what it says of its owner means nothing.
func Owner(r *http.Request) (uid int, known bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return 0, false
	}
	to, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return 0, false
	}
	from, to = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s, err := diagnosed(from, to)
	switch {
	case err == nil:
		return s.uid, s.inode != 0
	case errors.Is(err, unix.ENOENT):
		return 0, false
	}
	// A kernel without sock_diag has lists.
	if from.Addr().Is4() {
		if uid, known = ownerIn("/proc/self/net/tcp", listed(from, true), listed(to, true)); known {
			return uid, true
		}
	}
	return ownerIn("/proc/self/net/tcp6", listed(from, false), listed(to, false))
}

// socket is what the kernel says of one.
type socket struct {
	uid   int
	inode uint32
}

// Sizes and places in the messages of sock_diag(7): a header, then struct inet_diag_req_v2, or struct inet_diag_msg.
const (
	diagHeader  = unix.SizeofNlMsghdr
	diagRequest = diagHeader + 56
	diagAnswer  = diagHeader + 72
	diagType    = 20 // SOCK_DIAG_BY_FAMILY
	diagSocket  = diagHeader + 8
	diagUID     = diagHeader + 64
)

// diagnosed asks the kernel for one connection, which takes no longer where there are many. ENOENT: it has none.
func diagnosed(local, remote netip.AddrPort) (s socket, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return s, err
	}
	defer func() { _ = unix.Close(fd) }() // nothing is left in it
	native, wire := binary.NativeEndian, binary.BigEndian
	m := make([]byte, diagRequest)
	native.PutUint32(m, diagRequest)
	native.PutUint16(m[4:], diagType)
	native.PutUint16(m[6:], unix.NLM_F_REQUEST)
	m[diagHeader], m[diagHeader+1] = unix.AF_INET, unix.IPPROTO_TCP
	if local.Addr().Is6() {
		m[diagHeader] = unix.AF_INET6
	}
	native.PutUint32(m[diagHeader+4:], ^uint32(0)) // in whatever state
	wire.PutUint16(m[diagSocket:], local.Port())
	wire.PutUint16(m[diagSocket+2:], remote.Port())
	copy(m[diagSocket+4:], local.Addr().AsSlice())
	copy(m[diagSocket+20:], remote.Addr().AsSlice())
	native.PutUint64(m[diagSocket+40:], ^uint64(0)) // the one that there is
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return s, err
	}
	answer := make([]byte, 2*diagAnswer)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	switch {
	case err != nil:
		return s, err
	case n >= diagHeader+4 && native.Uint16(answer[4:]) == unix.NLMSG_ERROR:
		return s, unix.Errno(-int32(native.Uint32(answer[diagHeader:])))
	case n < diagAnswer || native.Uint16(answer[4:]) != diagType:
		return s, fmt.Errorf("the kernel's answer about the connection of %s with %s cannot be read", local, remote)
	}
	return socket{int(native.Uint32(answer[diagUID:])), native.Uint32(answer[diagUID+4:])}, nil
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
