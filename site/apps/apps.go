// Package apps keeps the apps of a site: programs of users, and peers, that prove themselves by a token, as FATE-Flow's do.
//
// It makes and forgets them, opens their tokens for those who check signatures, and lets no signature count twice. How a
// signature is written is a dialect's business. Start reading at [Register].
//
// Spec: fate-flow-api §0.6, §0.7.
package apps

import (
	"context"
	"sync"
	"time"

	"openflow"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Register is a site's apps. It is safe for concurrent use.
type Register struct {
	Rows   *catalogue.Catalogue
	Seal   trust.Seal
	Nonces trust.NonceStore
	Now    func() time.Time // nil: time.Now

	mu    sync.Mutex
	spent map[key]*allowance
}

var _ openflow.Apps = (*Register)(nil)

// purpose is what a token is sealed for: the app that it is of.
func purpose(a openflow.App) string {
	return "the app " + string(a.ID) + " of " + string(a.Kind) + " " + a.Name
}

// tries is how many IDs are tried: one in a hundred million is taken by each app.
const tries = 5

// Add makes an app of a client or of a peer, with an ID and a token, and returns the token, which nobody is shown again. Errors:
// CodeInvalid, CodeConflict about AboutApp (there is one of that name), CodeExhausted.
func (r *Register) Add(ctx context.Context, a openflow.App) (openflow.App, string, error) {
	if a.Kind == openflow.AppPartner {
		return a, "", openflow.Errorf(openflow.CodeInvalid, "a peer makes the app with which it is called").WithHint("ask its operator for app_id and app_token")
	}
	token := trust.NewAppToken()
	for i := 1; ; i++ {
		a.ID = trust.NewAppID()
		kept, err := r.keep(ctx, a, token)
		if openflow.CodeOf(err) == openflow.CodeConflict && i < tries {
			if _, named := r.Rows.AppNamed(ctx, a.Kind, a.Name); openflow.CodeOf(named) == openflow.CodeNotFound {
				continue
			}
		}
		if err != nil {
			token = ""
		}
		return kept, token, err
	}
}

// Introduce keeps the app that a peer has made for this site. Errors: CodeInvalid, CodeConflict about AboutApp (there is one of
// that peer), CodeExhausted.
func (r *Register) Introduce(ctx context.Context, a openflow.App, token string) (openflow.App, error) {
	a.Kind = openflow.AppPartner
	if err := openflow.CheckAppToken(token); err != nil {
		return a, err
	}
	return r.keep(ctx, a, token)
}

func (r *Register) keep(ctx context.Context, a openflow.App, token string) (openflow.App, error) {
	kept, err := r.Rows.AddApp(ctx, catalogue.SealedApp{App: a, Token: r.Seal.Close(token, purpose(a))})
	return kept.App, err
}

// Remove takes an app back: from now on it proves nobody. CodeNotFound about AboutApp: there is none.
func (r *Register) Remove(ctx context.Context, a openflow.App) error { return r.Rows.DeleteApp(ctx, a) }

// App implements openflow.Apps.
func (r *Register) App(ctx context.Context, k openflow.AppKind, id openflow.AppID) (openflow.App, string, error) {
	if err := openflow.CheckIdentifier("app_id", string(id)); err != nil {
		return openflow.App{}, "", err
	}
	return r.open(r.Rows.App(ctx, k, id))
}

// AppOf implements openflow.Apps.
func (r *Register) AppOf(ctx context.Context, k openflow.AppKind, party openflow.PartyID) (openflow.App, string, error) {
	return r.open(r.Rows.AppNamed(ctx, k, string(party)))
}

func (r *Register) open(a catalogue.SealedApp, err error) (openflow.App, string, error) {
	if err != nil {
		return a.App, "", err
	}
	token, err := r.Seal.Open(a.Token, purpose(a.App))
	return a.App, token, err
}

// Skew is how far the clock of an app may be from this site's, either way, and so how long a signature is good.
//
// Spec: fate-flow-api §0.6.1, part 7 #16.
const Skew = trust.Window

// CheckTime refuses a signature that was made too long ago, or in the future. CodeUnauthorized about AboutTime.
func (r *Register) CheckTime(signed time.Time) error {
	here := r.now()
	if signed.Before(here.Add(-Skew)) || signed.After(here.Add(Skew)) {
		return openflow.About(openflow.AboutTime, openflow.Errorf(openflow.CodeUnauthorized,
			"Request has expired: it was signed at %s, here it is %s, and %s apart are allowed",
			signed.UTC().Format(time.RFC3339), here.UTC().Format(time.RFC3339), Skew).
			WithHint("set the clocks of both machines, with NTP for instance; and sign each request anew"))
	}
	return nil
}

// Spend lets a signature count that has been checked, if it is the first with its nonce and time, and the app has not sent too many.
// All replicas of a node have one memory of nonces. Errors: CodeUnauthorized, CodeExhausted about AboutResource.
func (r *Register) Spend(ctx context.Context, a openflow.App, nonce string, signed time.Time) error {
	if err := r.take(a); err != nil {
		return err
	}
	// No party has a blank in its ID: nonces of apps and of parties are apart.
	fresh, err := r.Nonces.UseNonce(ctx, "app "+string(a.Kind)+" "+string(a.ID), nonce+" "+signed.UTC().Format("20060102150405.000"), signed.Add(Skew+2*time.Second))
	if err == nil && !fresh {
		err = openflow.Errorf(openflow.CodeUnauthorized, "varify failed! The request was received before: its Nonce and Timestamp are used up").
			WithHint("send it again with a new signature; FATE's client chooses one of 9,000 nonces a second")
	}
	return err
}

// How many requests an app may send to this process: perSecond, and atOnce of them ahead of that. It bounds the nonces that
// are remembered of it.
const perSecond, atOnce = 50, 500

// key tells apps apart.
type key struct {
	kind openflow.AppKind
	id   openflow.AppID
}

// allowance is what an app may send at once.
type allowance struct {
	left float64
	at   time.Time // to which it has grown
}

// take counts one request of an app. It is asked about apps that have proven themselves, so it knows no more than there are.
func (r *Register) take(a openflow.App) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.spent == nil {
		r.spent = map[key]*allowance{}
	}
	k := key{a.Kind, a.ID}
	s := r.spent[k]
	if s == nil {
		s = &allowance{left: atOnce, at: now}
		r.spent[k] = s
		r.forget(now)
	}
	if now.After(s.at) { // a clock that is set back gives nothing
		s.left, s.at = min(s.left+now.Sub(s.at).Seconds()*perSecond, atOnce), now
	}
	if s.left < 1 {
		return openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeExhausted, "app %s sends more than %d requests a second", a.Name, perSecond).
			WithHint("wait a moment, and see what calls so often"))
	}
	s.left--
	return nil
}

// forget drops those that have all that they may have again, such as apps that were removed.
func (r *Register) forget(now time.Time) {
	for k, s := range r.spent {
		if now.Sub(s.at).Seconds()*perSecond > atOnce {
			delete(r.spent, k)
		}
	}
}

func (r *Register) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
