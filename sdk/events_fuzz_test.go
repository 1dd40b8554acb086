package sdk

import (
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"

	"openflow"
	"openflow/tests/fuzzing"
)

func FuzzReadEvent(f *testing.F) {
	f.Add(":\n\nid: 1-1\nevent: job\ndata: {\"job_id\":\"j\"}\n\n")
	f.Add("event: end\r\ndata: {}\r\n\r\n")
	f.Add("data\n\ndata: [\n\n")
	fuzzing.Within(f, func(t *testing.T, text string) {
		next, stop := iter.Pull2(sse.Read(strings.NewReader(text), nil))
		defer stop()
		for range len(text) + 1 {
			if _, err := decodeEvent(next()); err != nil {
				code := openflow.CodeOf(err)
				require.Contains(t, []openflow.Code{openflow.CodeUnavailable, openflow.CodeInternal}, code)
				if code == openflow.CodeUnavailable {
					return
				}
			}
		}
		require.Fail(t, "the stream has no end")
	})
}
