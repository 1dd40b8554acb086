package trust

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/require"
)

// The vector of RFC 9421, appendix B.2.6: a message and its signature with the key of appendix B.1.4.
func TestVectorOfTheRFC(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")
	require.NoError(t, err)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	private, ok := parsed.(ed25519.PrivateKey)
	require.True(t, ok)

	h := http.Header{
		"Date": {"Tue, 20 Apr 2021 02:07:55 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"18"},
		HeaderInput: {`openflow=("date" "@method" "@path" "@authority" "content-type" "content-length")` +
			`;created=1618884473;keyid="test-key-ed25519";alg="ed25519"`},
		HeaderSignature: {"openflow=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"},
	}
	s, err := readSignature(h)
	require.NoError(t, err)
	s.list.Params.Del("alg") // the vector has none, and readSignature wants it said
	list := []component{
		field(h, "date"), covered("@method", "POST"), covered("@path", "/foo"), covered("@authority", "example.com"),
		field(h, "content-type"), field(h, "content-length"),
	}
	require.True(t, s.covers(list))
	text, err := base(list, s.list.Params)
	require.NoError(t, err)
	require.Equal(t, "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"+
		"\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n"+
		"\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")"+
		";created=1618884473;keyid=\"test-key-ed25519\"", string(text))
	require.Equal(t, ed25519.Sign(private, text), s.raw)
	require.True(t, ed25519.Verify(private.Public().(ed25519.PublicKey), text, s.raw))
}

// The identifiers of an answer's components are those of RFC 9421, sections 2.1.2 and 2.4; its values are joined as section
// 2.1 has it; a body's digest is that of RFC 9530, appendix B.
func TestFormsOfTheRFCs(t *testing.T) {
	h := http.Header{"X-Ptp-Topic": {" a ", "b"}}
	params := httpsfv.NewParams()
	params.Add("created", 1618884475)
	text, err := base([]component{member("signature", "sig1", ":AA==:").ofRequest(), field(h, "X-Ptp-Topic")}, params)
	require.NoError(t, err)
	require.Equal(t, "\"signature\";key=\"sig1\";req: :AA==:\n\"x-ptp-topic\": a, b\n"+
		"\"@signature-params\": (\"signature\";key=\"sig1\";req \"x-ptp-topic\");created=1618884475", string(text))
	require.Equal(t, `sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:`, digest([]byte(`{"hello": "world"}`)))
}
