package catalogue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func TestSites(t *testing.T) { onEngines(t, testSites) }

func testSites(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	s := openflow.SiteRecord{Party: "10000", URL: "https://b.example", Keys: []string{"ed25519:a"}, AddedAt: epoch}
	require.NoError(t, c.SaveSite(ctx, s))
	got, err := c.Site(ctx, "10000")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(s, got))

	s.Keys, s.URL, s.Dialect = []string{"ed25519:a", "ed25519:b"}, "https://c.example", "interop"
	s.Version, s.Profile, s.Unsigned, s.Sources = "1.2", "signed", true, []string{"10.0.0.7"}
	again := s
	again.AddedAt = epoch.Add(time.Hour)
	require.NoError(t, c.SaveSite(ctx, again))
	got, err = c.Site(ctx, "10000")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(s, got), "the time of the first addition stays")

	require.NoError(t, c.SaveSite(ctx, openflow.SiteRecord{Party: "8888"}))
	sites, err := c.Sites(ctx)
	require.NoError(t, err)
	require.Len(t, sites, 2)
	sites, err = c.SitesWithSources(ctx)
	require.NoError(t, err)
	require.Equal(t, []openflow.SiteRecord{got}, sites)
	requireCode(t, openflow.CodeInvalid, c.SaveSite(ctx, openflow.SiteRecord{Party: "a b"}))

	for key, want := range map[string]openflow.PartyID{"ed25519:b": "10000", "ed25519:B": "", "ed25519:_": "", "ed25519:%": "", "ed25519": "", "": ""} {
		s, err := c.SiteByKey(ctx, key)
		require.Equal(t, want, s.Party, key)
		if want == "" {
			requireCode(t, openflow.CodeNotFound, err)
		}
	}

	for _, g := range []openflow.Grant{
		{Kind: openflow.GrantSchedule, Scheduler: "10000"},
		{Kind: openflow.GrantUse, Initiator: "10000", Components: []openflow.GrantedComponent{{Name: "*"}}},
	} {
		_, err := c.AddGrant(ctx, g)
		require.NoError(t, err)
	}
	require.NoError(t, c.DeleteSite(ctx, "10000"))
	grants, err := c.Grants(ctx, "10000")
	require.NoError(t, err)
	require.Empty(t, grants, "a peer that comes back starts with nothing")
	requireCode(t, openflow.CodeNotFound, c.DeleteSite(ctx, "10000"))
	_, err = c.Site(ctx, "10000")
	requireCode(t, openflow.CodeNotFound, err)
	require.ErrorContains(t, err, "openflow site add 10000")

	gone := func(p openflow.PartyID) bool {
		at, err := c.SiteRemoved(ctx, p)
		require.NoError(t, err)
		return !at.IsZero()
	}
	require.True(t, gone("10000"))
	require.False(t, gone("8888"), "it is a peer")
	require.False(t, gone("7777"), "it never was one")
	require.NoError(t, c.SaveSite(ctx, s))
	require.False(t, gone("10000"), "it is back")
}

// Changes of one record that come at once all count.
func TestChangesOfASite(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		const changes = 12
		opened, ctx := replicas(t, place, 2), t.Context()
		require.NoError(t, opened[0].SaveSite(ctx, openflow.SiteRecord{Party: "10000", URL: "https://a"}))
		require.NoError(t, parallel(changes, func(i int) error {
			_, err := opened[i%2].ChangeSite(ctx, "10000", func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
				have.Keys = append(have.Keys, fmt.Sprint(i))
				return have, nil
			})
			return err
		}))
		s, err := opened[0].Site(ctx, "10000")
		require.NoError(t, err)
		require.Len(t, s.Keys, changes)
		no := openflow.Errorf(openflow.CodeConflict, "no")
		_, err = opened[0].ChangeSite(ctx, "10001", func(_ openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
			require.False(t, known)
			return openflow.SiteRecord{}, no
		})
		require.ErrorIs(t, err, no)
		_, err = opened[0].Site(ctx, "10001")
		requireCode(t, openflow.CodeNotFound, err)
	})
}

func TestAudit(t *testing.T) { onEngines(t, testAudit) }

func testAudit(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	for i := range 7 {
		e := openflow.AuditEvent{Time: epoch, Actor: []string{"ann", "10000"}[i%2], Action: "job.stop", Subject: fmt.Sprint("j", i), Detail: "d"}
		require.NoError(t, c.AppendAudit(ctx, e))
	}
	fixed := openflow.AuditEvent{ID: "00-fixed", Time: epoch.Add(time.Second), Actor: "ann", Action: "grant.add", Subject: "10000", Detail: "psi"}
	for range 2 {
		require.NoError(t, c.AppendAudit(ctx, fixed))
	}
	var got []string
	f := catalogue.AuditFilter{Limit: 3}
	for more := true; more; more = f.After != "" {
		events, next, err := c.Audit(ctx, f)
		require.NoError(t, err)
		for _, e := range events {
			got = append(got, e.Subject)
		}
		f.After = next
	}
	require.Equal(t, []string{"10000", "j6", "j5", "j4", "j3", "j2", "j1", "j0"}, got)
	events, _, err := c.Audit(ctx, catalogue.AuditFilter{Actor: "ann", Action: "grant.add", Subject: "10000"})
	require.NoError(t, err)
	require.Equal(t, []openflow.AuditEvent{fixed}, events)
	for name, tc := range map[string]struct {
		filter catalogue.AuditFilter
		count  int
	}{
		"part of an actor":   {catalogue.AuditFilter{ActorContains: "AN"}, 5},
		"part of an action":  {catalogue.AuditFilter{ActionContains: "grant"}, 1},
		"part of a subject":  {catalogue.AuditFilter{SubjectContains: "j"}, 7},
		"no pattern":         {catalogue.AuditFilter{SubjectContains: "_"}, 0},
		"from a time on":     {catalogue.AuditFilter{Since: epoch.Add(time.Second)}, 1},
		"before a time":      {catalogue.AuditFilter{Until: epoch.Add(time.Second)}, 7},
		"between":            {catalogue.AuditFilter{Since: epoch, Until: epoch}, 0},
		"everything at once": {catalogue.AuditFilter{Since: epoch, Until: epoch.Add(time.Hour), ActorContains: "ann", ActionContains: "stop"}, 4},
	} {
		events, _, err := c.Audit(ctx, tc.filter)
		require.NoError(t, err)
		require.Len(t, events, tc.count, name)
	}
	requireCode(t, openflow.CodeInvalid, c.AppendAudit(ctx, openflow.AuditEvent{Actor: "ann"}))
	_, _, err = c.Audit(ctx, catalogue.AuditFilter{After: "x"})
	requireCode(t, openflow.CodeInvalid, err)
}

func TestMeta(t *testing.T) { onEngines(t, testMeta) }

func testMeta(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	value, err := c.Meta(ctx, "node")
	require.NoError(t, err)
	require.Empty(t, value)
	for _, offered := range []string{"first", "second"} {
		kept, err := c.MetaOnce(ctx, "node", offered)
		require.NoError(t, err)
		require.Equal(t, "first", kept)
	}
	require.NoError(t, c.SetMeta(ctx, "node", "third"))
	value, err = c.Meta(ctx, "node")
	require.NoError(t, err)
	require.Equal(t, "third", value)
}
