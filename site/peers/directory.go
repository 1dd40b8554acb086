package peers

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/partner"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Directory finds the services of parties: this node's own, called directly, or a signed client of a peer's node.
type Directory struct {
	Self       openflow.PartyID
	Records    *catalogue.Catalogue
	Signer     partner.Signer
	HTTP       *http.Client
	Partners   openflow.PartnerService   // this node's own
	Schedulers openflow.SchedulerService // this node's own
	Called     func(peer openflow.PartyID, took time.Duration, err error)
}

// Client makes the client of a peer. Records are read anew each time, so a changed address holds at once.
func (d *Directory) Client(ctx context.Context, id openflow.PartyID) (*partner.Client, error) {
	s, err := d.site(ctx, id)
	return d.clientOf(s), err
}

func (d *Directory) clientOf(s openflow.SiteRecord) *partner.Client {
	return &partner.Client{
		Self: d.Self, Peer: s.Party, URL: s.URL, Signer: d.Signer, Verifier: recorded(s.Keys), HTTP: d.HTTP, Called: d.Called,
		Unsigned: s.Dialect == openflow.DialectFATEFlow,
	}
}

func (d *Directory) site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := d.Records.Site(ctx, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = openflow.Errorf(openflow.CodeInvalid, "party %s is not known here, at party %s", id, d.Self).
			WithHint("%s; correct the party in the document, or register it: openflow site add %s --url URL --key KEY", d.known(ctx), id)
	}
	return s, openflow.About(openflow.AboutSite, err)
}

// known says which parties this site knows.
func (d *Directory) known(ctx context.Context) string {
	const most = 20
	sites, err := d.Records.Sites(ctx)
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
func (d *Directory) Partner(ctx context.Context, id openflow.PartyID) (openflow.PartnerService, error) {
	if id == d.Self {
		return d.Partners, nil
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
	if dialect == openflow.DialectNative {
		return c, nil
	}
	return c.FATEFlow(), nil
}

// dialect is how a peer wants to be called. That it is a FATE-Flow node, which proves nothing by signatures, only this site's
// operator says. Others are asked until they have said that they take batched calls, and no answer changes that again.
func (d *Directory) dialect(ctx context.Context, s openflow.SiteRecord, c *partner.Client) (openflow.Dialect, error) {
	if s.Dialect != "" {
		return s.Dialect, nil
	}
	batches, err := c.Batches(ctx)
	if err != nil || !batches {
		return "", err
	}
	return openflow.DialectNative, d.Records.SetSiteDialect(ctx, s.Party, openflow.DialectNative)
}

// Scheduler implements openflow.Directory.
func (d *Directory) Scheduler(ctx context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	if id == d.Self {
		return d.Schedulers, nil
	}
	c, err := d.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Scheduler(), nil
}

// PushTo implements base.Peers. A FATE-Flow node knows a session by its own name, which names no scheduler.
func (d *Directory) PushTo(ctx context.Context, to openflow.PartyID, m partner.Outgoing) error {
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

// Signer signs with the node's key and the present time.
type Signer struct{ trust.Signer }

// Sign implements partner.Signer.
func (s Signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
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

// Keys is trust.KeySource on the records of peers.
type Keys struct{ Records *catalogue.Catalogue }

// PublicKeys implements trust.KeySource.
func (k Keys) PublicKeys(ctx context.Context, party openflow.PartyID) ([]trust.PublicKey, error) {
	s, err := k.Records.Site(ctx, party)
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

// Answers implements partner.Peers. A peer of FATE-Flow has no route for the question and gets none: it is only seen
// whether somebody listens at its address.
func (d *Directory) Answers(ctx context.Context, id openflow.PartyID) error {
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
func (d *Directory) Probe(ctx context.Context, id openflow.PartyID) error {
	c, err := d.Client(ctx, id)
	if err != nil {
		return err
	}
	return c.Probe(ctx, false)
}
