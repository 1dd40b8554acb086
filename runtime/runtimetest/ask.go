package runtimetest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// testAsk holds that a program is asked apart from everything, and that nothing of it stays.
func testAsk(ctx context.Context, t *testing.T, h driver.Host, image string, isolates bool) {
	t.Helper()
	t.Setenv("OPENFLOW_OF_THE_NODE", "secret")
	ask := func(command ...string) driver.Answer {
		t.Helper()
		answer, err := h.Ask(ctx, driver.Question{Image: image, Command: command, Most: 1 << 10})
		require.NoError(t, err)
		return answer
	}
	said := ask("args", "a", "b")
	require.Equal(t, "a\nb\n", string(said.Text))
	require.Zero(t, said.ExitCode)
	require.False(t, said.TooMuch)
	require.Equal(t, 7, ask("exit", "7").ExitCode, "how a program ends is no error")
	said = ask("print", "1")
	require.Equal(t, []string{"out 0\n", "err 0\n"}, []string{string(said.Text), string(said.Complaint)})
	require.True(t, ask("print", "1000000").TooMuch, "it says more than it may")
	require.NotContains(t, string(ask("env").Text), "secret", "nothing of the node's environment")

	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := h.Ask(limited, driver.Question{Image: image, Command: []string{"stubborn"}, Most: 1 << 10})
	require.ErrorIs(t, err, context.DeadlineExceeded, "it ends with the patience of who asks")
	left, err := h.List(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, left, "what is asked is no container of the node's")
	if !isolates {
		return
	}
	key := filepath.Join(t.TempDir(), "node.key")
	require.NoError(t, os.WriteFile(key, []byte("secret"), 0o644)) //nolint:gosec // anybody on this machine may read it
	require.NotZero(t, ask("read", key).ExitCode, "no file of this machine")
	require.NotZero(t, ask("write", "/x").ExitCode)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	gateway, err := h.Gateway(ctx)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", gateway.Listen} {
		require.NotZero(t, ask("dial", net.JoinHostPort(host, port)).ExitCode, "no network: %s", host)
	}
}
