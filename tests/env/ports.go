package env

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ports come from below the range that the kernel takes outgoing ports from, so that a node that restarts finds its
// own free again.
const (
	firstPort = 20000
	lastPort  = 31999
)

// Ports finds n free ports of loopback. They are free when it returns; somebody else may still be faster.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer func() { require.NoError(t, l.Close()) }() // held until all are found, so that none is given twice
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("no %d free ports between %d and %d", n, firstPort, lastPort)
	return nil
}
