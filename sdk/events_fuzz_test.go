package sdk

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func FuzzReadEvent(f *testing.F) {
	f.Add(":\n\nid: 1-1\nevent: job\ndata: {\"job_id\":\"j\"}\n\n")
	f.Add("event: end\r\ndata: {}\r\n\r\n")
	f.Add("data\n\ndata: [\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := bufio.NewScanner(strings.NewReader(text))
		for range len(text) + 1 {
			if _, err := readEvent(lines, func() {}); err != nil {
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
