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
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/reply"
)

// Dialect is one way in which nodes, users and containers talk to a node. Who writes one embeds [Plain], and writes what is
// special.
type Dialect interface {
	// Name is how records of peers and providers call it.
	Name() openflow.Dialect
	ForNodes
	ForUsers
	ForContainers
}

// Unsigned is the profile of dialects whose nodes sign neither requests nor answers.
const Unsigned = "unsigned"

// SiteSigned is the profile of nodes that sign their requests with the token of an app, and no answers.
const SiteSigned = string(openflow.TrustSignature)

// ForNodes is what a dialect is between nodes.
type ForNodes interface {
	// Speaks tells its versions and profiles, the usual one of each first. A profile is a way of the dialect's to know the
	// caller and to answer. Which of them a peer speaks, its link tells.
	Speaks() (versions, profiles []string)
	// Ways tells how its calls may get to a peer. Which one does, its link tells.
	Ways() []openflow.PeerWay
	// Client calls the peer at the end of a link; nil, whatever the link: it is not spoken between nodes.
	Client(l peer.Link) Client
	// Interconnection serves other nodes.
	Interconnection(n Node) []Mount
	// Packets serves the nodes whose calls come by WayPackets, on a listener of its own.
	Packets(n Node) []Mount
	// Channel is what the dialect calls a topic of a session of ours, which is one of a task version. Where its sessions are
	// a job's, the topic tells the task. Errors: CodeInvalid.
	Channel(own openflow.SessionID, topic string) (Channel, error)
	// Own is the way back. The session may leave its scheduler out. Errors: CodeInvalid.
	Own(c Channel) (session, topic string, err error)
}

// ForUsers is what a dialect is between a site and its users.
type ForUsers interface {
	// Application serves the users of this node.
	Application(s *application.Site) []Mount
	// Documents reads and writes the jobs that users send; nil: they send none in the dialect.
	Documents() Documents
}

// ForContainers is what a dialect is between a site and its containers, each of which speaks the dialect of its program.
type ForContainers interface {
	// Base serves the containers of this node, with the words that they have for their status; and, in our own dialect, the
	// machines of the site.
	Base(s *base.Site) []Mount
	// Container is what containers are told in the dialect; nil: it has none.
	Container() Container
}

// Container tells a container what its work is, where its node is, and how it proves itself, as variables of its environment.
// Errors: CodeInvalid.
type Container func(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error)

// Documents are jobs as the users of a dialect write them, in JSON.
type Documents interface {
	// Read reads what a user has sent. Keys without effect are warnings of the submission, or refused. What is wrong with a
	// document that can be read to its end is in the submission's Mistakes. Errors: CodeInvalid (it is none; it is larger or
	// nested deeper than the dialect allows).
	Read(document []byte) (openflow.Submission, error)
	// Write is the way back. Errors: CodeInvalid (a value has no form in JSON).
	Write(job *openflow.DAG) ([]byte, error)
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
	NoRoom   error  // it has no room for what is new, with openflow.ErrNoRoom in the chain; nil: it has, or does not say
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
	// Unsigned proves the callers of dialects whose nodes sign no requests: by where those come from, as far as the operator of
	// this node has said so, and otherwise like Verifier; nil: nothing was said.
	Unsigned Verifier
	// Apps proves the callers of dialects whose nodes sign with the token of an app; nil: no app counts.
	Apps   Apps
	Signer Signer
	Prober Prober
	// Tasks names the tasks of a job that this node takes part in or schedules, for dialects whose names of tasks do not tell
	// ours; see TaskOf. CodeNotFound: there is no such job here.
	Tasks func(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) ([]openflow.TaskName, error)
	// Settled waits until no run of a job goes on here any more, or the context ends, for dialects that answer a stop then; nil: nobody
	// waits.
	Settled func(ctx context.Context, k openflow.JobKey)
	Version string        // of this node, for peers that ask
	Intake  *reply.Intake // of calls; nil: they are not bounded
	// Traced wraps the handlers of verified requests, so that what an unproven caller says about traces is not even
	// read; nil: nothing does.
	Traced func(http.Handler) http.Handler
	// Pace refuses a proven caller that sends more than it may; nil: nobody is refused. Errors: CodeExhausted.
	Pace func(ctx context.Context, caller openflow.PartyID, bytes int64) error
	// Space is nil while there is room for what is new, as peers are told that ask; nil itself: they are not told.
	Space func() error
	Log   *slog.Logger
}

// Verifier proves who sent a request, before anything is read of its body. It replaces r.Body by one that ends with an error
// unless it is the one that was signed. Errors: CodeUnauthorized, also at that end.
type Verifier interface {
	Verify(ctx context.Context, r *http.Request) (openflow.PartyID, error)
}

// AppClaim is what a request says that is signed with the token of an app, before anything of it is proven.
type AppClaim struct {
	App    openflow.AppID
	Nonce  string
	Signed time.Time
	By     func(token string) bool // whether it was signed with that token
}

// Apps proves who sent a request that is signed with the token of an app.
type Apps interface {
	// Prove is Verifier.Verify for such a request. Errors: CodeUnauthorized and CodePermission, about AboutTime and AboutApp.
	Prove(ctx context.Context, r *http.Request, c AppClaim) (openflow.PartyID, error)
}

// Signer proves whose answer a caller gets.
type Signer interface {
	SignAnswer(answer, request http.Header, status int, body []byte)
}

// Prober calls another node to see whether it answers and knows this one.
type Prober interface {
	Probe(ctx context.Context, id openflow.PartyID) error
}
