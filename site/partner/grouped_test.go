package partner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A look at one group sees that group alone, all values are counted once, and a group goes with its last value.
func TestGrouped(t *testing.T) {
	var g grouped[string, int, string]
	_, known := g.get("a", 1)
	require.False(t, known)
	g.drop("a", 1)
	require.Zero(t, g.many)
	for i := range 1000 {
		g.put("others", i, "of others")
	}
	g.put("a", 1, "first")
	g.put("a", 1, "second")
	g.put("a", 2, "another")
	require.Equal(t, map[int]string{1: "second", 2: "another"}, g.groups["a"])
	require.Equal(t, 1002, g.many)
	got, known := g.get("a", 1)
	require.True(t, known)
	require.Equal(t, "second", got)
	g.drop("a", 1)
	g.drop("a", 1)
	require.Equal(t, 1001, g.many)
	g.drop("a", 2)
	require.Len(t, g.groups, 1, "no empty group stays")
	g.dropWhere(func(i int, _ string) bool { return i > 0 })
	require.Equal(t, map[int]string{0: "of others"}, g.groups["others"])
	require.Equal(t, 1, g.many)
	g.dropWhere(func(int, string) bool { return true })
	require.Empty(t, g.groups)
}
