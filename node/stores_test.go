package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A start that fails after the stores were opened leaves nothing open; closing twice, as a node that runs does, is no error.
func TestEventsAreClosedWithTheStores(t *testing.T) {
	n := &Node{}
	require.NoError(t, n.openEvents(t.Context()))
	require.NoError(t, n.Close(t.Context()))
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(n.events.Publish(t.Context(), openflow.Event{Job: "1"})))
	require.NoError(t, n.closeEvents(t.Context()))
}
