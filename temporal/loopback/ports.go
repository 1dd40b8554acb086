// Package loopback finds ports for servers that are told theirs before they start, as those of demos and tests are.
package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"

	"openflow"
)

// Ports of servers come from below the range that the kernel gives to outgoing connections, so that a server that
// restarts finds its own free again.
const (
	firstPort = 20000
	lastPort  = 31999
)

// FreePorts finds n free ports of loopback, of those that suit; nil: all do. They are free when it returns, and somebody
// else may still be faster. CodeExhausted: there are not so many.
func FreePorts(n int, suits func(port int) bool) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // held until all are found, so that none is given twice
		if suits != nil && !suits(port) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, openflow.Errorf(openflow.CodeExhausted, "this machine has no %d free ports between %d and %d", n, firstPort, lastPort)
}
