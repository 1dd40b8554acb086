package attacks_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/server"
	"openflow/tests/env"
)

// line is a connection of somebody who says whatever it likes.
type line struct {
	net.Conn
	answers *bufio.Reader
}

// dial connects to the address of a URL, from an address of loopback.
func dial(t *testing.T, from, url string) line {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() }) // the node may have been faster
	require.NoError(t, c.SetDeadline(time.Now().Add(env.Patience)))
	return line{c, bufio.NewReader(c)}
}

// head is a request without its body, of which size bytes are announced.
func head(path string, h http.Header, size int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", path, size)
	_ = h.Write(&b) // into memory
	return b.String() + "\r\n"
}

// signed are the headers of a request with that body.
func (a *attacker) signed(path string, body []byte) http.Header {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+path, bytes.NewReader(body))
	require.NoError(a.t, err)
	r.Header.Set("Content-Type", "application/json")
	require.NoError(a.t, a.Sign(r, a.Victim, body))
	return r.Header
}

// paths is one of each kind of route between nodes.
var paths = []string{
	"/openflow/v1/node/job/open", "/openflow/v1/node/site", "/v2/partner/job/create", "/v2/partner/task/collect", "/v2/scheduler/job/create",
	"/v1/interconn/chan/invoke",
}

// huge is the largest body that a node takes of a peer.
const huge = 200 << 20

// Who has not proven who it is gets an answer without having sent a byte of its body, is not told to send it, learns nothing of
// who is known, and is sent away.
func TestBodyOfAStrangerIsRead(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	known := attack(t, e, "10000", "9999")
	nobody := attack(t, e, "10000", "9999")
	nobody.identity.Party = "666"
	impostor := attack(t, e, "10000", "9999")
	impostor.identity.Key = e.Key(t, "9999")
	elsewhere := attack(t, e, "10000", "9999")
	elsewhere.Victim = "10001"
	for name, headers := range map[string]func(path string) http.Header{
		"unsigned":              func(string) http.Header { return http.Header{} },
		"an unknown party":      func(path string) http.Header { return nobody.signed(path, nil) },
		"a key that is not its": func(path string) http.Header { return impostor.signed(path, nil) },
		"for another party":     func(path string) http.Header { return elsewhere.signed(path, nil) },
		"for another path":      func(string) http.Header { return known.signed("/elsewhere", nil) },
		"asks before": func(path string) http.Header {
			h := impostor.signed(path, nil)
			h.Set("Expect", "100-continue")
			return h
		},
	} {
		answers := map[string]bool{}
		for _, path := range paths {
			c := dial(t, "127.0.0.1", known.url)
			_, err := io.WriteString(c, head(path, headers(path), huge))
			require.NoError(t, err)
			got, err := http.ReadResponse(c.answers, nil)
			require.NoError(t, err, "%s at %s", name, path)
			require.Equal(t, http.StatusOK, got.StatusCode, "%s at %s: and not 100", name, path)
			body, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.NotContains(t, string(body), `"code":0`, "%s at %s", name, path)
			require.True(t, got.Close, "%s at %s", name, path)
			_, err = io.Copy(io.Discard, c.answers)
			require.False(t, isTimeout(err), "%s at %s: the connection stays open", name, path)
			answers[string(body)] = true
		}
		if name == "unsigned" {
			for answer := range answers {
				require.NotContains(t, answer, "9999", "whose node it is")
			}
		}
	}
	require.Equal(t, knows(nobody), knows(impostor), "who is a peer here")
}

// knows is what a caller hears who is not believed, without its own name and key.
func knows(a *attacker) string {
	_, answer := a.post("/openflow/v1/node/site", map[string]string{})
	var said struct {
		Error struct{ Message string }
	}
	_ = json.Unmarshal(answer, &said) // then it is empty, and differs
	text := strings.ReplaceAll(said.Error.Message, string(a.Party), "P")
	text = strings.ReplaceAll(text, string(a.identity.Party), "P")
	return strings.ReplaceAll(text, a.identity.Key.Public().ID(), "K")
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// inUse is how much memory this process, and so every node of it, holds from the system and has not given back.
func inUse() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

// Strangers who send as much as they can take no memory: six of them sent 1.5 GB into it.
func TestStrangersTakeMemory(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	before := inUse()
	chunk := make([]byte, 1<<20)
	for _, path := range paths {
		c := dial(t, "127.0.0.1", e.PeersURL("9999"))
		_, err := io.WriteString(c, head(path, http.Header{}, huge))
		for range huge / len(chunk) {
			if err == nil {
				_, err = c.Write(chunk)
			}
		}
		require.Error(t, err, "all of it has been taken at %s", path)
	}
	require.Less(t, inUse()-before, int64(200<<20), "six bodies of 200 MB are %d", 6*huge)
}

// A peer that announces large bodies and sends none gets what one peer may have, and its other calls are answered.
func TestPeerHoldsMemory(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	a := attack(t, e, "10000", "9999")
	const path = "/v1/interconn/chan/invoke"
	began := func() line {
		c := dial(t, "127.0.0.1", a.url)
		_, err := io.WriteString(c, head(path, a.signed(path, []byte("never sent")), huge))
		require.NoError(t, err)
		return c
	}
	held := began()
	env.WaitUntil(t, env.Patience, "the first is under way", func() (bool, string) {
		c := began()
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		got, err := http.ReadResponse(c.answers, nil)
		if err != nil { // this one was first
			_ = held.Close() // of the two one may stay
			held = c
			return false, err.Error()
		}
		require.Equal(t, "1", got.Header.Get("Retry-After"))
		require.NoError(t, c.Close())
		return true, ""
	})
	status, answer := a.post("/openflow/v1/node/site", map[string]string{})
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(answer), `"caller":"10000"`)
	require.NoError(t, held.Close())
	env.WaitUntil(t, env.Patience, "what was held is free again", func() (bool, string) {
		c := began()
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
		_, err := c.answers.ReadByte()
		return isTimeout(err), "an answer at once"
	})
}

// Another body than the one that was signed changes nothing, however much of it has come.
func TestBodyThatNobodySigned(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "9999", "10000")
	stop := []byte(`{"job_id":"` + string(job) + `","role":"host","party_id":"10000","status":"canceled"}`)
	for name, path := range map[string]string{"ours": "/openflow/v1/node/job/stop", "FATE-Flow's": "/v2/partner/job/stop"} {
		headers := a.signed(path, bytes.Repeat([]byte(" "), len(stop)))
		_, _, answer, err := env.Send(t.Context(), a.url+path, http.MethodPost, headers, stop)
		require.NoError(t, err)
		require.Contains(t, string(answer), "not the one that was signed", name)
		_, _, answer, err = env.Send(t.Context(), a.url+path, http.MethodPost, headers, bytes.Repeat([]byte(" "), len(stop)))
		require.NoError(t, err)
		require.Contains(t, string(answer), "received before", "%s: every attempt is signed anew", name)
	}
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// strangers is how many connections strangers hold, from so many addresses.
const strangers, addresses = 1000, 10

// Strangers hold as many connections as they can, at the listeners of peers and of users. Users are answered, peers too, and a job runs.
func TestStrangersHoldConnections(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	halves := []string{
		"", "POST /openflow/v1/node/site HT", "POST /openflow/v1/node/site HTTP/1.1\r\nHost: x\r\nX-A: ",
		head("/v1/interconn/chan/invoke", http.Header{}, huge), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}
	var lines []line
	for i := range strangers {
		url := e.PeersURL("9999")
		if i%4 == 0 {
			url = e.URL("9999")
		}
		c := dial(t, fmt.Sprintf("127.0.0.%d", 2+i%addresses), url)
		_, _ = io.WriteString(c, halves[i%len(halves)]) // the node may have been faster
		lines = append(lines, c)
	}
	for range 20 {
		require.Empty(t, user.Jobs("20200101000000000000"))
	}
	status, answer := attack(t, e, "10000", "9999").post("/openflow/v1/node/site", map[string]string{})
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(answer), `"caller":"10000"`)
	id := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
	user.WaitFor(id, openflow.JobSuccess)

	// Of one address the node holds the latest, and of all no more than its share of descriptors.
	open := 0
	for _, c := range lines {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		if _, err := c.answers.ReadByte(); isTimeout(err) {
			open++
		}
	}
	require.LessOrEqual(t, open, 2*server.Connections())
	flood := dial(t, "127.0.0.99", e.PeersURL("9999"))
	for range server.Connections() {
		dial(t, "127.0.0.99", e.PeersURL("9999"))
	}
	_, err := flood.answers.ReadByte()
	require.False(t, isTimeout(err), "the oldest connection of one address makes room")
}

// One HTTP/2 connection filled 1.7 GB: between nodes and for users it is not spoken. For containers it is, as for the workers of a
// pool: server.Serve bounds the streams and buffers of a connection.
func TestManyRequestsOnOneConnection(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	for _, url := range []string{e.URL("9999"), e.PeersURL("9999")} {
		_, err := client.Get(url + "/healthz") //nolint:bodyclose // there is none
		require.Error(t, err, url)
	}
}

// What ails a node is not for strangers.
func TestStrangersHearWhatAils(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	resp, err := http.Get(e.PeersURL("9999") + "/readyz")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "ok\n", string(text))
	for _, page := range []string{"/metrics", "/debug/pprof/heap", "/temporal", "/sign-in", "/openflow/v1/user/server/about"} {
		resp, err := http.Get(e.PeersURL("9999") + page)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(text), "no route", page)
	}
}
