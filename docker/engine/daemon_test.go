package engine_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// wire stands between the runtime and the daemon and can be cut, which is what a killed daemon looks like from here.
type wire struct {
	at string // unix socket
	t  *testing.T

	mu       sync.Mutex
	listener net.Listener // nil: cut
	conns    []net.Conn
}

func newWire(t *testing.T) *wire {
	w := &wire{at: filepath.Join(t.TempDir(), "docker.sock"), t: t}
	w.mend()
	t.Cleanup(w.cut)
	return w
}

func (w *wire) host() string { return "unix://" + w.at }

func (w *wire) mend() {
	l, err := net.Listen("unix", w.at)
	require.NoError(w.t, err)
	w.mu.Lock()
	w.listener = l
	w.mu.Unlock()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // cut
			}
			far, err := net.Dial("unix", strings.TrimPrefix(client.DefaultDockerHost, "unix://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			if w.listener != l { // cut meanwhile
				_, _ = near.Close(), far.Close()
			} else {
				w.conns = append(w.conns, near, far)
			}
			w.mu.Unlock()
			for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
				go func() {
					_, _ = io.Copy(to, from) // ends with either side
					_ = to.Close()
				}()
			}
		}
	}()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener == nil {
		return
	}
	_ = w.listener.Close()
	w.listener = nil
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func TestWaitOutlivesTheDaemon(t *testing.T) {
	requireDocker(t)
	for name, endsMeanwhile := range map[string]bool{"program runs on": false, "program ends meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			network, w, noticed := ownNetwork(t), newWire(t), make(chan struct{}, 1)
			rt := open(t, engine.Options{Host: w.host(), Network: network, Logger: slog.New(notice{noticed})})
			direct := open(t, engine.Options{Network: network})
			s := spec(t, direct, "hang")
			_, err := rt.Ensure(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context(), s.Name))
			begun(t, direct, s.Name)

			type result struct {
				st  driver.Status
				err error
			}
			done := make(chan result, 1)
			go func() {
				st, err := rt.Wait(t.Context(), s.Name)
				done <- result{st, err}
			}()
			// A wait that has not begun yet finds the daemon away at once, which is as good.
			w.cut()
			<-noticed
			_, err = rt.Inspect(t.Context(), s.Name)
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
			if endsMeanwhile {
				require.NoError(t, direct.Stop(t.Context(), s.Name, patience))
				w.mend()
			} else {
				w.mend()
				require.NoError(t, direct.Stop(t.Context(), s.Name, patience))
			}
			r := <-done
			require.NoError(t, r.err)
			require.Equal(t, 143, r.st.ExitCode)
			require.False(t, rt.Heard(t.Context(), s.Name), "what was written while the daemon was away has not been heard")
			stdout, _ := logs(t, rt, s.Name)
			require.Equal(t, "ready\n", stdout)
		})
	}
}

// notice is a log handler that tells of the first warning.
type notice struct{ ch chan<- struct{} }

func (n notice) Enabled(context.Context, slog.Level) bool { return true }
func (n notice) WithAttrs([]slog.Attr) slog.Handler       { return n }
func (n notice) WithGroup(string) slog.Handler            { return n }
func (n notice) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		select {
		case n.ch <- struct{}{}:
		default:
		}
	}
	return nil
}

func TestWaitForAnAbsentDaemonEndsWithItsContext(t *testing.T) {
	requireDocker(t)
	w := newWire(t)
	rt := open(t, engine.Options{Host: w.host(), Network: "openflow-absent"})
	w.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := rt.Wait(ctx, "openflow-absent")
	require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err))
}

func TestLimitsReachTheDaemon(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, rt, "exit", "0")
	s.Limits = driver.Limits{CPUs: 1.5, MemoryBytes: 64 << 20, PIDs: 32}
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	c := inspected(t, s.Name)
	got := c.Container.HostConfig.Resources
	require.Equal(t, int64(1_500_000_000), got.NanoCPUs)
	require.Equal(t, int64(64<<20), got.Memory)
	require.Equal(t, got.Memory, got.MemorySwap)
	require.Equal(t, int64(32), *got.PidsLimit)
	require.False(t, c.Container.HostConfig.AutoRemove)
}

// inspected is what the daemon says of a container.
func inspected(t *testing.T, name string) client.ContainerInspectResult {
	t.Helper()
	api, err := client.New(client.WithHostFromEnv())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, api.Close()) })
	_, err = api.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	require.NoError(t, err)
	c, err := api.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	require.NoError(t, err)
	return c
}

// No machine of ours has a GPU. What reaches the daemon can be seen all the same, and so can its refusal.
func TestGPUsReachTheDaemonWhichRefusesThem(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, rt, "exit", "0")
	s.Limits.GPUs = []string{"1", "3"}
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	c := inspected(t, s.Name)
	require.Len(t, c.Container.HostConfig.DeviceRequests, 1)
	got := c.Container.HostConfig.DeviceRequests[0]
	require.Equal(t, []string{"1", "3"}, got.DeviceIDs, "these and no others")
	require.Equal(t, [][]string{{"gpu"}}, got.Capabilities)
	require.Zero(t, got.Count)

	err = rt.Start(t.Context(), s.Name)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "no retry can help: %v", err)
	require.ErrorContains(t, err, "can give no GPU to containers")
	var e *openflow.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Hint, "--gpus 0")
}

// TestNameGivenAway is about what a Runtime remembers of its launches: another process has removed the container and
// made one of the same name, and its events must not be mistaken for those of the first.
func TestNameGivenAway(t *testing.T) {
	requireDocker(t)
	network := ownNetwork(t)
	mine, other := open(t, engine.Options{Network: network}), open(t, engine.Options{Network: network})
	s := spec(t, mine, "exit", "1")
	_, err := mine.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, mine.Start(t.Context(), s.Name))
	_, err = other.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	require.NoError(t, other.Remove(t.Context(), s.Name))
	s.Command = []string{"exit", "2"}
	_, err = other.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, other.Start(t.Context(), s.Name))

	_, err = mine.Ensure(t.Context(), s)
	require.NoError(t, err)
	st, err := mine.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	require.Equal(t, 2, st.ExitCode)
}
