package residence_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"openflow/residence"
	"openflow/tests/fuzzing"

	"github.com/stretchr/testify/require"
)

// Whatever is asked, the answer is one of those of the contract, and no more runs are kept than may be.
func FuzzRequests(f *testing.F) {
	f.Add("PUT", "/v1/runs/a", []byte(`{"environment":{"CONFIG":"{}"}}`))
	f.Add("GET", "/v1/runs/a?wait=0", []byte{})
	f.Add("POST", "/v1/runs/a/stop", []byte(`{"grace":1}`))
	f.Add("GET", "/v1/runs/a/log?stream=stdout", []byte{})
	f.Add("DELETE", "/v1/runs/..%2f", []byte(`{"grace":-1}`))
	fuzzing.Within(f, func(t *testing.T, method, target string, body []byte) {
		started := 0
		s := residence.New("k", 1, func(id string, _ map[string]string, _, _ io.Writer) (residence.Process, error) {
			require.True(t, residence.CanBe(id))
			started++
			p := &played{ask: make(chan struct{}), kill: make(chan struct{}), code: make(chan int, 1)}
			p.code <- 0
			return p, nil
		})
		for range 6 {
			r, err := http.NewRequest(method, "http://x", strings.NewReader(string(body)))
			if err != nil {
				return
			}
			if r.URL, err = r.URL.Parse(target); err != nil || strings.Contains(r.URL.RawQuery, "wait") {
				return
			}
			r.Header.Set("Authorization", "Bearer k")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			require.Contains(t, []int{200, 201, 202, 204, 301, 307, 400, 404, 405, 409, 503}, w.Code)
		}
		require.LessOrEqual(t, started, 1, "a run of one ID is started once")
	})
}
