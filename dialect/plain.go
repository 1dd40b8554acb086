package dialect

import (
	"openflow"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/server/base"
)

// Plain is what a dialect says that has nothing special to say: it serves nobody, and nodes do not speak it. It has one version,
// one profile and one way, and calls sessions and topics what we call them. A dialect embeds it and writes the rest.
type Plain struct{}

// Speaks implements ForNodes.
func (Plain) Speaks() (versions, profiles []string) { return []string{"1"}, []string{"plain"} }

// Ways implements ForNodes.
func (Plain) Ways() []openflow.PeerWay { return []openflow.PeerWay{openflow.WayDirect} }

// Client implements ForNodes: it is not spoken between nodes.
func (Plain) Client(peer.Link) Client { return nil }

// Interconnection implements ForNodes.
func (Plain) Interconnection(Node) []Mount { return nil }

// Packets implements ForNodes.
func (Plain) Packets(Node) []Mount { return nil }

// Channel implements ForNodes.
func (Plain) Channel(own openflow.SessionID, topic string) (Channel, error) {
	return Channel{Session: string(own), Topic: topic}, nil
}

// Own implements ForNodes.
func (Plain) Own(c Channel) (session, topic string, err error) { return c.Session, c.Topic, nil }

// Application implements ForUsers.
func (Plain) Application(*application.Site) []Mount { return nil }

// Documents implements ForUsers: users send no jobs in it.
func (Plain) Documents() Documents { return nil }

// Base implements ForContainers.
func (Plain) Base(*base.Site) []Mount { return nil }

// Container implements ForContainers: containers do not speak it.
func (Plain) Container() Container { return nil }
