package loopback_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/temporal/loopback"
)

func TestFreePorts(t *testing.T) {
	asked := map[int]bool{}
	ports, err := loopback.FreePorts(20, func(port int) bool {
		again := asked[port]
		asked[port] = true
		return !again && port%2 == 0
	})
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		require.Zero(t, p%2, "it suits")
		require.False(t, seen[p])
		seen[p] = true
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		require.NoError(t, err, "it is free")
		require.NoError(t, l.Close())
	}
	_, err = loopback.FreePorts(1, func(int) bool { return false })
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
}
