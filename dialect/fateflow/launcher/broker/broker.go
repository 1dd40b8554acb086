// Package broker is the message broker of a site as FATE's components call it, on loopback in the container of their task. Each
// connection and each request goes through the node, which knows by the task's credential where it may lead.
package broker

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"openflow"
)

// Where the base layer of a node has the way to a broker.
const (
	connectPath = "/v2/worker/rabbitmq/connect"
	managePath  = "/v2/worker/rabbitmq/manage"
	protocol    = "amqp"
)

// Node is the base layer of the task's node.
type Node interface {
	Connect(ctx context.Context, path, protocol string) (io.ReadWriteCloser, error)
	Through(route string) http.Handler
}

// What a component may have under way here. Its node bounds what comes of that once more.
const (
	maxConnections = 64
	maxBody        = 64 << 10 // of a request to the management
)

// Broker answers the components of one task.
type Broker struct {
	Port       int // on loopback, of the queues
	Management int // on loopback

	node   Node
	queues net.Listener
	manage *http.Server
	ctx    context.Context //nolint:containedctx // of all connections, until Close
	stop   context.CancelFunc
	room   chan struct{}
	under  sync.WaitGroup
	log    *log.Logger
}

// Serve begins to listen on loopback, until Close. What is refused is told to words. Errors: CodeConflict (nothing is left to listen
// on).
func Serve(ctx context.Context, node Node, words io.Writer) (*Broker, error) {
	var listen net.ListenConfig
	queues, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeConflict, "there is no port for a broker on loopback: %w", err)
	}
	manage, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(openflow.Errorf(openflow.CodeConflict, "there is no port for a broker on loopback: %w", err), queues.Close())
	}
	b := &Broker{
		Port: portOf(queues), Management: portOf(manage), node: node, queues: queues, room: make(chan struct{}, maxConnections),
		log: log.New(words, "", 0),
	}
	b.ctx, b.stop = context.WithCancel(ctx)
	b.manage = &http.Server{
		Handler: http.MaxBytesHandler(node.Through(managePath), maxBody), ReadTimeout: time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	b.under.Go(func() { _ = b.manage.Serve(manage) }) // it ends with Close
	b.under.Go(b.accept)
	return b, nil
}

func portOf(l net.Listener) int {
	return l.Addr().(*net.TCPAddr).Port //nolint:errcheck,forcetypeassert // of a listener of TCP
}

// Close breaks off what is under way.
func (b *Broker) Close() {
	b.stop()
	_ = b.queues.Close()
	_ = b.manage.Close()
	b.under.Wait()
}

func (b *Broker) accept() {
	for {
		conn, err := b.queues.Accept()
		if err != nil {
			return
		}
		select {
		case b.room <- struct{}{}:
			b.under.Go(func() {
				defer func() { <-b.room }()
				b.pass(conn)
			})
		default:
			b.log.Printf("the component has %d connections to the broker, as many as it may", maxConnections)
			_ = conn.Close()
		}
	}
}

// pass passes on what a component and the node say to each other, until one of them ends it.
func (b *Broker) pass(component net.Conn) {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	defer component.Close() //nolint:errcheck // of no more use
	node, err := b.node.Connect(ctx, connectPath, protocol)
	if err != nil {
		b.log.Printf("no connection to the broker: %v", err)
		return
	}
	defer node.Close() //nolint:errcheck // of no more use
	ended := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(node, component) // that it ends is all that counts
		ended <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(component, node)
		ended <- struct{}{}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
