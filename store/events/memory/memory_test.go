package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/store/events"
	"openflow/store/events/memory"
	"openflow/store/events/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		New: func(*testing.T) string { return "" },
		Open: func(t *testing.T, _ string) events.Store {
			s := memory.New(storetest.Keep)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		},
	})
}
