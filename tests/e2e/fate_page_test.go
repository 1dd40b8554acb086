package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/sdk/wire"
	"openflow/tests/env"
	"openflow/tests/fatesite"
)

// A site does what docs/fate.md says, in its order. Only folders, addresses and the partner are this test's own: a stand-in of a FATE
// site. Tasks run as processes.
func TestPageForFATE(t *testing.T) {
	page, err := os.ReadFile("../../docs/fate.md")
	require.NoError(t, err)
	commands := slices.DeleteFunc(commandsOf(string(page)), func(c string) bool { return strings.HasPrefix(c, "flow ") })
	ports, dir := env.Ports(t, 5), t.TempDir()
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", ports[n]) }
	theirs := fatesite.New(t, fatesite.Options{Party: "10000", Round: 100 * time.Millisecond})
	theirs.Reach("9999", "http://"+at(2))
	r := &reader{t: t, dir: dir, places: strings.NewReplacer(
		"/var/lib/openflow", filepath.Join(dir, "home"), "127.0.0.1:9380", at(0), "0.0.0.0:9380", at(0), "0.0.0.0:9390", at(1), "0.0.0.0:9392", at(2),
		"http://10.0.0.2:9380", theirs.URL, "10.0.0.2", "127.0.0.1", "/opt/fate/python", env.SmallFATE(t), "/opt/fate/venv/bin/python", env.Interpreter,
		"--name fate", "--name smallfate", "https://NODE:9380", "https://"+at(0), "users.pem", filepath.Join(dir, "home", "users.pem"),
		"node.token", filepath.Join(dir, "home", "api.token"), "127.0.0.1:9381", at(3),
	)}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "theirs.token"), []byte("aB3dE5gH7jK9mN1p"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "people.csv"), []byte("id,y,x0\n1,0,0.5\n2,1,0.25\n"), 0o600))
	more := []string{"--runtime", "process", "--components", env.Components(t), "--log-level", "warn", "--trust-provider", "smallfate"}
	find := func(verb string) string {
		i := slices.IndexFunc(commands, func(c string) bool { return strings.HasPrefix(c, "bin/openflow "+verb) })
		require.GreaterOrEqual(t, i, 0, "the page has no openflow %s", verb)
		return commands[i]
	}
	server := find("server --party")
	r.start(server, more...)
	r.do("bin/openflow data upload people.csv --namespace ns --name people --match id --label y")
	ask := func(url string) wire.Envelope {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		var e wire.Envelope
		require.NoErrorf(t, json.Unmarshal(text, &e), "%s", text)
		return e
	}
	require.Zero(t, ask("http://"+at(0)+"/v2/site/info/query").Code, "FATE's client on the node's machine")

	var app string
	for _, command := range commands {
		verb := strings.Join(strings.Fields(command)[1:3], " ")
		switch verb {
		case "server --party", "server …", "connect https://NODE:9380":
			continue
		}
		said := r.do(command)
		switch {
		case verb == "app add":
			app = said
			require.Contains(t, app, "app")
		case verb == "app list":
			require.Contains(t, said, "portal")
		case verb == "site check":
			require.NotContains(t, said, "FAIL")
		case verb == "doctor --home":
			require.NotContains(t, said, "FAIL")
		case verb == "provider register":
			require.Contains(t, said, "smallfate")
		}
	}
	require.NotEmpty(t, app)

	first := r.running[0]
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	env.WaitUntil(t, env.Patience, "the node has stopped", func() (bool, string) { return syscall.Kill(first.Process.Pid, 0) != nil, "it runs" })
	r.start(server+strings.TrimPrefix(find("server …"), "bin/openflow server …")+" --tls", more...)
	r.startUntil(at(3), find("connect"))
	require.Zero(t, ask("http://"+at(3)+"/v2/site/info/query").Code, "FATE's client on another machine")
}
