package application

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

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

// SignInPage takes the token from a form, and leaves the browser a cookie that scripts and other sites cannot use.
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
		"Authorization": {"Bearer " + r.PostFormValue("token")}, "Origin": r.Header["Origin"], "Sec-Fetch-Site": r.Header["Sec-Fetch-Site"],
		forwardedScheme: r.Header[forwardedScheme],
	}}
	if err := p.Access.check(proof.WithContext(r.Context())); err != nil {
		reply.Plain(w, r, err)
		return
	}
	if p.Access.Token != "" {
		http.SetCookie(w, &http.Cookie{
			Name: cookieOf(r), Value: p.Access.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secret(r),
		})
	}
	http.Redirect(w, r, p.To, http.StatusSeeOther)
}
