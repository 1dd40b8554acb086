package peer

import (
	"context"
	"net/http"
	"time"

	"openflow"
	"openflow/sdk/wire/ptp"
)

// Outgoing is a message on its way to the containers of another node.
type Outgoing struct {
	Session string
	// Scheduler is whose session it is, where its name does not tell; empty: it tells, or nobody knows.
	Scheduler openflow.PartyID
	Topic     string
	ID        string // for duplicate suppression; empty: none
	Payload   []byte
}

// provider is our vendor code (interop-transport §3).
const provider = "openflow"

// Push hands a message to the peer's queue and returns when it is in there. The time is the caller's: large messages
// take long. Errors carry the peer's own result code when it gave one, see ptp.ResultOf.
//
// Spec: interop-transport §7.1, §7.5 (v1.2 module: pass-through).
func (l *Link) Push(ctx context.Context, m Outgoing) (err error) {
	defer l.Ended(time.Now(), &err)
	p := ptp.PushInbound{Topic: m.Topic, Payload: m.Payload}
	if m.ID != "" {
		p.Metadata = map[string]string{ptp.MetadataMessageID: m.ID}
	}
	contentType, body := ptp.EncodePush(ptp.FormProtobuf, p)
	h := http.Header{}
	for k, v := range map[string]string{
		ptp.HeaderVersion: ptp.VersionPassThrough, ptp.HeaderProvider: provider, ptp.HeaderTraceID: m.Session,
		ptp.HeaderToken: "", ptp.HeaderSessionID: m.Session, ptp.HeaderTargetNodeID: string(l.Peer),
		ptp.HeaderSourceNodeID: string(l.Self), ptp.HeaderURI: ptp.PushURI, ptp.HeaderTopic: m.Topic,
	} {
		h.Set(k, v)
	}
	if m.Scheduler != "" {
		h.Set(ptp.HeaderOpenflowScheduler, string(m.Scheduler))
	}
	answer, err := l.Do(ctx, ptp.PathPrefix+"invoke", contentType, body, h)
	if err != nil {
		return err
	}
	out, err := ptp.DecodeReply(answer.Header.Get("Content-Type"), answer.Body)
	if err != nil {
		return openflow.AtParty(l.Peer, err)
	}
	out.Code, out.Message = ptp.Result(openflow.Heard(string(out.Code))), openflow.Heard(out.Message)
	return openflow.AtParty(l.Peer, out.Err())
}
