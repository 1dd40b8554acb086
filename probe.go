package openflow

import (
	"fmt"
	"strings"
	"time"
)

// ProbeKind says what a probe finds out.
type ProbeKind string

// The kinds, in the order in which they are asked: whether a component can work at all, whether it takes runs now, and whether it
// still works.
const (
	ProbeStartup   ProbeKind = "startup"
	ProbeReadiness ProbeKind = "readiness"
	ProbeLiveness  ProbeKind = "liveness"
)

// ProbeKinds are all of them, in their order.
var ProbeKinds = []ProbeKind{ProbeStartup, ProbeReadiness, ProbeLiveness}

// ComponentProbe is how a component is asked whether it works: by a command or, in its resident container, by a request.
type ComponentProbe struct {
	Kind     ProbeKind
	Command  []string      // arguments of its entry point; it works where that ends with exit code 0
	HTTP     string        // path of a GET request; it works where the status is 200 to 299. Empty: it is asked by Command
	Every    time.Duration // between two questions
	Timeout  time.Duration // of one answer
	Failures int           // in a row, with which the component fails
}

// What a component may ask for. A container is made for each command, so nobody may have many made.
const (
	MinProbeEvery   = 30 * time.Second
	MaxProbeEvery   = 24 * time.Hour
	MaxProbeTimeout = time.Minute
	MaxProbeFails   = 10
	MaxProbes       = 24 // of all components of a provider
	maxProbeWords   = 16
	maxProbeWord    = 1 << 10 // bytes
	maxProbePath    = 200     // bytes
)

// What holds where a description says nothing.
const (
	UsualProbeEvery   = time.Minute
	UsualProbeTimeout = 10 * time.Second
	UsualProbeFails   = 3
)

// Check refuses a probe that nobody could ask, or that asks for too much. Errors: CodeInvalid, as the end of a sentence about it.
func (p ComponentProbe) Check() error {
	switch {
	case (len(p.Command) == 0) == (p.HTTP == ""):
		return Errorf(CodeInvalid, "has a %s probe that needs either a command or a path of http", p.Kind)
	case len(p.Command) > maxProbeWords:
		return Errorf(CodeInvalid, "has a %s probe whose command has more than %d words", p.Kind, maxProbeWords)
	case p.HTTP != "" && !probePath(p.HTTP):
		return Errorf(CodeInvalid, "has a %s probe with a path that none can be: %q; want / and letters, digits, '/', '.', '_' and '-', at most %d bytes",
			p.Kind, Cut(p.HTTP, 80), maxProbePath)
	case p.Every < MinProbeEvery || p.Every > MaxProbeEvery:
		return Errorf(CodeInvalid, "has a %s probe every %s; want %d to %d seconds", p.Kind, p.Every, MinProbeEvery/time.Second, MaxProbeEvery/time.Second)
	case p.Timeout < time.Second || p.Timeout > MaxProbeTimeout:
		return Errorf(CodeInvalid, "has a %s probe with a timeout of %s; want 1 to %d seconds", p.Kind, p.Timeout, MaxProbeTimeout/time.Second)
	case p.Failures < 1 || p.Failures > MaxProbeFails:
		return Errorf(CodeInvalid, "has a %s probe with %d failures; want 1 to %d", p.Kind, p.Failures, MaxProbeFails)
	}
	for _, word := range p.Command {
		if len(word) > maxProbeWord || strings.ContainsRune(word, 0) {
			return Errorf(CodeInvalid, "has a %s probe whose command has a word of more than %d bytes", p.Kind, maxProbeWord)
		}
	}
	return nil
}

func probePath(s string) bool {
	rest := strings.TrimLeft(s, "/.-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	return s[0] == '/' && rest == "" && len(s) <= maxProbePath && !strings.Contains(s, "//")
}

// String is the probe for people.
func (p ComponentProbe) String() string {
	how := "GET " + p.HTTP
	if p.HTTP == "" {
		how = strings.Join(p.Command, " ")
	}
	return fmt.Sprintf("%s, every %s, %s for an answer, fails after %d", how, p.Every, p.Timeout, p.Failures)
}
