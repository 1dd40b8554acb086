package fateflow

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/packets"
	"openflow/dialect/fateflow/signature"
	"openflow/server/reply"
)

// The headers of FATE-Flow's calls between sites.
//
// Spec: fate-flow-api §0.6.2, §0.8.1.
const (
	headerInitiator = "Initiator-Party-Id"
	headerTo        = "Dest-Party-Id"
	headerService   = "Service"
)

// bySite proves the requests that a site of FATE-Flow has signed, and leaves all others to who proves those.
type bySite struct {
	self   openflow.PartyID
	others dialect.Verifier
	apps   dialect.Apps
}

// Verify implements dialect.Verifier. Errors: CodeInvalid (a header is missing), CodeUnauthorized, CodePermission.
//
// Spec: fate-flow-api §0.6.2.
func (b bySite) Verify(ctx context.Context, r *http.Request) (openflow.PartyID, error) {
	if b.apps == nil || !signature.Signs(r.Header) {
		return b.others.Verify(ctx, r)
	}
	c, err := signature.ReadSite(r.Header)
	if err != nil {
		return "", err
	}
	if to := r.Header.Get(headerTo); to != "" && to != string(b.self) {
		return "", openflow.Errorf(openflow.CodeUnauthorized, "the request is for party %q, which this is not", openflow.Cut(to, 64)).
			WithHint("check the address that the calling site, or a router on the way, has for that party")
	}
	return b.apps.Prove(ctx, r, dialect.AppClaim{App: c.App, Nonce: c.Nonce, Signed: c.Signed, By: c.By})
}

// asSite signs requests as a site of FATE-Flow does, with the app that the peer has given.
type asSite struct {
	app func(context.Context) (openflow.App, string, error)
}

// Sign implements peer.Signer. Errors: CodeUnauthorized about AboutApp (there is no such app).
//
// Spec: fate-flow-api §0.6.2.
func (s asSite) Sign(r *http.Request, _ openflow.PartyID, _ []byte) error {
	app, token, err := s.app(r.Context())
	if err != nil {
		return err
	}
	initiator, nonce, stamp := r.Header.Get(headerInitiator), nextNonce(), strconv.FormatInt(time.Now().UnixMilli(), 10)
	for name, value := range map[string]string{
		signature.HeaderApp: string(app.ID), signature.HeaderNonce: nonce, signature.HeaderTime: stamp, signature.HeaderInitiator: initiator,
		signature.HeaderSignature: signature.Of(app.ID, "", initiator, nonce, stamp, token),
	} {
		r.Header.Set(name, value)
	}
	return nil
}

// nonces has four digits, so that as many requests of one millisecond as can be told apart are.
const nonces, smallest = 9000, 1000

var lastNonce = func() *atomic.Uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: it stops the program instead
	var n atomic.Uint32
	n.Store(binary.BigEndian.Uint32(b[:]))
	return &n
}()

func nextNonce() string { return strconv.Itoa(smallest + int(lastNonce.Add(1)%nonces)) }

// Packets implements dialect.Dialect: the calls of Interconnection, in packets.
//
// Spec: fate-flow-api §0.8.2.
func (d Dialect) Packets(n dialect.Node) []dialect.Mount {
	n.Unsigned = nil // a bridge has passed every packet on: where it comes from proves nobody
	calls, paths := chi.NewRouter(), map[string]bool{}
	dialect.Mounts(d.Interconnection(n)).Routes(calls)
	_ = chi.Walk(calls, func(_, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error { // it fails where this does
		paths[path] = true
		return nil
	})
	b := &packets.Bridge{Routes: paths, Serve: calls, Most: reply.MaxBody, Log: n.Log}
	return []dialect.Mount{{Prefix: packets.Service, Router: b.Router()}}
}
