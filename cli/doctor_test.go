package cli_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/site/trust"
)

func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

// healthy is a node that nothing is wrong with.
func healthy() map[string]string {
	return map[string]string{
		"GET /healthz": "!ok\n", "GET /readyz": "!ok\n",
		"GET /openflow/v1/user/server/about":  `{"party_id":"9999","version":"v1","runtime":"process"}`,
		"GET /openflow/v1/user/server/doctor": `[{"name":"keys 10000","status":"ok","detail":"each side takes the other's signature"}]`,
	}
}

func home(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	_, err := trust.LoadOrCreateKey(dir)
	require.NoError(t, err)
	return dir
}

func TestDoctor(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, f *fake, home string)
		code  int
		finds string // a line's status, name and a word of it
	}{
		"all is well": {nil, 0, "ok|keys 10000|signature"},
		"another version": {func(_ *testing.T, f *fake, _ string) {
			f.answers["GET /openflow/v1/user/server/about"] = `{"version":"v2","runtime":"process"}`
		}, 0, "warn|version|v2"},
		"clock far off": {func(_ *testing.T, f *fake, _ string) {
			f.header = http.Header{"Date": {time.Now().Add(-2 * time.Minute).UTC().Format(http.TimeFormat)}}
		}, 1, "FAIL|clock|apart"},
		"clock somewhat off": {func(_ *testing.T, f *fake, _ string) {
			f.header = http.Header{"Date": {time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)}}
		}, 0, "warn|clock|apart"},
		"the node finds something": {func(_ *testing.T, f *fake, _ string) {
			f.answers["GET /openflow/v1/user/server/doctor"] = `[{"name":"disk","status":"FAIL","detail":"1 MiB are free","remedy":"free space"}]`
		}, 1, "FAIL|disk|1 MiB"},
		"the node warns": {func(_ *testing.T, f *fake, _ string) {
			f.answers["GET /openflow/v1/user/server/doctor"] = `[{"name":"network","status":"warn","detail":"containers reach tcp 0.0.0.0:22","remedy":"close it"}]`
		}, 0, "warn|network|0.0.0.0:22"},
		"an older node": {func(_ *testing.T, f *fake, _ string) { delete(f.answers, "GET /openflow/v1/user/server/doctor") }, 1, "FAIL|doctor|no route"},
		"daemon away":   {func(_ *testing.T, f *fake, _ string) { delete(f.answers, "GET /openflow/v1/user/server/doctor") }, 1, "warn|docker|docker"},
		"token is wrong": {func(_ *testing.T, f *fake, _ string) {
			f.answers["GET /openflow/v1/user/server/about"] = `!{"code":5003,"message":"this node needs a token"}`
		}, 1, "FAIL|about|token"},
		"home is open": {func(t *testing.T, _ *fake, home string) { require.NoError(t, os.Chmod(home, 0o755)) }, 1, "FAIL|home|0755"},
		"key is open": {func(t *testing.T, _ *fake, home string) {
			require.NoError(t, os.Chmod(filepath.Join(home, "node.key"), 0o644))
		}, 1, "FAIL|secrets|0644"},
		"home is missing": {func(t *testing.T, _ *fake, home string) { require.NoError(t, os.RemoveAll(home)) }, 1, "FAIL|home|no such file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
			f, url := newFake(t, healthy())
			dir := home(t)
			if c.spoil != nil {
				c.spoil(t, f, dir)
			}
			r := run(t, "doctor", "--node", url, "--home", dir, "-o", "json")
			require.Equal(t, c.code, r.code, r.stdout+r.stderr)
			doc, ok := r.document(t).(map[string]any)
			require.True(t, ok)
			require.Equal(t, c.code == 0, doc["ok"])
			require.True(t, found(doc["checks"], strings.Split(c.finds, "|")), r.stdout)
		})
	}
}

func found(checks any, want []string) bool {
	list, _ := checks.([]any)
	for _, item := range list {
		c, _ := item.(map[string]any)
		detail, _ := c["detail"].(string)
		if c["status"] == want[0] && c["name"] == want[1] && strings.Contains(detail, want[2]) {
			return true
		}
	}
	return false
}

func TestDoctorWithoutANode(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("OPENFLOW_HOME", "")
	r := run(t, "doctor", "--node", "http://127.0.0.1:1")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.stdout, "FAIL  node")
	require.Contains(t, r.stdout, "→ start it with openflow server")
	require.Contains(t, r.stdout, "warn  home", "a home that was not named may be elsewhere")
	require.NoDirExists(t, filepath.Join(os.Getenv("HOME"), ".openflow"), "looking makes nothing")
}
