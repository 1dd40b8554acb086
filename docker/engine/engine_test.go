package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
)

const patience = 3 * time.Minute

// testNetwork is shared by the tests that need no network of their own.
const testNetwork = "openflow-enginetest"

// requireDocker fails the test when no daemon answers: a suite that skips itself tests nothing where it matters.
func requireDocker(t testing.TB) {
	t.Helper()
	rt, err := engine.New(t.Context(), engine.Options{})
	require.NoError(t, err, "no Docker daemon: run tests/services/docker.sh")
	require.NoError(t, rt.Close())
}

// open connects as a node that has the given network; the network itself goes with the test that made it.
func open(t testing.TB, o engine.Options) *engine.Runtime {
	t.Helper()
	rt, err := engine.New(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close()) })
	return rt
}

// ownNetwork is a network name for one test; what the test leaves of it is removed.
func ownNetwork(t *testing.T) string {
	t.Helper()
	name := "openflow-test-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() { cleanUp(t, name) })
	return name
}

func cleanUp(t *testing.T, network string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rt, err := engine.New(ctx, engine.Options{Network: network})
	require.NoError(t, err)
	left, err := rt.List(ctx, nil)
	require.NoError(t, err)
	for _, c := range left {
		require.NoError(t, rt.Stop(ctx, c.Name, 0))
		require.NoError(t, rt.Remove(ctx, c.Name))
	}
	require.NoError(t, rt.RemoveNetwork(ctx))
	require.NoError(t, rt.Close())
}

var payload = sync.OnceValues(func() (image.Image, error) {
	binary, err := os.ReadFile(payloadPath)
	if err != nil {
		return image.Image{}, err
	}
	return image.Build(binary, image.Options{Labels: map[string]string{"org.openflow.test": "payload"}})
})

var payloadPath string

// loadPayload has the daemon hold the payload and returns its image ID.
func loadPayload(t testing.TB, rt *engine.Runtime) string {
	t.Helper()
	payloadPath = runtimetest.Build(t)
	img, err := payload()
	require.NoError(t, err)
	has, err := rt.HasImage(t.Context(), img.ID)
	require.NoError(t, err)
	if !has {
		id, err := rt.LoadImage(t.Context(), bytes.NewReader(img.Tar))
		require.NoError(t, err)
		require.Equal(t, img.ID, id, "the ID is the one computed from the bytes")
	}
	return img.ID
}

func TestConformance(t *testing.T) {
	requireDocker(t)
	t.Cleanup(func() { cleanUp(t, testNetwork) })
	rt := open(t, engine.Options{Network: testNetwork})
	runtimetest.Run(t, runtimetest.Harness{
		Open:           func(t *testing.T) driver.Runtime { return open(t, engine.Options{Network: testNetwork}) },
		Image:          loadPayload(t, rt),
		EnforcesMemory: true,
	})
}

// run runs a payload container to its end and returns its exit code and output.
func run(t *testing.T, rt *engine.Runtime, command ...string) (int, string) {
	t.Helper()
	s := spec(t, rt, command...)
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	st, err := rt.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	var stdout bytes.Buffer
	require.NoError(t, rt.Logs(t.Context(), s.Name, &stdout, &stdout))
	require.NoError(t, rt.Remove(t.Context(), s.Name))
	return st.ExitCode, strings.TrimSpace(stdout.String())
}

func spec(t *testing.T, rt *engine.Runtime, command ...string) driver.Spec {
	t.Helper()
	return driver.Spec{Name: "openflow-test-" + strings.ToLower(rand.Text()[:8]), Image: loadPayload(t, rt), Command: command}
}

func TestContainerIsConfined(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	for name, tc := range map[string]struct {
		command []string
		code    int
		output  string
	}{
		"runs as nobody":            {[]string{"status", "Uid"}, 0, "Uid 65534 65534 65534 65534"},
		"has no capabilities":       {[]string{"status", "CapBnd", "CapEff"}, 0, "CapEff 0000000000000000\nCapBnd 0000000000000000"},
		"can gain none":             {[]string{"status", "NoNewPrivs"}, 0, "NoNewPrivs 1"},
		"root is read-only":         {[]string{"write", "/x"}, 1, ""},
		"/tmp is writable":          {[]string{"write", "/tmp/x"}, 0, ""},
		"no way out":                {[]string{"dial", "192.0.2.1:80"}, 1, ""},
		"its own loopback is empty": {[]string{"dial", "127.0.0.1:22"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, output := run(t, rt, tc.command...)
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.output, output)
		})
	}
}

// listen serves on the gateway like the base layer and returns the port.
func listen(t *testing.T, at netip.Addr) int {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func TestBaseLayerIsAllOfTheHostThatAContainerReaches(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	gateway, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	base, other := listen(t, gateway), listen(t, netip.IPv4Unspecified())
	dial := func(host string, port int) int {
		code, _ := run(t, rt, "dial", fmt.Sprintf("%s:%d", host, port))
		return code
	}
	require.Equal(t, 0, dial(engine.HostAlias, base))
	require.Equal(t, 0, dial(gateway.String(), other), "docker alone leaves the host open")
	open, err := rt.Reachable(t.Context(), base)
	require.NoError(t, err)
	require.Contains(t, open, fmt.Sprintf("tcp [::]:%d", other))
	require.NotContains(t, open, fmt.Sprintf("tcp %s:%d", gateway, base))

	err = rt.FirewallBase(t.Context(), base)
	if os.Geteuid() != 0 {
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
		return
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.RemoveFirewall(context.Background())) })
	require.NoError(t, rt.FirewallBase(t.Context(), base), "again is the same")
	require.NoError(t, rt.Firewalled(t.Context(), base))
	require.ErrorContains(t, rt.Firewalled(t.Context(), other), "changed its rules")
	const admitted = "203.0.113.77/32" // nobody; the rule could name anybody
	command(t, "iptables", "-w", "-I", "INPUT", "-s", admitted, "-j", "ACCEPT")
	t.Cleanup(func() {
		require.NoError(t, exec.CommandContext(context.Background(), "iptables", "-w", "-D", "INPUT", "-s", admitted, "-j", "ACCEPT").Run())
	})
	require.ErrorContains(t, rt.Firewalled(t.Context(), base), admitted)
	require.NoError(t, rt.FirewallBase(t.Context(), base))
	require.NoError(t, rt.Firewalled(t.Context(), base), "comes first again")
	require.Equal(t, 0, dial(engine.HostAlias, base))
	require.Equal(t, 1, dial(gateway.String(), other))
	require.NoError(t, rt.FirewallBase(t.Context(), other), "another port replaces the first")
	require.Equal(t, 0, dial(gateway.String(), other))
	require.Equal(t, 1, dial(gateway.String(), base))
	require.NoError(t, rt.RemoveFirewall(t.Context()))
	require.NoError(t, rt.RemoveFirewall(t.Context()))
	require.Equal(t, 0, dial(gateway.String(), base))
	require.Error(t, rt.Firewalled(t.Context(), base), "somebody has flushed the rules")
	release, api, err := rt.Version(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, release)
	require.Regexp(t, `^\d+\.\d+$`, api)
}

func TestNetworkOfAnotherKindIsRefused(t *testing.T) {
	requireDocker(t)
	name := ownNetwork(t)
	_, err := open(t, engine.Options{Network: name}).Gateway(t.Context())
	require.NoError(t, err)
	_, err = open(t, engine.Options{Network: name, Subnet: netip.MustParsePrefix("10.78.0.0/24")}).Gateway(t.Context())
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	_, err = open(t, engine.Options{Network: "bridge"}).Gateway(t.Context())
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "docker's own network isolates nothing")
}

func TestSubnetIsKept(t *testing.T) {
	requireDocker(t)
	name, subnet := ownNetwork(t), netip.MustParsePrefix("10.78.9.0/28")
	gateway, err := open(t, engine.Options{Network: name, Subnet: subnet}).Gateway(t.Context())
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("10.78.9.1"), gateway)
	again, err := open(t, engine.Options{Network: name}).Gateway(t.Context())
	require.NoError(t, err)
	require.Equal(t, gateway, again, "a restarted node finds what it had")
}

// TestNetworkPruned loses the network between create and start, as "docker network prune" does: a created container
// does not protect it.
func TestNetworkPruned(t *testing.T) {
	requireDocker(t)
	name := ownNetwork(t)
	rt := open(t, engine.Options{Network: name})
	before, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	s := spec(t, rt, "exit", "6")
	_, err = rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, open(t, engine.Options{Network: name}).RemoveNetwork(t.Context()))

	require.NoError(t, rt.Start(t.Context(), s.Name))
	st, err := rt.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	require.Equal(t, 6, st.ExitCode)
	after, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestNodesOnOneDaemonDoNotMix(t *testing.T) {
	requireDocker(t)
	one, two := open(t, engine.Options{Network: ownNetwork(t)}), open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, one, "exit", "0")
	_, err := one.Ensure(t.Context(), s)
	require.NoError(t, err)
	_, err = two.Ensure(t.Context(), s)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	list, err := two.List(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, list)
	list, err = one.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list, 1)

	gateway1, err := one.Gateway(t.Context())
	require.NoError(t, err)
	gateway2, err := two.Gateway(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, gateway1, gateway2)
}

func TestImages(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, rt, "exit", "0")
	s.Image = "sha256:" + strings.Repeat("0", 64)
	_, err := rt.Ensure(t.Context(), s)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	has, err := rt.HasImage(t.Context(), s.Image)
	require.NoError(t, err)
	require.False(t, has)

	for _, name := range []string{"UPPER", "a//b", "a/../b", "a b"} {
		_, err = rt.Image(t.Context(), name)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "is not the name of an image (write NAME:TAG")
	}

	binary, err := os.ReadFile(payloadPath)
	require.NoError(t, err)
	img, err := image.Build(append(binary, rand.Text()...), image.Options{Tag: "openflow-test:latest", Path: "/opt/payload"})
	require.NoError(t, err)
	for range 2 {
		id, err := rt.LoadImage(t.Context(), bytes.NewReader(img.Tar))
		require.NoError(t, err)
		require.Equal(t, img.ID, id)
	}
	has, err = rt.HasImage(t.Context(), "openflow-test:latest")
	require.NoError(t, err)
	require.True(t, has)
	require.NoError(t, rt.RemoveImage(t.Context(), "openflow-test:latest"))
	require.NoError(t, rt.RemoveImage(t.Context(), "openflow-test:latest"))

	_, err = rt.LoadImage(t.Context(), strings.NewReader("not an archive"))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}

func TestNewWithoutDaemon(t *testing.T) {
	_, err := engine.New(t.Context(), engine.Options{Host: "unix://" + t.TempDir() + "/none.sock"})
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	_, err = engine.New(t.Context(), engine.Options{Host: "not a host"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	_, err = engine.New(t.Context(), engine.Options{Subnet: netip.MustParsePrefix("10.77.0.1/24")})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}

// BenchmarkRun is create → start → exit known, of a program that does nothing.
func BenchmarkRun(b *testing.B) {
	requireDocker(b)
	rt := open(b, engine.Options{Network: testNetwork})
	s := driver.Spec{Name: "openflow-bench", Image: loadPayload(b, rt), Command: []string{"exit", "0"}}
	_, err := rt.Gateway(b.Context())
	require.NoError(b, err)
	var created, started, ended, lag time.Duration
	for b.Loop() {
		begin := time.Now()
		_, err := rt.Ensure(b.Context(), s)
		require.NoError(b, err)
		created += time.Since(begin)
		require.NoError(b, rt.Start(b.Context(), s.Name))
		started += time.Since(begin)
		_, err = rt.Wait(b.Context(), s.Name)
		require.NoError(b, err)
		ended += time.Since(begin)
		known := time.Now()
		st, err := rt.Inspect(b.Context(), s.Name)
		require.NoError(b, err)
		lag += known.Sub(st.Finished)
		require.NoError(b, rt.Remove(b.Context(), s.Name))
	}
	for unit, d := range map[string]time.Duration{"created-ms": created, "started-ms": started, "exit-known-ms": ended, "exit-to-known-ms": lag} {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), unit)
	}
	require.NoError(b, rt.RemoveNetwork(b.Context()))
}
