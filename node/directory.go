package node

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// directory finds the services of parties: this node's own, called directly, or a signed client of a peer's node.
type directory struct {
	self      openflow.PartyID
	sites     *catalogue.Catalogue
	signer    peer.Signer
	http      *http.Client
	partner   openflow.PartnerService
	scheduler openflow.SchedulerService
	called    func(peer openflow.PartyID, took time.Duration, err error)
}

// dialects are those that this node speaks, the usual one first.
var dialects = dialect.All{native.Dialect{}, fateflow.Dialect{}}

// client makes the client of a peer, in the dialect of its record. Sites are read anew each time, so a changed address
// holds at once.
func (d *directory) client(ctx context.Context, id openflow.PartyID) (dialect.Client, error) {
	s, err := d.site(ctx, id)
	if err != nil {
		return nil, err
	}
	speaks, err := dialects.Of(s.Dialect)
	if err != nil {
		return nil, openflow.About(openflow.AboutSite, err)
	}
	return speaks.Client(d.link(s)), nil
}

func (d *directory) link(s openflow.SiteRecord) peer.Link {
	return peer.Link{
		Self: d.self, Peer: s.Party, URL: s.URL, Signer: d.signer, Verifier: recorded(s.Keys), HTTP: d.http, Called: d.called,
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
	c, err := d.client(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Partner(), nil
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

// PushTo implements base.Peers.
func (d *directory) PushTo(ctx context.Context, to openflow.PartyID, m peer.Outgoing) error {
	s, err := d.site(ctx, to)
	if err != nil {
		return err
	}
	l := d.link(s)
	return l.Push(ctx, m)
}

// signer signs with the node's key and the present time.
type signer struct{ trust.Signer }

// Sign implements peer.Signer.
func (s signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	s.Signer.Sign(r, to, body, time.Now())
	return nil
}

// recorded is peer.Verifier on the keys in a peer's record.
type recorded []string

// VerifyAnswer implements peer.Verifier.
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
	seen, err := c.Examine(ctx, true)
	if err == nil {
		err = seen.CallBack
	}
	return err
}

// ProbeSite tries every dialect on a peer, and changes nothing: what its record says, only the operator changes.
func (s sites) ProbeSite(ctx context.Context, id openflow.PartyID) ([]application.Heard, error) {
	record, err := s.directory.site(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []application.Heard
	for _, d := range dialects {
		versions, _ := d.Speaks()
		list = append(list, application.Heard{
			Dialect: d.Name(), Version: versions[0], Recorded: d.Name() == record.Dialect, Err: d.Client(s.directory.link(record)).Probe(ctx),
		})
	}
	return list, nil
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
	if r.Party == s.self {
		return openflow.Errorf(openflow.CodeInvalid, "party %s is this node itself", r.Party)
	}
	have, err := s.catalogue.Site(ctx, r.Party)
	if err == nil {
		if !slices.Contains(have.Keys, key) {
			return openflow.Errorf(openflow.CodeConflict, "party %s is registered with another key", r.Party).
				WithHint("if it has really changed: openflow site rotate %s --key %s", r.Party, key)
		}
		have.URL = r.URL
		if said := r.Dialect != "" || r.Version != "" || r.Profile != ""; said { // who says nothing leaves it as it is
			r.Dialect = cmp.Or(r.Dialect, have.Dialect)
			if r, err = dialects.Complete(r); err != nil {
				return err
			}
			have.Dialect, have.Version, have.Profile = r.Dialect, r.Version, r.Profile
		}
		return s.catalogue.SaveSite(ctx, have)
	}
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	if r, err = dialects.Complete(r); err != nil {
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
	ended, err := s.farewell.to(ctx, id)
	if err != nil {
		return err
	}
	if err := s.catalogue.DeleteSite(ctx, id); err != nil {
		return err
	}
	late, err := s.farewell.to(ctx, id) // jobs that began meanwhile
	return errors.Join(err, s.farewell.restate(ctx, append(ended, late...)))
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
	known map[string][]openflow.Party
}

// maxKnown bounds the memory; forgetting costs one look into the catalogue.
const maxKnown = 4096

// MaySend implements interconnection.Sessions.
func (s *senders) MaySend(ctx context.Context, from openflow.PartyID, session, topic string) error {
	parties, err := s.parties(ctx, session)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(parties, func(p openflow.Party) bool { return p.ID == from }) {
		return openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	sender, receiver, ok := parseTopic(topic, parties)
	if ok && (sender.ID != from || receiver.ID != s.self) {
		return openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return nil
}

func (s *senders) parties(ctx context.Context, session string) ([]openflow.Party, error) {
	s.mu.Lock()
	parties, ok := s.known[session]
	s.mu.Unlock()
	if ok {
		return parties, nil
	}
	for _, role := range []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal} {
		id := openflow.ExecutionID(session + "_" + string(role) + "_" + string(s.self))
		t, err := s.tasks.TaskByExecution(ctx, id)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if len(s.known) >= maxKnown {
			clear(s.known)
		}
		s.known[session] = t.Spec.Parties
		s.mu.Unlock()
		return t.Spec.Parties, nil
	}
	return nil, openflow.Errorf(openflow.CodeNotFound, "no task of this node has the session %s", session)
}

// address is the base URL of a listener, with a host that a program on this machine can use.
func address(a string) string { return (&url.URL{Scheme: "http", Host: a}).String() }

// Answers implements partner.Peers.
func (d *directory) Answers(ctx context.Context, id openflow.PartyID) error { return d.Probe(ctx, id) }

// Probe implements dialect.Prober.
func (d *directory) Probe(ctx context.Context, id openflow.PartyID) error {
	c, err := d.client(ctx, id)
	if err != nil {
		return err
	}
	_, err = c.Examine(ctx, false)
	return err
}
