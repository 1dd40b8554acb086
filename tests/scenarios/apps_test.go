package scenarios_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli/connect"
	"openflow/node"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// outside is an address of this machine that is not of loopback, where it has one.
func outside(t *testing.T) string {
	list, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range list {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	t.Log("this machine has no other address than loopback")
	return "127.0.0.1"
}

// fateCLI is FATE's command line on another machine: what it sends is written here letter by letter, and signed as it signs.
type fateCLI struct {
	t         *testing.T
	dial      func() (net.Conn, error)
	app       string // empty: it signs nothing, as FATE's pipeline
	token     string
	at        time.Time // of the signature; zero: now
	sent      int
	signature string // headers of the last request, and to be sent again when again is set
	again     bool
}

func sum(text string) string {
	s := md5.Sum([]byte(text))
	return hex.EncodeToString(s[:])
}

// send makes one request on a connection of its own, as each command does.
func (f *fateCLI) send(method, path, body string) wire.Envelope {
	f.t.Helper()
	f.sent++
	if !f.again {
		f.signature = ""
	}
	if f.app != "" && !f.again {
		at := f.at
		if at.IsZero() {
			at = time.Now()
		}
		nonce, stamp := strconv.Itoa(1000+f.sent), strconv.FormatInt(at.Unix()*1000, 10)
		f.signature = "appId: " + f.app + "\r\nuserName: \r\nNonce: " + nonce + "\r\nTimestamp: " + stamp + "\r\nSignature: " + sum(sum(f.app+nonce+stamp)+f.token) + "\r\n"
	}
	conn, err := f.dial()
	require.NoError(f.t, err)
	defer conn.Close()
	require.NoError(f.t, conn.SetDeadline(time.Now().Add(env.Patience)))
	request := method + " /v2" + path + " HTTP/1.1\r\nHost: " + conn.RemoteAddr().String() + "\r\nUser-Agent: python-urllib3/1.26.12\r\nAccept-Encoding: identity\r\n"
	if method == http.MethodPost {
		request += fmt.Sprintf("Content-Length: %d\r\nContent-Type: application/json\r\n", len(body))
	}
	_, err = io.WriteString(conn, request+f.signature+"\r\n"+body)
	require.NoError(f.t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(f.t, err)
	defer answer.Body.Close()
	require.Equal(f.t, http.StatusOK, answer.StatusCode)
	require.Equal(f.t, "application/json", answer.Header.Get("Content-Type"))
	var e wire.Envelope
	require.NoError(f.t, json.NewDecoder(answer.Body).Decode(&e), "FATE's client reads every answer as JSON")
	return e
}

// run submits a job and polls as FATE's client does, until it has ended.
func (f *fateCLI) run(d *openflow.DAG) (id string) {
	f.t.Helper()
	document, err := wire.EncodeDocument(d)
	require.NoError(f.t, err)
	body, err := json.Marshal(map[string]any{"dag_schema": document})
	require.NoError(f.t, err)
	e := f.send(http.MethodPost, "/job/submit", string(body))
	require.Zero(f.t, e.Code, e.Message)
	env.WaitUntil(f.t, env.Patience, "the job has ended", func() (bool, string) {
		var jobs []wire.JobRow
		e := f.send(http.MethodGet, "/job/query?job_id="+e.JobID+"&role=guest&party_id=9999", "")
		require.Zero(f.t, e.Code, e.Message)
		require.NoError(f.t, json.Unmarshal(e.Data, &jobs))
		require.NotEqual(f.t, "failed", jobs[0].Status)
		return jobs[0].Status == "success", jobs[0].Status
	})
	return e.JobID
}

// FATE's command line and its pipeline work from another machine: the one signs with an app of the node, and both reach it through
// openflow connect.
//
// Spec: fate-flow-api §0.6.1; fate-client §0.
func TestFATEClientsFromAnotherMachine(t *testing.T) {
	host := outside(t)
	e := env.New(t, env.Party("9999"), env.Token(), env.Configure(func(c *node.Config) {
		_, port, err := net.SplitHostPort(c.Listen)
		require.NoError(t, err)
		c.Listen, c.Users.TLS = net.JoinHostPort(host, port), true
	}))
	n := e.Node(t, "9999")
	require.True(t, strings.HasPrefix(n.URL(), "https://"+host), n.URL())
	pem, err := os.ReadFile(filepath.Join(n.Home(), "users.pem"))
	require.NoError(t, err)
	known, err := sdk.Trusting(n.URL(), pem)
	require.NoError(t, err)
	token, err := trust.LoadOrCreateToken(n.Home())
	require.NoError(t, err)
	operator := &sdk.Client{URL: n.URL(), Token: token, HTTP: known}
	add := func(name string, role openflow.AppRole) wire.App {
		a, err := operator.AddApp(t.Context(), wire.App{Kind: "client", Name: wire.Text(name), Role: string(role)})
		require.NoError(t, err)
		return a
	}
	overTLS := func() (net.Conn, error) {
		return tls.Dial("tcp", strings.TrimPrefix(n.URL(), "https://"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // whom it believes is not tested here
	}
	cli := func(a wire.App) *fateCLI { return &fateCLI{t: t, dial: overTLS, app: a.ID, token: a.Token} }
	job := env.DAG(env.Parties("guest 9999"), env.Noop("a", nil))
	const site = "/site/info/query"

	t.Run("a signed command line", func(t *testing.T) {
		portal := add("portal", openflow.AppMayUse)
		user := cli(portal)
		require.Zero(t, user.send(http.MethodGet, site, "").Code)
		id := user.run(job)
		rows, err := operator.Job(t.Context(), openflow.JobID(id))
		require.NoError(t, err)
		require.Equal(t, "portal", rows[0].UserName)

		user.again = true
		replayed := user.send(http.MethodPost, "/job/queue/clean", "")
		require.Equal(t, wire.VerifyFailed, replayed.Code)
		require.Contains(t, replayed.Message, "received before")

		for name, tc := range map[string]struct {
			user *fateCLI
			path string
			code int
		}{
			"a wrong token":  {&fateCLI{t: t, dial: overTLS, app: portal.ID, token: "wrong"}, site, wire.VerifyFailed},
			"an unknown app": {&fateCLI{t: t, dial: overTLS, app: "00000000", token: portal.Token}, site, wire.NoFoundAppID},
			"a clock that is late": {&fateCLI{t: t, dial: overTLS, app: portal.ID, token: portal.Token, at: time.Now().Add(-2 * time.Minute)}, site,
				wire.RequestExpired},
			"a clock that is early": {&fateCLI{t: t, dial: overTLS, app: portal.ID, token: portal.Token, at: time.Now().Add(2 * time.Minute)}, site,
				wire.RequestExpired},
			"a page of its operator's": {&fateCLI{t: t, dial: overTLS, app: portal.ID, token: portal.Token, sent: 500}, "/app/client/query", wire.AuthenticationFail},
			"no signature":             {&fateCLI{t: t, dial: overTLS}, site, wire.VerifyFailed},
		} {
			answer := tc.user.send(http.MethodGet, tc.path, "")
			require.Equal(t, tc.code, answer.Code, "%s: %s", name, answer.Message)
		}

		// The node restarts, and still knows the app; and no signature that was used.
		user.again = false
		require.Zero(t, user.send(http.MethodGet, site, "").Code)
		e.Restart(t, "9999")
		user.again = true
		require.Equal(t, wire.VerifyFailed, user.send(http.MethodGet, site, "").Code)
		user.again = false
		require.Zero(t, user.send(http.MethodGet, site, "").Code)

		_, err = operator.RemoveApp(t.Context(), openflow.AppClient, "portal")
		require.NoError(t, err)
		require.Equal(t, wire.NoFoundAppID, user.send(http.MethodGet, site, "").Code)
		page, err := operator.Audit(t.Context(), sdk.AuditFilter{Action: "app/"})
		require.NoError(t, err)
		require.Equal(t, []string{"app/remove", "app/add"}, []string{page.Events[0].Action, page.Events[1].Action})
		for _, event := range page.Events {
			require.NotContains(t, event.Subject+event.Detail, portal.Token)
		}
	})

	t.Run("through openflow connect", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		l, err := connect.Listen(ctx, "127.0.0.1:0")
		require.NoError(t, err)
		at, err := connect.NodeAddress(n.URL())
		require.NoError(t, err)
		way := &connect.Way{Node: at, Token: func() (string, error) { return token, nil }, HTTP: known, Log: slog.New(slog.DiscardHandler)}
		done := make(chan error, 1)
		go func() { done <- way.Serve(ctx, l) }()
		plain := func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }

		pipeline := &fateCLI{t: t, dial: plain} // which never signs
		require.Zero(t, pipeline.send(http.MethodGet, site, "").Code)
		pipeline.run(job)

		signs := &fateCLI{t: t, dial: plain, app: "00000000", token: "x"}
		require.Equal(t, wire.NoFoundAppID, signs.send(http.MethodGet, site, "").Code, "who signs is known by that")
		batch := add("batch", openflow.AppMayManage)
		signs = &fateCLI{t: t, dial: plain, app: batch.ID, token: batch.Token}
		made := signs.send(http.MethodPost, "/app/client/create", `{"app_name":"by-batch"}`)
		require.Zero(t, made.Code, made.Message)
		apps, err := operator.Apps(t.Context(), openflow.AppClient)
		require.NoError(t, err)
		require.Len(t, apps, 2)
		require.Equal(t, "app batch ("+batch.ID+")", apps[1].By)

		e.Stop(t, "9999")
		away := pipeline.send(http.MethodGet, site, "")
		require.Equal(t, wire.FederatedError, away.Code)
		require.Contains(t, away.Message, "does not answer")
		stop()
		require.NoError(t, <-done)
	})
}
