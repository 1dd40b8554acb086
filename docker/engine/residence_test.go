package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/residence"
)

// resident starts a container, and waits until it has said that it is ready.
func resident(t *testing.T, rt *engine.Runtime, command ...string) string {
	t.Helper()
	s := spec(t, rt, command...)
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	return s.Name
}

func ready(t *testing.T, rt *engine.Runtime, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var said bytes.Buffer
		require.NoError(t, rt.Logs(t.Context(), name, &said, io.Discard))
		return strings.Contains(said.String(), "ready")
	}, patience, 10*time.Millisecond)
}

// A node calls its containers, and they call nobody: also not on a connection that was there before the rules.
func TestANodeReachesItsContainers(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	gateway, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(gateway.String(), "0"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	resident(t, rt, "chat", l.Addr().String())
	chat, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = chat.Close() })
	_, err = chat.Read(make([]byte, 1))
	require.NoError(t, err, "without rules, a container talks to whatever listens")

	if os.Geteuid() == 0 {
		require.NoError(t, rt.FirewallBase(t.Context(), 4711))
		t.Cleanup(func() { require.NoError(t, rt.RemoveFirewall(context.Background())) })
		require.NoError(t, rt.Firewalled(t.Context(), 4711))
		require.Eventually(t, func() bool {
			require.NoError(t, chat.SetReadDeadline(time.Now().Add(time.Second)))
			_, err := chat.Read(make([]byte, 64<<10))
			return errors.Is(err, os.ErrDeadlineExceeded)
		}, patience, time.Millisecond, "what it says is heard no more, and it says something every moment")
	}

	name := resident(t, rt, "listen", "8080")
	ready(t, rt, name)
	at, err := rt.Reach(t.Context(), name, 8080)
	require.NoError(t, err)
	conn, err := net.DialTimeout("tcp", at, patience)
	require.NoError(t, err)
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Equal(t, "hello\n", string(said))
	code, _ := run(t, rt, "dial", at)
	require.Equal(t, 1, code, "another container does not reach it")

	other := open(t, engine.Options{Network: ownNetwork(t)})
	_, err = other.Reach(t.Context(), name, 8080)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "it is another node's")
	_, err = other.Execute(t.Context(), name, []string{"x"}, 10)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestExecute(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, rt, "hang")
	s.Env = []string{residence.Address + "=0.0.0.0:8080", residence.Key + "=secret", "MODEL=/opt/m"}
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	name := s.Name
	ready(t, rt, name)
	seen, err := rt.Execute(t.Context(), name, []string{image.DefaultPath, "env"}, 4<<10)
	require.NoError(t, err)
	require.Contains(t, string(seen.Text), "MODEL=/opt/m\n")
	require.NotContains(t, string(seen.Text), "secret", "a run of the container can read what a command there was started with")
	require.NotContains(t, string(seen.Text), "8080")
	program := image.DefaultPath
	for label, tc := range map[string]struct {
		command []string
		code    int
		says    string
		tooMuch bool
	}{
		"it ends":          {[]string{program, "exit", "7"}, 7, "", false},
		"it answers":       {[]string{program, "args", "a", "b"}, 0, "a\nb\n", false},
		"as nobody":        {[]string{program, "status", "Uid", "CapEff"}, 0, "Uid 65534 65534 65534 65534\nCapEff 0000000000000000\n", false},
		"it says too much": {[]string{program, "print", "100000"}, 0, "", true},
	} {
		t.Run(label, func(t *testing.T) {
			answer, err := rt.Execute(t.Context(), name, tc.command, 200)
			require.NoError(t, err)
			require.Equal(t, tc.tooMuch, answer.TooMuch)
			if !tc.tooMuch {
				require.Equal(t, tc.code, answer.ExitCode)
				require.Equal(t, tc.says, string(answer.Text))
			}
			require.LessOrEqual(t, len(answer.Text), 200)
			require.LessOrEqual(t, len(answer.Complaint), 2<<10)
		})
	}
	answer, err := rt.Execute(t.Context(), name, []string{"/no/such"}, 200)
	require.NoError(t, err)
	require.Contains(t, []int{126, 127}, answer.ExitCode, "as of a program that cannot run")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = rt.Execute(ctx, name, []string{program, "stubborn"}, 200)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, rt.Stop(t.Context(), name, 0))
	_, err = rt.Execute(t.Context(), name, []string{program, "exit", "0"}, 200)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
}
