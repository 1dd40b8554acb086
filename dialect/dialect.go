// Package dialect is the contract of the dialects: the ways in which nodes, users and containers talk to a node.
//
// A dialect is one folder. It calls peers in its own way ([Client]), mounts its own routes for them ([Mount]) with its own
// envelope and its own answers to unknown routes and panics, and knows nothing of the other dialects. What it says and
// hears is told in the words of the domain. Which dialect a peer speaks, its record says ([openflow.SiteRecord]).
package dialect

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/server/base"
)

// Dialect is one way in which nodes talk.
type Dialect interface {
	// Name is how records of peers call it.
	Name() openflow.Dialect
	// Speaks tells its versions and profiles, the usual one of each first. A profile is a way of the dialect's to know the
	// caller and to answer.
	Speaks() (versions, profiles []string)
	// Channel is what the dialect calls a topic of a session of ours, which is one of a task version. Where its sessions are
	// a job's, the topic tells the task. Errors: CodeInvalid.
	Channel(own openflow.SessionID, topic string) (Channel, error)
	// Own is the way back. The session may leave its scheduler out. Errors: CodeInvalid.
	Own(c Channel) (session, topic string, err error)
	// Client calls the peer at the end of a link.
	Client(l peer.Link) Client
	// Interconnection serves other nodes.
	Interconnection(n Node) []Mount
	// Application serves the users of this node.
	Application(s *application.Site) []Mount
	// Base serves the containers of this node, each of which speaks the dialect of its program; and, in our own dialect, the
	// machines of the site.
	Base(s *base.Site) []Mount
	// Container is what containers are told in the dialect; nil: the dialect has none.
	Container() Container
}

// Container is what a container of a dialect is told of its run, and what its words mean.
type Container interface {
	// Environment tells a container what its work is, where its node is, and how it proves itself. Errors: CodeInvalid.
	Environment(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error)
	// Status is what a word of a container says of its run. Errors: CodeInvalid.
	Status(word string) (openflow.TaskStatus, error)
}

// Client calls one peer in a dialect. It tries nothing twice.
type Client interface {
	// Partner is the peer as a participant.
	Partner() openflow.PartnerService
	// Scheduler is the peer as a scheduler of jobs. CodeUnimplemented: the dialect has no word for it.
	Scheduler() openflow.SchedulerService
	// Examine shows what can be seen of the peer, also when it refuses. With callBack the peer tries to reach this node in
	// the same way, as far as the dialect can ask for it.
	Examine(ctx context.Context, callBack bool) (Seen, error)
	// Probe tells whether what is at the peer's address speaks the dialect; nil: it does.
	Probe(ctx context.Context) error
}

// Channel is a topic of a session, as a dialect calls them.
type Channel struct{ Session, Topic string }

// Seen is what a peer has shown of itself.
type Seen struct {
	Answered bool          // it has answered, if only to refuse
	Clock    time.Duration // how far its clock is ahead of ours; Timed: it told the time, to the second
	Timed    bool
	Version  string // of its node; empty: it does not say
	Caller   string // whom it takes this node for
	CallBack error  // why it does not reach this node; nil: it does, or was not asked
}

// Mount serves everything below a prefix of a listener: unknown routes and panics too. The prefixes of all dialects and
// layers differ, because layers may share a listener.
type Mount struct {
	Prefix string
	Router chi.Router
}

// Mounts are what one listener serves.
type Mounts []Mount

// Routes mounts them.
func (ms Mounts) Routes(r chi.Router) {
	for _, m := range ms {
		r.Mount(m.Prefix, m.Router)
	}
}

// Node is what a dialect serves: this node, in the words of the domain.
type Node struct {
	Self      openflow.PartyID
	Partner   openflow.PartnerService
	Scheduler openflow.SchedulerService
	Verifier  Verifier
	Signer    Signer
	Prober    Prober
	// Tasks names the tasks of a job that this node takes part in or schedules, for dialects whose names of tasks do not tell
	// ours; see TaskOf. CodeNotFound: there is no such job here.
	Tasks   func(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) ([]openflow.TaskName, error)
	Version string // of this node, for peers that ask
	MaxBody int64  // bytes of the largest request
	// Traced wraps the handlers of verified requests, so that what an unproven caller says about traces is not even
	// read; nil: nothing does.
	Traced func(http.Handler) http.Handler
	Log    *slog.Logger
}

// Verifier proves who sent a request. Errors: CodeUnauthorized.
type Verifier interface {
	Verify(ctx context.Context, r *http.Request, body []byte) (openflow.PartyID, error)
}

// Signer proves whose answer a caller gets.
type Signer interface {
	SignAnswer(answer, request http.Header, status int, body []byte)
}

// Prober calls another node to see whether it answers and knows this one.
type Prober interface {
	Probe(ctx context.Context, id openflow.PartyID) error
}

// All are the dialects of a node, the one of peers of which nothing is said first.
type All []Dialect

// Interconnection is what other nodes reach.
func (a All) Interconnection(n Node) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Interconnection(n)...)
	}
	return ms
}

// Application is what users reach.
func (a All) Application(s *application.Site) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Application(s)...)
	}
	return ms
}

// Base is what containers reach, and the machines of the site where s has them.
func (a All) Base(s *base.Site) (ms Mounts) {
	for _, d := range a {
		ms = append(ms, d.Base(s)...)
	}
	return ms
}

// Of is the dialect that a record names. CodeInvalid: there is none of that name.
func (a All) Of(name openflow.Dialect) (Dialect, error) {
	for _, d := range a {
		if d.Name() == name {
			return d, nil
		}
	}
	names := make([]string, len(a))
	for i, d := range a {
		names[i] = string(d.Name())
	}
	return nil, openflow.Errorf(openflow.CodeInvalid, "%q is not a dialect", name).WithHint("one of %s", strings.Join(names, ", "))
}

// Spoken is the dialect that containers speak when that one is said of them; the empty one means the first that has containers.
// Errors: CodeInvalid, with those that have.
func (a All) Spoken(name openflow.Dialect) (openflow.Dialect, error) {
	d, _, err := a.container(name)
	return d, err
}

// Told is the environment in which a container that speaks a dialect is told of its run. Errors: CodeInvalid.
func (a All) Told(
	speaks openflow.Dialect, r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place,
) ([]string, error) {
	_, c, err := a.container(speaks)
	if err != nil {
		return nil, err
	}
	return c.Environment(r, g, at)
}

func (a All) container(name openflow.Dialect) (openflow.Dialect, Container, error) {
	var have []string
	for _, d := range a {
		c := d.Container()
		if c == nil {
			continue
		}
		if name == "" || name == d.Name() {
			return d.Name(), c, nil
		}
		have = append(have, string(d.Name()))
	}
	return "", nil, openflow.Errorf(openflow.CodeInvalid, "%q is not a dialect of containers here", name).WithHint("one of %s", strings.Join(have, ", "))
}

// ContainerPrefixes are those below which containers call.
func (a All) ContainerPrefixes() []string {
	var list []string
	for _, m := range a.Base(&base.Site{}) {
		list = append(list, m.Prefix)
	}
	return list
}

// Sessions lists what a session is called in the dialects.
func (a All) Sessions(own openflow.SessionID) (names []string) {
	for _, d := range a {
		if c, err := d.Channel(own, ""); err == nil {
			names = append(names, c.Session)
		}
	}
	return names
}

// Complete fills in what the operator has left open of the way in which a peer talks, and refuses what is not spoken here.
// Errors: CodeInvalid.
func (a All) Complete(s openflow.SiteRecord) (openflow.SiteRecord, error) {
	if s.Dialect == "" {
		s.Dialect = a[0].Name()
	}
	d, err := a.Of(s.Dialect)
	if err != nil {
		return s, err
	}
	versions, profiles := d.Speaks()
	for _, said := range []struct {
		what  string
		value *string
		of    []string
	}{{"version", &s.Version, versions}, {"profile", &s.Profile, profiles}} {
		if *said.value == "" {
			*said.value = said.of[0]
		}
		if !slices.Contains(said.of, *said.value) {
			return s, openflow.Errorf(openflow.CodeInvalid, "the dialect %s has no %s %q here", s.Dialect, said.what, *said.value).
				WithHint("one of %s", strings.Join(said.of, ", "))
		}
	}
	return s, nil
}
