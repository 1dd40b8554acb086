package node

import (
	"openflow"
	"openflow/server/application"
	"openflow/site/doctor"
	"openflow/site/policy"
)

// policyFile is the name of the policy file in the home folder.
const policyFile = "policy.yaml"

// readPolicy reads what the owner of the site's data allows. file is empty where there is no file and the defaults
// hold; one that was named must be there.
func (n *Node) readPolicy() (p openflow.Policy, file string, err error) {
	file = n.config.Policy
	if file == "" {
		file = n.home.path(policyFile)
	}
	p, err = policy.Read(file)
	if openflow.CodeOf(err) == openflow.CodeNotFound && n.config.Policy == "" {
		return openflow.DefaultPolicy(), "", nil
	}
	return p, file, err
}

// sitePolicy is what is in force, and the file that it would be read from again.
func (n *Node) sitePolicy() application.SitePolicy {
	file := n.config.Policy
	if file == "" {
		file = n.home.path(policyFile)
	}
	return application.SitePolicy{File: file, Policy: n.policy}
}

// examinePolicy compares the file with what the node has read at its start.
func (n *Node) examinePolicy() openflow.Finding {
	stored, file, err := n.readPolicy()
	return doctor.Policy(file, err == nil && stored != n.policy, err)
}
