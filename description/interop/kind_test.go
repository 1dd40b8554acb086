package interop

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pattern is measured before it is read: reading a long one costs more than its bytes.
func TestLongPatternsAreNotRead(t *testing.T) {
	long := strings.Repeat("(a|b)", maxPattern)
	require.Zero(t, testing.AllocsPerRun(3, func() { require.False(t, simple(long)) }))
	require.True(t, simple("(a|b)"))
}
