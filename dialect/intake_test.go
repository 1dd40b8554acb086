package dialect

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestIntake(t *testing.T) {
	const most = 1 << 30
	i := &Intake{Calls: 3, Each: 10 << 20, All: 15 << 20}
	enter := func(peer openflow.PartyID, size int64) func() {
		t.Helper()
		leave, err := i.enter(peer, size, most)
		require.NoError(t, err)
		return leave
	}
	refused := func(peer openflow.PartyID, size int64, why string) {
		t.Helper()
		_, err := i.enter(peer, size, most)
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "the caller comes again")
		require.ErrorContains(t, err, why)
		require.Contains(t, openflow.ForPartners(err).Error(), why, "and hears why")
	}
	large := enter("a", 8<<20)
	refused("a", 3<<20, "party a has messages")
	refused("a", -1, "party a has messages") // of unknown size: as large as it may be
	small := enter("a", 64<<10)
	enter("a", 10)
	refused("a", 10, "party a has 3 calls")
	other := enter("b", 7<<20)
	refused("c", 1<<20, "this node has as many messages")
	enter("c", 10)()
	large()
	refused("a", 9<<20, "this node has as many messages")
	other()
	again := enter("a", 10<<20)
	small()
	again()
	leave, err := i.enter("d", most+1, most)
	require.NoError(t, err, "what is too large is refused for that, and nothing of it is kept")
	leave()
	require.Zero(t, i.bytes)
	require.Len(t, i.peers, 1, "of a, one call is still under way")

	leave, err = (*Intake)(nil).enter("a", most, most)
	require.NoError(t, err)
	leave()
}
