package osx_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"openflow"
	"openflow/dialect/fateflow/launcher/osx"
	"openflow/sdk/wire/ptp"
	"openflow/sdk/wire/ptp/frame/frametest"
)

// node holds messages as a node does: one stays until a later read of its topic.
type node struct {
	mu    sync.Mutex
	sent  map[string][][]byte
	err   error
	left  int // reads that find nothing, before there is something
	reads []string
}

func (n *node) Push(_ context.Context, topic string, to openflow.PartyID, payload []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.sent[string(to)+" "+topic] = append(n.sent[string(to)+" "+topic], payload)
	}
	return n.err
}

func (n *node) Pop(ctx context.Context, topic string, above int64) ([]byte, int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reads = append(n.reads, fmt.Sprint(topic, " ", above))
	if n.left > 0 {
		n.left--
		return nil, 0, n.err
	}
	list := n.sent["self "+topic]
	if above < int64(len(list)) {
		return list[above], above + 1, nil
	}
	n.mu.Unlock()
	<-ctx.Done()
	n.mu.Lock()
	return nil, 0, ctx.Err()
}

func (n *node) Release(context.Context) error { return n.err }

// component calls what was served for a task of session s.
func component(t *testing.T, n *node) (*frametest.Client, *osx.Server) {
	t.Helper()
	if n.sent == nil {
		n.sent = map[string][][]byte{}
	}
	s, err := osx.Serve(t.Context(), "s", n)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return frametest.Dial(t, fmt.Sprintf("127.0.0.1:%d", s.Port), insecure.NewCredentials()), s
}

// fate is what FATE's client of OSX says beside a message.
func fate(more ...string) []string {
	return append([]string{ptp.HeaderSessionID, "s", ptp.HeaderProvider, "FATE", ptp.HeaderFromNodeID, "9999", ptp.HeaderTraceID, "1_2"}, more...)
}

func TestMessagesOfAComponent(t *testing.T) {
	n := &node{}
	c, _ := component(t, n)
	out, err := c.Push(t.Context(), ptp.GRPCTransport, ptp.PushInbound{Topic: "t", Payload: make([]byte, 5<<20)}, fate(ptp.HeaderTargetNodeID, "10000")...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultOK, out.Code)
	require.Len(t, n.sent["10000 t"][0], 5<<20)

	n.sent["self u"], n.left = [][]byte{[]byte("one"), {}, []byte("three")}, 2
	for _, want := range []string{"one", "", "three"} {
		out, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: "u", Timeout: 36_000_000}, fate()...)
		require.NoError(t, err)
		require.Equal(t, ptp.ResultOK, out.Code)
		require.Equal(t, want, string(out.Payload))
	}
	require.Equal(t, []string{"u 0", "u 0", "u 0", "u 1", "u 2"}, n.reads, "two found nothing, and the component did not notice")
	out, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: "u", Timeout: 20}, fate()...)
	require.NoError(t, err)
	require.Equal(t, ptp.ResultTimeout, out.Code, "FATE's word for nothing yet")
	for _, err := range []error{nil, openflow.Errorf(openflow.CodePermission, "shared")} {
		n.err = err
		out, err = c.Pop(t.Context(), ptp.GRPCTransport+"release", ptp.PopInbound{}, fate()...)
		require.NoError(t, err)
		require.Equal(t, ptp.ResultOK, out.Code)
	}
}

// FATE's client takes any answer for a success, so what fails is no answer.
func TestFailuresAreErrors(t *testing.T) {
	n := &node{}
	c, _ := component(t, n)
	for code, want := range map[openflow.Code]codes.Code{
		openflow.CodeUnavailable: codes.Aborted, openflow.CodePermission: codes.PermissionDenied, openflow.CodeInvalid: codes.InvalidArgument,
		openflow.CodeCanceled: codes.Aborted, openflow.CodeInternal: codes.Internal, openflow.CodeExhausted: codes.ResourceExhausted,
	} {
		n.err, n.left = openflow.Errorf(code, "100%% of «it» failed"), 1
		_, err := c.Push(t.Context(), ptp.GRPCTransport, ptp.PushInbound{Topic: "t"}, fate(ptp.HeaderTargetNodeID, "10000")...)
		require.Equal(t, want, status.Code(err), err)
		require.Equal(t, "100% of «it» failed", status.Convert(err).Message())
		_, err = c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: "t", Timeout: 1000}, fate()...)
		require.Equal(t, want, status.Code(err), err)
	}
	n.err = nil
	for name, call := range map[string]struct {
		with []string
		push ptp.PushInbound
		want codes.Code
	}{
		"another session": {fate(ptp.HeaderSessionID, "other"), ptp.PushInbound{}, codes.PermissionDenied},
		"no target":       {fate(), ptp.PushInbound{}, codes.InvalidArgument},
		"too large":       {fate(ptp.HeaderTargetNodeID, "10000"), ptp.PushInbound{Payload: make([]byte, 33<<20)}, codes.InvalidArgument},
	} {
		if name == "another session" {
			call.with = []string{ptp.HeaderSessionID, "other", ptp.HeaderTargetNodeID, "10000"}
		}
		_, err := c.Push(t.Context(), ptp.GRPCTransport, call.push, call.with...)
		require.Equal(t, call.want, status.Code(err), "%s: %v", name, err)
	}
	require.Empty(t, n.sent)
	_, err := c.Call(t.Context(), ptp.GRPCTransport+"pop", []byte{0xff, 0xff}, fate()...)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = c.Call(t.Context(), ptp.GRPCProtocol+"invoke", nil, fate()...)
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

// A component that goes while it waits takes no message with it, and two that read one topic never get the same.
func TestReadersOfOneTopic(t *testing.T) {
	n := &node{}
	c, _ := component(t, n)
	gone, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Pop(gone, ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: "t", Timeout: 60_000}, fate()...)
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	n.mu.Lock()
	for i := range 40 {
		n.sent["self t"] = append(n.sent["self t"], fmt.Append(nil, i))
	}
	n.mu.Unlock()
	got := make(chan string, 40)
	for range 4 {
		go func() {
			for range 10 {
				out, err := c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: "t", Timeout: 60_000}, fate()...)
				if err != nil {
					t.Error(err)
				}
				got <- string(out.Payload)
			}
		}()
	}
	seen := map[string]bool{}
	for range 40 {
		seen[<-got] = true
	}
	require.Len(t, seen, 40)
}

// So many calls are under way at once, and those that wait end with the task.
func TestManyCallsOfAComponent(t *testing.T) {
	n := &node{}
	_, s := component(t, n)
	answers := make(chan codes.Code, 400)
	for i := range 4 {
		c := frametest.Dial(t, fmt.Sprintf("127.0.0.1:%d", s.Port), insecure.NewCredentials())
		for j := range 100 {
			go func() {
				_, err := c.Pop(t.Context(), ptp.GRPCTransport+"pop", ptp.PopInbound{Topic: fmt.Sprint(i, j), Timeout: 60_000}, fate()...)
				answers <- status.Code(err)
			}()
		}
	}
	for range 400 - 256 {
		require.Equal(t, codes.ResourceExhausted, <-answers)
	}
	s.Close()
	for range 256 {
		require.NotEqual(t, codes.OK, <-answers)
	}
}
