package base_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/peer"
	"openflow/sdk/wire/ptp"
	"openflow/server/base"
	"openflow/server/reply"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/tests/fuzzing"
)

var psi = key("1", "psi_0", guest)

// toGuest and toHost are topics of the kit, as the guest reads and writes them.
var (
	toGuest = base.TopicPrefix(host, guest) + "t"
	toHost  = base.TopicPrefix(guest, host) + "t"
	toSelf  = base.TopicPrefix(guest, arbiter) + "t" // both roles are of party 9999
)

// channel is a request of the transport; headers come in pairs.
func channel(op string, form ptp.Form, push *ptp.PushInbound, header ...string) request {
	r := request{method: http.MethodPost, path: "/v1/interconn/chan/" + op, header: http.Header{}}
	contentType, body := ptp.EncodePop(form, ptp.PopInbound{})
	if push != nil {
		contentType, body = ptp.EncodePush(form, *push)
	}
	r.body = string(body)
	r.header.Set("Content-Type", contentType)
	r.header.Set(ptp.HeaderSessionID, string(psi.SessionID()))
	r.header.Set(ptp.HeaderTimeout, "1")
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.header.Del(header[i])
			continue
		}
		r.header.Set(header[i], header[i+1])
	}
	return r
}

func verdict(t *testing.T, w *httptest.ResponseRecorder) (ptp.TransportOutbound, ptp.Result) {
	t.Helper()
	out, err := ptp.DecodeReply(w.Header().Get("Content-Type"), w.Body.Bytes())
	require.NoError(t, err, "%q", w.Body)
	return out, ptp.ResultOf(out.Err())
}

// arrives puts a message into the guest's queue, as the node of the host does.
func (n *node) arrives(topic string, payloads ...string) {
	n.t.Helper()
	for _, p := range payloads {
		c := messages.Channel{Session: string(psi.SessionID()), Topic: topic}
		require.NoError(n.t, n.messages.Push(n.t.Context(), c, messages.Message{Source: "10000", Payload: []byte(p)}, 0))
	}
}

func (n *node) read(op string, header ...string) (string, string) {
	n.t.Helper()
	w := n.as(psi, channel(op, ptp.FormJSON, nil, header...))
	out, result := verdict(n.t, w)
	require.Equal(n.t, ptp.ResultOK, result, "%v", out.Err())
	return string(out.Payload), w.Header().Get(ptp.HeaderOpenflowSequence)
}

// The reads of the kit: a message stays until the next read confirms it, so a lost answer loses nothing.
func TestAcknowledgedReads(t *testing.T) {
	n := newNode(t)
	n.arrives(toGuest, "one", "two", "")
	ack := "0"
	for _, want := range []string{"one", "two"} {
		for range 2 { // the first answer got lost
			got, seq := n.read("pop", ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, ack)
			require.Equal(t, want, got)
			require.NotEmpty(t, seq)
		}
		_, ack = n.read("pop", ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, ack)
	}
	w := n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, ack))
	require.Contains(t, w.Body.String(), `"content":""`, "an empty message is a message")
	ack = w.Header().Get(ptp.HeaderOpenflowSequence)
	w = n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, ack))
	require.NotContains(t, w.Body.String(), "content", "and nothing is nothing")
	require.Empty(t, w.Header().Get(ptp.HeaderOpenflowSequence))

	for _, bad := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		_, result := verdict(t, n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, bad)))
		require.NotEqual(t, ptp.ResultOK, result, "acknowledgement %q", bad)
	}
}

// The reads of the standard, which foreign images use: what is read is gone.
func TestReadsOfTheStandard(t *testing.T) {
	n := newNode(t)
	n.arrives("any topic", "one", "two")
	got, _ := n.read("pop", ptp.HeaderTopic, "any topic")
	require.Equal(t, "one", got)
	got, _ = n.read("peek", ptp.HeaderTopic, "any topic", ptp.HeaderTimeout, "")
	require.Equal(t, "two", got)
	got, _ = n.read("pop", ptp.HeaderTopic, "any topic")
	require.Empty(t, got)
	got, _ = n.read("peek", ptp.HeaderTopic, "any topic")
	require.Empty(t, got)
}

// A read may be limited to the messages of one node.
func TestReadOfOneSource(t *testing.T) {
	n := newNode(t)
	n.arrives("x", "from the host")
	got, _ := n.read("pop", ptp.HeaderTopic, "x", ptp.HeaderTargetNodeID, "7777")
	require.Empty(t, got)
	got, _ = n.read("pop", ptp.HeaderTopic, "x", ptp.HeaderTargetNodeID, "10000")
	require.Equal(t, "from the host", got)
}

// Every message comes with its source: of a topic of our form, the party and its role. What another party has put there, whoever let
// it in, is not given; the messages around it are.
func TestMessagesNameTheirSource(t *testing.T) {
	n := newNode(t)
	n.arrives(toGuest, "one")
	stray := messages.Channel{Session: string(psi.SessionID()), Topic: toGuest}
	require.NoError(t, n.messages.Push(t.Context(), stray, messages.Message{Source: "666", Payload: []byte("a lie")}, 0))
	n.arrives(toGuest, "two")
	n.arrives("x", "other form")
	ack := "0"
	for _, want := range []string{"one", "two"} {
		w := n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, ack))
		out, result := verdict(t, w)
		require.Equal(t, ptp.ResultOK, result)
		require.Equal(t, want, string(out.Payload))
		require.Equal(t, "host 10000", w.Header().Get(ptp.HeaderOpenflowSource))
		ack = w.Header().Get(ptp.HeaderOpenflowSequence)
	}
	for _, want := range []string{"two", ""} { // the last one was not acknowledged
		got, _ := n.read("pop", ptp.HeaderTopic, toGuest)
		require.Equal(t, want, got, "nor does a reader of the standard get it")
	}
	w := n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, "x"))
	require.Equal(t, "10000", w.Header().Get(ptp.HeaderOpenflowSource), "a topic of another form names no role")
}

func TestPush(t *testing.T) {
	p := &ptp.PushInbound{Topic: toHost, Payload: []byte{0, 1, 2}, Metadata: map[string]string{ptp.MetadataMessageID: "7"}}
	for _, form := range []ptp.Form{ptp.FormJSON, ptp.FormProtobuf} {
		n := newNode(t)
		out, result := verdict(t, n.as(psi, channel("push", form, p, ptp.HeaderTargetNodeID, "10000")))
		require.Equal(t, ptp.ResultOK, result, "%v", out.Err())
		require.Equal(t, []openflow.PartyID{"10000"}, n.peers.to)
		require.Equal(t, []peer.Outgoing{{Session: string(psi.SessionID()), Topic: toHost, ID: "7", Payload: []byte{0, 1, 2}}}, n.peers.sent)
	}
}

// Two roles of one node reach each other without a network, and each message once.
func TestPushWithinANode(t *testing.T) {
	n := newNode(t)
	p := &ptp.PushInbound{Topic: toSelf, Payload: []byte("p"), Metadata: map[string]string{ptp.MetadataMessageID: "7"}}
	for range 2 {
		_, result := verdict(t, n.as(psi, channel("push", ptp.FormProtobuf, p, ptp.HeaderTargetNodeID, "9999")))
		require.Equal(t, ptp.ResultOK, result)
	}
	require.Empty(t, n.peers.to)
	read := func() string {
		w := n.as(key("1", "psi_0", arbiter), channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toSelf))
		out, result := verdict(t, w)
		require.Equal(t, ptp.ResultOK, result)
		return string(out.Payload)
	}
	require.Equal(t, "p", read())
	require.Empty(t, read())
}

func TestPushRefuses(t *testing.T) {
	other := key("2", "psi_0", guest)
	for name, tc := range map[string]struct {
		topic  string
		header []string
		want   ptp.Result
		size   int
	}{
		"session of another job": {toHost, []string{ptp.HeaderSessionID, string(other.SessionID())}, ptp.ResultForbidden, 0},
		"party of another job":   {toHost, []string{ptp.HeaderTargetNodeID, "7777"}, ptp.ResultForbidden, 0},
		"as the host":            {base.TopicPrefix(host, guest) + "t", nil, ptp.ResultForbidden, 0},
		"as the arbiter here":    {base.TopicPrefix(arbiter, host) + "t", nil, ptp.ResultForbidden, 0},
		"too large":              {toHost, nil, ptp.ResultTooLarge, 65 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			p := &ptp.PushInbound{Topic: tc.topic, Payload: make([]byte, tc.size)}
			r := channel("push", ptp.FormProtobuf, p, append([]string{ptp.HeaderTargetNodeID, "10000"}, tc.header...)...)
			_, result := verdict(t, n.as(psi, r))
			require.Equal(t, tc.want, result)
			require.Empty(t, n.peers.to)
		})
	}
}

// A container is told to come again where the way to a peer is at fault, as it is for a peer that does not answer. What is wrong
// with the message itself comes to it with its own result. Whoever tells the users why hears all of it.
func TestFailureOfAPeer(t *testing.T) {
	removed := openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeInvalid, "why"))
	for name, tc := range map[string]struct {
		err  error
		want ptp.Result
	}{
		"it does not answer":            {openflow.Errorf(openflow.CodeUnavailable, "why"), ptp.ResultUnreachable},
		"it has no room":                {openflow.Errorf(openflow.CodeExhausted, "why"), ptp.ResultBufferFull},
		"it answers too late":           {openflow.Errorf(openflow.CodeDeadline, "why"), ptp.ResultTimeout},
		"a key does not fit":            {openflow.Errorf(openflow.CodeUnauthorized, "why"), ptp.ResultUnreachable},
		"it says so itself":             {ptp.Fail(ptp.ResultBadCertificate, openflow.Errorf(openflow.CodeUnauthorized, "why")), ptp.ResultUnreachable},
		"it does not know the session":  {ptp.Fail(ptp.ResultForbidden, openflow.Errorf(openflow.CodePermission, "why")), ptp.ResultUnreachable},
		"its machine is broken":         {ptp.Fail(ptp.ResultInternal, openflow.Errorf(openflow.CodeInternal, "why")), ptp.ResultUnreachable},
		"it has ended the network":      {ptp.Fail(ptp.ResultNetworkDisabled, openflow.Errorf(openflow.CodeRejected, "why")), ptp.ResultUnreachable},
		"it is no peer any more":        {removed, ptp.ResultUnreachable},
		"the message is too large":      {ptp.Fail(ptp.ResultTooLarge, openflow.Errorf(openflow.CodeInvalid, "why")), ptp.ResultTooLarge},
		"the message is none":           {ptp.Fail(ptp.ResultIllegal, openflow.Errorf(openflow.CodeInvalid, "why")), ptp.ResultIllegal},
		"the session has ended":         {ptp.Fail(ptp.ResultReleased, openflow.Errorf(openflow.CodeCanceled, "why")), ptp.ResultReleased},
		"it does not offer the service": {ptp.Fail(ptp.ResultServiceMissing, openflow.Errorf(openflow.CodeUnimplemented, "why")), ptp.ResultServiceMissing},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.peers.err = openflow.AtParty("10000", tc.err)
			var heard []error
			n.site.Hindered = func(session openflow.SessionID, what openflow.Passage, err error) {
				require.Equal(t, psi.SessionID(), session)
				require.Equal(t, openflow.ToParty("10000"), what)
				heard = append(heard, err)
			}
			send := func() (ptp.TransportOutbound, ptp.Result) {
				return verdict(t, n.as(psi, channel("push", ptp.FormProtobuf, &ptp.PushInbound{Topic: toHost}, ptp.HeaderTargetNodeID, "10000")))
			}
			out, result := send()
			require.Equal(t, tc.want, result)
			require.ErrorContains(t, out.Err(), "why", "the container's own log says it")
			require.Equal(t, []error{n.peers.err}, heard)
			n.peers.err = nil
			_, result = send()
			require.Equal(t, ptp.ResultOK, result)
			require.NoError(t, heard[1])
		})
	}
}

func TestReadRefuses(t *testing.T) {
	other := key("2", "psi_0", guest)
	for name, header := range map[string][]string{
		"session of another job": {ptp.HeaderSessionID, string(other.SessionID()), ptp.HeaderTopic, "x"},
		"topic of the arbiter":   {ptp.HeaderTopic, base.TopicPrefix(host, arbiter) + "t"},
		"topic of another node":  {ptp.HeaderTopic, toHost},
		"topic to itself, faked": {ptp.HeaderTopic, base.TopicPrefix(guest, arbiter) + "t"},
		"session that never was": {ptp.HeaderSessionID, "x", ptp.HeaderTopic, "x"},
		"body in no form":        {"Content-Type", "application/xml"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			for _, op := range []string{"pop", "peek", "release"} {
				r := channel(op, ptp.FormJSON, nil, header...)
				if name == "body in no form" {
					r.body = "<pop/>"
				}
				_, result := verdict(t, n.as(psi, r))
				require.NotEqual(t, ptp.ResultOK, result, op)
			}
		})
	}
}

func TestOwnSessionNeedsNoNaming(t *testing.T) {
	n := newNode(t)
	n.arrives(toGuest, "one")
	got, _ := n.read("pop", ptp.HeaderTopic, toGuest, ptp.HeaderSessionID, "")
	require.Equal(t, "one", got)
}

func TestRelease(t *testing.T) {
	n := newNode(t)
	n.arrives(toGuest, "one")
	n.arrives("other", "two")
	_, result := verdict(t, n.as(psi, channel("release", ptp.FormJSON, nil)))
	require.Equal(t, ptp.ResultForbidden, result, "the arbiter of this site has messages in the session too")
	_, result = verdict(t, n.as(psi, channel("release", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest)))
	require.Equal(t, ptp.ResultOK, result)
	got, _ := n.read("pop", ptp.HeaderTopic, toGuest)
	require.Empty(t, got)
	got, _ = n.read("pop", ptp.HeaderTopic, "other")
	require.Equal(t, "two", got)
	n.arrives(toGuest, "three")
	got, _ = n.read("pop", ptp.HeaderTopic, toGuest)
	require.Equal(t, "three", got, "it takes messages again at once")
}

// A session that its job has closed says so, for the container to give up.
func TestClosedSession(t *testing.T) {
	n := newNode(t)
	require.NoError(t, n.messages.CloseSession(t.Context(), string(psi.SessionID()), 1<<40))
	_, result := verdict(t, n.as(psi, channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, toGuest)))
	require.Equal(t, ptp.ResultReleased, result)
	_, result = verdict(t, n.as(psi, channel("push", ptp.FormJSON, &ptp.PushInbound{Topic: toSelf}, ptp.HeaderTargetNodeID, "9999")))
	require.Equal(t, ptp.ResultReleased, result)
}

// Whoever hangs up while a message is on its way to him has not read it.
func TestReaderThatHangsUpLosesNothing(t *testing.T) {
	n := newNode(t)
	n.arrives("x", "one")
	r := channel("pop", ptp.FormJSON, nil, ptp.HeaderTopic, "x")
	req := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
	req.Header = r.header
	req.Header.Set("Authorization", "Bearer "+n.secrets.Issue(psi))
	n.handler.ServeHTTP(gone{httptest.NewRecorder()}, req)
	got, _ := n.read("pop", ptp.HeaderTopic, "x")
	require.Equal(t, "one", got)
}

// gone is a connection that has been closed.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestParseTopic(t *testing.T) {
	parties := []openflow.Party{guest, host, arbiter, {Role: openflow.RoleHost, ID: "1000"}}
	for topic, want := range map[string][2]openflow.Party{
		"guest-9999~host-10000~t":   {guest, host},
		"guest-9999~host-1000~t":    {guest, {Role: openflow.RoleHost, ID: "1000"}},
		"host-10000~arbiter-9999~":  {host, arbiter},
		"guest-9999~guest-9999~t~u": {guest, guest},
		"guest-9999~host-10000":     {},
		"guest-9999~host-7~t":       {},
		"boss-9999~host-10000~t":    {},
		"":                          {},
		"x guest-9999~host-10000~t": {},
	} {
		from, to, ok := base.ParseTopic(topic, parties)
		require.Equal(t, want != [2]openflow.Party{}, ok, topic)
		require.Equal(t, want, [2]openflow.Party{from, to}, topic)
	}
	for i, a := range parties {
		for j, b := range parties {
			from, to, ok := base.ParseTopic(base.TopicPrefix(a, b)+strconv.Itoa(i*j), parties)
			require.True(t, ok)
			require.Equal(t, [2]openflow.Party{a, b}, [2]openflow.Party{from, to})
		}
	}
}

func FuzzParseTopic(f *testing.F) {
	f.Add("guest-9999~host-10000~t")
	f.Add("~~~")
	parties := []openflow.Party{guest, host, arbiter}
	fuzzing.Within(f, func(t *testing.T, topic string) {
		from, to, ok := base.ParseTopic(topic, parties)
		require.Equal(t, ok, from != openflow.Party{} && strings.HasPrefix(topic, base.TopicPrefix(from, to)))
	})
}

// A container that reads the same large message many times at once gets it into memory once. It stays, and is read again.
func TestReadsOfLargeMessagesAreBounded(t *testing.T) {
	n := newNodeWith(t, catalogue.Options{})
	n.site.Intake = &reply.Intake{Each: 1 << 20, All: 8 << 20}
	n.arrives(toGuest, strings.Repeat("x", 500<<10))
	leave, err := n.site.Intake.Enter("run "+string(psi.RunID()), 600<<10, 1<<20) // another call holds it
	require.NoError(t, err)
	for _, op := range []string{"pop", "peek"} {
		_, result := verdict(t, n.as(psi, channel(op, ptp.FormProtobuf, nil, ptp.HeaderTopic, toGuest)))
		require.Equal(t, ptp.ResultUnreachable, result, "the reader comes again")
	}
	_, result := verdict(t, n.as(psi, channel("pop", ptp.FormProtobuf, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, "0")))
	require.Equal(t, ptp.ResultUnreachable, result)
	leave()
	for range 3 {
		out, result := verdict(t, n.as(psi, channel("pop", ptp.FormProtobuf, nil, ptp.HeaderTopic, toGuest, ptp.HeaderOpenflowAck, "0")))
		require.Equal(t, ptp.ResultOK, result)
		require.Len(t, out.Payload, 500<<10)
	}
}
