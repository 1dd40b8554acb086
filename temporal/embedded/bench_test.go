package embedded_test

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/temporal/embedded"
)

// The figures of a node: medians of one workflow with n activities in sequence, for both synchronous modes.

func BenchmarkOneActivity(b *testing.B)   { benchmarkSequence(b, 1) }
func BenchmarkTenSequential(b *testing.B) { benchmarkSequence(b, 10) }

func benchmarkSequence(b *testing.B, n int) {
	for _, mode := range []string{embedded.SynchronousFull, embedded.SynchronousNormal} {
		b.Run(mode, func(b *testing.B) {
			begin := time.Now()
			s, err := embedded.Start(b.Context(), embedded.Options{
				Dir: b.TempDir(), Synchronous: mode, UI: true, Logger: slog.New(slog.DiscardHandler),
			})
			require.NoError(b, err)
			b.ReportMetric(time.Since(begin).Seconds()*1000, "start-ms")
			defer func() { require.NoError(b, s.Close()) }()
			c, err := s.Dial(b.Context(), "bench", nil)
			require.NoError(b, err)
			defer c.Close()
			queue := work(b, c)
			run(b, c, queue, n)

			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				run(b, c, queue, n)
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
			b.ReportMetric(took[len(took)*95/100].Seconds()*1000, "p95-ms")
			b.ReportMetric(rss(b), "rss-MB")
		})
	}
}

// rss is the resident memory of this process in MB; 0 where there is no /proc.
func rss(b *testing.B) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", os.Getpid()))
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	require.NoError(b, err)
	return float64(pages*os.Getpagesize()) / 1e6
}
