// Package doctor knows every way in which a node can be wrong: one check for each, a pure function from what was seen to a
// finding with its remedy.
//
// site/doctor/examine looks and openflow doctor shows. Checks of peers are in peers.go and named.go, of the node's listeners in
// listeners.go, of this machine in machine.go, of the site's workers and stores in site.go, of workflows and jobs in work.go.
package doctor

import "openflow"

func ok(check, detail string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictOK, Detail: detail}
}

func warn(check, detail, remedy string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictWarn, Detail: detail, Remedy: remedy}
}

func fail(check, detail, remedy string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictFail, Detail: detail, Remedy: remedy}
}
