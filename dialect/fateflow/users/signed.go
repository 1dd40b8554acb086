package users

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/fateflow/signature"
	"openflow/server/application"
)

// prove returns the client's app that has signed a request; nil: it is not signed. The order is FATE-Flow's: time, app, signature,
// role. The nonce comes last, so that a request which is refused leaves no trace.
//
// Spec: fate-flow-api §0.6.1.
func (a *api) prove(r *http.Request) (*openflow.App, error) {
	if a.Apps == nil || !signature.Signs(r.Header) {
		return nil, nil
	}
	c, err := signature.Read(r.Header)
	if err != nil {
		return nil, err
	}
	if err := a.Apps.CheckTime(c.Signed); err != nil {
		return nil, err
	}
	app, token, err := a.Apps.App(r.Context(), openflow.AppClient, c.App)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return nil, openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodeUnauthorized, "No found appid: app_id[%s]", c.App).
			WithHint("the operator of the node lists its apps with openflow app list, and makes one with openflow app add"))
	case err != nil:
		return nil, err
	case !c.By(token):
		return nil, openflow.Errorf(openflow.CodeUnauthorized, "varify failed! The signature is not that of app %s", c.App).
			WithHint("set app_id and app_token as the operator has got them: flow init --app-id … --app-token …; without these two, flow init keeps the old ones")
	}
	if app.Role != openflow.AppMayUse && app.Role != openflow.AppMayManage {
		return nil, mayNot(app, "call nothing yet")
	}
	if err := application.Guarded(r, app); err != nil {
		return nil, err
	}
	return &app, a.Apps.Spend(r.Context(), app, c.Nonce, c.Signed)
}

// mayNot is that the role of an app does not have a route.
//
// Spec: fate-flow-api §0.4 (5004).
func mayNot(a openflow.App, what string) error {
	role := "has no role"
	if a.Role != "" {
		role = "has the role " + string(a.Role)
	}
	return openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodePermission, "Authentication Failed: app %s %s, and may %s", a.Name, role, what).
		WithHint("the operator of the node can give it another one: flow permission grant --app-id %s -r …", a.ID))
}

// managed are the pages that only apps of the role super_client may call, and whoever needs no signature.
//
// Spec: fate-flow-api §0.7.
func (a *api) managed(r chi.Router, routes func(chi.Router)) {
	r.Group(func(r chi.Router) {
		r.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if app, signed := application.AppOf(r); signed && app.Role != openflow.AppMayManage {
					a.write.Refuse(w, r, mayNot(app, "call no route of apps and permissions"))
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		routes(r)
	})
}

// absent tells whether an app is not there, for the answers that say so with a status.
func absent(err error) bool {
	var e *openflow.Error
	return errors.As(err, &e) && e.Code == openflow.CodeNotFound && e.Subject == openflow.AboutApp
}
