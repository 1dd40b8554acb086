package e2e_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/tests/env"
)

// refusal runs the node's binary until it ends by itself and returns its exit code and last words.
func refusal(t *testing.T, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	cmd := run(t, args...)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		require.NoError(t, cmd.Process.Kill())
		<-done
		t.Fatalf("openflow %s did not refuse: %s", strings.Join(args, " "), out)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// What cannot work is said at the start, in one line with the way out, and nothing is harmed.
func TestStartRefuses(t *testing.T) {
	list := sites(t, "process", "9999", "10000")
	running, other := list["9999"], list["10000"]
	running.start(t)

	with := func(s *site, changes ...string) []string {
		args := append([]string{}, s.args...)
		for i := 0; i < len(changes); i += 2 {
			for j := range args {
				if args[j] == changes[i] {
					args[j+1] = changes[i+1]
				}
			}
		}
		return args
	}
	newer := filepath.Join(t.TempDir(), "newer")
	require.NoError(t, os.Mkdir(newer, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(newer, "home.json"), []byte(`{"format":99,"node":"x","party":"10000"}`), 0o600))
	damaged := filepath.Join(t.TempDir(), "damaged")
	require.NoError(t, os.Mkdir(damaged, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "home.json"), []byte(`{"form`), 0o600))
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o755))
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	config := filepath.Join(t.TempDir(), "node.yaml")
	require.NoError(t, os.WriteFile(config, []byte("party: \"10000\"\nlissten: 127.0.0.1:1\n"), 0o600))

	const usage, failed = 2, 1
	cases := map[string]struct {
		args []string
		code int
		says []string
	}{
		"a second server on the home": {with(running, "--listen", "127.0.0.1:0"), failed, []string{"another node runs on home", running.home, "--home"}},
		"the port is taken":           {with(other, "--listen", taken.Addr().String()), failed, []string{taken.Addr().String(), "in use"}},
		"a newer home":                {with(other, "--home", newer), failed, []string{"newer version", "99", newer}},
		"a damaged home":              {with(other, "--home", damaged), usage, []string{"home.json is damaged", damaged}},
		"a home open to others":       {with(other, "--home", open), usage, []string{"open to other users", "chmod 700"}},
		"another party's home":        {with(other, "--home", other.home, "--party", "777"), failed, nil},
		"no party":                    {[]string{"server", "--home", other.home}, usage, []string{"--party is missing"}},
		"a party that is a path":      {with(other, "--party", "../etc"), usage, []string{"../etc", "not a valid name"}},
		"an unknown flag":             {append(with(other), "--moon", "full"), usage, []string{"--moon"}},
		"an unknown runtime":          {with(other, "--runtime", "vm"), usage, []string{`"vm"`, "docker or process"}},
		"no components":               {with(other, "--components", "/nowhere/openflow-components"), usage, []string{"/nowhere/openflow-components", "make build"}},
		"a peer without key":          {append(with(other), "--peer", "777=http://127.0.0.1:1"), usage, []string{"ID=URL,KEY", "openflow site key"}},
		"a peer with a bad key":       {append(with(other), "--peer", "777=http://127.0.0.1:1,ed25519:xyz"), usage, []string{"key"}},
		"itself as a peer":            {append(with(other), "--peer", strings.Replace(running.peer(), "9999=", "10000=", 1)), usage, []string{"is this node itself"}},
		"open to the network without a token": {
			with(other, "--listen", "0.0.0.0:0"), usage, []string{"open to everybody", "--token"},
		},
		"an unknown key in the file": {[]string{"server", "--config", config}, usage, []string{config, `"lissten"`}},
		"jobs kept too short":        {append(with(other), "--keep-jobs", "1s"), usage, []string{"--keep-jobs"}},
		"no time":                    {append(with(other), "--keep-logs", "1 week"), usage, []string{"--keep-logs"}},
		"no cores":                   {append(with(other), "--cores", "-1"), usage, []string{`"-1"`, "--cores", "whole number"}},
		"no amount of memory":        {append(with(other), "--memory", "4gigs"), usage, []string{"--memory", `"4gigs"`, "4GiB"}},
		"no memory":                  {append(with(other), "--job-memory", "0"), usage, []string{"--job-memory", "0 is not enough"}},
		"less than no GPU":           {append(with(other), "--gpus", "-2"), usage, []string{"--gpus -2", "-1 means"}},
	}
	// 777 is not this home's party only once the home has one.
	other.start(t)
	other.term(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out := refusal(t, c.args...)
			require.Equal(t, c.code, code, out)
			for _, s := range c.says {
				require.Contains(t, out, s)
			}
			require.LessOrEqual(t, strings.Count(out, "\n"), 3, "one message: %s", out)
			require.NotContains(t, out, "goroutine")
		})
	}
	t.Run("the running node has not noticed", func(t *testing.T) {
		var about map[string]json.RawMessage
		running.as(t).OK(running.as(t).Get("/openflow/v1/user/server/about"), &about)
		require.JSONEq(t, `"9999"`, string(about["party_id"]))
	})
}
