package signature_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/signature"
	"openflow/tests/fuzzing"
)

const token = "aB3dE5gH7jK9mN1p"

// The vectors were computed with md5sum: of the app, the name, the nonce and the time, and of that with the token behind it.
var vectors = []struct{ user, initiator, want string }{
	{"", "", "8a73cd4fdee1811f5e8f899eb9f30d51"},
	{"anna", "", "10fa5eb92ffc79ef4e0ed29797bd6e52"},
	{"", "9999", "b3af438c287786152562a2d07e7372f9"},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		require.Equal(t, v.want, signature.Of("40172236", v.user, v.initiator, "4711", "1735787046000", token))
	}
}

// signed is what FATE's client sends, with other values of some headers.
func signed(changes ...string) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		"appId": "40172236", "userName": "", "Nonce": "4711", "Timestamp": "1735787046000", "Signature": vectors[0].want,
	} {
		h.Set(name, value)
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "-" {
			h.Del(changes[i])
			continue
		}
		h.Set(changes[i], changes[i+1])
	}
	return h
}

func TestRead(t *testing.T) {
	c, err := signature.Read(signed())
	require.NoError(t, err)
	require.Equal(t, openflow.AppID("40172236"), c.App)
	require.Equal(t, "4711", c.Nonce)
	require.True(t, c.Signed.Equal(time.Date(2025, 1, 2, 3, 4, 6, 0, time.UTC)), c.Signed)
	require.True(t, c.By(token))
	require.False(t, c.By(token+"x"))
	require.False(t, c.By(""))

	c, err = signature.Read(signed("userName", "anna", "Signature", vectors[1].want))
	require.NoError(t, err)
	require.True(t, c.By(token), "the user's name is signed too")
	require.Equal(t, "anna", c.User)

	site := signed("userName", "-", "initiatorPartyId", "9999", "Signature", vectors[2].want)
	c, err = signature.ReadSite(site)
	require.NoError(t, err)
	require.True(t, c.By(token))
	require.Equal(t, "9999", c.Initiator)
	c, err = signature.Read(site)
	require.NoError(t, err)
	require.False(t, c.By(token), "a site's signature is no client's")

	for _, change := range [][]string{{"Nonce", "4712"}, {"Timestamp", "1735787047000"}, {"appId", "40172237"}, {"userName", "anna"}} {
		c, err := signature.Read(signed(change...))
		require.NoError(t, err)
		require.False(t, c.By(token), "%v", change)
	}
}

func TestBadHeaders(t *testing.T) {
	for name, h := range map[string]http.Header{
		"appId":     signed("appId", "-"),
		"appId ":    signed("appId", "a b"),
		"appId  ":   signed("appId", strings.Repeat("1", 200)),
		"userName":  signed("userName", strings.Repeat("x", 257)),
		"userName ": signed("userName", "a\x1b[2J"),
		"Nonce":     signed("Nonce", "-"), "Nonce ": signed("Nonce", "123"), "Nonce  ": signed("Nonce", "12345"), "Nonce   ": signed("Nonce", "1 23"),
		"Timestamp": signed("Timestamp", "-"), "Timestamp ": signed("Timestamp", "now"), "Timestamp  ": signed("Timestamp", "-5"),
		"Timestamp   ": signed("Timestamp", "1735787046.5"), "Timestamp    ": signed("Timestamp", "99999999999999999999"), "Timestamp     ": signed("Timestamp", "0000000000000000001"),
		"Signature":  signed("Signature", "-"),
		"Signature ": signed("Signature", strings.ToUpper(vectors[0].want)), "Signature  ": signed("Signature", vectors[0].want+"00"), "Signature   ": signed("Signature", strings.Repeat("g", 32)),
	} {
		_, err := signature.Read(h)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "name["+strings.TrimSpace(name)+"]")
		require.NotContains(t, err.Error(), "\x1b")
	}
	twice := signed()
	twice.Add("Nonce", "4712")
	_, err := signature.Read(twice)
	require.ErrorContains(t, err, "name[Nonce]: it is there twice")
}

func TestSigns(t *testing.T) {
	for name, tc := range map[string]struct {
		h    http.Header
		want bool
	}{
		"nothing": {http.Header{}, false}, "all": {signed(), true}, "an empty appId": {http.Header{"Appid": {""}}, true},
		"no appId": {signed("appId", "-"), true}, "another scheme's signature": {http.Header{"Signature": {"sig1=:AA==:"}, "Signature-Input": {"sig1=()"}}, false},
	} {
		require.Equal(t, tc.want, signature.Signs(tc.h), name)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("40172236", "", "4711", "1735787046000", vectors[0].want)
	f.Add("", "x", "１２３４", "-1", "0")
	fuzzing.Within(f, func(t *testing.T, app, user, nonce, stamp, sig string) {
		h := http.Header{"Appid": {app}, "Username": {user}, "Nonce": {nonce}, "Timestamp": {stamp}, "Signature": {sig}}
		c, err := signature.Read(h)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Len(t, c.Nonce, 4)
		require.NoError(t, openflow.CheckIdentifier("app_id", string(c.App)))
		require.Equal(t, c.By(token), signature.Of(c.App, user, "", nonce, stamp, token) == sig)
		require.False(t, c.Signed.Before(time.UnixMilli(0)))
	})
}
