package base_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/server"
)

// upgrade asks for a connection to the broker with the credential of a run.
func upgrade(t *testing.T, at, token, with string) (net.Conn, *http.Response, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, "GET /v2/worker/rabbitmq/connect?address=127.0.0.1:1 HTTP/1.1\r\nHost: elsewhere\r\nAuthorization: Bearer "+token+"\r\n"+with+"\r\n")
	require.NoError(t, err)
	answers := bufio.NewReader(c)
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	return c, resp, answers
}

const asAMQP = "Connection: Upgrade\r\nUpgrade: amqp\r\n"

// A connection of a run's container becomes one to the broker that the policy names, whatever the container names. It ends with
// what is not its task's.
func TestConnectionsToABroker(t *testing.T) {
	n := newNode(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	n.queues = l.Addr().String()
	at := n.listens()
	c, resp, _ := upgrade(t, at, n.secrets.Issue(psi), asAMQP)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	broker, err := l.Accept()
	require.NoError(t, err)
	_, err = io.WriteString(c, "AMQP\x00\x00\x09\x01")
	require.NoError(t, err)
	got := make([]byte, 8)
	_, err = io.ReadFull(broker, got)
	require.NoError(t, err)
	require.Equal(t, "AMQP\x00\x00\x09\x01", string(got))
	_, err = io.WriteString(broker, "start")
	require.NoError(t, err)
	_, err = io.ReadFull(c, got[:5])
	require.NoError(t, err)
	require.Equal(t, "start", string(got[:5]))
	_, err = io.WriteString(c, "\x01\x00\x01\x00\x00\x00\x00") // a channel before it has logged in
	require.NoError(t, err)
	_, err = broker.Read(got)
	require.ErrorIs(t, err, io.EOF)
	require.Eventually(t, func() bool {
		rec, err := n.catalogue.Task(t.Context(), psi)
		return err == nil && len(rec.Warnings) > 0
	}, time.Minute, time.Millisecond, "the users of the site read it")

	c, _, _ = upgrade(t, at, n.secrets.Issue(psi), asAMQP)
	broker, err = l.Accept()
	require.NoError(t, err)
	_, err = n.catalogue.FinishTask(t.Context(), psi, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	_, err = c.Read(got)
	require.ErrorIs(t, err, io.EOF, "the run has ended")
	_, err = broker.Read(got)
	require.ErrorIs(t, err, io.EOF)
}

func TestConnectionsThatThereAreNot(t *testing.T) {
	n := newNode(t)
	n.queues = "127.0.0.1:1" // where nobody listens
	at := n.listens()
	refused := func(token, with string) wire.Envelope {
		_, resp, _ := upgrade(t, at, token, with)
		require.NotEqual(t, http.StatusSwitchingProtocols, resp.StatusCode)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var e wire.Envelope
		require.NoError(t, json.Unmarshal(body, &e), "%q", body)
		return e
	}
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(refused(n.secrets.Issue(psi), asAMQP).Err()))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(refused(n.secrets.Issue(psi), "").Err()), "no upgrade")
	require.NotZero(t, refused("x", asAMQP).Code)
	n.queues = "none"
	e := refused(n.secrets.Issue(psi), asAMQP)
	require.Contains(t, e.Message, "the policy of this site names no broker")
	e = n.envelope(psi, request{method: http.MethodPut, path: "/v2/worker/rabbitmq/manage/api/users/1_psi_0_0"})
	require.Contains(t, e.Message, "the policy of this site names no broker")
}

// On a machine of a pool, the machine's worker passes the connection on to the node.
func TestConnectionsThroughAPool(t *testing.T) {
	n := newNode(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	n.queues = l.Addr().String()
	to, err := url.Parse("http://" + n.listens())
	require.NoError(t, err)
	machine := listens(t, server.Handler(slog.New(slog.DiscardHandler), server.Forward{
		To: to, Prefixes: []string{"/v2"}, Transport: httpclient.New(httpclient.Options{}).Transport,
	}))
	c, resp, _ := upgrade(t, machine, n.secrets.Issue(psi), asAMQP)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	broker, err := l.Accept()
	require.NoError(t, err)
	_, err = io.WriteString(c, "AMQP\x00\x00\x09\x01")
	require.NoError(t, err)
	got := make([]byte, 8)
	_, err = io.ReadFull(broker, got)
	require.NoError(t, err)
	require.NoError(t, broker.Close())
	_, err = c.Read(got)
	require.ErrorIs(t, err, io.EOF)
}
