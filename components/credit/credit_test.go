package credit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/components/credit"
)

func read(t *testing.T, table *credit.Table) [][]string {
	t.Helper()
	var b bytes.Buffer
	n, err := table.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	lines, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Equal(t, table.Header(), lines[0])
	require.Len(t, lines, table.Rows()+1)
	return lines[1:]
}

func TestSizesAndOverlap(t *testing.T) {
	for name, tc := range map[string]struct{ guest, host, overlap int }{
		"the demo":     {credit.GuestRows, credit.HostRows, credit.Shared},
		"disjoint":     {10, 20, 0},
		"host is part": {30, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			g, h, err := credit.Generate(1, tc.guest, tc.host, tc.overlap)
			require.NoError(t, err)
			ids := map[string]bool{}
			for _, line := range read(t, g) {
				require.False(t, ids[line[0]], "id twice")
				ids[line[0]] = true
			}
			require.Len(t, ids, tc.guest)
			shared := 0
			for _, line := range read(t, h) {
				if ids[line[0]] {
					shared++
				}
			}
			require.Equal(t, tc.overlap, shared)
		})
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	for _, tc := range [][3]int{{0, 1, 0}, {1, 0, 0}, {5, 5, 6}, {5, 5, -1}} {
		_, _, err := credit.Generate(1, tc[0], tc[1], tc[2])
		require.Error(t, err)
	}
}

func TestSeedDecidesEverything(t *testing.T) {
	sum := func(seed int64) [32]byte {
		g, h, err := credit.Generate(seed, 500, 400, 300)
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = g.WriteTo(&b)
		require.NoError(t, err)
		_, err = h.WriteTo(&b)
		require.NoError(t, err)
		return sha256.Sum256(b.Bytes())
	}
	require.Equal(t, sum(7), sum(7))
	require.NotEqual(t, sum(7), sum(8))
}

func TestColumnsAreStandardised(t *testing.T) {
	g, h, err := credit.Generate(3, 5000, 5000, 3000)
	require.NoError(t, err)
	for first, lines := range map[int][][]string{2: read(t, g), 1: read(t, h)} {
		for j := first; j < len(lines[0]); j++ {
			var sum, squares float64
			for _, line := range lines {
				v, err := strconv.ParseFloat(line[j], 64)
				require.NoError(t, err)
				require.LessOrEqual(t, math.Abs(v), 5.0)
				sum += v
				squares += v * v
			}
			require.InDelta(t, 0, sum/5000, 0.05, "mean of column %d", j)
			require.InDelta(t, 1, squares/5000, 0.1, "variance of column %d", j)
		}
	}
	defaulted := 0
	for _, line := range read(t, g) {
		if line[1] == "1" {
			defaulted++
		}
	}
	require.InDelta(t, 0.25, float64(defaulted)/5000, 0.1)
}
