package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/process"
	"openflow/site/peers"
)

func TestConfigRefuses(t *testing.T) {
	good := func() Config {
		return Config{Party: "9999", Home: "h", Listen: "127.0.0.1:9380", Runtime: process.Opener{}}
	}
	c, err := good().withDefaults()
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9390", c.Interconnection, "strangers call at a listener of their own")
	for name, tc := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no party":                  {func(c *Config) { c.Party = "" }, "party"},
		"no home":                   {func(c *Config) { c.Home = "" }, "home"},
		"no runtime":                {func(c *Config) { c.Runtime = nil }, "runtime"},
		"unknown durability":        {func(c *Config) { c.Durability = "none" }, "durability"},
		"open to everybody":         {func(c *Config) { c.Listen = "0.0.0.0:9380" }, "--token"},
		"open by a name":            {func(c *Config) { c.Listen = "node.example:9380" }, "--token"},
		"no port ten up":            {func(c *Config) { c.Listen = "127.0.0.1:65530" }, "--listen-interconnection"},
		"not an address":            {func(c *Config) { c.Listen = "9380" }, "host:port"},
		"a peer that is the node":   {func(c *Config) { c.Peers = []peers.Peer{{Party: "9999", URL: "https://a", Key: testKey}} }, "itself"},
		"a peer without an address": {func(c *Config) { c.Peers = []peers.Peer{{Party: "1", Key: testKey}} }, "address"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			tc.change(&c)
			_, err := c.withDefaults()
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
	open := good()
	open.Listen, open.Token = "0.0.0.0:9380", true
	_, err = open.withDefaults()
	require.NoError(t, err, "with a token it may listen anywhere")
}

const testKey = "ed25519:rJVw-VPaXEs3GGeWhFL0aFEP5qAIeChVypbJztlDDfk"
