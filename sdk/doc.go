// Package sdk is the Go client of a node's application layer, for programs that submit and observe jobs, bring data in
// and fetch results, and for operators' tools. The command line is built on it.
//
// [Client] has one method per request, named after what it does; answers are the rows of sdk/wire, and every failure
// is an openflow.Error with the node's own code. [Pipeline] writes the DAG of a job in Go instead of YAML. Nothing is
// kept between calls and nothing is retried, except that [Client.Watch] bridges a restart of the node.
//
// The package knows no other layer: containers use sdk/component, nodes among each other dialects. Start reading at
// [Client] and the example of [Pipeline].
package sdk
