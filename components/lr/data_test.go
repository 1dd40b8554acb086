package lr_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/components/credit"
	"openflow/sdk/tables"
)

// joined is a data set as the parties have it after psi, and as one table for the reference.
type joined struct {
	guest, host *tables.Frame
	ref         reference
	ids         []string // match ids in training order
}

func frameOf(t testing.TB, r io.Reader, withLabel bool) *tables.Frame {
	t.Helper()
	lines, err := csv.NewReader(r).ReadAll()
	require.NoError(t, err)
	f := &tables.Frame{Schema: tables.Schema{SampleID: "sid", MatchID: lines[0][0]}}
	first := 1
	if withLabel {
		f.Schema.Label = &tables.Column{Name: "y", DType: tables.Int32}
		f.Label.DType, first = tables.Int32, 2
	}
	for _, name := range lines[0][first:] {
		f.Schema.Features = append(f.Schema.Features, tables.Column{Name: name, DType: tables.Float64})
		f.Features = append(f.Features, tables.Vector{DType: tables.Float64})
	}
	for _, line := range lines[1:] {
		f.MatchID = append(f.MatchID, line[0])
		if withLabel {
			y, err := strconv.ParseInt(line[1], 10, 32)
			require.NoError(t, err)
			f.Label.Ints = append(f.Label.Ints, y)
		}
		for j, text := range line[first:] {
			v, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			f.Features[j].Floats = append(f.Features[j].Floats, v)
		}
	}
	f.SampleID = make([]string, len(f.MatchID))
	return f
}

// join keeps the shared rows, numbers them in the guest's order as sample ids, and builds the reference's table in the
// order of training: sample ids sorted as text.
func join(t testing.TB, guest, host *tables.Frame) joined {
	t.Helper()
	at := map[string]int{}
	for i, id := range host.MatchID {
		at[id] = i
	}
	var g, h []int
	for i, id := range guest.MatchID {
		if k, ok := at[id]; ok {
			g, h = append(g, i), append(h, k)
		}
	}
	j := joined{guest: guest.Take(g), host: host.Take(h)}
	order := make([]int, len(g))
	for i := range g {
		j.guest.SampleID[i] = strconv.Itoa(i)
		order[i] = i
	}
	j.host.SampleID = j.guest.SampleID
	sort.Slice(order, func(a, b int) bool { return j.guest.SampleID[order[a]] < j.guest.SampleID[order[b]] })
	for _, i := range order {
		var row []float64
		for _, c := range append(append([]tables.Vector{}, j.guest.Features...), j.host.Features...) {
			row = append(row, c.Floats[i])
		}
		j.ref.x, j.ref.y = append(j.ref.x, row), append(j.ref.y, float64(2*j.guest.Label.Ints[i]-1))
		j.ids = append(j.ids, j.guest.MatchID[i])
	}
	return j
}

func creditSet(t testing.TB, side, overlap int) joined {
	t.Helper()
	g, h, err := credit.Generate(20240101, side, side, overlap)
	require.NoError(t, err)
	var a, b bytes.Buffer
	_, err = g.WriteTo(&a)
	require.NoError(t, err)
	_, err = h.WriteTo(&b)
	require.NoError(t, err)
	return join(t, frameOf(t, &a, true), frameOf(t, &b, false))
}

func breastSet(t testing.TB) joined {
	t.Helper()
	folder := os.Getenv("OPENFLOW_TEST_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	open := func(name string, label bool) *tables.Frame {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Skipf("no data set %s; set OPENFLOW_TEST_DATA to its folder", name)
		}
		return frameOf(t, bytes.NewReader(raw), label)
	}
	return join(t, open("breast_hetero_guest.csv", true), open("breast_hetero_host.csv", false))
}
