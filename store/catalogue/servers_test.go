package catalogue_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// Servers and services are replaced under their names, go together, and have a bound.
func TestServers(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c, ctx := mustOpen(t, place), t.Context()
		save := func(name string) error {
			return c.SaveServer(ctx, catalogue.Server{Name: name, Host: "h", Port: 1, Protocol: "http"})
		}
		serve := func(server, name string) error {
			return c.SaveService(ctx, catalogue.Service{Server: server, Name: name, Method: "POST", Params: "null", Data: "null", Headers: `{"a":1}`},
				func(s catalogue.Server) string { return fmt.Sprintf("%s://%s:%d/x", s.Protocol, s.Host, s.Port) })
		}
		require.NoError(t, save("A"))
		require.NoError(t, c.SaveServer(ctx, catalogue.Server{Name: "A", Host: "h2", Port: 2, Protocol: "https"}))
		got, err := c.Server(ctx, "A")
		require.NoError(t, err)
		require.Equal(t, []any{"h2", 2, "https"}, []any{got.Host, got.Port, got.Protocol})
		require.Positive(t, got.CreateTime)

		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(serve("B", "s")))
		require.NoError(t, serve("A", "s"))
		require.NoError(t, serve("A", "s"))
		s, err := c.Service(ctx, "A", "s")
		require.NoError(t, err)
		require.Equal(t, []string{"https://h2:2/x", `{"a":1}`}, []string{s.URL, s.Headers})

		for i := range catalogue.MaxServers - 1 {
			require.NoError(t, save(fmt.Sprint("N", i)))
		}
		require.Equal(t, openflow.CodeSpent, openflow.CodeOf(save("one more")))
		require.NoError(t, save("A"), "what is there can be replaced")
		list, err := c.Servers(ctx)
		require.NoError(t, err)
		require.Len(t, list, catalogue.MaxServers)

		for _, want := range []bool{true, false} {
			was, err := c.DeleteServer(ctx, "A")
			require.NoError(t, err)
			require.Equal(t, want, was)
		}
		_, err = c.Service(ctx, "A", "s")
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "a service goes with its server")
	})
}
