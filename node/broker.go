package node

import (
	"strings"

	"openflow"
	"openflow/site/approval"
	"openflow/site/trust"
)

// broker is the broker that the policy in force names for the runs of a provider, with its account. The file of the account is read
// each time, so that the password can be changed while the node runs. Errors: CodePermission, CodeInvalid (of that file).
func (n *Node) broker(provider string) (b openflow.Broker, ok bool, err error) {
	b, file, ok := approval.Broker(n.policy, provider)
	if !ok {
		return b, false, nil
	}
	text, err := trust.ReadPrivate(file)
	if err != nil {
		return b, true, openflow.Errorf(openflow.CodeOf(err), "the account of the broker: %w", err).WithPublic("a service of the site cannot be used")
	}
	user, password, whole := strings.Cut(strings.TrimSpace(string(text)), ":")
	if !whole || user == "" || password == "" || strings.ContainsAny(user+password, "\r\n") {
		return b, true, openflow.Errorf(openflow.CodeInvalid, "%s has no account", file).
			WithPublic("a service of the site cannot be used").WithHint("write one line to it: USER:PASSWORD")
	}
	b.User, b.Password = user, password
	return b, true, nil
}
