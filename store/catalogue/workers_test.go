package catalogue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestWorkers(t *testing.T) {
	onEngines(t, testWorkers)
}

func testWorkers(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	at := time.UnixMilli(1_700_000_000_000).UTC()
	gpu := openflow.WorkerRecord{
		Machine: "m1", Name: "big", Labels: []string{"gpu", "fast"}, Runtime: "docker", Cores: 64, Version: "1",
		Running: []openflow.RunID{"J_a_0_guest_9999"}, Started: at, Seen: at.Add(time.Minute),
	}
	plain := openflow.WorkerRecord{Machine: "m2", Name: "any", Runtime: "process", Cores: 2, Started: at, Seen: at}
	require.NoError(t, c.SaveWorker(t.Context(), gpu))
	require.NoError(t, c.SaveWorker(t.Context(), plain))
	list, err := c.Workers(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, []openflow.WorkerRecord{plain, gpu}, list, "by name")

	for label, want := range map[string]int{"": 2, "gpu": 1, "fast": 1, "tpu": 0} {
		list, err := c.WorkersWith(t.Context(), label, at)
		require.NoError(t, err)
		require.Len(t, list, want, label)
	}
	list, err = c.Workers(t.Context(), at.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, []openflow.WorkerRecord{gpu}, list, "the other one has been silent since before")

	gpu.Labels, gpu.Running, gpu.Seen = []string{"gpu"}, nil, at.Add(time.Hour)
	require.NoError(t, c.SaveWorker(t.Context(), gpu))
	list, err = c.Workers(t.Context(), at.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, []openflow.WorkerRecord{gpu}, list, "what it says last")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(c.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: "a b"})))
}
