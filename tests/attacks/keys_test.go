package attacks_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// nobodysID is a user of this machine that is neither root nor the node's.
const nobodysID = 65534

// A key with which a signature by anybody is good for everything is not taken as a peer's, from no side.
func TestKeyOfSmallOrder(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000", "0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		raw, err := hex.DecodeString(text)
		require.NoError(t, err)
		key := "ed25519:" + base64.RawURLEncoding.EncodeToString(raw)
		for path, party := range map[string]string{"/openflow/v1/user/site/add": "777", "/openflow/v1/user/site/rotate": "10000"} {
			err := user.Post(path, map[string]string{"party_id": party, "url": "http://127.0.0.1:1", "key": key}).Err()
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%s %s: %v", path, text, err)
			require.ErrorContains(t, err, "prove", "%s %s", path, text)
		}
	}
}

// A token in an address is not taken, by no page, and does not come into the log.
func TestTokenInAnAddress(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Token(), env.UI())
	token, err := trust.LoadOrCreateToken(e.Home("9999"))
	require.NoError(t, err)
	for page, refusal := range map[string]string{
		"/v2/job/query": `"code":5003`, "/openflow/v1/user/server/about": `"unauthorized"`, "/metrics": "not taken", "/temporal/": "not taken",
		"/debug/pprof/heap": "no route", "/sign-in": "<form",
	} {
		resp, err := http.Get(e.URL("9999") + page + "?token=" + token)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(text), refusal, page)
		require.Empty(t, resp.Cookies(), page)
	}
	require.NotContains(t, e.Log("9999"), token)
	resp, err := http.PostForm(e.URL("9999")+"/sign-in", url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "/temporal", strings.TrimSuffix(resp.Request.URL.Path, "/"), "in a form it is, and leads on")
}

// A proxy on the node's machine is not the node's user, whatever host it names and whoever calls it.
func TestProxyOnTheSameMachine(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	at, err := url.Parse(e.URL("9999"))
	require.NoError(t, err)
	for name, rewrite := range map[string]func(*httputil.ProxyRequest){
		"that says for whom": func(p *httputil.ProxyRequest) { p.SetXForwarded() },
		"that says itself":   func(p *httputil.ProxyRequest) { p.Out.Header.Set("Via", "1.1 front") },
		"as RFC 7239 has it": func(p *httputil.ProxyRequest) { p.Out.Header.Set("Forwarded", "for=192.0.2.1") },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		front := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(at)
			p.Out.Host = "localhost"
			rewrite(p)
		}}}
		go func() { _ = front.Serve(l) }() // until it is closed
		t.Cleanup(func() { _ = front.Close() })
		through := &env.Client{TB: t, URL: "http://" + l.Addr().String()}
		answer := through.Get("/v2/site/info/query")
		require.Equal(t, wire.VerifyFailed, answer.Code, "a proxy %s: %s", name, answer.Message)
	}
	require.Zero(t, e.As(t, "9999").Get("/v2/site/info/query").Code)
}

// Another user of the node's machine is not the node's user, though it calls from loopback and to localhost.
func TestAnotherUserOfTheMachine(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	client := func(uid int) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			return dialAs(uid, address)
		}}}
	}
	ask := func(uid int) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL("9999")+"/v2/site/info/query", nil)
		require.NoError(t, err)
		r.Host = "localhost"
		resp, err := client(uid).Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, ask(os.Geteuid()), `"code":0`)
	if os.Geteuid() != 0 {
		t.Log("only root can make a connection of another user: the table of server/application shows the rest")
		return
	}
	require.Contains(t, ask(nobodysID), `"code":5003`)
}

// dialAs connects with a socket that belongs to a user.
func dialAs(uid int, address string) (net.Conn, error) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // the user that files and sockets are made as is the thread's own
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(uid); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if back := unix.Setfsuid(os.Geteuid()); back != nil {
		return nil, back
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close() // the connection has its own
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// A node does not start on a home, nor with a file in it, that another user of the machine owns or has led elsewhere.
func TestFilesOfAnotherOwner(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	e.Stop(t, "9999")
	home := e.Home("9999")
	if os.Geteuid() != 0 {
		t.Log("only root can give files away")
		return
	}
	for _, name := range []string{"", "node.key", "task.secret", "home.json", "catalogue.db", "lock", "planted"} {
		path := filepath.Join(home, name)
		if name == "planted" {
			require.NoError(t, os.Symlink("/etc/passwd", path))
		}
		require.NoError(t, os.Lchown(path, nobodysID, nobodysID))
		err := e.TryStart(t.Context(), "9999")
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "belongs to user 65534")
		require.ErrorContains(t, err, "sudo -u '")
		require.NotContains(t, err.Error(), "chown", "root takes nothing from its owner")
		require.NoError(t, os.Lchown(path, 0, 0))
	}
	require.NoError(t, os.Remove(filepath.Join(home, "planted")))
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy, nil, 0o600))
	require.NoError(t, os.Symlink(policy, filepath.Join(home, "policy.yaml")))
	require.NoError(t, os.Chown(policy, nobodysID, nobodysID))
	err := e.TryStart(t.Context(), "9999")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "a file of another's behind a link of one's own: %v", err)
	require.NoError(t, os.Remove(filepath.Join(home, "policy.yaml")))
	e.Start(t, "9999")
}

// Nothing is made under a name that others can guess in a folder that they can write to: they could have made it before.
func TestGuessableNamesInSharedFolders(t *testing.T) {
	allowed := map[string]bool{"store/objects/s3/options.go": true} // the folder alone, in which os.CreateTemp makes names
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("../..", path)
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "tests" || strings.HasPrefix(d.Name(), ".git") || d.Name() == "testdata" || strings.HasSuffix(name, "test")) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || allowed[name] {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), "os.TempDir()", name)
		require.NotContains(t, string(text), `Join("/tmp`, name)
		return err
	}))
}
