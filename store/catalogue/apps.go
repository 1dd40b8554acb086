package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

// appRow is a row of the table app.
type appRow struct {
	Kind    string `db:"kind"`
	ID      string `db:"id"`
	Name    string `db:"name"`
	Role    string `db:"role"`
	Plain   bool   `db:"plain"`
	Token   string `db:"token"` // sealed
	By      string `db:"made_by"`
	Made    int64  `db:"create_time"`
	Changed int64  `db:"update_time"`
}

var (
	appColumns = columnsOf[appRow]()
	insertApp  = appColumns.insert("app")
	readApp    = `select ` + appColumns.names + ` from app where kind = $1 and id = $2`
	oursApp    = `select ` + appColumns.names + ` from app where kind <> 'partner' and id = $1`
	namedApp   = `select ` + appColumns.names + ` from app where kind = $1 and name = $2`
)

// deleteAppsOf follows the removal of a peer: what proved it here, and this site there.
const deleteAppsOf = `delete from app where kind <> 'client' and name = $1`

// SealedApp is an app with its token, which only the node can open.
type SealedApp struct {
	openflow.App
	Token string
}

func scanApp(from row) (SealedApp, error) {
	r, err := appColumns.scan(from)
	return SealedApp{openflow.App{
		ID: openflow.AppID(r.ID), Kind: openflow.AppKind(r.Kind), Name: r.Name, Role: openflow.AppRole(r.Role), Plain: r.Plain, By: r.By,
		Made: timeOf(r.Made), Changed: timeOf(r.Changed),
	}, r.Token}, err
}

// maxApps bounds the apps of a site.
const maxApps = 1000

// AddApp keeps an app, and returns it with its times. Errors: CodeInvalid, CodeConflict about AboutApp (its kind has one of that
// name, or this site has made another one of that ID), CodeExhausted.
func (c *Catalogue) AddApp(ctx context.Context, a SealedApp) (SealedApp, error) {
	if err := a.Check(); err != nil {
		return a, err
	}
	a.Made = timeOf(c.stamp())
	a.Changed = a.Made
	err := c.write(ctx, func(t *tx) error {
		have, err := scanApp(t.one(ctx, namedApp, string(a.Kind), a.Name))
		if errors.Is(err, sql.ErrNoRows) && a.Kind != openflow.AppPartner { // two peers may have chosen the same
			have, err = scanApp(t.one(ctx, oursApp, string(a.ID)))
		}
		switch {
		case err == nil:
			return openflow.About(openflow.AboutApp, conflict("there is an app %s of %s %s here", have.ID, have.Kind, have.Name))
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		var n int
		if err := t.one(ctx, `select count(*) from app`).Scan(&n); err != nil {
			return err
		}
		if n >= maxApps {
			return openflow.Errorf(openflow.CodeExhausted, "there are %d apps here", n).WithHint("openflow app remove takes back what is not needed")
		}
		_, err = t.exec(ctx, insertApp, appColumns.values(appRow{
			Kind: string(a.Kind), ID: string(a.ID), Name: a.Name, Role: string(a.Role), Plain: a.Plain, Token: a.Token, By: a.By,
			Made: millis(a.Made), Changed: millis(a.Changed),
		})...)
		return err
	})
	return a, classify("add app "+string(a.ID), err)
}

// App is the app of a kind with that ID, which tells clients and sites apart. CodeNotFound about AboutApp: there is none.
func (c *Catalogue) App(ctx context.Context, k openflow.AppKind, id openflow.AppID) (SealedApp, error) {
	a, err := scanApp(c.one(ctx, readApp, string(k), string(id)))
	return a, noApp("ID", string(id), k, err)
}

// AppNamed is the app of a kind with that name. CodeNotFound about AboutApp: there is none.
func (c *Catalogue) AppNamed(ctx context.Context, k openflow.AppKind, name string) (SealedApp, error) {
	a, err := scanApp(c.one(ctx, namedApp, string(k), name))
	return a, noApp("name", name, k, err)
}

func noApp(what, said string, k openflow.AppKind, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return openflow.About(openflow.AboutApp, notFound("there is no app of a %s with the %s %q here", k, what, openflow.Cut(said, 80)))
	}
	return classify("read an app", err)
}

// Apps lists the apps of a kind by name; of all kinds, where none is said.
func (c *Catalogue) Apps(ctx context.Context, k openflow.AppKind) (apps []openflow.App, err error) {
	w := &where{}
	if k != "" {
		w.add("kind = ?", string(k))
	}
	err = c.each(ctx, `select `+appColumns.names+` from app`+w.String()+` order by kind, name`, w.args, func(r row) error {
		a, err := scanApp(r)
		apps = append(apps, a.App)
		return err
	})
	return apps, classify("list apps", err)
}

// ChangeAppRole gives an app the role that change makes of what it is. Errors: those of change, CodeInvalid about AboutRole,
// CodeNotFound about AboutApp.
func (c *Catalogue) ChangeAppRole(
	ctx context.Context, k openflow.AppKind, id openflow.AppID, change func(openflow.App) (openflow.AppRole, error),
) (openflow.App, error) {
	var a SealedApp
	err := c.write(ctx, func(t *tx) (err error) {
		if a, err = scanApp(t.one(ctx, readApp, string(k), string(id))); err != nil {
			return noApp("ID", string(id), k, err)
		}
		if a.Role, err = change(a.App); err != nil {
			return err
		}
		if err := a.Check(); err != nil {
			return err
		}
		a.Changed = timeOf(c.stamp())
		_, err = t.exec(ctx, `update app set role = $3, update_time = $4 where kind = $1 and id = $2`, string(k), string(id), string(a.Role), millis(a.Changed))
		return err
	})
	return a.App, classify("change app "+string(id), err)
}

// DeleteApp takes an app back, which its kind, ID and name tell. CodeNotFound about AboutApp: there is none.
func (c *Catalogue) DeleteApp(ctx context.Context, a openflow.App) error {
	n, err := c.exec(ctx, `delete from app where kind = $1 and id = $2 and name = $3`, string(a.Kind), string(a.ID), a.Name)
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return noApp("ID", string(a.ID), a.Kind, err)
}
