package trust

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"

	"openflow"
)

// unsound are encodings of points that prove nothing. The first eight are all points of small order as RFC 8032 writes them.
// The others are further ways of writing some, and points, that its decoding refuses.
var unsound = map[string]string{
	"order 1":                  "0100000000000000000000000000000000000000000000000000000000000000",
	"order 2":                  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 4":                  "0000000000000000000000000000000000000000000000000000000000000000",
	"order 4, negative":        "0000000000000000000000000000000000000000000000000000000000000080",
	"order 8":                  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"order 8, negative":        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"order 8, other":           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"order 8, other, negative": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"order 1, x is -0":         "0100000000000000000000000000000000000000000000000000000000000080",
	"order 2, x is -0":         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"order 4, y is p":          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 4, y is p, neg.":    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"order 1, y is p+1":        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 1, y is p+1, neg.":  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"y is p+3":                 "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"y is 2^255-1":             "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"not on the curve":         "0200000000000000000000000000000000000000000000000000000000000000",
}

func TestKeysThatProveNothing(t *testing.T) {
	for name, text := range unsound {
		raw, err := hex.DecodeString(text)
		require.NoError(t, err)
		_, err = ParsePublicKey(publicPrefix + strictBase64.EncodeToString(raw))
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "prove", name)
	}
}

// The neutral point as key, and as the first half of a signature whose second is zero: the equation holds for every text, and
// the standard library accepts it.
func TestSignatureForEveryText(t *testing.T) {
	raw, err := hex.DecodeString(unsound["order 1"])
	require.NoError(t, err)
	signature := append(raw, make([]byte, 32)...)
	require.True(t, ed25519.Verify(raw, []byte("whatever"), signature))
	require.False(t, PublicKey{string(raw)}.verify([]byte("whatever"), signature))
}

// A peer that knows its own secret can make a signature whose point is of small order. The equation holds, for the standard
// library too.
func TestSignatureWithAPointOfSmallOrder(t *testing.T) {
	seed := sha512.Sum512([]byte("a seed"))
	private := ed25519.NewKeyFromSeed(seed[:32])
	public := private.Public().(ed25519.PublicKey)
	expanded := sha512.Sum512(private.Seed())
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	require.NoError(t, err)
	text := []byte("text")
	point := edwards25519.NewIdentityPoint().Bytes()
	h := sha512.New()
	h.Write(point)
	h.Write(public)
	h.Write(text)
	k, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	require.NoError(t, err)
	signature := append(point, edwards25519.NewScalar().Multiply(k, secret).Bytes()...)
	require.True(t, ed25519.Verify(public, text, signature))
	require.False(t, PublicKey{string(public)}.verify(text, signature))
	require.True(t, PublicKey{string(public)}.verify(text, ed25519.Sign(private, text)))
}

// A signature whose second half is larger by the order of the group is another text for the same proof.
func TestSignatureInAnotherForm(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := PublicKey{string(private.Public().(ed25519.PublicKey))}
	text := []byte("text")
	signature := ed25519.Sign(private, text)
	require.True(t, public.verify(text, signature))
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	require.NoError(t, err)
	carry := 0
	for i, b := range order {
		sum := int(signature[32+i]) + int(b) + carry
		signature[32+i], carry = byte(sum), sum>>8
	}
	require.Zero(t, carry)
	require.False(t, public.verify(text, signature))
	require.False(t, public.verify(text, signature[:63]))
}

// Keys that nodes make are none of those.
func TestKeysOfNodesProve(t *testing.T) {
	for i := range byte(64) {
		seed := sha512.Sum512([]byte{i})
		k := Key{ed25519.NewKeyFromSeed(seed[:32])}
		parsed, err := ParsePublicKey(k.Public().String())
		require.NoError(t, err)
		require.Equal(t, k.Public(), parsed)
	}
}
