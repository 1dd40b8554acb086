package base

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow/sdk/wire/ptp"
	"openflow/sdk/wire/ptp/frame"
	"openflow/server/reply"
)

// grpcRoutes mounts the container side of the transport's gRPC binding, in the package of the standard and in Kuscia's. The same
// handlers serve it: what HTTP has in headers, gRPC has in metadata, the credential included.
//
// Spec: interop-transport §2, §3, §13 #10.
func (t *Transport) grpcRoutes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(t.Site.known(t.refuseCall, false))
		for _, service := range []string{ptp.GRPCTransport, ptp.GRPCTransportKuscia} {
			r.Post(service+string(ptp.OperationPush), frame.Unary(t.push))
			r.Post(service+string(ptp.OperationPop), frame.Unary(t.pop))
			r.Post(service+string(ptp.OperationPeek), frame.Unary(t.peek))
			r.Post(service+string(ptp.OperationRelease), frame.Unary(t.release))
		}
	})
}

// refuseCall answers a call of gRPC that nobody has listened to.
func (t *Transport) refuseCall(w http.ResponseWriter, r *http.Request, err error) {
	reply.Note(r, err)
	out := frame.Answer(w)
	defer out.End()
	t.answer(out, r, ptp.FormProtobuf, ptp.Reply(err))
}
