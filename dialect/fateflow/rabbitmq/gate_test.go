package rabbitmq_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/rabbitmq"
)

// pair is both ends of a connection of TCP.
func pair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	met := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		met <- c
	}()
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far := <-met
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	for _, c := range []net.Conn{near, far} {
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	}
	return near, far
}

// passing is a connection of a component that the gate passes on.
type passing struct {
	component, broker net.Conn // the far ends
	ended             chan error
}

func passes(t *testing.T, g *rabbitmq.Gate, goes func(context.Context) error) passing {
	t.Helper()
	component, theirs := pair(t)
	broker, its := pair(t)
	p := passing{component, broker, make(chan error, 1)}
	go func() { p.ended <- g.Pass(t.Context(), task(), theirs, its, theirs, goes) }()
	return p
}

func goesOn(context.Context) error { return nil }

func read(t *testing.T, from io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(from, b)
	require.NoError(t, err)
	return string(b)
}

func TestPass(t *testing.T) {
	g := &rabbitmq.Gate{}
	p := passes(t, g, goesOn)
	said := connects(session, vhost)
	_, err := p.component.Write(append(bytes.Clone(said), "more"...))
	require.NoError(t, err)
	require.Equal(t, string(said)+"more", read(t, p.broker, len(said)+4))
	_, err = io.WriteString(p.broker, "answer")
	require.NoError(t, err)
	require.Equal(t, "answer", read(t, p.component, 6))
	require.NoError(t, p.broker.Close())
	require.NoError(t, <-p.ended)
	_, err = p.component.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// Whose virtual host it is not, is never heard of by the broker.
func TestPassRefuses(t *testing.T) {
	for name, said := range map[string][]byte{
		"another user":         connects("site", vhost),
		"another virtual host": connects(session, "/"),
		"another task's":       connects(session, "2_psi_0_0-guest-9999-host-10000"),
		"no AMQP":              []byte("GET /api/users HTTP/1.1\r\n\r\n"),
	} {
		p := passes(t, &rabbitmq.Gate{}, goesOn)
		_, err := p.component.Write(said)
		require.NoError(t, err)
		heard, _ := io.ReadAll(p.broker)
		require.NotContains(t, string(heard), "\x00\x0a\x00\x28", "%s: the broker was asked to open one", name)
		require.Error(t, <-p.ended, name)
	}
}

// A connection ends when nothing comes for long, and when its run has ended or the policy names no broker any more.
func TestConnectionsEnd(t *testing.T) {
	p := passes(t, &rabbitmq.Gate{Idle: 30 * time.Millisecond}, goesOn)
	_, err := p.component.Write(connects(session, vhost))
	require.NoError(t, err)
	require.ErrorContains(t, <-p.ended, "nothing has come")

	var over atomic.Pointer[openflow.Error]
	p = passes(t, &rabbitmq.Gate{Every: time.Millisecond}, func(context.Context) error {
		if e := over.Load(); e != nil {
			return e
		}
		return nil
	})
	said := connects(session, vhost)
	_, err = p.component.Write(said)
	require.NoError(t, err)
	read(t, p.broker, len(said))
	over.Store(openflow.Errorf(openflow.CodePermission, "the policy names none"))
	require.ErrorContains(t, <-p.ended, "the policy names none")

	p = passes(t, &rabbitmq.Gate{Every: time.Millisecond}, func(context.Context) error { return openflow.Errorf(openflow.CodeUnavailable, "the catalogue is away") })
	require.ErrorContains(t, <-p.ended, "the catalogue is away", "for long")
}

// A component that reads nothing keeps nothing of this node but its connection: the broker waits.
func TestSlowReaders(t *testing.T) {
	p := passes(t, &rabbitmq.Gate{}, goesOn)
	said := connects(session, vhost)
	_, err := p.component.Write(said)
	require.NoError(t, err)
	read(t, p.broker, len(said))
	const all = 64 << 20
	require.NoError(t, p.broker.SetWriteDeadline(time.Now().Add(time.Second)))
	n, err := p.broker.Write(make([]byte, all))
	require.Error(t, err, "it waits for the component")
	require.Less(t, n, all)
	read(t, p.component, n)
}

func TestManyConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	g := &rabbitmq.Gate{}
	b := openflow.Broker{Address: l.Addr().String()}
	connect := func(run openflow.RunID) (func(), error) {
		conn, leave, err := g.Connect(t.Context(), run, b)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
		return leave, err
	}
	first, err := connect("a")
	require.NoError(t, err)
	for range 63 {
		_, err := connect("a")
		require.NoError(t, err)
	}
	_, err = connect("a")
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	_, err = connect("b")
	require.NoError(t, err, "another run is not in its way")
	first()
	first()
	_, err = connect("a")
	require.NoError(t, err)
	_, err = connect("a")
	require.Error(t, err, "what has left twice made room once")
	require.NoError(t, l.Close())
	_, err = connect("c")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}

func TestAsk(t *testing.T) {
	status, size := http.StatusCreated, 1
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "admin" || password != "secret" {
			t.Error("another account")
		}
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}))
	defer broker.Close()
	g, b := &rabbitmq.Gate{}, task().Broker
	b.Management = strings.TrimPrefix(broker.URL, "http://")
	a := rabbitmq.Asked{Method: http.MethodPut, Path: "/api/vhosts/x"}
	for _, status = range []int{http.StatusCreated, http.StatusNotFound, http.StatusFound} {
		got, err := g.Ask(t.Context(), b, a)
		require.NoError(t, err)
		require.Equal(t, status, got.Status)
	}
	status = http.StatusUnauthorized
	_, err := g.Ask(t.Context(), b, a)
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.NotContains(t, openflow.ForPartners(err).Error(), b.Management)
	status, size = http.StatusOK, 2<<20
	_, err = g.Ask(t.Context(), b, a)
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	broker.Close()
	_, err = g.Ask(t.Context(), b, a)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}
