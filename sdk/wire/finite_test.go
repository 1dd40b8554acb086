package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersThatJSONDoesNotHave(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a": NaN, "b": [Infinity, -Infinity, -1], "NaN": "NaN \" NaN"}`: `{"a": null, "b": [null, null, -1], "NaN": "NaN \" NaN"}`,
		`1`: `1`,
		``:  ``,
	} {
		require.Equal(t, want, string(Finite([]byte(raw))))
	}
}
