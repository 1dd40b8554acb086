package peers

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Directory finds the services of parties: this node's own, called directly, or a signed client of a peer's node.
type Directory struct {
	Self       openflow.PartyID
	Records    *catalogue.Catalogue
	Signer     peer.Signer
	Lines      *Lines
	Dialects   dialect.All
	Partners   openflow.PartnerService   // this node's own
	Schedulers openflow.SchedulerService // this node's own
	Tokens     Tokens                    // of peers that sign with an app; nil: none does
	Called     func(peer openflow.PartyID, took time.Duration, err error)
}

// Client makes the client of a peer, in the dialect of its record. Records are read anew each time, so a changed address
// holds at once.
func (d *Directory) Client(ctx context.Context, id openflow.PartyID) (dialect.Client, error) {
	s, err := d.reachable(ctx, id)
	if err != nil {
		return nil, err
	}
	speaks, err := d.Dialects.Of(s.Dialect)
	if err != nil {
		return nil, openflow.About(openflow.AboutSite, err)
	}
	return speaks.Client(d.link(s)), nil
}

func (d *Directory) link(s openflow.SiteRecord) peer.Link {
	return peer.Link{
		Self: d.Self, Peer: s.Party, URL: s.URL, Version: s.Version, Profile: s.Profile, Way: s.Way, App: d.appOf(s.Party), Signer: d.Signer, Verifier: recorded(s.Keys),
		HTTP: d.Lines.To(s), Shows: d.Lines.Key, Called: d.Called,
	}
}

func (d *Directory) site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := d.Records.Site(ctx, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = openflow.Errorf(openflow.CodeInvalid, "party %s is not a peer of party %s", id, d.Self).
			WithHint("%s; correct the party, or register it: openflow site add %s --url URL --key KEY", d.known(ctx), id)
	}
	return s, openflow.About(openflow.AboutSite, err)
}

// reachable is site for those who call it.
func (d *Directory) reachable(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := d.site(ctx, id)
	if err != nil {
		return s, err
	}
	return s, openflow.About(openflow.AboutSite, secret(s, addPlain(s)))
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
	c, err := d.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Partner(), nil
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

// PushTo implements base.Peers.
func (d *Directory) PushTo(ctx context.Context, to openflow.PartyID, m peer.Outgoing) error {
	s, err := d.reachable(ctx, to)
	if err != nil {
		return err
	}
	if s.Way == openflow.WayPackets {
		return openflow.AtParty(d.Self, openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeUnimplemented,
			"calls get to party %s in packets, which hold no messages of containers", to).
			WithHint("give the address of its node or of its router: openflow site add %s --url URL --trust TRUST --way direct", to)))
	}
	speaks, err := d.Dialects.Of(s.Dialect)
	if err != nil {
		return openflow.About(openflow.AboutSite, err)
	}
	c, err := speaks.Channel(openflow.SessionID(m.Session), m.Topic)
	if err != nil {
		return err
	}
	if own, err := openflow.ParseSessionID(openflow.SessionID(m.Session)); err == nil && c.Session != m.Session {
		m.Scheduler = own.Scheduler
	}
	m.Session, m.Topic = c.Session, c.Topic
	l := d.link(s)
	return l.Push(ctx, m)
}

// Own implements interconnection.Names.
func (d *Directory) Own(ctx context.Context, from openflow.PartyID, session, topic string) (string, string, error) {
	s, err := d.site(ctx, from)
	if err != nil {
		return "", "", err
	}
	speaks, err := d.Dialects.Of(s.Dialect)
	if err != nil {
		return "", "", openflow.About(openflow.AboutSite, err)
	}
	return speaks.Own(dialect.Channel{Session: session, Topic: topic})
}

// Tasks names the tasks of a job of which this node has a row, or which it schedules. CodeNotFound: there is no such job.
func (d *Directory) Tasks(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) ([]openflow.TaskName, error) {
	var dag *openflow.DAG
	if scheduler == d.Self {
		own, err := d.Records.ScheduledJob(ctx, job)
		if err != nil {
			return nil, err
		}
		dag = own.DAG
	} else {
		rows, err := d.Records.JobRows(ctx, scheduler, job)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return nil, openflow.Errorf(openflow.CodeNotFound, "job %s is not here", job)
		}
		dag = rows[0].DAG
	}
	names := make([]openflow.TaskName, len(dag.Tasks))
	for i, t := range dag.Tasks {
		names[i] = t.Name
	}
	return names, nil
}

// Signer signs with the node's key and the present time.
type Signer struct{ trust.Signer }

// Sign implements peer.Signer.
func (s Signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
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

// Answers implements partner.Peers. A peer without room for what is new cannot go on either.
func (d *Directory) Answers(ctx context.Context, id openflow.PartyID) error {
	c, err := d.Client(ctx, id)
	if err != nil {
		return err
	}
	seen, err := c.Examine(ctx, false)
	if err != nil {
		return err
	}
	return seen.NoRoom
}

// Probe implements dialect.Prober.
func (d *Directory) Probe(ctx context.Context, id openflow.PartyID) error {
	c, err := d.Client(ctx, id)
	if err != nil {
		return err
	}
	_, err = c.Examine(ctx, false)
	return err
}
