package embedded

import (
	"net"

	"openflow"
)

const loopback = "127.0.0.1"

// portChooser returns n distinct loopback ports that are free.
type portChooser func(n int) ([]int, error)

// freePorts is the portChooser of production. All listeners are open before the first one closes, since the kernel
// would otherwise give one port twice. Somebody else may still take a port before the server binds it: see launch.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeExhausted, "loopback port for the embedded temporal server: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
