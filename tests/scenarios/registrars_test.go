package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk"
	"openflow/tests/env"
)

// The audit names who has registered, loaded and unloaded what, and all of that in the same way: also a caller that gives no name.
func TestWhoChangesProviders(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"))
	actors := func(c *sdk.Client, action string) []string {
		page, err := c.Audit(t.Context(), sdk.AuditFilter{Action: action})
		require.NoError(t, err)
		var list []string
		for _, event := range page.Events {
			list = append(list, event.Actor+" "+event.Action)
		}
		return list
	}
	ann, nameless := &sdk.Client{URL: e.URL("9999"), User: "ann"}, &sdk.Client{URL: e.URL("9999")}
	own, err := nameless.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "2.0.0")})
	require.NoError(t, err)
	require.Regexp(t, "^local user .+", own.AddedBy)
	for _, c := range []*sdk.Client{nameless, ann} {
		_, err := c.UnloadComponent(t.Context(), "greet", "acme:2.0.0")
		require.NoError(t, err)
		_, err = c.LoadComponent(t.Context(), "greet", "acme:2.0.0")
		require.NoError(t, err)
	}
	require.Equal(t, own.AddedBy+" provider/register", actors(ann, "provider")[0])
	changes := actors(ann, "component")
	require.Len(t, changes, 4)
	for i, who := range []string{"user ann", "user ann", own.AddedBy, own.AddedBy} {
		require.Contains(t, changes[i], who+" component/")
	}
}
