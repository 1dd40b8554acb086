package trust_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// An answer counts only with the signature of the party that was asked, and only for the request that it answers.
func TestVerifyAnswer(t *testing.T) {
	f := newFixture(t)
	its := trust.Signer{Party: "10000", Key: newKey(t)}
	other := newKey(t)
	asked, _ := f.signed(t)
	again, _ := f.signed(t)
	body := []byte(`{"code":0}`)
	type exchange struct {
		keys    []trust.PublicKey
		request http.Header
		answer  http.Header
		status  int
		body    []byte
	}
	for name, tc := range map[string]struct {
		change func(*exchange)
		want   string // part of the refusal; empty: none
	}{
		"as it was given":            {func(*exchange) {}, ""},
		"while its key changes":      {func(e *exchange) { e.keys = []trust.PublicKey{other.Public(), its.Key.Public()} }, ""},
		"the record has another key": {func(e *exchange) { e.keys = []trust.PublicKey{other.Public()} }, "not the one in its record here (" + other.Public().Named() + ")"},
		"the record has no key":      {func(e *exchange) { e.keys = nil }, "not the one in its record"},
		"another body":               {func(e *exchange) { e.body = []byte(`{"code":1}`) }, "does not verify"},
		"another status":             {func(e *exchange) { e.status = 500 }, "does not verify"},
		"to another request":         {func(e *exchange) { e.request = again.Header }, "does not verify"},
		"not signed":                 {func(e *exchange) { e.answer.Del(trust.HeaderSignature) }, "is not signed"},
		"not a signature":            {func(e *exchange) { e.answer.Set(trust.HeaderSignature, "openflow=x") }, "does not verify"},
		"of another kind":            {func(e *exchange) { e.answer.Set(trust.HeaderInput, asked.Header.Get(trust.HeaderInput)) }, "signs with key"},
		"not signed by us":           {func(e *exchange) { e.answer.Set(trust.HeaderSignature, "proxy=:AAAA:") }, "is not signed"},
		"another digest":             {func(e *exchange) { e.answer.Set(trust.HeaderDigest, "sha-256=:AAAA:") }, "does not verify"},
		"the request's in its place": {func(e *exchange) { e.answer = asked.Header.Clone(); e.answer.Set(trust.HeaderParty, "10000") }, "signs with key"},
		"to a request without":       {func(e *exchange) { e.request = http.Header{} }, "was not signed"},
		"from another party": {func(e *exchange) {
			trust.Signer{Party: "10001", Key: its.Key}.SignAnswer(e.answer, e.request, e.status, e.body)
		}, `that of party "10001"`},
		"in the name of the party": {func(e *exchange) {
			trust.Signer{Party: "10000", Key: other}.SignAnswer(e.answer, e.request, e.status, e.body)
		}, "party 10000 signs with key"},
	} {
		t.Run(name, func(t *testing.T) {
			e := exchange{[]trust.PublicKey{its.Key.Public()}, asked.Header, http.Header{}, http.StatusOK, body}
			its.SignAnswer(e.answer, e.request, e.status, e.body)
			tc.change(&e)
			err := trust.VerifyAnswer(e.keys, "10000", e.request, e.answer, e.status, e.body)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
}
