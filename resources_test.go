package openflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "4GiB": 4 << 30, " 512 MiB": 512 << 20, "2GB": 2e9, "7B": 7, "1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1,
	} {
		got, err := openflow.ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GiB", "-1", "4gib", "1.5GiB", "4 G", "9223372036854775808", "9999999TiB", "+3", "1e3"} {
		_, err := openflow.ParseBytes(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%q", text)
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"4GiB", "1024", "3 MB", "x", ""} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		n, err := openflow.ParseBytes(s)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, n, int64(0))
		if n%1024 == 0 || n < 1024 {
			again, err := openflow.ParseBytes(openflow.FormatBytes(n))
			require.NoError(t, err)
			require.Equal(t, n, again)
		}
	})
}

func TestShortages(t *testing.T) {
	need := openflow.Resources{Cores: 8, Memory: 4 << 30, GPUs: 1}
	var texts []string
	for _, s := range need.Short(openflow.Resources{Cores: 2, Memory: 3 << 29}) {
		texts = append(texts, s.Need+", "+s.Have+" of "+s.In(openflow.Resources{Cores: 4, Memory: 8 << 30, GPUs: 1}))
	}
	require.Equal(t, []string{"8 cores, 2 of 4", "4GiB of memory, 1.5GiB of 8GiB", "1 GPU, 0 of 1"}, texts)
	require.Empty(t, openflow.Resources{}.Short(openflow.Resources{Cores: -1}), "who needs nothing lacks nothing")
	require.True(t, need.Within(need))
	require.Equal(t, "8 cores, 4GiB of memory, 1 GPU", need.String())
}

func TestResourcesAddUp(t *testing.T) {
	amount := rapid.Custom(func(t *rapid.T) openflow.Resources {
		n := rapid.IntRange(0, 100)
		return openflow.Resources{Cores: n.Draw(t, "cores"), Memory: int64(n.Draw(t, "memory")), GPUs: n.Draw(t, "gpus")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := amount.Draw(t, "a"), amount.Draw(t, "b")
		both := openflow.Resources{Cores: a.Cores + b.Cores, Memory: a.Memory + b.Memory, GPUs: a.GPUs + b.GPUs}
		require.Equal(t, a, both.Minus(b))
		require.True(t, a.Within(both))
	})
}
