// Package frametest is a client of gRPC that calls the transport as algorithm images do: by gRPC's own library, and not by ours.
package frametest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"openflow/sdk/wire/ptp"
)

// Client calls one server.
type Client struct {
	*testing.T
	conn *grpc.ClientConn
}

// Dial connects to an address of host and port. Connections are closed with the test.
func Dial(t *testing.T, address string, how credentials.TransportCredentials) *Client {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(how), grpc.WithDefaultCallOptions(
		grpc.ForceCodec(plain{}), grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // the server may have been faster
	return &Client{t, conn}
}

// Push sends a message. Metadata come in pairs.
func (c *Client) Push(ctx context.Context, service string, p ptp.PushInbound, pairs ...string) (ptp.TransportOutbound, error) {
	_, body := ptp.EncodePush(ptp.FormProtobuf, p)
	return c.Call(ctx, service+"push", body, pairs...)
}

// Pop reads a message, or does what else has the form of a pop.
func (c *Client) Pop(ctx context.Context, method string, p ptp.PopInbound, pairs ...string) (ptp.TransportOutbound, error) {
	_, body := ptp.EncodePop(ptp.FormProtobuf, p)
	return c.Call(ctx, method, body, pairs...)
}

// Call sends the bytes of a message to a method.
func (c *Client) Call(ctx context.Context, method string, body []byte, pairs ...string) (ptp.TransportOutbound, error) {
	c.Helper()
	var answer []byte
	if err := c.conn.Invoke(metadata.AppendToOutgoingContext(ctx, pairs...), method, &body, &answer); err != nil {
		return ptp.TransportOutbound{}, err
	}
	return ptp.DecodeReply(ptp.TypeProtobuf, answer)
}

// plain passes bytes on.
type plain struct{}

// Name is what the content type says.
func (plain) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (plain) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return *b, nil
}

// Unmarshal implements encoding.Codec.
func (plain) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*b = data
	return nil
}
