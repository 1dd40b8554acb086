package examples_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/examples"
	"openflow/sdk/wire"
)

// Every document is one that the strict reader of people's documents takes.
func TestDocumentsAreRead(t *testing.T) {
	for _, name := range examples.Names() {
		text, err := examples.Job(name, examples.Changes{})
		require.NoError(t, err)
		_, err = wire.ParseDAG([]byte(text))
		require.NoError(t, err, name)
	}
	_, err := examples.Job("../examples", examples.Changes{})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.ErrorContains(t, err, "psi, train, predict")
}

// Own parties and tables replace those of the example everywhere, and no other text changes.
func TestChanges(t *testing.T) {
	c := examples.Changes{
		Guest: "bank", Host: "telco", Arbiter: "third", Model: "202601021504050000000",
		GuestTable: openflow.TableName{Namespace: "客户", Name: `a"b: {c}`},
		HostTable:  openflow.TableName{Namespace: "ns", Name: "accounts"},
	}
	for _, name := range examples.Names() {
		text, err := examples.Job(name, c)
		require.NoError(t, err)
		plain, err := examples.Job(name, examples.Changes{})
		require.NoError(t, err)
		require.Equal(t, strings.Count(plain, "\n"), strings.Count(text, "\n"))
		for _, old := range []string{"9999", "10000", "10001", "MODEL", "example,", "customers"} {
			require.NotContains(t, text, old, name)
		}
		d, err := wire.ParseDAG([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, []openflow.Party{{Role: openflow.RoleGuest, ID: "bank"}, {Role: openflow.RoleHost, ID: "telco"}}, d.Parties[:2])
		require.Equal(t, "guest_bank", d.PartyTasks[0].Site)
		require.Equal(t, openflow.Parameters{"namespace": "客户", "name": `a"b: {c}`}, d.PartyTasks[0].Tasks["reader_0"].Parameters)
		require.Equal(t, openflow.Parameters{"namespace": "ns", "name": "accounts"}, d.PartyTasks[1].Tasks["reader_0"].Parameters)
	}
}
