package wire

import (
	"fmt"
	"strings"

	"openflow"
)

// Quota is how much of a site a peer may use. What is absent or 0 is the site's rule for all peers.
type Quota struct {
	Jobs     int   `json:"jobs,omitempty"`
	Waiting  int   `json:"waiting,omitempty"`
	Cores    int   `json:"cores,omitempty"`
	Memory   int64 `json:"memory,omitempty"` // bytes
	GPUs     int   `json:"gpus,omitempty"`
	Calls    int   `json:"calls,omitempty"` // a second
	Bytes    int64 `json:"bytes,omitempty"` // of requests, a minute
	Priority int   `json:"priority,omitempty"`
}

// EncodeQuota renders q.
func EncodeQuota(q openflow.Quota) *Quota { out := Quota(q); return &out }

// Decode is the way back.
func (q Quota) Decode() openflow.Quota { return openflow.Quota(q) }

// String lists what is said: "jobs 5, cores 2".
func (q *Quota) String() string {
	if q == nil {
		return ""
	}
	var said []string
	add := func(name string, n int64, text string) {
		if n != 0 {
			said = append(said, name+" "+text)
		}
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"jobs", int64(q.Jobs)}, {"waiting", int64(q.Waiting)}, {"cores", int64(q.Cores)}} {
		add(f.name, f.n, fmt.Sprint(f.n))
	}
	add("memory", q.Memory, openflow.FormatBytes(q.Memory))
	add("gpus", int64(q.GPUs), fmt.Sprint(q.GPUs))
	add("calls", int64(q.Calls), fmt.Sprint(q.Calls)+"/s")
	add("bytes", q.Bytes, openflow.FormatBytes(q.Bytes)+"/min")
	add("priority", int64(q.Priority), fmt.Sprint(q.Priority))
	return strings.Join(said, ", ")
}

// PeerUse is how much of a site a peer uses.
type PeerUse struct {
	Jobs    int   `json:"jobs"`
	Waiting int   `json:"waiting"`
	Cores   int   `json:"cores"`
	Memory  int64 `json:"memory"`
	GPUs    int   `json:"gpus"`
}

// EncodePeerUse renders u.
func EncodePeerUse(u openflow.PeerUse) *PeerUse {
	return &PeerUse{Jobs: u.Jobs, Waiting: u.Waiting, Cores: u.Held.Cores, Memory: u.Held.Memory, GPUs: u.Held.GPUs}
}
