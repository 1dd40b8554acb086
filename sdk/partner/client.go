// Package partner is the client of another node's interconnection layer: openflow.PartnerService and
// openflow.SchedulerService over signed HTTP.
//
// [Client] speaks to nodes of ours, which take in one call what FATE-Flow takes in several; [Client.Stepwise] makes
// FATE-Flow's own calls for all other peers. [Client.Folds] asks a peer which of the two it is.
//
// It never retries, because the workflow that calls it does; it turns answers and failures into the domain's errors
// with the party's name on them. Messages between containers go the same way, see transport.go.
package partner

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/sdk/wire"
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

// Client talks to one peer.
type Client struct {
	Self   openflow.PartyID
	Peer   openflow.PartyID
	URL    string // base of the peer's interconnection layer, without a trailing slash
	Signer Signer
	// Verifier checks the answers by which a job is made, and those about the peer itself, so that a wrong key in its record
	// shows before anything runs; nil: they are believed.
	Verifier Verifier
	// Unsigned tells that the operator has registered the peer as a FATE-Flow node, which signs nothing.
	Unsigned bool
	HTTP     *http.Client
	// Called is told of every call that has ended, and its error; nil: nobody is.
	Called func(peer openflow.PartyID, took time.Duration, err error)
}

var (
	_ openflow.PartnerService   = (*Client)(nil)
	_ openflow.SchedulerService = scheduler{}
)

// callTimeout bounds one call; FATE-Flow's own clients give up after the same time (fate-flow-api §0.8).
const callTimeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// NewHTTP makes an HTTP client fit for many calls to few peers.
func NewHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.Proxy = nil // peers are named by address; a proxy of the environment must not see the requests
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tellOf ends a call that began then.
func (c *Client) tellOf(begin time.Time, err *error) {
	if c.Called != nil {
		c.Called(c.Peer, time.Since(begin), *err)
	}
}

// post sends one call and returns the answer's envelope.
func (c *Client) post(ctx context.Context, path string, body any) (wire.Envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.send(ctx, path, body, "")
}

// send makes one call. initiator is who submitted the job that the call creates, empty in all other calls; FATE-Flow
// reads it, and who it is for, from headers (fate-flow-api §0.6.2, §0.8.1).
func (c *Client) send(ctx context.Context, path string, body any, initiator openflow.PartyID) (wire.Envelope, error) {
	e, _, err := c.exchange(ctx, path, body, initiator)
	return e, err
}

// exchange is send with the answer's header, which is nil when there was none.
func (c *Client) exchange(
	ctx context.Context, path string, body any, initiator openflow.PartyID,
) (e wire.Envelope, seen http.Header, err error) {
	defer c.tellOf(time.Now(), &err)
	b, err := json.Marshal(body)
	if err != nil {
		return e, nil, openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", path, err)
	}
	header := http.Header{"Initiator-Party-Id": {string(initiator)}, "Dest-Party-Id": {string(c.Peer)}, "Service": {"fateflow"}}
	answer, err := c.do(ctx, path, "application/json", b, header)
	if err != nil {
		return e, nil, err
	}
	if err := json.Unmarshal(answer.body, &e); err != nil {
		return e, answer.header, c.unreachable("answered %s with something that is not JSON (HTTP %d)", path, answer.status)
	}
	e = e.Heard()
	refusal := e.Err()
	if err := c.prove(path, answer, refusal); err != nil {
		return e, answer.header, openflow.AtParty(c.Self, err) // it is the record here that does not fit
	}
	if strings.HasPrefix(path, participantPath) {
		refusal = ofItself(c.Peer, refusal)
	}
	return e, answer.header, openflow.AtParty(c.Peer, refusal)
}

// participantPath begins the paths at which a node answers for itself. A scheduler passes on what others have said.
const participantPath = "/v2/partner/"

// ofItself is a peer's refusal as its own: it blames no other party.
func ofItself(peer openflow.PartyID, refusal error) error {
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

// proven are the calls whose answers count only with the peer's signature. A peer that refuses the caller does not sign.
var proven = map[string]bool{sitePath: true, openPath: true, createPath: true, schedulePath: true, endedPath: true}

// prove checks the signature on an answer, where there is one or has to be one.
func (c *Client) prove(path string, a answer, refusal error) error {
	signed := a.header.Get(signatureHeader) != ""
	if c.Verifier == nil || !signed && (refusal != nil || c.Unsigned || !proven[path]) {
		return nil
	}
	return c.Verifier.VerifyAnswer(c.Peer, a.request, a.header, a.status, a.body)
}

// signatureHeader is that of trust.HeaderSignature.
const signatureHeader = "x-openflow-signature"

type answer struct {
	request http.Header // as it was sent
	status  int
	header  http.Header
	body    []byte
}

// do sends one signed request. Every failure to get an answer is CodeUnavailable at the peer.
func (c *Client) do(ctx context.Context, path, contentType string, body []byte, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, openflow.Errorf(openflow.CodeInvalid, "address %q of party %s is not usable: %w", c.URL, c.Peer, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", contentType)
	if err := c.Signer.Sign(req, c.Peer, body); err != nil {
		return answer{}, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return answer{}, c.notReached(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read or is of no more use
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, c.unreachable("broke off its answer to %s: %v", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, c.unreachable("answered %s with HTTP %d", path, resp.StatusCode)
	}
	return answer{req.Header, resp.StatusCode, resp.Header, b}, nil
}

func (c *Client) notReached(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return openflow.AtParty(c.Peer, ctx.Err())
	}
	e := c.unreachable("does not answer at %s: %v", c.URL, err)
	e.Err = err
	if absent(err) {
		e.Err = fmt.Errorf("%w: %w", openflow.ErrAbsent, err)
	}
	return e.WithHint("check that its node runs and that the address is right: openflow site list, openflow doctor")
}

// absent reports whether the network says that nobody is there: the connection is refused, or the host or its name does
// not exist. Silence says nothing, and a connection that breaks off may be a node that restarts.
func absent(err error) bool {
	var name *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.As(err, &name) && name.IsNotFound
}

func (c *Client) unreachable(format string, args ...any) *openflow.Error {
	e := openflow.Errorf(openflow.CodeUnavailable, "the node "+format, args...).WithPublic("the node does not answer")
	e.Message = openflow.Heard(e.Message) // it may quote what the node has answered
	e.Party = c.Peer
	return e
}

func (c *Client) tell(ctx context.Context, path string, body any) error {
	_, err := c.post(ctx, path, body)
	return err
}

// Folds asks the peer whether it takes folded calls. One that cannot be asked now is an error, and so is an answer without a
// signature: anybody at the peer's address could give it, to be called in the form of FATE-Flow, which proves nothing.
func (c *Client) Folds(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, header, err := c.exchange(ctx, sitePath, wire.SiteProbe{}, "")
	if code := openflow.CodeOf(err); code == openflow.CodeUnimplemented || code == openflow.CodeInternal {
		if c.Verifier == nil || c.Unsigned || header.Get(signatureHeader) != "" {
			return false, nil // 6000 and a Python text (fate-flow-api §0.3.2), or our own answer to an unknown route
		}
		e := openflow.Errorf(openflow.CodeUnauthorized, "the node answers without a signature, as one of FATE-Flow does")
		e.Party = c.Peer
		return false, e.WithHint("if it is one: openflow site add %s --url URL --key KEY --dialect fate-flow; if not, see who is at its address", c.Peer)
	}
	if err != nil {
		return false, err
	}
	var seen wire.SiteProbed
	if err := json.Unmarshal(e.Data, &seen); err != nil {
		return false, nil // something else that answers everything
	}
	return seen.Folds, nil
}

const (
	// sitePath is where a peer tells about itself, and whom it takes the caller for.
	sitePath = "/v2/partner/site/info"
	// createPath is where a peer creates a job, as FATE-Flow does.
	createPath = "/v2/partner/job/create"
	// openPath is where a peer creates a job and takes its resources.
	openPath = "/v2/partner/fold/job/create"
	// schedulePath is where a peer takes a job to schedule.
	schedulePath = "/v2/scheduler/job/create"
	// endedPath is where a peer tells which of its jobs have ended.
	endedPath = "/v2/scheduler/job/ended"
)

// Seen is what a peer has shown of itself.
type Seen struct {
	Answered bool          // it has answered, if only to refuse
	Clock    time.Duration // how far its clock is ahead of ours; Timed: it told the time, to the second
	Timed    bool
	Version  string // empty: it does not say
	Caller   string // whom it takes this node for
	CallBack error  // why it does not reach this node; nil: it does, or was not asked
}

// Examine asks the peer whom it takes this node for, and shows what can be seen of it on the occasion, also when it
// refuses. With callBack the peer also tries to reach this node in the same way.
func (c *Client) Examine(ctx context.Context, callBack bool) (seen Seen, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	begin := time.Now()
	e, header, err := c.exchange(ctx, sitePath, wire.SiteProbe{CallBack: callBack}, "")
	seen.Answered = header != nil
	if there, bad := http.ParseTime(header.Get("Date")); bad == nil {
		seen.Clock, seen.Timed = there.Sub(begin.Add(time.Since(begin)/2)), true
	}
	if err != nil {
		return seen, err
	}
	var answer wire.SiteProbed
	if err := json.Unmarshal(e.Data, &answer); err != nil {
		return seen, c.unreachable("answered %s with unreadable data: %v", sitePath, err)
	}
	seen.Caller, seen.Version = openflow.Heard(answer.Caller), openflow.Heard(answer.Version)
	if answer.CallBack != nil {
		p := answer.CallBack.Heard()
		e := openflow.Errorf(cmp.Or(openflow.Code(p.Code), openflow.CodeInternal), "it answers, and does not reach this node: %s", p.Message)
		e.Party, e.Hint = c.Peer, p.Hint
		seen.CallBack = e
	}
	if seen.Caller != string(c.Self) {
		e := openflow.Errorf(openflow.CodeUnauthorized, "the node takes party %s for %q", c.Self, seen.Caller)
		e.Party = c.Peer
		return seen, e
	}
	return seen, nil
}

// Probe is Examine for those who only want to know whether all is well: nil, or the first thing that is wrong.
func (c *Client) Probe(ctx context.Context, callBack bool) error {
	seen, err := c.Examine(ctx, callBack)
	if err == nil {
		err = seen.CallBack
	}
	return err
}

// Reach connects to the peer and says nothing. Errors are those of a call that gets no answer.
func (c *Client) Reach(ctx context.Context) error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "address %q of party %s is not usable: %w", c.URL, c.Peer, err)
	}
	port := cmp.Or(u.Port(), map[string]string{"https": "443"}[u.Scheme], "80")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return c.notReached(ctx, err)
	}
	return conn.Close()
}

// OpenJob calls /v2/partner/fold/job/create, or job/create when the resources are asked for later.
func (c *Client) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	if o.Later {
		return openflow.Reservation{}, c.create(ctx, createPath, o)
	}
	return openflow.Reserved(c.create(ctx, openPath, o))
}

func (c *Client) create(ctx context.Context, path string, o openflow.JobOrder) error {
	dag, err := wire.EncodeDAG(o.DAG)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = c.send(ctx, path, wire.PartnerCreateJob{
		JobRef: wire.Ref(o.Key.Job, o.Key.Party), DAG: dag, SchemaVersion: wire.Text(o.DAG.SchemaVersion), Kind: wire.Kind,
		UserName: o.UserName,
	}, o.DAG.Conf.Initiator)
	return err
}

// Reserve calls /v2/partner/job/resource/apply.
func (c *Client) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(c.tell(ctx, "/v2/partner/job/resource/apply", wire.Ref(k.Job, k.Party)))
}

// Release calls /v2/partner/job/resource/return.
func (c *Client) Release(ctx context.Context, k openflow.JobKey) error {
	return c.tell(ctx, "/v2/partner/job/resource/return", wire.Ref(k.Job, k.Party))
}

// Tell calls /v2/partner/fold/job/news.
func (c *Client) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	return c.tell(ctx, "/v2/partner/fold/job/news", wire.PartnerNews{
		JobRef: wire.Ref(k.Job, k.Party), Status: wire.Text(n.Status), Reason: n.Reason, Progress: n.Progress,
		Tasks: wire.EncodeTaskUpdates(n.Tasks),
	})
}

// StopJob calls /v2/partner/fold/job/stop.
func (c *Client) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	return c.tell(ctx, "/v2/partner/fold/job/stop", wire.PartnerStopJob{
		JobRef: wire.Ref(k.Job, k.Party), Status: wire.Text(end.Status), Reason: end.Reason, Tasks: wire.EncodeTaskUpdates(end.Tasks),
	})
}

// StartTask calls /v2/partner/fold/task/start.
func (c *Client) StartTask(ctx context.Context, _ openflow.PartyID, o openflow.TaskStart) error {
	return c.tell(ctx, "/v2/partner/fold/task/start", wire.PartnerStartTask{
		TaskRef: wire.TaskRefOf(o.TaskKey), StartsJob: o.StartsJob, Ended: wire.EncodeTaskUpdates(o.Ended),
	})
}

// AskTask calls /v2/partner/task/collect.
func (c *Client) AskTask(ctx context.Context, _ openflow.PartyID, k openflow.TaskKey) (openflow.TaskStanding, error) {
	at := openflow.TaskStanding{Key: k}
	e, err := c.post(ctx, "/v2/partner/task/collect", wire.TaskRefOf(k))
	if err != nil {
		return at, err
	}
	var s wire.TaskState
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return at, c.unreachable("answered /v2/partner/task/collect with unreadable data: %v", err)
	}
	at.Status, at.PartyStatus = openflow.TaskStatus(s.Status), openflow.TaskStatus(s.PartyStatus)
	at.Cause, at.Stopping = s.FailureCause.Decode(), s.Stopping
	if !at.PartyStatus.Valid() {
		return at, c.unreachable("told an unknown status %q of %s", s.PartyStatus, k)
	}
	return at, nil
}
