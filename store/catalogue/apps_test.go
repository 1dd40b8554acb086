package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func TestApps(t *testing.T) { atEngines(t, testApps) }

func testApps(t *testing.T, place catalogue.Options) {
	clock := &day{at: epoch}
	place.Now = clock.now
	c, ctx := mustOpen(t, place), t.Context()
	add := func(k openflow.AppKind, id, name string, role openflow.AppRole) error {
		_, err := c.AddApp(ctx, catalogue.SealedApp{App: openflow.App{ID: openflow.AppID(id), Kind: k, Name: name, Role: role, By: "ann"}, Token: "sealed " + id})
		return err
	}
	require.NoError(t, add(openflow.AppClient, "1", "portal", openflow.AppMayUse))
	require.NoError(t, add(openflow.AppClient, "2", "batch", ""))
	require.NoError(t, add(openflow.AppSite, "4", "10000", openflow.AppMayPeer))
	require.NoError(t, add(openflow.AppPartner, "7", "10000", ""))
	require.NoError(t, add(openflow.AppPartner, "7", "10001", ""), "two peers have chosen the same ID")
	for name, err := range map[string]error{
		"its name": add(openflow.AppClient, "3", "portal", ""), "its ID": add(openflow.AppClient, "1", "other", ""), "the ID of a site": add(openflow.AppClient, "4", "other", ""),
		"the party's": add(openflow.AppPartner, "8", "10000", ""),
	} {
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), name)
	}
	for name, err := range map[string]error{
		"role of another kind": add(openflow.AppSite, "9", "10002", openflow.AppMayUse), "no name": add(openflow.AppClient, "9", "", ""),
		"no kind": add("other", "9", "x", ""), "no role": add(openflow.AppClient, "9", "x", "admin"), "no ID": add(openflow.AppClient, "", "x", ""),
	} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}

	a, err := c.App(ctx, openflow.AppClient, "1")
	require.NoError(t, err)
	require.Equal(t, "sealed 1", a.Token)
	require.Equal(t, openflow.App{ID: "1", Kind: openflow.AppClient, Name: "portal", Role: openflow.AppMayUse, By: "ann", Made: a.Made, Changed: a.Made}, a.App)
	named, err := c.AppNamed(ctx, openflow.AppPartner, "10001")
	require.NoError(t, err)
	require.Equal(t, "sealed 7", named.Token)
	for _, miss := range []func() error{
		func() error { _, err := c.App(ctx, openflow.AppSite, "2"); return err },
		func() error { _, err := c.AppNamed(ctx, openflow.AppSite, "portal"); return err },
		func() error { return c.DeleteApp(ctx, openflow.App{Kind: openflow.AppClient, ID: "1", Name: "batch"}) },
	} {
		var e *openflow.Error
		require.ErrorAs(t, miss(), &e)
		require.Equal(t, openflow.AboutApp, e.Subject)
		require.Equal(t, openflow.CodeNotFound, e.Code)
	}

	to := func(r openflow.AppRole) func(openflow.App) (openflow.AppRole, error) {
		return func(openflow.App) (openflow.AppRole, error) { return r, nil }
	}
	changed, err := c.ChangeAppRole(ctx, openflow.AppClient, "2", to(openflow.AppMayManage))
	require.NoError(t, err)
	require.Equal(t, openflow.AppMayManage, changed.Role)
	_, err = c.ChangeAppRole(ctx, openflow.AppClient, "2", to(openflow.AppMayPeer))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	kept, err := c.App(ctx, openflow.AppClient, "2")
	require.NoError(t, err)
	require.Equal(t, openflow.AppMayManage, kept.Role, "what is refused changes nothing")

	// What proved a peer goes with it. What is a client's stays, whatever its name.
	require.NoError(t, add(openflow.AppClient, "5", "10000", ""))
	require.NoError(t, c.SaveSite(ctx, openflow.SiteRecord{Party: "10000", URL: "https://b", Dialect: "fate-flow"}))
	require.NoError(t, c.DeleteSite(ctx, "10000"))
	apps, err := c.Apps(ctx, "")
	require.NoError(t, err)
	var left []string
	for _, a := range apps {
		left = append(left, string(a.Kind)+" "+a.Name)
	}
	require.Equal(t, []string{"client 10000", "client batch", "client portal", "partner 10001"}, left)
	require.NoError(t, c.DeleteApp(ctx, a.App))
	apps, err = c.Apps(ctx, openflow.AppClient)
	require.NoError(t, err)
	require.Len(t, apps, 2)
}
