package openflow

// Broker is a message broker of a site, as the site's node reaches it. The components of a task talk through it by their node, and
// never get its account.
type Broker struct {
	Address        string // host:port of its queues
	Management     string // host:port at which it is managed, by HTTP
	User, Password string // an account that may make users and virtual hosts
	Use            BrokerUse
}

// BrokerUse is how the components of a task reach those of its other parties through the broker of their site.
type BrokerUse struct {
	// Partners are the brokers of other parties as the site's own reaches them, each host:port.
	Partners map[PartyID]string `json:"partners"`
	// Shared says that there is one broker, which all parties use.
	Shared bool `json:"shared,omitzero"`
}
