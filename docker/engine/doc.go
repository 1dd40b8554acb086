// Package engine is the driver.Runtime on the Docker Engine API, 1.40 (Docker 19.03) or later.
//
// A container of it reaches one thing: its own node's base layer. Its node reaches a container, which may answer. It sits on a bridge network of this node's, which is
// internal (no way out) and lets containers not see each other; the node listens on the bridge's gateway address, which
// containers know as openflow.internal. The root file system is read-only, all capabilities are dropped, the user is
// nobody. What Docker does not close are the host's other services on that address; see [Runtime.FirewallBase] and
// [Runtime.Reachable].
//
// The daemon must be on this machine. Networks and containers carry the label openflow.network with the network's name,
// which keeps several nodes on one daemon apart: every node has a network of its own. Start reading at [New], then
// wait.go for how an exit is learned of.
package engine
