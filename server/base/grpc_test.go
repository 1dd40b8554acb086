package base_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"openflow"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire/ptp"
	"openflow/sdk/wire/ptp/frame/frametest"
	"openflow/server"
	"openflow/server/base"
	"openflow/server/reply"
)

// calls serves the node's base layer, and connects a client of gRPC to it.
func (n *node) calls() *frametest.Client {
	n.t.Helper()
	return frametest.Dial(n.t, n.listens(), insecure.NewCredentials())
}

func (n *node) listens() string {
	n.t.Helper()
	return listens(n.t, server.Handler(slog.New(slog.DiscardHandler), n.layers...))
}

// listens serves a handler as a listener for containers does.
func listens(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := server.Listen(t.Context(), "x", "127.0.0.1:0")
	require.NoError(t, err)
	s := server.Serve(l, h, slog.New(slog.DiscardHandler), server.Bounds{Closes: true, Known: 4, GRPC: true})
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()), 0)) })
	return l.Addr().String()
}

// bearer is the credential of a run as metadata.
func (n *node) bearer(k openflow.TaskKey, more ...string) []string {
	return append([]string{"authorization", "Bearer " + n.secrets.Issue(k)}, more...)
}

// fateTopic names what one sends to the other as FATE's components do.
func fateTopic(from, to openflow.Party) string {
	return "1_psi_0_0-" + string(from.Role) + "-" + string(from.ID) + "-" + string(to.Role) + "-" + string(to.ID) + "-intersect"
}

// Both packages of the binding answer, whatever binding the other side of a queue uses, and messages above gRPC's usual 4 MiB pass.
func TestMessagesByGRPC(t *testing.T) {
	n := newNode(t)
	n.transport.MaxBody = 16 << 20
	c := n.calls()
	large := make([]byte, 6<<20)
	_, err := rand.Read(large)
	require.NoError(t, err)
	for _, service := range []string{ptp.GRPCTransport, ptp.GRPCTransportKuscia} {
		for name, payload := range map[string][]byte{"large": large, "small": []byte("x"), "empty": {}} {
			n.peers.sent = nil
			out, err := c.Push(t.Context(), service, ptp.PushInbound{Topic: toHost, Payload: payload}, n.bearer(psi, ptp.HeaderTargetNodeID, "10000", ptp.HeaderSessionID, "1_psi_0_0")...)
			require.NoError(t, err, name)
			require.Equal(t, ptp.ResultOK, out.Code, out.Message)
			require.Len(t, n.peers.sent, 1)
			require.True(t, bytes.Equal(payload, n.peers.sent[0].Payload))
			require.Equal(t, string(psi.SessionID()), n.peers.sent[0].Session)

			n.arrives(toGuest, string(payload))
			out, err = c.Pop(t.Context(), service+"pop", ptp.PopInbound{Topic: toGuest, Timeout: 1000}, n.bearer(psi)...)
			require.NoError(t, err, name)
			require.Equal(t, ptp.ResultOK, out.Code, out.Message)
			require.True(t, bytes.Equal(payload, out.Payload))
		}
		n.arrives(toGuest, "peeked", "released")
		out, err := c.Pop(t.Context(), service+"peek", ptp.PopInbound{Topic: toGuest}, n.bearer(psi)...)
		require.NoError(t, err)
		require.Equal(t, "peeked", string(out.Payload))
		out, err = c.Pop(t.Context(), service+"release", ptp.PopInbound{Topic: toGuest}, n.bearer(psi)...)
		require.NoError(t, err)
		require.Equal(t, ptp.ResultOK, out.Code)
		for provider, want := range map[string]ptp.Result{"FATE": ptp.ResultTimeout, "x": ptp.ResultOK} {
			out, err = c.Pop(t.Context(), service+"peek", ptp.PopInbound{Topic: toGuest}, n.bearer(psi, ptp.HeaderProvider, provider)...)
			require.NoError(t, err)
			require.Equal(t, want, out.Code)
			require.Empty(t, out.Payload)
		}
	}
}

// Who calls is known by the credential: neither a session nor a topic leads to what is another task's or another party's.
func TestIdentityOfCallsByGRPC(t *testing.T) {
	n := newNode(t)
	c := n.calls()
	other := of("8888", key("2", "psi_0", guest))
	for name, call := range map[string]struct {
		with []string
		push *ptp.PushInbound
		pop  ptp.PopInbound
		want ptp.Result
	}{
		"no credential":           {push: &ptp.PushInbound{Topic: toHost}, want: ptp.ResultBadCertificate},
		"no credential, to read":  {pop: ptp.PopInbound{Topic: toGuest}, want: ptp.ResultBadCertificate},
		"forged credential":       {with: []string{"authorization", "Bearer x"}, pop: ptp.PopInbound{Topic: toGuest}, want: ptp.ResultBadCertificate},
		"token of the protocol":   {with: []string{ptp.HeaderToken, n.secrets.Issue(psi)}, pop: ptp.PopInbound{Topic: toGuest}, want: ptp.ResultBadCertificate},
		"another task's session":  {with: n.bearer(other, ptp.HeaderSessionID, string(psi.SessionID())), pop: ptp.PopInbound{Topic: toGuest}, want: ptp.ResultForbidden},
		"another task's name":     {with: n.bearer(other, ptp.HeaderSessionID, "1_psi_0_0"), pop: ptp.PopInbound{Topic: toGuest}, want: ptp.ResultForbidden},
		"a party outside":         {with: n.bearer(psi, ptp.HeaderTargetNodeID, "666"), push: &ptp.PushInbound{Topic: "t"}, want: ptp.ResultForbidden},
		"FATE, as another":        {with: n.bearer(psi, ptp.HeaderTargetNodeID, "10000"), push: &ptp.PushInbound{Topic: fateTopic(arbiter, host)}, want: ptp.ResultForbidden},
		"FATE, what is another's": {with: n.bearer(psi), pop: ptp.PopInbound{Topic: fateTopic(host, arbiter)}, want: ptp.ResultForbidden},
	} {
		var out ptp.TransportOutbound
		var err error
		if call.push != nil {
			out, err = c.Push(t.Context(), ptp.GRPCTransport, *call.push, call.with...)
		} else {
			call.pop.Timeout = 1
			out, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", call.pop, call.with...)
		}
		require.NoError(t, err, name)
		require.Equal(t, call.want, out.Code, "%s: %s", name, out.Message)
	}
	require.Empty(t, n.peers.sent)
}

// What is no call of the binding is refused, and a wait ends when the caller says so. A message stays then.
func TestCallsThatAreNone(t *testing.T) {
	n := newNode(t)
	n.site.Intake = &reply.Intake{Calls: 1, Each: 64 << 10, All: 128 << 10}
	c := n.calls()
	_, err := c.Call(t.Context(), "/org.ppc.ptp.PrivateTransferTransport/purge", nil, n.bearer(psi)...)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = c.Call(t.Context(), ptp.GRPCProtocol+"invoke", nil, n.bearer(psi)...)
	require.Equal(t, codes.Unimplemented, status.Code(err), "that is between nodes")
	out, err := c.Call(t.Context(), ptp.GRPCTransport+"push", []byte{0xff, 1, 2}, n.bearer(psi)...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultCodec, out.Code)
	out, err = c.Push(t.Context(), ptp.GRPCTransport, ptp.PushInbound{Topic: toHost, Payload: make([]byte, 65<<10)}, n.bearer(psi, ptp.HeaderTargetNodeID, "10000")...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultTooLarge, out.Code)

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Pop(short, ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: toGuest, Timeout: 60_000}, n.bearer(psi)...)
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.Eventually(t, func() bool { // until the node knows too
		out, err = c.Pop(t.Context(), ptp.GRPCTransport+"peek", ptp.PopInbound{Topic: toGuest}, n.bearer(psi)...)
		return err == nil && out.Code == ptp.ResultOK
	}, time.Minute, time.Millisecond)
	n.arrives(toGuest, "kept")
	out, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: toGuest, Timeout: 60_000}, n.bearer(psi)...)
	require.NoError(t, err)
	require.Equal(t, "kept", string(out.Payload))

	w := n.as(psi, request{method: "POST", path: ptp.GRPCTransport + "push", body: "x"})
	require.Equal(t, 415, w.Code, "it is no call of gRPC")
	for name, body := range map[string]string{"no frame": "", "half a frame": "\x00\x00", "compressed": "\x01\x00\x00\x00\x01x"} {
		w = n.as(psi, request{method: "POST", path: ptp.GRPCTransport + "push", body: body, header: map[string][]string{"Content-Type": {"application/grpc"}}})
		require.Equal(t, "13", w.Header().Get("Trailer:Grpc-Status"), name)
	}
	w = n.as(psi, request{method: "POST", path: ptp.GRPCTransport + "push", body: "\x00\x00\x00\x00\x09half", header: map[string][]string{"Content-Type": {"application/grpc"}}})
	require.Equal(t, ptp.ResultIllegal, replied(t, w).Code)
}

func replied(t *testing.T, w *httptest.ResponseRecorder) ptp.TransportOutbound {
	t.Helper()
	require.Greater(t, w.Body.Len(), 5, hex.EncodeToString(w.Body.Bytes()))
	out, err := ptp.DecodeReply(ptp.TypeProtobuf, w.Body.Bytes()[5:])
	require.NoError(t, err)
	return out
}

// A run may have so many calls under way, and so much in memory, in either binding.
func TestFloodOfCalls(t *testing.T) {
	n := newNode(t)
	n.site.Intake = &reply.Intake{Calls: 3, Each: 1 << 20, All: 2 << 20}
	c := n.calls()
	waits, stop := context.WithCancel(t.Context())
	defer stop()
	answers := make(chan ptp.Result, 10)
	for range 10 {
		go func() {
			out, err := c.Pop(waits, ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: toGuest, Timeout: 60_000}, n.bearer(psi)...)
			if err == nil {
				answers <- out.Code
			}
		}()
	}
	for range 7 {
		require.Equal(t, ptp.ResultUnreachable, <-answers, "three may wait, the others come again")
	}
	out, err := c.Push(t.Context(), ptp.GRPCTransport, ptp.PushInbound{Topic: "t"}, n.bearer(of("8888", key("2", "psi_0", guest)))...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultOK, out.Code, "another run is not in its way: %s", out.Message)
}

// On a machine of a pool, the machine's worker passes calls on to the node.
func TestCallsThroughAPool(t *testing.T) {
	n := newNode(t)
	to, err := url.Parse("http://" + n.listens())
	require.NoError(t, err)
	machine := listens(t, server.Handler(slog.New(slog.DiscardHandler), server.Forward{To: to, Transport: httpclient.New(httpclient.Options{}).Transport}))
	c := frametest.Dial(t, machine, insecure.NewCredentials())
	out, err := c.Push(t.Context(), ptp.GRPCTransport, ptp.PushInbound{Topic: toHost, Payload: []byte("x")}, n.bearer(psi, ptp.HeaderTargetNodeID, "10000")...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultOK, out.Code, out.Message)
	require.Len(t, n.peers.sent, 1)
	out, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: toGuest, Timeout: 1})
	require.NoError(t, err)
	require.Equal(t, ptp.ResultBadCertificate, out.Code)
}

// FATE's components name sender and receiver in their topics, which hold as those of our kit do.
func TestTopicsOfFATE(t *testing.T) {
	dashed := openflow.Party{Role: openflow.RoleHost, ID: "a-guest-9999"}
	parties := []openflow.Party{guest, host, arbiter, dashed}
	for topic, want := range map[string][2]openflow.Party{
		"1_psi_0_0-guest-9999-host-10000-x":                        {guest, host},
		"1_psi_0_0-host-10000-arbiter-9999-host-10000-guest-9999-": {host, arbiter},
		"s-host-a-guest-9999-host-10000-x":                         {dashed, host},
		"-guest-9999-host-10000-x":                                 {},
		"s-guest-9999-host-10000":                                  {},
		"s-guest-9999-host-1000-x":                                 {},
		"s-guest-9999-x":                                           {},
		"":                                                         {},
		strings.Repeat("-guest-9999", 1000):                        {},
	} {
		from, to, ok := base.ParseTopic(topic, parties)
		require.Equal(t, want, [2]openflow.Party{from, to}, topic)
		require.Equal(t, want != [2]openflow.Party{}, ok, topic)
	}
}
