package peers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Tokens are the apps by which a site and its peers prove themselves to each other. site/apps has them.
type Tokens interface {
	openflow.Apps
	// CheckTime refuses a signature of another time than now. CodeUnauthorized about AboutTime.
	CheckTime(signed time.Time) error
	// Spend lets a signature count the first time only. CodeUnauthorized: it has counted. CodeExhausted: the app sends too many.
	Spend(ctx context.Context, a openflow.App, nonce string, signed time.Time) error
}

// Apps proves the peers that sign with an app that this site has made for them. Whose it is, this site's records say, and never
// the request.
type Apps struct {
	Tokens  Tokens
	Records *catalogue.Catalogue

	sent sent
}

// Prove implements dialect.Apps. The order is FATE-Flow's: time, app, signature, role. What the signature does not cover is fixed by
// its first use: a repeat, as FATE-Flow sends it with the same headers, has the same path and body, or is refused.
//
// Spec: fate-flow-api §0.6.2, §0.8.
func (a *Apps) Prove(ctx context.Context, r *http.Request, c dialect.AppClaim) (openflow.PartyID, error) {
	if err := a.Tokens.CheckTime(c.Signed); err != nil {
		return "", err
	}
	app, token, err := a.Tokens.App(ctx, openflow.AppSite, c.App)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return "", openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodeUnauthorized, "No found appid: app_id[%s]", c.App).
			WithHint("the operator of this site makes one: openflow app add PARTY --kind site"))
	case err != nil:
		return "", err
	case !c.By(token):
		return "", openflow.Errorf(openflow.CodeUnauthorized, "varify failed! The signature is not that of app %s", c.App).
			WithHint("take app_id and app_token as this site's operator has got them: flow client create-partner")
	case app.Role != openflow.AppMayPeer:
		return "", openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodePermission, "Authentication Failed: app_id[%s, path[%s, method[%s]]]", c.App, r.URL.Path, r.Method).
			WithHint("the operator of this site gives it the role: flow permission grant --app-id %s -r site", c.App))
	}
	party := openflow.PartyID(app.Name)
	if err := a.fits(ctx, r, party); err != nil {
		return "", err
	}
	if err := a.count(ctx, r, app, c); err != nil {
		return "", err
	}
	*r = *r.WithContext(trust.Unsigned(r.Context(), party))
	return party, nil
}

// fits refuses a peer whose record says that it proves itself in another way, and a connection of somebody else.
func (a *Apps) fits(ctx context.Context, r *http.Request, party openflow.PartyID) error {
	s, err := a.Records.Site(ctx, party)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	if err != nil || s.Trust() != openflow.TrustSignature {
		return openflow.Errorf(openflow.CodeUnauthorized, "varify failed! This site does not take a signature of an app for party %s", party).
			WithHint("if it has no better one, the operator of this site says so: openflow site add %s --url URL --dialect fate-flow --trust %s", party, openflow.TrustSignature)
	}
	if shown, ok := trust.Shown(r.TLS); ok && !slices.Contains(s.Keys, shown.String()) {
		return openflow.Errorf(openflow.CodeUnauthorized, "the request is of party %s, and the connection of somebody else, with key %s", party, shown.Named()).
			WithHint("each node calls for itself only; a gateway on the way needs a certificate of its own")
	}
	return nil
}

// count lets a signature count, and repeats of the request that it came with.
func (a *Apps) count(ctx context.Context, r *http.Request, app openflow.App, c dialect.AppClaim) error {
	key := string(app.ID) + " " + c.Nonce + " " + c.Signed.UTC().Format(time.RFC3339Nano)
	err := a.Tokens.Spend(ctx, app, c.Nonce, c.Signed)
	if err != nil && openflow.CodeOf(err) != openflow.CodeUnauthorized {
		return err
	}
	use := a.sent.use(key, r.Method+" "+r.URL.Path, err == nil, c.Signed.Add(2*trust.Window))
	if use == nil {
		return cmp.Or(err, errAnother)
	}
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	r.Body = &fixed{ReadCloser: body, use: use, of: &a.sent, hash: sha256.New()}
	return nil
}

// errAnother is that a signature came with something else before.
var errAnother error = openflow.Errorf(openflow.CodeUnauthorized, "varify failed! The request was received before, with another path or body").
	WithHint("sign each request anew")

// How often a request counts that is sent again with the signature that it had, and how many signatures are remembered.
//
// Spec: fate-flow-api §0.8 (three attempts).
const attempts, remembered = 3, 20_000

// sent remembers what came with which signature. It ends with the process: a repeat that comes to another one is refused.
type sent struct {
	mu   sync.Mutex
	uses map[string]*use
}

// use is what a signature was used for.
type use struct {
	what  string
	times int
	until time.Time
	sum   []byte // of the body; nil: not read to its end yet
}

// use counts the use of a signature; nil: it was used for something else, too often, or nobody knows for what.
func (s *sent) use(key, what string, first bool, until time.Time) *use {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses == nil {
		s.uses = map[string]*use{}
	}
	u := s.uses[key]
	switch {
	case first:
		if len(s.uses) >= remembered {
			s.forget(time.Now())
		}
		u = &use{what: what, until: until}
		s.uses[key] = u
	case u == nil || u.what != what || u.times >= attempts:
		return nil
	}
	u.times++
	return u
}

// forget drops what is over; all of it, where that is not enough.
func (s *sent) forget(now time.Time) {
	for key, u := range s.uses {
		if now.After(u.until) {
			delete(s.uses, key)
		}
	}
	if len(s.uses) >= remembered {
		clear(s.uses)
	}
}

// same reports whether the body of a use is that of its first one.
func (s *sent) same(u *use, sum []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.sum == nil {
		u.sum = sum
	}
	return bytes.Equal(u.sum, sum)
}

// fixed is a body that ends with an error where it is another than that of the signature's first use.
type fixed struct {
	io.ReadCloser
	use  *use
	of   *sent
	hash hash.Hash
	end  error // once it is known
}

// Read implements io.Reader.
func (f *fixed) Read(b []byte) (int, error) {
	if f.end != nil {
		return 0, f.end
	}
	n, err := f.ReadCloser.Read(b)
	f.hash.Write(b[:n])
	if errors.Is(err, io.EOF) {
		if f.end = err; !f.of.same(f.use, f.hash.Sum(nil)) {
			f.end = errAnother
		}
		return n, f.end
	}
	return n, err
}

// appOf is the app with which this site signs its calls to a peer. Errors: CodeUnauthorized about AboutApp (the peer has given none).
func (d *Directory) appOf(party openflow.PartyID) func(context.Context) (openflow.App, string, error) {
	return func(ctx context.Context) (openflow.App, string, error) {
		var err error = openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodeNotFound, "this node keeps no apps"))
		var app openflow.App
		var token string
		if d.Tokens != nil {
			app, token, err = d.Tokens.AppOf(ctx, openflow.AppPartner, party)
		}
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			err = openflow.AtParty(d.Self, openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodeUnauthorized, "party %s has given this site no app to sign with", party).
				WithHint("its operator makes one and grants it: flow client create-site --party-id %s, flow permission grant --app-id ID -r site; "+
					"then here: openflow app add %s --kind partner --id ID --app-token-file FILE", d.Self, party)))
		}
		return app, token, err
	}
}
