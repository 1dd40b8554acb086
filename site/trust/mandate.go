package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"openflow"
	"openflow/store/document"
)

// mandateMark begins what is signed, so that no signature for another purpose is one of a mandate.
const mandateMark = "openflow-mandate-1\n"

// Sites are the peers of this node, as its own operator has recorded them.
type Sites interface {
	// Site returns a peer; CodeNotFound: it is not known.
	Site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error)
}

// Mandates makes the mandates of jobs that this node initiates. For jobs that it schedules or takes part in, it finds out on
// whose authority they are.
type Mandates struct {
	Self  openflow.PartyID
	Key   Key
	Sites Sites
	Now   func() time.Time // nil: time.Now
}

// terms is what a mandate says. Its text is this form and nothing else, so one meaning has one text.
type terms struct {
	Job       openflow.JobID              `json:"job_id"`
	Initiator openflow.PartyID            `json:"initiator"`
	Scheduler openflow.PartyID            `json:"scheduler"`
	UserName  string                      `json:"user_name,omitzero"`
	Purpose   string                      `json:"purpose,omitzero"`
	Made      int64                       `json:"made"`  // seconds since 1970
	Until     int64                       `json:"until"` // likewise
	Graph     string                      `json:"graph"` // hash of what all parties may read
	Parts     map[openflow.PartyID]string `json:"parts"` // hash of the part of each site that takes part, with its salt
}

// Give makes the mandate for a job that this node initiates. The DAG is final: its scheduler may change nothing of it.
func (m Mandates) Give(d *openflow.DAG, id openflow.JobID, user string) (*openflow.Mandate, error) {
	given := openflow.Mandate{Salt: make([]byte, openflow.MandateSalt)}
	_, _ = rand.Read(given.Salt) // never fails: it stops the program instead
	graph, parts, err := hashes(d, &given)
	if err != nil {
		return nil, err
	}
	now := m.now()
	text, err := document.Marshal(terms{
		Job: id, Initiator: m.Self, Scheduler: d.Conf.Scheduler, UserName: user, Purpose: d.Conf.Purpose,
		Made: now.Unix(), Until: now.Add(openflow.MandateLife).Unix(), Graph: graph, Parts: parts,
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the mandate of job %s cannot be written as JSON: %w", id, err)
	}
	given.Text, given.Signature = text, ed25519.Sign(m.Key.private, marked(text))
	return &given, nil
}

func (m Mandates) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func marked(text []byte) []byte { return append([]byte(mandateMark), text...) }

// OfSubmission finds out on whose authority this node is to schedule a job, whose DAG is filled in. A peer submits its own
// jobs only, under a mandate that says exactly this job. Without one, it is a peer from which this site takes unsigned jobs.
// Errors: CodePermission, CodeUnauthorized.
func (m Mandates) OfSubmission(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Authority, error) {
	a := openflow.Authority{Initiator: caller, Scheduler: m.Self, Purpose: sub.DAG.Conf.Purpose, Signed: !unsigned(ctx, caller)}
	if caller == m.Self {
		return a, nil
	}
	if sub.Mandate == nil {
		return a, m.takesUnsigned(ctx, caller, sub.ID, unsigned(ctx, caller))
	}
	t, err := m.read(ctx, *sub.Mandate, caller)
	if err == nil {
		err = t.covers(a, sub.ID, sub.UserName, m.Self)
	}
	if err != nil {
		return a, err
	}
	graph, parts, err := hashes(sub.DAG, sub.Mandate)
	if err == nil && (t.Graph != graph || !maps.Equal(t.Parts, parts)) {
		err = t.not("the job that came with it", m.Self)
	}
	return a, err
}

// OfOrder finds out on whose authority a job is to run here, at the party that the order names. Its scheduler has called. The
// mandate of its initiator says exactly this job and this party's part of it. Without one, the job comes from a peer from which
// this site takes unsigned jobs. Errors: CodePermission, CodeUnauthorized.
func (m Mandates) OfOrder(ctx context.Context, o openflow.JobOrder) (openflow.Authority, error) {
	conf := o.DAG.Conf
	a := openflow.Authority{Initiator: cmp.Or(conf.Initiator, o.Key.Scheduler), Scheduler: o.Key.Scheduler, Purpose: conf.Purpose}
	if o.Mandate == nil {
		from, called := a.Scheduler, unsigned(ctx, a.Scheduler)
		a.Signed = a.Initiator == a.Scheduler && !called // who has signed the call itself
		if from == m.Self {
			from, called = a.Initiator, true // by whichever call this node has taken it as the scheduler
		}
		return a, m.takesUnsigned(ctx, from, o.Key.Job, called)
	}
	t, err := m.read(ctx, *o.Mandate, a.Initiator)
	if err == nil {
		err = t.covers(a, o.Key.Job, o.UserName, m.Self)
	}
	if err != nil {
		return a, err
	}
	graph, err := graphOf(o.DAG)
	if err != nil {
		return a, err
	}
	part, err := partsOf(o.DAG)
	if err != nil {
		return a, err
	}
	site := o.Key.Party.ID
	if t.Graph != graph {
		return a, t.not("what all parties may read of the job", m.Self)
	}
	if own, ok := t.Parts[site]; !ok || own != salted(part[site], o.Mandate.Salt) {
		return a, t.not("the part of party "+string(site), m.Self)
	}
	a.Signed = true
	return a, nil
}

// takesUnsigned refuses a job that nobody has signed, unless this site's record of the peer says that it takes such jobs: of all
// its calls, or of those that nobody has signed either.
func (m Mandates) takesUnsigned(ctx context.Context, from openflow.PartyID, job openflow.JobID, called bool) error {
	if from == m.Self {
		return nil
	}
	s, err := m.Sites.Site(ctx, from)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	if s.Unsigned || called && (len(s.Sources) > 0 || s.Trust() == openflow.TrustSignature) {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "job %s comes from party %s without the mandate of its initiator", job, from).
		WithHint("a node like this one signs its jobs; where that one cannot, and party %s believes all that it says: "+
			"openflow site add %s --url URL --key KEY --unsigned", m.Self, from)
}

// read proves who has signed a mandate and reads it. Its time has come and not passed.
func (m Mandates) read(ctx context.Context, given openflow.Mandate, by openflow.PartyID) (terms, error) {
	keys, err := m.keysOf(ctx, by)
	if err != nil {
		return terms{}, err
	}
	text := marked(given.Text)
	if !slices.ContainsFunc(keys, func(k PublicKey) bool { return k.verify(text, given.Signature) }) {
		return terms{}, unauthorized("the mandate of the job is not signed by party %s, with a key that party %s knows of it", by, m.Self).
			WithHint("if the key of party %s has changed, on party %s run openflow site rotate %s --key KEY; otherwise who schedules the job has forged it",
				by, m.Self, by)
	}
	t, err := readTerms(given.Text)
	if err != nil {
		return t, err
	}
	now, made, until := m.now(), time.Unix(t.Made, 0), time.Unix(t.Until, 0)
	if made.After(now.Add(Window)) || now.After(until.Add(Window)) {
		return t, openflow.Errorf(openflow.CodePermission, "the mandate of job %s is good from %s to %s, and at party %s it is %s",
			t.Job, clock(made), clock(until), m.Self, clock(now)).
			WithHint("submit the job again, and set the clocks of both sites if they differ")
	}
	return t, nil
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// keysOf are the keys with which a party may sign, by this site's own records.
func (m Mandates) keysOf(ctx context.Context, id openflow.PartyID) ([]PublicKey, error) {
	if id == m.Self {
		return []PublicKey{m.Key.Public()}, nil
	}
	s, err := m.Sites.Site(ctx, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil, openflow.Errorf(openflow.CodePermission, "the job is of party %s, which is not known at party %s", id, m.Self).
			WithHint("exchange keys once with party %s: on party %s run openflow site add %s --url URL --key KEY", id, m.Self, id)
	}
	if err != nil {
		return nil, err
	}
	keys := make([]PublicKey, len(s.Keys))
	for i, text := range s.Keys {
		if keys[i], err = ParsePublicKey(text); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// readTerms reads a text that Give could have written. Errors: CodeInvalid.
func readTerms(text []byte) (terms, error) {
	var t terms
	if len(text) > openflow.MaxMandate {
		return t, openflow.Errorf(openflow.CodeInvalid, "the mandate has %d bytes, more than %d", len(text), openflow.MaxMandate)
	}
	err := document.Unmarshal(text, &t)
	if err == nil {
		var same []byte
		if same, err = document.Marshal(t); err == nil && bytes.Equal(same, text) {
			return t, nil
		}
	}
	return terms{}, openflow.Errorf(openflow.CodeInvalid, "the mandate of the job is not one as nodes of this version write it")
}

// covers refuses what a mandate does not say of a job: its name, who has a part in driving it, and who has submitted it.
func (t terms) covers(a openflow.Authority, job openflow.JobID, user string, at openflow.PartyID) error {
	switch {
	case t.Initiator != a.Initiator:
		return t.not("a job of party "+string(a.Initiator), at)
	case t.Scheduler != a.Scheduler:
		return t.not("a job that party "+string(a.Scheduler)+" schedules", at)
	case t.Job != job:
		return t.not("job "+string(job), at)
	case t.UserName != user:
		return t.not("the name of its user", at)
	case t.Purpose != a.Purpose:
		return t.not("its purpose", at)
	}
	return nil
}

// not refuses what came with a mandate that says something else.
func (t terms) not(what string, at openflow.PartyID) error {
	return openflow.Errorf(openflow.CodePermission, "party %s has signed job %s for party %s to schedule, and not %s", t.Initiator, t.Job, t.Scheduler, what).
		WithHint("what came to party %s is not what the initiator has submitted: ask the operators of parties %s and %s", at, t.Initiator, t.Scheduler)
}

// hashes are what a mandate says of a DAG: the hash of what all parties may read, and of the part of each site that takes part.
func hashes(d *openflow.DAG, given *openflow.Mandate) (graph string, parts map[openflow.PartyID]string, err error) {
	if graph, err = graphOf(d); err != nil {
		return "", nil, err
	}
	plain, err := partsOf(d)
	if err != nil {
		return "", nil, err
	}
	parts = map[openflow.PartyID]string{}
	for _, p := range d.Participants() {
		if parts[p.ID] == "" {
			parts[p.ID] = salted(plain[p.ID], given.For(p.ID).Salt)
		}
	}
	return graph, parts, nil
}

// graphOf is the hash of what all parties may read of a job.
func graphOf(d *openflow.DAG) (string, error) {
	common := *d
	common.PartyTasks = nil
	return document.Hash(document.EncodeDAG(common))
}

// partsOf writes down, for each site, what differs of the job at its parties: of each entry its label, the site's own parties,
// and the hash of what it says. So an entry for many sites is read once.
func partsOf(d *openflow.DAG) (map[openflow.PartyID][]byte, error) {
	parts := map[openflow.PartyID][]byte{}
	for _, pt := range d.PartyTasks {
		own := map[openflow.PartyID][]openflow.Party{}
		for _, p := range pt.Parties {
			own[p.ID] = append(own[p.ID], p)
		}
		says := pt
		says.Site, says.Parties = "", nil
		hash, err := document.Hash(document.EncodeDAG(openflow.DAG{PartyTasks: []openflow.PartyTasks{says}}))
		if err != nil {
			return nil, err
		}
		for site, parties := range own {
			line, err := document.Canonical([]any{pt.Site, document.EncodeParties(parties), hash})
			if err != nil {
				return nil, err
			}
			parts[site] = append(append(parts[site], line...), '\n')
		}
	}
	return parts, nil
}

func salted(part, salt []byte) string {
	h := hmac.New(sha256.New, salt)
	h.Write(part) // never fails
	return hex.EncodeToString(h.Sum(nil))
}
