// Package probes judges whether components work, by what they answer to the probes of their descriptions.
//
// A [Health] is of one thing that is asked: a component, or one of its resident containers. It says what is to be asked next, and
// what follows from the answers. Asking is somebody else's: package site/registry has the machine.
package probes

import (
	"fmt"
	"slices"
	"time"

	"openflow"
)

// Health is what one thing has answered so far. The zero value is of one that nobody has asked.
type Health struct {
	begun bool // its startup probe has succeeded
	asked map[openflow.ProbeKind]answer
}

// answer is how it stands with one probe.
type answer struct {
	at     time.Time // the last time that it was asked
	failed int       // times in a row
	why    string    // of the last failure
}

// Verdict is what follows from the answers.
type Verdict struct {
	Works  bool               // every probe has been answered well, the last time that it was asked
	Failed openflow.ProbeKind // the probe that has failed so often that it counts; empty: none has
	Reason string             // of that, for people
}

// Due are the probes to ask now. While the startup probe has not succeeded, no other is asked.
func (h *Health) Due(list []openflow.ComponentProbe, now time.Time) []openflow.ComponentProbe {
	var due []openflow.ComponentProbe
	for _, p := range list {
		last, asked := h.asked[p.Kind]
		startup := p.Kind == openflow.ProbeStartup
		if startup && h.begun || asked && now.Before(last.at.Add(p.Every)) {
			continue
		}
		if !startup && !h.ready(list) {
			continue
		}
		due = append(due, p)
	}
	return due
}

// ready reports whether it has begun, where its description says how to find that out.
func (h *Health) ready(list []openflow.ComponentProbe) bool {
	return h.begun || !slices.ContainsFunc(list, func(p openflow.ComponentProbe) bool { return p.Kind == openflow.ProbeStartup })
}

// Asked is when a probe was asked last; zero: never.
func (h *Health) Asked(kind openflow.ProbeKind) time.Time { return h.asked[kind].at }

// Answered takes an answer; failure nil: it was a good one.
func (h *Health) Answered(p openflow.ComponentProbe, at time.Time, failure error) {
	if h.asked == nil {
		h.asked = map[openflow.ProbeKind]answer{}
	}
	if failure == nil {
		h.begun = h.begun || p.Kind == openflow.ProbeStartup
		h.asked[p.Kind] = answer{at: at}
		return
	}
	h.asked[p.Kind] = answer{at: at, failed: h.asked[p.Kind].failed + 1, why: failure.Error()}
}

// Verdict judges the answers to these probes. Before all have been asked, and while fewer have failed than count, it says neither
// that it works nor that it has failed.
func (h *Health) Verdict(list []openflow.ComponentProbe) Verdict {
	v := Verdict{Works: true}
	for _, p := range list {
		last, asked := h.asked[p.Kind]
		if !asked || last.failed > 0 {
			v.Works = false
		}
		if last.failed >= p.Failures && v.Failed == "" {
			v.Failed, v.Reason = p.Kind, Reason(p, last.failed, last.why)
		}
	}
	return v
}

// How long the answers of something that has just begun are waited for: beyond what its probes take, and at most.
const (
	tolerance = time.Minute
	mostTaken = time.Hour
)

// Takes is how long something that begins may take until its answers say whether it works: so long it must stay.
func Takes(list []openflow.ComponentProbe) time.Duration {
	var startup, others time.Duration
	for _, p := range list {
		long := time.Duration(p.Failures) * (p.Every + p.Timeout)
		if p.Kind == openflow.ProbeStartup {
			startup = max(startup, long)
		} else {
			others = max(others, long)
		}
	}
	return min(startup+others+tolerance, mostTaken)
}

// Reason is why a component fails that has answered a probe wrongly so often in a row.
func Reason(p openflow.ComponentProbe, times int, why string) string {
	how := "asked GET " + p.HTTP
	if p.HTTP == "" {
		how = fmt.Sprintf("asked %q", p.Command)
	}
	often := "once"
	if times > 1 {
		often = fmt.Sprintf("%d times in a row", times)
	}
	return fmt.Sprintf("its %s probe has failed %s: %s: %s", p.Kind, often, openflow.Line(how), why)
}
