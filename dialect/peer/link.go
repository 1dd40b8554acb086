// Package peer is one signed exchange with another node, whatever dialect it is in. The request is signed, the answer is
// bounded and proven, and what goes wrong becomes an error of the domain with the party's name on it. Nothing is tried
// twice here, because the workflow that calls does. Messages between containers go the same way, see transport.go.
package peer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"openflow"
)

// Signer proves to the other side who we are.
type Signer interface {
	// Sign adds the proof to a request with that body to the destination.
	Sign(r *http.Request, to openflow.PartyID, body []byte) error
}

// Verifier proves whose answer we have.
type Verifier interface {
	// VerifyAnswer checks that from has given this answer to that request. CodeUnauthorized: it has not.
	VerifyAnswer(from openflow.PartyID, request, answer http.Header, status int, body []byte) error
}

// Link leads to one peer.
type Link struct {
	Self openflow.PartyID
	Peer openflow.PartyID
	URL  string // base of the peer's interconnection layer, without a trailing slash
	// Version and Profile are those of the dialect that the peer speaks, as its record says.
	Version, Profile string
	Way              openflow.PeerWay // how calls get there
	Signer           Signer
	// App is the app, with its token, that the peer has given this node to sign with, for profiles that sign so; nil: for none.
	App func(context.Context) (openflow.App, string, error)
	// Verifier checks the answers of a peer whose dialect signs them, so that a wrong key in its record shows before
	// anything runs; nil: they are believed.
	Verifier Verifier
	HTTP     *http.Client
	Shows    string // the key that this node shows in handshakes, for messages
	// Called is told of every call that has ended, and its error; nil: nobody is.
	Called func(peer openflow.PartyID, took time.Duration, err error)
}

// CallTimeout bounds one call; FATE-Flow's own clients give up after the same time (fate-flow-api §0.8).
const CallTimeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// Ended ends a call that began then, for those who count.
func (l *Link) Ended(begin time.Time, err *error) {
	if l.Called != nil {
		l.Called(l.Peer, time.Since(begin), *err)
	}
}

// OfItself is a peer's refusal as its own: it blames no other party.
func OfItself(peer openflow.PartyID, refusal error) error {
	var e *openflow.Error
	if !errors.As(refusal, &e) {
		return refusal
	}
	own := *e
	own.Party, own.Mistakes = peer, slices.Clone(e.Mistakes)
	for i := range own.Mistakes {
		if own.Mistakes[i].Party != "" {
			own.Mistakes[i].Party = peer
		}
	}
	return &own
}

// SignatureHeader is that of a signed answer: RFC 9421, section 4.2.
const SignatureHeader = "Signature"

// Prove checks the signature on an answer. CodeUnauthorized, at this party: its record of the peer does not fit.
func (l *Link) Prove(a Answer) error {
	if l.Verifier == nil {
		return nil
	}
	return openflow.AtParty(l.Self, l.Verifier.VerifyAnswer(l.Peer, a.request, a.Header, http.StatusOK, a.Body))
}

// Answer is what a peer has answered, with HTTP's 200.
type Answer struct {
	Header  http.Header
	Body    []byte
	request http.Header // as it was sent
}

// Signed reports whether the answer has a signature of ours. Others, as of a proxy, may be beside it or alone.
func (a Answer) Signed() bool {
	return slices.ContainsFunc(a.Header.Values(SignatureHeader), func(v string) bool { return strings.Contains(v, "openflow=") })
}

// Do sends one signed request. Every failure to get an answer is CodeUnavailable at the peer.
func (l *Link) Do(ctx context.Context, path, contentType string, body []byte, header http.Header) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, openflow.Errorf(openflow.CodeInvalid, "address %q of party %s is not usable: %w", l.URL, l.Peer, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", contentType)
	if err := l.Signer.Sign(req, l.Peer, body); err != nil {
		return Answer{}, err
	}
	resp, err := l.HTTP.Do(req)
	if err != nil {
		return Answer{}, l.notReached(ctx, l.lastWords(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read or is of no more use
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, l.Unreachable("broke off its answer to %s: %v", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return Answer{}, l.Unreachable("answered %s with HTTP %d", path, resp.StatusCode)
	}
	return Answer{resp.Header, b, req.Header}, nil
}

// listening is how long a peer may take to say why it has closed a connection.
const listening = 2 * time.Second

// lastWords is why the peer has closed a connection on which a request was being sent. It refuses a certificate after the
// handshake, when the request is on its way: what it has said may be lost then. So it is asked once more, by a handshake that is
// followed by nothing. What it does not explain stays as it is.
func (l *Link) lastWords(ctx context.Context, broken error) error {
	t, ok := l.HTTP.Transport.(*http.Transport)
	u, err := url.Parse(l.URL)
	if !ok || err != nil || u.Scheme != "https" || !breaks(broken) {
		return broken
	}
	ctx, cancel := context.WithTimeout(ctx, listening)
	defer cancel()
	conn, err := (&tls.Dialer{Config: t.TLSClientConfig}).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return broken
	}
	defer func() { _ = conn.Close() }()                 // nothing was sent
	_ = conn.SetReadDeadline(time.Now().Add(listening)) // an open connection takes it
	_, err = conn.Read(make([]byte, 1))
	var said *net.OpError
	if errors.As(err, &said) && said.Op == alert {
		return err
	}
	return broken
}

// breaks reports whether the other side has ended a connection.
func breaks(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

func hostPort(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"https": "443"}[u.Scheme], "80"))
}

func (l *Link) notReached(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return openflow.AtParty(l.Peer, ctx.Err())
	}
	var unproven *openflow.Error
	if errors.As(err, &unproven) && unproven.Code == openflow.CodeUnauthorized { // who answers there is not the peer
		return openflow.AtParty(l.Self, unproven)
	}
	var said *net.OpError
	if errors.As(err, &said) && said.Op == alert && alertOf(said.Err) == badCertificate {
		return openflow.AtParty(l.Peer, openflow.Errorf(openflow.CodeUnauthorized, "the node does not accept the key %s of party %s, or does not know that party", l.Shows, l.Self).
			WithHint("its operator compares openflow site list with what openflow site key prints here; on party %s: openflow site add %s --url URL --key KEY, or openflow site rotate %s --key KEY", l.Peer, l.Self, l.Self))
	}
	if another(err) {
		e := l.Unreachable("answers at %s, and not in TLS as this node speaks it: %v", l.URL, err)
		e.Err = fmt.Errorf("%w: %w", openflow.ErrUnusable, err)
		return e
	}
	e := l.Unreachable("does not answer at %s: %v", l.URL, err).WithPublic("the node does not answer")
	e.Err = err
	if absent(err) {
		e.Err = fmt.Errorf("%w: %w", openflow.ErrAbsent, err)
	}
	return e.WithHint("check that its node runs and that the address is right: openflow site list, openflow doctor")
}

// alert is the operation of errors by which the TLS library tells what the other side has to say. badCertificate is what a node says
// where it knows nobody with the key that it has been shown: RFC 8446, section 6.2. Others, as of a gateway that restarts, pass.
const (
	alert          = "remote error"
	badCertificate = 42
)

// alertOf is the number of an alert. Its type is the library's own, and a number.
func alertOf(err error) uint64 {
	if v := reflect.ValueOf(err); v.IsValid() && v.CanUint() {
		return v.Uint()
	}
	return 0
}

// another reports whether who answers at an address speaks something else than TLS 1.3, or none of what this node can.
func another(err error) bool {
	var record tls.RecordHeaderError
	var said *net.OpError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) || errors.As(err, &said) && said.Op == alert
}

// absent reports whether the network says that nobody is there: the connection is refused, or the host or its name does
// not exist. Silence says nothing, and a connection that breaks off may be a node that restarts.
func absent(err error) bool {
	var name *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.As(err, &name) && name.IsNotFound
}

// Unreachable is that the peer has given no answer that can be used.
func (l *Link) Unreachable(format string, args ...any) *openflow.Error {
	e := openflow.Errorf(openflow.CodeUnavailable, "the node "+format, args...).WithPublic("the node gives no answer that can be used").
		WithHint("see who is at its address, and what that speaks: openflow site probe %s", l.Peer)
	e.Message = openflow.Heard(e.Message) // it may quote what the node has answered
	e.Party, e.Err = l.Peer, openflow.ErrUnusable
	return e
}

// Unreadable is that the data of the peer's answer to a call have another form than theirs. The log has what is wrong.
func (l *Link) Unreadable(call string, err error) *openflow.Error {
	e := l.Unreachable("answered %s with data of another form", call)
	e.Err = fmt.Errorf("%w: %w", openflow.ErrUnusable, err)
	return e
}

// Reach connects to the peer and says nothing. Errors are those of a call that gets no answer.
func (l *Link) Reach(ctx context.Context) error {
	u, err := url.Parse(l.URL)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "address %q of party %s is not usable: %w", l.URL, l.Peer, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return l.notReached(ctx, err)
	}
	return conn.Close()
}
