package docker

import (
	"fmt"
	"strings"

	"openflow"
)

// daemon is what the Docker daemon looks like from the node.
type daemon struct {
	err          error // it does not answer
	release, api string
	filters      bool     // the system calls of containers
	lost         []string // images that were there
	network      string
	pruned       bool     // the network is not there now
	firewall     error    // why no rules keep containers from everything but the base layer; nil: they do
	reachable    []string // what containers reach on this host without the rules
	closed       bool     // no container is started, because there were no rules when the node started
}

func ok(check, detail string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictOK, Detail: detail}
}

func warn(check, detail, remedy string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictWarn, Detail: detail, Remedy: remedy}
}

func fail(check, detail, remedy string) openflow.Finding {
	return openflow.Finding{Check: check, Verdict: openflow.VerdictFail, Detail: detail, Remedy: remedy}
}

// oldestAPI is the first API version that the client speaks with: Docker 19.03.
const oldestAPI = "1.40"

// examine makes the checks of the daemon.
func (d daemon) examine() []openflow.Finding {
	if d.err != nil {
		return []openflow.Finding{fail("docker", fmt.Sprint(d.err), "start the Docker daemon: running jobs wait for it")}
	}
	return []openflow.Finding{d.examineRelease(), d.examineFilter(), d.examineImages(), d.examineNetwork()}
}

func (d daemon) examineRelease() openflow.Finding {
	detail := fmt.Sprintf("Docker %s answers (API %s)", d.release, d.api)
	if olderAPI(d.api) {
		return fail("docker", detail, "update Docker to 19.03 or later")
	}
	return ok("docker", detail)
}

func (d daemon) examineFilter() openflow.Finding {
	if !d.filters {
		return fail("system calls", "the Docker daemon does not filter the system calls of containers: a mistake in the kernel is open to every program",
			"let the daemon use its own profile: remove seccomp-profile from its settings, on a kernel with CONFIG_SECCOMP_FILTER")
	}
	return ok("system calls", "the Docker daemon filters the system calls of containers")
}

func olderAPI(version string) bool {
	var a, b, x, y int
	if _, err := fmt.Sscanf(version, "%d.%d", &a, &b); err != nil {
		return false // a version that is written otherwise is newer
	}
	_, _ = fmt.Sscanf(oldestAPI, "%d.%d", &x, &y) // a constant
	return a < x || a == x && b < y
}

func (d daemon) examineImages() openflow.Finding {
	if len(d.lost) > 0 {
		return fail("image", "the daemon has lost the algorithms' image "+strings.Join(d.lost, ", "), "restart the node: it loads the image again")
	}
	return ok("image", "the algorithms' image is there")
}

func (d daemon) examineNetwork() openflow.Finding {
	switch {
	case d.pruned && !d.closed:
		return warn("network", "no container runs, and somebody has removed the network "+d.network+", as docker network prune does",
			"nothing: the next container makes it again, and the rules of this host are for its name")
	case d.firewall == nil:
		return ok("network", "containers reach the base layer and nothing else: the network "+d.network+" is internal, and rules close this host")
	case d.closed:
		return fail("network", fmt.Sprintf("no task is started here: no rules close this host (%v)", d.firewall),
			"let the node run with CAP_NET_ADMIN and restart it, or let tasks reach what listens on this host: --unconfined")
	case len(d.reachable) == 0:
		return warn("network", fmt.Sprintf("no rules close this host (%v); nothing else listens where containers could reach it", d.firewall),
			"let the node run with CAP_NET_ADMIN, so that it stays so")
	}
	return warn("network", fmt.Sprintf("no rules close this host (%v); containers reach %s", d.firewall, strings.Join(d.reachable, ", ")),
		"let the node run with CAP_NET_ADMIN, or bind what is listed to 127.0.0.1")
}

// manyNetworks is when a daemon may soon have no room for more.
const manyNetworks = 20

// networks checks for those that nodes have left on this machine's daemon: gone are the ones whose home is no more,
// others those of all other nodes. A daemon has room for a limited number, thirty where it may choose the addresses.
func networks(gone []string, others int) openflow.Finding {
	switch {
	case len(gone) > 0:
		return warn("networks", fmt.Sprintf("%d container networks belong to nodes that are gone: %s", len(gone), few(gone)),
			"openflow uninstall --gone removes them with their firewall rules, as does the next start of a node")
	case others > manyNetworks:
		return warn("networks", fmt.Sprintf("%d container networks belong to other nodes on this daemon", others),
			"of nodes that are no longer used: openflow uninstall --home DIR, or docker network rm")
	}
	return ok("networks", fmt.Sprintf("%d container networks belong to other nodes, none to one that is gone", others))
}

// few is a list that fits a line.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
