package openflow

import (
	"strings"
	"time"
	"unicode/utf8"
)

// AppKind tells what an app is for.
//
// Spec: fate-flow-api §0.6.3.
type AppKind string

// The kinds of apps.
const (
	AppClient  AppKind = "client"  // a program of users that calls this site
	AppSite    AppKind = "site"    // a peer that calls this site
	AppPartner AppKind = "partner" // this site where it calls a peer, which has made the app
)

// Valid reports whether k is a kind.
func (k AppKind) Valid() bool { return k == AppClient || k == AppSite || k == AppPartner }

// AppRole tells what an app may call. The zero value: nothing.
//
// Spec: fate-flow-api §0.7.
type AppRole string

// The roles that mean something here.
const (
	AppMayUse    AppRole = "client"       // what users call, but the routes of apps and of permissions
	AppMayManage AppRole = "super_client" // these too
	AppMayPeer   AppRole = "site"         // what other sites call
)

// AppRoles are all of them.
func AppRoles() []AppRole { return []AppRole{AppMayUse, AppMayManage, AppMayPeer} }

// Fits reports whether an app of that kind can have the role.
func (r AppRole) Fits(k AppKind) bool {
	switch r {
	case "":
		return true
	case AppMayUse, AppMayManage:
		return k == AppClient
	case AppMayPeer:
		return k == AppSite
	}
	return false
}

// AppID names an app among those of its kind. Whoever takes its calls has made it.
type AppID string

// App is somebody who proves who calls by a token that both sides have, as FATE-Flow's clients and sites do.
//
// Spec: fate-flow-api §0.6.3.
type App struct {
	ID      AppID
	Kind    AppKind
	Name    string // of a client: by which its acts are recorded; of the others: the party
	Role    AppRole
	Plain   bool // a client's requests are taken from other machines without TLS too
	By      string
	Made    time.Time
	Changed time.Time
}

// Check refuses an app that cannot be kept. Errors: CodeInvalid.
func (a App) Check() error {
	field := "app_name"
	if a.Kind != AppClient {
		field = "party_id"
	}
	if err := CheckIdentifier(field, a.Name); err != nil {
		return err
	}
	if !a.Kind.Valid() {
		return Errorf(CodeInvalid, "%q is no kind of app", Cut(string(a.Kind), 80))
	}
	if err := CheckIdentifier("app_id", string(a.ID)); err != nil {
		return err
	}
	return a.checkRole()
}

// checkRole refuses a role that does not fit.
func (a App) checkRole() error {
	if !a.Role.Fits(a.Kind) {
		return About(AboutRole, Errorf(CodeInvalid, "an app of a %s cannot have the role %q", a.Kind, Cut(string(a.Role), 80)).
			WithHint("a client has the role client or super_client, a site the role site"))
	}
	if a.Plain && a.Role != AppMayUse && a.Role != "" {
		return About(AboutRole, Errorf(CodeInvalid, "app %s may call without TLS, and cannot have the role %s", a.Name, a.Role).
			WithHint("whoever is on the way could make apps of their own with its signatures: leave --plain out, or give it the role client"))
	}
	return nil
}

// MaxAppToken is how many bytes a token has at most, and LeastAppToken how many at least.
const MaxAppToken, LeastAppToken = 256, 16

// CheckAppToken refuses a token that a peer cannot have given, or that others could guess. Errors: CodeInvalid.
func CheckAppToken(token string) error {
	if len(token) < LeastAppToken || len(token) > MaxAppToken || !utf8.ValidString(token) || strings.ContainsFunc(token, Hidden) {
		return Errorf(CodeInvalid, "app_token has %d bytes, and has to have %d to %d, none of them hidden", len(token), LeastAppToken, MaxAppToken)
	}
	return nil
}
