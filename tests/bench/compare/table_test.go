package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIntervalOfTheMedian(t *testing.T) {
	low, high := interval([]float64{1.2, 0.9, 1.0})
	require.Equal(t, []float64{0.9, 1.2}, []float64{low, high}, "few ratios: the whole range")
	low, high = interval([]float64{9, 1, 2, 3, 4, 5, 6, 7, 8, 0.5})
	require.Equal(t, []float64{1, 8}, []float64{low, high}, "ten: the second least and the second greatest")
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}

// Either build's figures are read from what its benchmark wrote, and a line that one of them lacks is left out.
func TestTableOfTwoBuilds(t *testing.T) {
	read := func(text string) (r results) {
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		return r
	}
	c := comparison{before: build{Name: "before"}, after: build{Name: "after"}}
	c.before.Runs = []results{read(`{"process": {"chain_1": 0.1, "chain_10": 1.0}, "docker": {"chain_10": 6, "containers_20_s": 5}}`)}
	c.after.Runs = []results{read(`{"process": {"chain_1": 0.05, "chain_10": 0.95}, "docker": {"chain_10": 5.5, "containers_20_s": 5}}`)}
	table := c.table()
	require.Contains(t, table, "| chain of 1, s | 0.1 | 0.05 | 0.50 | 0.50–0.50 |\n")
	require.Contains(t, table, "| own share per two-party task, ms | 100 | 100 | 1.00 | 1.00–1.00 |\n")
	require.Contains(t, table, "| the same less its 20 bare containers, s | 1 | 0.5 | 0.50 | 0.50–0.50 |\n")
	require.NotContains(t, table, "pool")
}
