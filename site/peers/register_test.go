package peers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestParse(t *testing.T) {
	const key = "ed25519:rJVw-VPaXEs3GGeWhFL0aFEP5qAIeChVypbJztlDDfk"
	p, err := Parse("10000=https://10.0.0.2:9380/," + key)
	require.NoError(t, err)
	require.Equal(t, Peer{Party: "10000", URL: "https://10.0.0.2:9380", Key: key}, p)
	for name, text := range map[string]string{
		"no address":    "10000",
		"no key":        "10000=https://10.0.0.2:9380",
		"no party":      "=https://10.0.0.2:9380," + key,
		"not a URL":     "10000=10.0.0.2:9380," + key,
		"another kind":  "10000=ftp://10.0.0.2," + key,
		"with query":    "10000=http://10.0.0.2?a=b," + key,
		"not a key":     "10000=https://10.0.0.2:9380,ed25519:short",
		"a path for ID": "../x=https://10.0.0.2:9380," + key,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(text)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("10000=https://10.0.0.2:9380,ed25519:rJVw-VPaXEs3GGeWhFL0aFEP5qAIeChVypbJztlDDfk")
	f.Add("=,")
	fuzzing.Within(f, func(t *testing.T, s string) {
		if p, err := Parse(s); err == nil {
			require.NoError(t, p.Check())
		}
	})
}
