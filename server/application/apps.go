package application

import (
	"context"
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/origin"
	"openflow/server/reply"
)

type appKey struct{}

// AppOf is the app that has signed a request; false: somebody else calls, who may do everything.
func AppOf(r *http.Request) (openflow.App, bool) {
	a, ok := r.Context().Value(appKey{}).(openflow.App)
	return a, ok
}

// Signed is Known for a dialect in which apps sign what they send. prove returns the app that has signed a request, nil where
// nobody has: then the request is treated as any other. What an app does is recorded under its name, whatever it calls itself.
func (a Access) Signed(
	refuse func(http.ResponseWriter, *http.Request, error), prove func(*http.Request) (*openflow.App, error),
) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		known := a.Known(refuse)(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := origin.Page(r)
			var app *openflow.App
			if err == nil {
				app, err = prove(r)
			}
			switch {
			case err != nil:
				refuse(w, r, err)
			case app == nil:
				known.ServeHTTP(w, r)
			default:
				reply.Known(w, r, "app "+string(app.ID))
				r = r.WithContext(context.WithValue(r.Context(), appKey{}, *app))
				if r.Method != http.MethodGet { // there it selects rows, and is the caller's choice
					r.Header = r.Header.Clone()
					r.Header.Set(wire.UserHeader, app.Name)
				}
				next.ServeHTTP(w, r)
			}
		})
	}
}

// Guarded refuses a request of an app that somebody on the way may have read or made: one that has come from another machine
// without TLS, unless the operator has said so of the app. Errors: CodePermission about AboutApp.
func Guarded(r *http.Request, a openflow.App) error {
	here := origin.Loopback(r.RemoteAddr) && !origin.PassedOn(r.Header)
	if r.TLS != nil || here || a.Plain {
		return nil
	}
	return openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodePermission,
		"Authentication Failed: app %s calls from another machine without TLS, and its signature covers neither path nor body", a.Name).
		WithHint("run openflow connect on the machine of the caller; or have the operator make the app anew with openflow app add --plain"))
}

// AddApp makes an app, and returns its token. Errors: CodePermission (the caller may not), CodeInvalid, CodeConflict, CodeExhausted.
func (s *Site) AddApp(r *http.Request, a openflow.App) (openflow.App, string, error) {
	if err := manages(r, a); err != nil {
		return a, "", err
	}
	a.By = s.Who(r)
	made, token, err := s.Apps.Add(r.Context(), a)
	if err != nil {
		return made, "", err
	}
	return made, token, s.appChanged(r, made)
}

// IntroduceApp keeps the app that a peer has made for this site. Errors: those of AddApp.
func (s *Site) IntroduceApp(r *http.Request, a openflow.App, token string) (openflow.App, error) {
	a.By = s.Who(r)
	made, err := s.Apps.Introduce(r.Context(), a, token)
	if err != nil {
		return made, err
	}
	return made, s.appChanged(r, made)
}

// RemoveApp takes an app back. Errors: CodePermission (the caller may not), CodeNotFound about AboutApp.
func (s *Site) RemoveApp(r *http.Request, a openflow.App) error {
	if err := manages(r, a); err != nil {
		return err
	}
	if err := s.Apps.Remove(r.Context(), a); err != nil {
		return err
	}
	return s.appChanged(r, a)
}

// GrantApp gives an app a role in place of what it had. Errors: CodePermission (the caller may not), CodeInvalid about AboutRole (it
// does not fit), CodeNotFound about AboutApp.
func (s *Site) GrantApp(r *http.Request, a openflow.App, role openflow.AppRole) (openflow.App, error) {
	changed, err := s.Catalogue.ChangeAppRole(r.Context(), a.Kind, a.ID, func(have openflow.App) (openflow.AppRole, error) {
		wanted := have
		wanted.Role = role
		if err := manages(r, have); err != nil {
			return "", err
		}
		return role, manages(r, wanted)
	})
	if err != nil {
		return changed, err
	}
	return changed, s.appChanged(r, changed)
}

// manages refuses an app that would change itself, or another that may manage apps, or make one of these.
//
// Spec: fate-flow-api §1.11 (last paragraph).
func manages(r *http.Request, a openflow.App) error {
	by, signed := AppOf(r)
	switch {
	case !signed:
		return nil
	case by.Kind == a.Kind && by.ID == a.ID:
		return openflow.Errorf(openflow.CodePermission, "No Permission: no app changes itself").WithHint("the operator of the node can: openflow app")
	case a.Role == openflow.AppMayManage:
		return openflow.Errorf(openflow.CodePermission, "No Permission: an app makes and changes none of the role %s", a.Role).
			WithHint("the operator of the node can: openflow app")
	}
	return nil
}

// appChanged records a change of an app, by the name of the route that makes it.
func (s *Site) appChanged(r *http.Request, a openflow.App) error {
	detail := "role " + string(a.Role)
	if a.Role == "" {
		detail = "no role"
	}
	if a.Plain {
		detail += ", also without TLS"
	}
	return s.AuditChange(r, "app", string(a.Kind)+" "+a.Name+" ("+string(a.ID)+")", detail)
}
