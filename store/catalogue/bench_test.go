package catalogue_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
)

// benchPlaces are what the benchmarks compare. PostgreSQL does not wait for its disk here, like SQLite's NORMAL.
var benchPlaces = []struct {
	name  string
	place func(b *testing.B) catalogue.Options
}{
	{catalogue.SyncNormal, func(b *testing.B) catalogue.Options { return benchFile(b, catalogue.SyncNormal) }},
	{catalogue.SyncFull, func(b *testing.B) catalogue.Options { return benchFile(b, catalogue.SyncFull) }},
	{"postgres", func(b *testing.B) catalogue.Options { return catalogue.Options{URL: postgrestest.Database(b)} }},
}

func benchFile(b *testing.B, synchronous string) catalogue.Options {
	return catalogue.Options{File: filepath.Join(b.TempDir(), "c.db"), Synchronous: synchronous}
}

func benchCatalogue(b *testing.B, place catalogue.Options) *catalogue.Catalogue {
	b.Helper()
	c, err := catalogue.Open(b.Context(), place)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close()) })
	return c
}

func BenchmarkCreateJob(b *testing.B) {
	for _, bench := range benchPlaces {
		b.Run(bench.name, func(b *testing.B) {
			c := benchCatalogue(b, bench.place(b))
			for i := 0; b.Loop(); i++ {
				createJob(b, c, openflow.JobID(fmt.Sprintf("j%d", i)), guest)
			}
		})
	}
}

// BenchmarkTask is what one task costs at one party: eight writes from its cores to its end.
func BenchmarkTask(b *testing.B) {
	for _, bench := range benchPlaces {
		b.Run(bench.name, func(b *testing.B) {
			c, ctx := benchCatalogue(b, bench.place(b)), b.Context()
			job, tasks := createJob(b, c, "j", guest)
			holding(b, c, job)
			zero := 0
			for i := 0; b.Loop(); i++ {
				t := tasks[1]
				t.Key.Version = i
				require.NoError(b, c.AddTask(ctx, t))
				require.NoError(b, c.ApplyTaskResources(ctx, t.Key, 4, openflow.Quota{}))
				_, err := c.StartTask(ctx, t.Key, openflow.Launch{Runtime: "docker", Container: "c"})
				require.NoError(b, err)
				_, err = c.SetTaskStatus(ctx, t.Key, openflow.TaskRunning)
				require.NoError(b, err)
				require.NoError(b, c.SaveOutput(ctx, openflow.OutputRecord{Task: t.Key, OutputKey: "o", Table: openflow.TableName{Namespace: "n", Name: "t"}},
					&openflow.TableRecord{Name: openflow.TableName{Namespace: "n", Name: "t"}, Object: "d"}))
				_, err = c.FinishTask(ctx, t.Key, openflow.TaskEnd{Status: openflow.TaskSuccess, ExitCode: &zero})
				require.NoError(b, err)
				_, err = c.SetTaskStatus(ctx, t.Key, openflow.TaskSuccess)
				require.NoError(b, err)
				_, err = c.SetJobProgress(ctx, job.Key(), i%100)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/8, "µs/write")
		})
	}
}

func BenchmarkReadTask(b *testing.B) {
	for _, bench := range benchPlaces {
		b.Run(bench.name, func(b *testing.B) {
			c := benchCatalogue(b, bench.place(b))
			_, tasks := createJob(b, c, "j", guest)
			for b.Loop() {
				_, err := c.Task(b.Context(), tasks[1].Key)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkJobPage(b *testing.B) {
	for _, bench := range benchPlaces {
		b.Run(bench.name, func(b *testing.B) {
			c := benchCatalogue(b, bench.place(b))
			for i := range 2000 {
				createJob(b, c, openflow.JobID(fmt.Sprintf("j%04d", i)), guest)
			}
			for b.Loop() {
				jobs, _, err := c.JobsWhere(b.Context(), catalogue.JobFilter{Limit: 50})
				require.NoError(b, err)
				require.Len(b, jobs, 50)
			}
		})
	}
}
