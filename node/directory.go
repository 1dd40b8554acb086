package node

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/catalogue"
	"openflow/sdk/partner"
	"openflow/sdk/wire"
	"openflow/trust"
)

// directory finds the services of parties: this node's own, called directly, or a signed client of a peer's node.
type directory struct {
	self      openflow.PartyID
	sites     *catalogue.Catalogue
	signer    partner.Signer
	http      *http.Client
	partner   openflow.PartnerService
	scheduler openflow.SchedulerService
	called    func(peer openflow.PartyID, took time.Duration, err error)
}

// client makes the client of a peer. Sites are read anew each time, so a changed address holds at once.
func (d *directory) client(ctx context.Context, id openflow.PartyID) (*partner.Client, error) {
	s, err := d.site(ctx, id)
	return d.clientOf(s), err
}

func (d *directory) clientOf(s openflow.SiteRecord) *partner.Client {
	return &partner.Client{
		Self: d.self, Peer: s.Party, URL: s.URL, Signer: d.signer, Verifier: recorded(s.Keys), HTTP: d.http, Called: d.called,
		Unsigned: s.Dialect == openflow.DialectFATEFlow,
	}
}

func (d *directory) site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := d.sites.Site(ctx, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = openflow.Errorf(openflow.CodeInvalid, "party %s is not known here, at party %s", id, d.self).
			WithHint("%s; correct the party in the document, or register it: openflow site add %s --url URL --key KEY", d.known(ctx), id)
	}
	return s, openflow.About(openflow.AboutSite, err)
}

// known says which parties this site knows.
func (d *directory) known(ctx context.Context) string {
	const most = 20
	sites, err := d.sites.Sites(ctx)
	if err != nil || len(sites) == 0 {
		return "it knows no other party"
	}
	names := make([]string, 0, most)
	for _, s := range sites[:min(most, len(sites))] {
		names = append(names, string(s.Party))
	}
	text := "it knows " + strings.Join(names, ", ")
	if more := len(sites) - most; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

// Partner implements openflow.Directory.
func (d *directory) Partner(ctx context.Context, id openflow.PartyID) (openflow.PartnerService, error) {
	if id == d.self {
		return d.partner, nil
	}
	s, err := d.site(ctx, id)
	if err != nil {
		return nil, err
	}
	c := d.clientOf(s)
	dialect, err := d.dialect(ctx, s, c)
	if err != nil {
		return nil, err
	}
	if dialect == openflow.DialectFolded {
		return c, nil
	}
	return c.Stepwise(), nil
}

// dialect is how a peer wants to be called. That it is a FATE-Flow node, which proves nothing by signatures, only this site's
// operator says. Others are asked until they have said that they take folded calls, and no answer changes that again.
func (d *directory) dialect(ctx context.Context, s openflow.SiteRecord, c *partner.Client) (openflow.Dialect, error) {
	if s.Dialect != "" {
		return s.Dialect, nil
	}
	folds, err := c.Folds(ctx)
	if err != nil || !folds {
		return "", err
	}
	return openflow.DialectFolded, d.sites.SetSiteDialect(ctx, s.Party, openflow.DialectFolded)
}

// Scheduler implements openflow.Directory.
func (d *directory) Scheduler(ctx context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	if id == d.self {
		return d.scheduler, nil
	}
	c, err := d.client(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Scheduler(), nil
}

// PushTo implements base.Peers. A FATE-Flow node knows a session by its own name, which names no scheduler.
func (d *directory) PushTo(ctx context.Context, to openflow.PartyID, m partner.Outgoing) error {
	s, err := d.site(ctx, to)
	if err != nil {
		return err
	}
	if s.Dialect == openflow.DialectFATEFlow {
		k, err := openflow.ParseSessionID(openflow.SessionID(m.Session))
		if err != nil {
			return err
		}
		m.Session = wire.FederationID(k)
	}
	return d.clientOf(s).Push(ctx, m)
}

// signer signs with the node's key and the present time.
type signer struct{ trust.Signer }

// Sign implements partner.Signer.
func (s signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	s.Signer.Sign(r, to, body, time.Now())
	return nil
}

// recorded is partner.Verifier on the keys in a peer's record.
type recorded []string

// VerifyAnswer implements partner.Verifier.
func (r recorded) VerifyAnswer(from openflow.PartyID, request, answer http.Header, status int, body []byte) error {
	keys, err := parseKeys(r)
	if err != nil {
		return err
	}
	return trust.VerifyAnswer(keys, from, request, answer, status, body)
}

// keys is trust.KeySource on the catalogue.
type keys struct{ sites *catalogue.Catalogue }

// PublicKeys implements trust.KeySource.
func (k keys) PublicKeys(ctx context.Context, party openflow.PartyID) ([]trust.PublicKey, error) {
	s, err := k.sites.Site(ctx, party)
	if err != nil {
		return nil, err
	}
	return parseKeys(s.Keys)
}

func parseKeys(texts []string) ([]trust.PublicKey, error) {
	parsed := make([]trust.PublicKey, len(texts))
	for i, text := range texts {
		var err error
		if parsed[i], err = trust.ParsePublicKey(text); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// sites manages peers.
type sites struct {
	self      openflow.PartyID
	catalogue *catalogue.Catalogue
	directory *directory // for CheckSite
	farewell  farewell   // for RemoveSite
}

// CheckSite calls a peer that is registered.
func (s sites) CheckSite(ctx context.Context, id openflow.PartyID) error {
	c, err := s.directory.client(ctx, id)
	if err != nil {
		return err
	}
	return c.Probe(ctx, true)
}

// AddSite registers a peer, or gives a registered one another address or dialect. A different key is refused: that is rotate.
func (s sites) AddSite(ctx context.Context, r openflow.SiteRecord) error {
	key := ""
	if len(r.Keys) > 0 {
		key = r.Keys[0]
	}
	if err := CheckPeer(Peer{Party: r.Party, URL: r.URL, Key: key}); err != nil {
		return err
	}
	if r.Dialect != "" && r.Dialect != openflow.DialectFATEFlow && r.Dialect != openflow.DialectFolded {
		return openflow.Errorf(openflow.CodeInvalid, "peer %s: %q is no dialect", r.Party, r.Dialect).
			WithHint("one of %s, %s; leave it out for nodes of openflow", openflow.DialectFolded, openflow.DialectFATEFlow)
	}
	if r.Party == s.self {
		return openflow.Errorf(openflow.CodeInvalid, "party %s is this node itself", r.Party)
	}
	have, err := s.catalogue.Site(ctx, r.Party)
	if err == nil {
		if !slices.Contains(have.Keys, key) {
			return openflow.Errorf(openflow.CodeConflict, "party %s is registered with another key", r.Party).
				WithHint("if it has really changed: openflow site rotate %s --key %s", r.Party, key)
		}
		if have.URL != r.URL {
			have.URL, have.Dialect = r.URL, "" // another node, perhaps of another kind
		}
		if r.Dialect != "" {
			have.Dialect = r.Dialect
		}
		return s.catalogue.SaveSite(ctx, have)
	}
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	r.AddedAt = time.Now()
	return s.catalogue.SaveSite(ctx, r)
}

// RemoveSite ends the jobs that are shared with a peer, and forgets it: its requests are refused from now on.
func (s sites) RemoveSite(ctx context.Context, id openflow.PartyID) error {
	if _, err := s.catalogue.Site(ctx, id); err != nil {
		return err
	}
	if err := s.farewell.to(ctx, id); err != nil {
		return err
	}
	if err := s.catalogue.DeleteSite(ctx, id); err != nil {
		return err
	}
	return s.farewell.to(ctx, id) // jobs that began meanwhile
}

// RotateSite takes a further key of a peer; final forgets the earlier ones.
func (s sites) RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error {
	have, err := s.catalogue.Site(ctx, id)
	if err != nil {
		return err
	}
	if _, err := trust.ParsePublicKey(key); err != nil {
		return err
	}
	switch {
	case final:
		have.Keys = []string{key}
	case !slices.Contains(have.Keys, key):
		have.Keys = append([]string{key}, have.Keys[:min(1, len(have.Keys))]...)
	}
	return s.catalogue.SaveSite(ctx, have)
}

// senders tells which parties may send to a session: those of a task that this node takes part in. What it has found is
// remembered, because it never changes for a task version.
type senders struct {
	self  openflow.PartyID
	tasks *catalogue.Catalogue

	mu    sync.Mutex
	known map[openflow.SessionID][]openflow.Party
}

// maxKnown bounds the memory; forgetting costs one look into the catalogue.
const maxKnown = 4096

// Admit implements interconnection.Sessions.
func (s *senders) Admit(ctx context.Context, from openflow.PartyID, session, topic string) (openflow.SessionID, error) {
	own, parties, err := s.find(ctx, openflow.SessionID(session))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(parties, func(p openflow.Party) bool { return p.ID == from }) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	sender, receiver, ok := parseTopic(topic, parties)
	if ok && (sender.ID != from || receiver.ID != s.self) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return own, nil
}

// find returns what a session is called here, and its parties. One that names no scheduler is looked up every time: another
// scheduler may make the same job ID later.
func (s *senders) find(ctx context.Context, session openflow.SessionID) (openflow.SessionID, []openflow.Party, error) {
	s.mu.Lock()
	parties, ok := s.known[session]
	s.mu.Unlock()
	if ok {
		return session, parties, nil
	}
	tasks, err := s.tasks.TasksOfSession(ctx, s.self, session)
	if err != nil {
		return "", nil, err
	}
	own, parties := tasks[0].Key.SessionID(), tasks[0].Spec.Parties
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[own] = parties
	return own, parties, nil
}

// address is the base URL of a listener, with a host that a program on this machine can use.
func address(a string) string { return (&url.URL{Scheme: "http", Host: a}).String() }

// Answers implements partner.Peers. A peer of FATE-Flow has no route for the question and gets none: it is only seen
// whether somebody listens at its address.
func (d *directory) Answers(ctx context.Context, id openflow.PartyID) error {
	s, err := d.site(ctx, id)
	if err != nil {
		return err
	}
	if s.Dialect == openflow.DialectFATEFlow {
		return d.clientOf(s).Reach(ctx)
	}
	return d.clientOf(s).Probe(ctx, false)
}

// Probe implements interconnection.Prober.
func (d *directory) Probe(ctx context.Context, id openflow.PartyID) error {
	c, err := d.client(ctx, id)
	if err != nil {
		return err
	}
	return c.Probe(ctx, false)
}
