package docker

import (
	"errors"
	"io/fs"
	"time"

	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// settledFor is how long a container of a node that is gone must have ended before it goes too: somebody may look at it.
const settledFor = time.Hour

// gone tells whether the node of a network is gone for good: nothing of it runs, and its home is no more. It is not
// told of a node whose home this process cannot see.
func gone(n engine.Network, here engine.Owner, o driver.Options, served func(engine.Network) bool, now time.Time) bool {
	if n.Owner.Home == "" || n.Owner.Host != here.Host || n.Running > 0 || n.Containers > 0 && now.Sub(n.Ended) < settledFor {
		return false
	}
	node, err := o.Identity(n.Owner.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil || NetworkName(node) == n.Name: // unreadable, or its home still
		return false
	}
	return !served(n)
}
