package reply

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// What is cut off the words of a caller is in the log, with who has written them, as far as a log may grow by it.
func TestRestOfLongTexts(t *testing.T) {
	logged = budget{}
	t.Cleanup(func() { logged = budget{} })
	var log bytes.Buffer
	read := func(text string) string {
		var into struct {
			Reason string `json:"reason" heard:"words"`
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/p", strings.NewReader(`{"reason":"`+text+`"}`))
		r = r.WithContext(Listening(r.Context(), slog.New(slog.NewTextHandler(&log, nil)), "caller", "10000"))
		require.NoError(t, Read(r, &into))
		return into.Reason
	}
	require.Equal(t, "short", read("short"))
	require.Empty(t, log.String())
	require.LessOrEqual(t, len(read(strings.Repeat("x", 1<<20))), openflow.MaxHeard)
	for _, want := range []string{"caller=10000", "path=/p", "field=reason", "bytes=1048576", strings.Repeat("x", 2<<10)} {
		require.Contains(t, log.String(), want)
	}
	require.Less(t, log.Len(), maxLogged+1<<10)
	for range 100 {
		read(strings.Repeat("x", 20<<10))
	}
	require.Less(t, log.Len(), 2*loggedAtOnce)
}

func TestBudgetOfTheLog(t *testing.T) {
	var b budget
	now := time.Now()
	require.Equal(t, 100, b.take(now, 100))
	require.Equal(t, loggedAtOnce-100, b.take(now, 2*loggedAtOnce))
	require.Equal(t, least, b.take(now, 100))
	require.Equal(t, 100, b.take(now.Add(time.Hour), 100))
}
