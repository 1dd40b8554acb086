package cluster

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// longestCall is how long a call may take that has no deadline of its own. The SDK gives one to each of its calls. Those past it, as a
// signal with an ID or a question of the doctor, would wait for ever for a server that hangs. A server holds what waits for news for
// 20 s.
var longestCall = 30 * time.Second // tests change it

// WithDeadlines has every call over a connection end, with DEADLINE_EXCEEDED.
func WithDeadlines() grpc.DialOption { return grpc.WithChainUnaryInterceptor(patient) }

func patient(ctx context.Context, method string, request, reply any, c *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		limited, cancel := context.WithTimeout(ctx, longestCall)
		defer cancel()
		ctx = limited
	}
	return next(ctx, method, request, reply, c, opts...)
}
