package openflow

import (
	"cmp"
	"errors"
	"fmt"
)

// Quota is how much of a site one peer may use. In a peer's record, a field that is zero is the site's rule for all peers; in
// that rule, it is no bound, but for Priority.
type Quota struct {
	Jobs     int   // that have not ended, one for each role
	Waiting  int   // places in the queue
	Cores    int   // that its jobs hold at a time
	Memory   int64 // bytes, like Cores
	GPUs     int   // like Cores
	Calls    int   // a second
	Bytes    int64 // of requests, a minute
	Priority int   // of its jobs in the queue, at most
}

// DefaultQuota is the rule for peers of which nothing is said. Cores, memory and GPUs follow from the capacity, see Within.
func DefaultQuota() Quota {
	return Quota{Jobs: 1000, Waiting: 500, Calls: 200, Bytes: 8 << 30}
}

// usualCores is what a job takes that does not say (fate-flow-api §4.7): a site may always give one job as much.
const usualCores = 4

// Within fills in how much of a capacity one peer may hold, where that is open: three quarters, so that something is left for
// others, and at least what one job needs.
func (q Quota) Within(capacity Resources) Quota {
	q.Cores = cmp.Or(q.Cores, share(capacity.Cores, usualCores))
	q.Memory = cmp.Or(q.Memory, capacity.Memory/4*3)
	q.GPUs = cmp.Or(q.GPUs, share(capacity.GPUs, 1))
	return q
}

func share(n, least int) int { return max(n*3/4, min(n, least)) }

// Or takes from a rule what q leaves open.
func (q Quota) Or(rule Quota) Quota {
	return Quota{
		Jobs: cmp.Or(q.Jobs, rule.Jobs), Waiting: cmp.Or(q.Waiting, rule.Waiting), Cores: cmp.Or(q.Cores, rule.Cores),
		Memory: cmp.Or(q.Memory, rule.Memory), GPUs: cmp.Or(q.GPUs, rule.GPUs), Calls: cmp.Or(q.Calls, rule.Calls),
		Bytes: cmp.Or(q.Bytes, rule.Bytes), Priority: cmp.Or(q.Priority, rule.Priority),
	}
}

// Check refuses what is no bound. CodeInvalid.
func (q Quota) Check() error {
	for _, f := range []struct {
		name string
		n    int64
	}{
		{"jobs", int64(q.Jobs)}, {"waiting", int64(q.Waiting)}, {"cores", int64(q.Cores)}, {"memory", q.Memory}, {"gpus", int64(q.GPUs)},
		{"calls", int64(q.Calls)}, {"bytes", q.Bytes},
	} {
		if f.n < 0 {
			return Errorf(CodeInvalid, "%s of a peer may not be %d", f.name, f.n).WithHint("0 is the site's rule for all peers")
		}
	}
	return nil
}

// Holds is how much of the capacity the peer may hold. What is open is unbounded.
func (q Quota) Holds() Resources {
	const all = 1 << 62
	return Resources{Cores: cmp.Or(q.Cores, all), Memory: cmp.Or(q.Memory, all), GPUs: cmp.Or(q.GPUs, all)}
}

// ErrOverQuota is in the chain of every refusal of what a peer may not have.
var ErrOverQuota = errors.New("over the quota of a peer")

// OverQuota refuses what a peer may not have at this site; the text follows its name.
func OverQuota(code Code, peer PartyID, format string, args ...any) *Error {
	text := fmt.Sprintf(format, args...)
	e := Errorf(code, "party %s %s", peer, text).WithHint("its operator can allow more: openflow site limit %s", peer).
		WithPublic("party %s %s; its operator can allow more", peer, text)
	e.Err = ErrOverQuota
	return e
}

// PeerUse is how much of a site a peer uses.
type PeerUse struct {
	Jobs    int // that have not ended, one for each role
	Waiting int // of them, in the queue
	Held    Resources
}
