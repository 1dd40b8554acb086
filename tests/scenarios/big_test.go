package scenarios_test

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// rowsMade is a CSV file of n rows that exists only while it is read.
func rowsMade(n int) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, 1<<20)
		_, err := b.WriteString("id,y,a,b,c\n")
		for i := 0; i < n && err == nil; i++ {
			_, err = fmt.Fprintf(b, "%d,%d,%d.5,%d.25,0.125\n", i, i%2, i%97, i%89)
		}
		if err == nil {
			err = b.Flush()
		}
		_ = w.CloseWithError(err) // never fails
	}()
	return r
}

// TestManyRows streams a table into a node and out again, and watches the memory of the process, which holds the node
// and this client. In the gate the table has half a million rows; `make big` makes it ten million.
func TestManyRows(t *testing.T) {
	n, bound := 500_000, uint64(160<<20)
	if os.Getenv("OPENFLOW_BIG") != "" {
		n = 10_000_000
	}
	e := env.New(t, env.Party("9999"))
	var peak atomic.Uint64
	stop := watchHeap(t, &peak)
	begun := time.Now()
	c := &sdk.Client{URL: e.URL("9999"), HTTP: http.DefaultClient}
	rows := rowsMade(n)
	done, err := c.Upload(t.Context(), sdk.Upload{
		Table: openflow.TableName{Namespace: "big", Name: "t"}, Rows: rows, Columns: sdk.Columns{MatchID: "id", Label: "y"},
	})
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	require.EqualValues(t, n, done.Count)
	up := time.Since(begun)
	require.Equal(t, n+1, download(t, e.URL("9999")), "lines of the table, with its header")
	stop()
	t.Logf("%d rows: in %.1f s, out %.1f s, the heap grew by at most %d MiB", n, up.Seconds(), (time.Since(begun) - up).Seconds(), peak.Load()>>20)
	require.Less(t, peak.Load(), bound)
}

// watchHeap notes by how much the heap grows at most, until it is stopped. What the tests before have left does not count,
// and garbage counts little: the collector runs whenever the heap has grown by a fifth.
func watchHeap(t *testing.T, peak *atomic.Uint64) (stop func()) {
	t.Helper()
	usual := debug.SetGCPercent(20)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse-min(m.HeapInuse, before.HeapInuse)))
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done; debug.SetGCPercent(usual) }
}

func download(t *testing.T, url string) (lines int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/data/download?namespace=big&name=t", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	zip, err := gzip.NewReader(resp.Body)
	require.NoError(t, err)
	in := tar.NewReader(zip)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		if !strings.HasSuffix(h.Name, ".csv") {
			continue
		}
		for s := bufio.NewScanner(in); s.Scan(); {
			lines++
		}
	}
}
