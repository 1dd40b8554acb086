package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a parameter may be is said in words.
func TestAllowed(t *testing.T) {
	many := "[" + strings.Repeat("1,", 99) + "1]"
	for schema, want := range map[string]string{
		``:                   "",
		`true`:               "",
		`{}`:                 "",
		`{"type":"integer"}`: "integer",
		`{"type":"integer","minimum":1,"exclusiveMaximum":1000}`:                             "integer, at least 1, below 1000",
		`{"type":"number","minimum":0.10,"exclusiveMinimum":true,"maximum":1}`:               "number, above 0.10, at most 1",
		`{"type":["string","null"],"minLength":1,"maxLength":8}`:                             "string or null, 1 characters or more, 8 characters at most",
		`{"enum":["p256","c25519"]}`:                                                         `one of "p256", "c25519"`,
		`{"const":7}`:                                                                        "7",
		`{"enum":` + many + `}`:                                                              "one of 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 and 88 more",
		`{"type":"array","items":{"type":"integer","minimum":1},"maxItems":3}`:               "array of integer, at least 1, 3 of them at most",
		`{"anyOf":[{"type":"integer"},{"enum":["auto"]}]}`:                                   `integer or "auto"`,
		`{"type":"string","pattern":"^a+$"}`:                                                 "string, matching ^a+$",
		`{"type":"array","items":{"type":"array","items":{"type":"array","items":{"a":1}}}}`: "array of array of array",
		`{"type":{"a":[]},"minimum":[]}`:                                                     "",
	} {
		require.Equal(t, want, allowed(json.RawMessage(schema)), schema)
	}
	require.LessOrEqual(t, len(allowed(json.RawMessage(`{"pattern":"`+strings.Repeat("x", 5000)+`"}`))), maxAllowed)
}
