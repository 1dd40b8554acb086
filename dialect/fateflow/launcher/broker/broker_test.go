package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/launcher/broker"
)

// node notes what it is asked, and answers each connection with what comes over it.
type node struct {
	mu    sync.Mutex
	asked []string
	err   error
}

func (n *node) Connect(_ context.Context, path, protocol string) (io.ReadWriteCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, protocol+" "+path)
	if n.err != nil {
		return nil, n.err
	}
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(far, far); _ = far.Close() }()
	return near, nil
}

func (n *node) Through(route string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.WriteString(w, r.Method+" "+route+r.URL.Path)
	})
}

// words are written to while they are read.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

func TestBrokerOfAComponent(t *testing.T) {
	n, said := &node{}, &words{}
	b, err := broker.Serve(t.Context(), n, said)
	require.NoError(t, err)
	defer b.Close()
	c := dial(t, b.Port)
	_, err = io.WriteString(c, "AMQP")
	require.NoError(t, err)
	got := make([]byte, 4)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "AMQP", string(got))
	require.Equal(t, []string{"amqp /v2/worker/rabbitmq/connect"}, n.asked)

	at := fmt.Sprintf("http://127.0.0.1:%d", b.Management)
	for body, want := range map[string]string{"": "POST /v2/worker/rabbitmq/manage/api/users/x", strings.Repeat("x", 65<<10): "http: request body too large\n"} {
		resp, err := http.Post(at+"/api/users/x", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, string(text))
	}

	n.mu.Lock()
	n.err = openflow.Errorf(openflow.CodePermission, "the policy names no broker")
	n.mu.Unlock()
	_, err = dial(t, b.Port).Read(got)
	require.Error(t, err)
	require.Contains(t, said.String(), "the policy names no broker", "it is in the task's log")
	b.Close()
	_, err = c.Read(got)
	require.Error(t, err, "what was under way ends with the task")
}

func TestManyConnectionsOfAComponent(t *testing.T) {
	said := &words{}
	b, err := broker.Serve(t.Context(), &node{}, said)
	require.NoError(t, err)
	defer b.Close()
	for range 64 {
		c := dial(t, b.Port)
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	_, err = dial(t, b.Port).Read(make([]byte, 1))
	require.Error(t, err)
	require.Contains(t, said.String(), "64 connections")
}
