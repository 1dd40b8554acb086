package fuzzing

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told takes down complaints.
type told struct{ complaints int }

func (t *told) Helper()               {}
func (t *told) Errorf(string, ...any) { t.complaints++ }

// An input that costs more than its length allows is a failure, whatever the target says of it.
func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		size  int
		bytes uint64
		took  time.Duration
		fails int
	}{
		"nothing":                         {},
		"as much as an empty one may":     {0, Bytes, Time, 0},
		"too much memory":                 {0, Bytes + 1, Time, 1},
		"too much time":                   {0, Bytes, Time + 1, 1},
		"a long one may cost more":        {1 << 20, Bytes + BytesPerByte<<20, Time + TimePerByte<<20, 0},
		"a long one that is quadratic":    {1 << 20, 1 << 40, time.Hour, 2},
		"a short one that is exponential": {300, 567 << 20, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			heard := &told{}
			Check(heard, tc.size, tc.bytes, tc.took)
			require.Equal(t, tc.fails, heard.complaints)
		})
	}
}

var kept []byte

// What a target allocates is seen.
func TestAllocated(t *testing.T) {
	before := allocated()
	kept = make([]byte, 100<<20)
	require.GreaterOrEqual(t, allocated()-before, uint64(100<<20))
	kept = nil
}

// A target is called with what it was given.
func TestBounded(t *testing.T) {
	var got []any
	target, ok := bounded(func(_ *testing.T, text string, n int) { got = append(got, text, n) }).(func(*testing.T, string, int))
	require.True(t, ok, "of the same type, so that testing takes it")
	target(t, "a", 1)
	require.Equal(t, []any{"a", 1}, got)
}
