package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"openflow/cmd/openflow/settings"
	"openflow/site/peers"
)

// The example of the help can be typed as it stands.
func TestExampleOfTheServer(t *testing.T) {
	args := strings.Fields(strings.ReplaceAll(serverCommand().Example, "\\\n", ""))
	require.Equal(t, []string{"openflow", "server"}, args[:2])
	s, flags := settings.NewServer(), pflag.NewFlagSet("server", pflag.ContinueOnError)
	settings.Register(flags, s)
	require.NoError(t, flags.Parse(args[2:]))
	require.NoError(t, settings.Apply(flags, s))
	require.Empty(t, flags.Args())
	require.Len(t, s.Peers, 1)
	p, err := peers.Parse(s.Peers[0])
	require.NoError(t, err)
	require.False(t, p.Plain)
}
