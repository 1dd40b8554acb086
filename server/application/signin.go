package application

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow/server/origin"
	"openflow/server/reply"
)

// SignIn is the page at which a browser is given the token.
const SignIn = "/sign-in"

// maxForm bounds the form of the page, in bytes.
const maxForm = 4 << 10

const form = `<!doctype html><meta charset="utf-8"><title>openflow</title>
<form method="post" action="` + SignIn + `"><label>Token of this node <input type="password" name="token" autocomplete="current-password"></label>
<button>Sign in</button></form>
`

// SignInPage takes the token from a form, and leaves the browser a session in a cookie that scripts and other sites cannot use.
type SignInPage struct {
	Access Access
	To     string // the page that follows
}

// Routes mounts the page.
func (p SignInPage) Routes(r chi.Router) {
	r.Get(SignIn, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, form) // who has gone needs no answer
	})
	r.Post(SignIn, p.signIn)
}

func (p SignInPage) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	// As from a program: the token in the form proves it, unless the page is another one's.
	proof := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, RemoteAddr: r.RemoteAddr, TLS: r.TLS, Header: http.Header{
		"Authorization": {"Bearer " + r.PostFormValue("token")}, origin.ForwardedScheme: r.Header[origin.ForwardedScheme],
	}}
	err := origin.Page(r)
	if err == nil {
		err = p.Access.check(proof.WithContext(r.Context()))
	}
	if err != nil {
		reply.Plain(w, r, err)
		return
	}
	if p.Access.Token != "" {
		http.SetCookie(w, &http.Cookie{
			Name: cookieOf(r), Value: p.Access.session(time.Now().Add(sessionLasts)), MaxAge: int(sessionLasts.Seconds()), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: origin.Secret(r),
		})
	}
	http.Redirect(w, r, p.To, http.StatusSeeOther)
}

// sessionLasts is how long a browser stays signed in: a day's work.
const sessionLasts = 12 * time.Hour

// session proves, until then, that somebody has had the token. It is not the token: cookies know no ports, so a browser shows it to
// whatever else listens on this host. Every replica takes it, since they have the token in common. With another token it is over.
func (a Access) session(until time.Time) string {
	ends := strconv.FormatInt(until.Unix(), 10)
	return ends + "." + a.proof(ends)
}

func (a Access) proof(ends string) string {
	mac := hmac.New(sha256.New, []byte(a.Token))
	_, _ = io.WriteString(mac, "a browser is signed in until "+ends) // into memory
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signedIn tells whether a browser shows a session that has not ended.
func (a Access) signedIn(r *http.Request) bool {
	c, err := r.Cookie(cookieOf(r))
	if err != nil {
		return false
	}
	ends, proof, _ := strings.Cut(c.Value, ".")
	if !hmac.Equal([]byte(a.proof(ends)), []byte(proof)) {
		return false
	}
	until, err := strconv.ParseInt(ends, 10, 64)
	return err == nil && time.Now().Unix() < until
}
