// Package brokertest runs real RabbitMQ brokers for tests, with the plugins that FATE needs. Each has ports, a folder and a port
// mapper of its own, so that nothing is left behind.
//
// A machine without rabbitmq-server fails the tests; tests/services/rabbitmq.sh installs it.
package brokertest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/sdk/httpclient"
	"openflow/temporal/loopback"
)

// patience is how long a broker may take to start on a busy machine.
const patience = 3 * time.Minute

// server is the broker of the package itself. The one in the path of Debian changes to a user of its own.
const server = "/usr/lib/rabbitmq/bin/rabbitmq-server"

var client = httpclient.New(httpclient.Options{})

// The account that may manage a broker.
const (
	User     = "site"
	Password = "of: the site"
)

// Broker is a running broker.
type Broker struct {
	Port       int // of AMQP, on loopback
	Management int // of HTTP
}

// Address is where its queues are.
func (b Broker) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Port)) }

// Start starts so many brokers at once, and waits until all answer. They end with the test.
func Start(tb testing.TB, n int) []Broker {
	tb.Helper()
	brokers, ready := make([]Broker, n), make([]func(), n)
	for i := range brokers {
		brokers[i], ready[i] = start(tb)
	}
	for _, wait := range ready {
		wait()
	}
	return brokers
}

// start starts a broker. ready waits until it answers.
func start(tb testing.TB) (b Broker, ready func()) {
	tb.Helper()
	ports, err := loopback.FreePorts(4, func(int) bool { return true })
	require.NoError(tb, err)
	b = Broker{Port: ports[0], Management: ports[1]}
	dir := tb.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	conf := fmt.Sprintf("listeners.tcp.local = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n"+
		"default_user = %s\ndefault_pass = %s\nloopback_users = none\nlog.console = false\n", b.Port, b.Management, User, Password)
	home := append(os.Environ(), "HOME="+dir, "ERL_EPMD_PORT="+strconv.Itoa(ports[3]), "ERL_EPMD_ADDRESS=127.0.0.1")
	run(tb, exec.Command("epmd", "-port", strconv.Itoa(ports[3]), "-address", "127.0.0.1"), home)
	log, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = log.Close() })
	cmd := exec.Command(server)
	cmd.Stdout, cmd.Stderr = log, log
	gone := run(tb, cmd, append(home,
		fmt.Sprintf("RABBITMQ_NODENAME=test%d@localhost", b.Port), "RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"), "RABBITMQ_CONFIG_FILE="+write("rabbitmq.conf", conf),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+write("plugins", "[rabbitmq_management,rabbitmq_federation,rabbitmq_federation_management].\n"),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(ports[2]), "RABBITMQ_GENERATED_CONFIG_DIR="+filepath.Join(dir, "generated"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"))
	said := func() string { text, _ := os.ReadFile(log.Name()); return string(text) }
	return b, func() {
		require.Eventually(tb, func() bool {
			select {
			case err := <-gone:
				require.NoError(tb, err, "the broker has ended: %s", said())
				tb.Fatalf("the broker has ended: %s", said())
			default:
			}
			r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/overview", b.Management), nil)
			require.NoError(tb, err)
			r.SetBasicAuth(User, Password)
			resp, err := client.Do(r)
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		}, patience, 50*time.Millisecond, "the broker does not answer")
	}
}

// run starts a program in a process group of its own, which ends with the test. What comes back tells that it has ended.
func run(tb testing.TB, cmd *exec.Cmd, env []string) <-chan error {
	tb.Helper()
	cmd.Env, cmd.SysProcAttr = env, &syscall.SysProcAttr{Setpgid: true}
	require.NoError(tb, cmd.Start(), "%s is missing: run `make services`", cmd.Path)
	gone := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		gone <- cmd.Wait()
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		<-ended
	})
	return gone
}
