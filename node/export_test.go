package node

import sdkclient "go.temporal.io/sdk/client"

// Client is the node's client of its Temporal server.
func (n *Node) Client() sdkclient.Client { return n.client }

// SetFree replaces what the node believes of its disk.
func (n *Node) SetFree(free func(dir string) (uint64, error)) { n.home.Free = free }
