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

// Services on other machines without TLS are told without what opens them.
func TestPlainServices(t *testing.T) {
	s := Shared{
		Temporal: Temporal{Address: "10.0.0.5:7233"}, Postgres: "postgres://u:secret@10.0.0.5:5432/d?sslmode=disable",
		Redis: "redis://:secret@10.0.0.5:6379/0", S3: "s3://k:secret@10.0.0.5:9000/b?tls=false",
	}
	require.Equal(t, []string{"postgres://10.0.0.5:5432", "redis://10.0.0.5:6379", "s3://10.0.0.5:9000", "Temporal at 10.0.0.5:7233"}, s.plain())
	s = Shared{
		Temporal: Temporal{Address: "10.0.0.5:7233", CA: "ca.pem"}, Postgres: "postgres://u:secret@10.0.0.5:5432/d",
		Redis: "rediss://:secret@10.0.0.5:6379/0", S3: "s3://k:secret@10.0.0.5:9000/b",
	}
	require.Empty(t, s.plain())
	require.Empty(t, Shared{Temporal: Temporal{Address: "127.0.0.1:7233"}, Redis: "redis://localhost/0"}.plain())
	require.Empty(t, Shared{}.plain())
}
