package reply

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestIntake(t *testing.T) {
	const most = 1 << 30
	i := &Intake{Calls: 3, Each: 10 << 20, All: 15 << 20}
	enter := func(who string, size int64) func() {
		t.Helper()
		leave, err := i.Enter("party "+who, size, most)
		require.NoError(t, err)
		return leave
	}
	refused := func(who string, size int64, why string) {
		t.Helper()
		_, err := i.Enter("party "+who, size, most)
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
	leave, err := i.Enter("party d", most+1, most)
	require.NoError(t, err, "what is too large is refused for that, and nothing of it is kept")
	leave()
	require.Zero(t, i.bytes)
	require.Len(t, i.callers, 1, "of a, one call is still under way")

	leave, err = (*Intake)(nil).Enter("a", most, most)
	require.NoError(t, err)
	leave()
}

// What a call reads whole, and what it is about to answer, counts for its caller until the call has ended.
func TestWhatACallHolds(t *testing.T) {
	i := &Intake{Calls: 2, Each: 4 << 20, All: 6 << 20}
	call := func(who string) (*http.Request, func()) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 3<<20)))
		ctx, end, err := i.Hold(r.Context(), who)
		require.NoError(t, err)
		return r.WithContext(ctx), end
	}
	first, end := call("run a")
	_, err := Body(first, 8<<20)
	require.NoError(t, err)
	second, leave := call("run a")
	_, _, err = i.Hold(t.Context(), "run a")
	require.ErrorContains(t, err, "run a has 2 calls under way", "whatever they hold")
	_, err = Body(second, 8<<20)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "run a has messages")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(Reads(second.Context(), 1<<20)))
	require.NoError(t, Reads(second.Context(), 10<<10), "small ones always have room")
	leave()
	other, leave := call("run b")
	require.NoError(t, Reads(other.Context(), 1<<20))
	require.Error(t, Reads(other.Context(), 1<<20), "all together have as much as they may")
	end()
	require.NoError(t, Reads(other.Context(), 1<<20))
	leave()
	large, leave := call("run a")
	require.NoError(t, Reads(large.Context(), 1<<30), "the largest is read alone")
	leave()
	require.Zero(t, i.bytes)
	require.Empty(t, i.callers)
	require.NoError(t, Reads(t.Context(), 1<<30), "who holds nothing")
}
