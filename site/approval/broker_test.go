package approval_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/approval"
)

func TestBroker(t *testing.T) {
	p := openflow.DefaultSitePolicy()
	p.Engines.RabbitMQ = []string{"fate broker.a:5672 15672 /etc/a", "other [::1]:5672 1 /etc/b"}
	p.Engines.Partners = []string{"fate 10000 broker.b:5672", "* 10001 broker.c:5673", "other 10000 [::1]:5672"}
	b, file, ok := approval.Broker(p, "fate")
	require.True(t, ok)
	require.Equal(t, "/etc/a", file)
	require.Equal(t, openflow.Broker{Address: "broker.a:5672", Management: "broker.a:15672", Use: openflow.BrokerUse{
		Partners: map[openflow.PartyID]string{"10000": "broker.b:5672", "10001": "broker.c:5673"},
	}}, b)
	for _, none := range []string{"", "acme", "fat", "*"} {
		_, _, ok = approval.Broker(p, none)
		require.False(t, ok, "another provider: %q", none)
	}
	p.Engines.Partners = p.Engines.Partners[2:]
	b, _, _ = approval.Broker(p, "other")
	require.True(t, b.Use.Shared, "the partner uses the very same")
	got, err := approval.Decide(p, approval.Applicant{Provider: "other", Kind: openflow.ProviderBuiltIn})
	require.NoError(t, err)
	require.Equal(t, &b.Use, got.May.Broker, "its containers are told of it, and of no account")
	got, err = approval.Decide(p, approval.Applicant{Provider: "acme", Kind: openflow.ProviderBuiltIn})
	require.NoError(t, err)
	require.Nil(t, got.May.Broker)
}

func TestBrokersThatAreNone(t *testing.T) {
	require.NoError(t, approval.CheckBroker("fate broker.a:5672 15672 /etc/a"))
	require.NoError(t, approval.CheckPartner("* 10000 10.0.0.1:5672"))
	for _, text := range []string{
		"", "fate", "fate broker.a 15672 /etc/a", "fate broker.a:5672 /etc/a", "fate broker.a:5672 15672 etc/a", "fate broker.a:0 15672 /etc/a",
		"fate broker.a:5672 70000 /etc/a", "fate :5672 15672 /etc/a", "fate broker.a:5672 15672 /etc/../a", "fate u:p@broker.a:5672 15672 /etc/a",
		"fate broker.a/x:5672 15672 /etc/a", "fate broker.a:5672 15672 /etc/a more", "fa/te broker.a:5672 15672 /etc/a",
	} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(approval.CheckBroker(text)), text)
	}
	for _, text := range []string{"fate 10000", "fate 10000 broker.b", "fate a/b broker.b:5672", "fate 10000 broker.b:5672 more", "10000 broker.b:5672"} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(approval.CheckPartner(text)), text)
	}
}
