package env

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"openflow/temporal/loopback"
)

// Ports finds n free ports of loopback. Until this process ends no other test of this machine gets one of them, also
// while nobody listens there, as while a node restarts.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	ports, err := loopback.FreePorts(n, reserve)
	require.NoError(t, err)
	return ports
}

// reserved are the locks of the ports that this process has been given: a file whose last reference goes is closed.
var reserved struct {
	sync.Mutex
	locks []*os.File
}

// reserve locks a port for this process; false: a test has it.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), "openflow-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return false
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		_ = f.Close() // it was only to be locked
		return false
	}
	reserved.Lock()
	defer reserved.Unlock()
	reserved.locks = append(reserved.locks, f)
	return true
}
