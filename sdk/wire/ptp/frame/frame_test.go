package frame_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire/ptp/frame"
	"openflow/tests/fuzzing"
)

func TestTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1S": time.Second, "20m": 20 * time.Millisecond, "5u": 5 * time.Microsecond, "7n": 7, "2M": 2 * time.Minute, "1H": time.Hour,
		"99999999H": 1000 * time.Hour, "0S": 0,
	} {
		got, ok := frame.Timeout(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "S", "1", "1s", "-1S", "123456789S", "1.5S", "x"} {
		_, ok := frame.Timeout(text)
		require.False(t, ok, text)
	}
}

func TestMessage(t *testing.T) {
	two := frame.Append(frame.Append(nil, []byte("one")), nil)
	r := iotest.OneByteReader(bytes.NewReader(two))
	for _, want := range []string{"one", ""} {
		got, err := frame.Message(r, 3)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	_, err := frame.Message(r, 3)
	require.ErrorIs(t, err, io.EOF)
	for name, b := range map[string][]byte{"half a frame": two[:3], "compressed": {1, 0, 0, 0, 0}, "too large": frame.Append(nil, []byte("four"))} {
		_, err = frame.Message(bytes.NewReader(b), 3)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
	_, err = frame.Message(bytes.NewReader(two[:6]), 3)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// A handler that says nothing has failed, and one whose caller has no time left says so.
func TestCallsWithoutAnswer(t *testing.T) {
	silent := frame.Unary(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Grpc-Timeout") != "" {
			<-r.Context().Done()
		}
	})
	for timeout, want := range map[string]string{"": "13", "1m": "4"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", bytes.NewReader(frame.Append(nil, nil)))
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Grpc-Timeout", timeout)
		w := httptest.NewRecorder()
		silent(w, r)
		require.Equal(t, want, w.Header().Get(http.TrailerPrefix+"Grpc-Status"))
	}
}

// However a body is cut into pieces, its messages are those of the frames, and none is longer than allowed.
func FuzzMessage(f *testing.F) {
	f.Add(frame.Append(frame.Append(nil, []byte("one")), []byte("two")))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0, 0, 0, 0})
	fuzzing.Within(f, func(t *testing.T, b []byte) {
		const limit = 1 << 10
		r := iotest.HalfReader(bytes.NewReader(b))
		var again []byte
		for {
			m, err := frame.Message(r, limit)
			if err != nil {
				if errors.Is(err, io.EOF) {
					require.Equal(t, b, append([]byte{}, again...))
				}
				break
			}
			require.LessOrEqual(t, len(m), limit)
			again = frame.Append(again, m)
			require.True(t, bytes.HasPrefix(b, again))
		}
		if d, ok := frame.Timeout(strings.ToValidUTF8(string(b), "")); ok {
			require.GreaterOrEqual(t, d, time.Duration(0))
		}
	})
}
