package trust_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
	"openflow/tests/fuzzing"
)

var now = time.Date(2025, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// nonces is a nonce store in memory that counts its calls and can be broken.
type nonces struct {
	mu     sync.Mutex
	until  map[string]time.Time
	claims int
	err    error
}

func (n *nonces) UseNonce(_ context.Context, peer, nonce string, until time.Time) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.claims++
	if n.err != nil {
		return false, n.err
	}
	if _, ok := n.until[peer+" "+nonce]; ok {
		return false, nil
	}
	if n.until == nil {
		n.until = map[string]time.Time{}
	}
	n.until[peer+" "+nonce] = until
	return true, nil
}

type fixture struct {
	signer   trust.Signer
	verifier trust.Verifier
	nonces   *nonces
}

func newFixture(tb testing.TB) fixture {
	tb.Helper()
	s := trust.Signer{Party: "9999", Key: newKey(tb)}
	n := &nonces{}
	return fixture{s, trust.Verifier{
		Self: "10000", Keys: keys{"9999": {s.Key.Public()}}, Nonces: n, Now: func() time.Time { return now },
	}, n}
}

const target = "http://peer.example:9380/v2/partner/task/start%2Fx?a=1&b=%20"

func (f fixture) signed(tb testing.TB) (*http.Request, []byte) {
	tb.Helper()
	body := []byte(`{"job_id":"j"}`)
	r := mustRequest(tb, http.MethodPost, target)
	r.Header.Set("x-ptp-session-id", "s")
	f.signer.Sign(r, "10000", body, now)
	return r, body
}

// verify receives a request with that body, proves its sender, and reads the body to its end.
func (f fixture) verify(tb testing.TB, r *http.Request, body []byte) (openflow.PartyID, error) {
	tb.Helper()
	r.Body = io.NopCloser(bytes.NewReader(body))
	party, err := f.verifier.Verify(tb.Context(), r)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		party = ""
	}
	return party, err
}

func TestVerifyNamesTheSigner(t *testing.T) {
	f := newFixture(t)
	r, body := f.signed(t)
	r.Host = "a-proxy:80"
	r.Header.Set("User-Agent", "a proxy")
	party, err := f.verify(t, r, body)
	require.NoError(t, err)
	require.Equal(t, openflow.PartyID("9999"), party)
	for _, until := range f.nonces.until {
		require.True(t, until.After(now.Add(trust.Window)), "the nonce is kept as long as the signature is good")
	}
}

// What a server reads off the wire must be what the client signed, whatever the URL looks like.
func TestVerifyOverHTTP(t *testing.T) {
	f := newFixture(t)
	f.verifier.Now = nil
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := f.verifier.Verify(r.Context(), r)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	for _, path := range []string{"", "/", "/?", "/v2//worker/task", "/a%2Fb/%C3%A9?q=%20+&q=2", "/x?y#fragment", "/a;b=c", "/ü"} {
		t.Run(path, func(t *testing.T) {
			body := []byte("body")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+path, bytes.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("x-ptp-topic", " spaced ")
			f.signer.Sign(r, "10000", body, time.Now())
			res, err := server.Client().Do(r)
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, errors.Join(err, res.Body.Close()))
			require.Equal(t, http.StatusOK, res.StatusCode, string(text))
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	stranger := trust.Signer{Party: "9999", Key: newKey(t)}
	for name, c := range map[string]struct {
		change func(f *fixture, r *http.Request, body *[]byte)
		say    string // part of the message
	}{
		"another method": {func(_ *fixture, r *http.Request, _ *[]byte) { r.Method = http.MethodPut }, "does not verify"},
		"another path":   {func(_ *fixture, r *http.Request, _ *[]byte) { r.URL.Path, r.URL.RawPath = "/v2/partner/task/stop", "" }, "does not verify"},
		"unescaped path": {func(_ *fixture, r *http.Request, _ *[]byte) { r.URL.RawPath = "" }, "does not verify"},
		"another query":  {func(_ *fixture, r *http.Request, _ *[]byte) { r.URL.RawQuery = "a=2" }, "does not verify"},
		"another body":   {func(_ *fixture, _ *http.Request, b *[]byte) { *b = []byte(`{"job_id":"k"}`) }, "does not verify"},
		"no body":        {func(_ *fixture, _ *http.Request, b *[]byte) { *b = nil }, "does not verify"},
		"another nonce":  {rewritten("nonce=\"", "nonce=\"A"), "nonce is not 16 bytes"},
		"a nonce that nobody signed": {func(_ *fixture, r *http.Request, _ *[]byte) {
			input := r.Header.Get(trust.HeaderInput)
			at := strings.Index(input, `nonce="`) + len(`nonce="`)
			r.Header.Set(trust.HeaderInput, input[:at]+strings.Repeat("A", 22)+input[at+22:])
		}, "does not verify"},
		"a later time":    {rewritten("created=1735787045", "created=1735787046"), "does not verify"},
		"good for longer": {rewritten("expires=1735787105", "expires=1735787999"), "does not verify"},
		"expired": {func(f *fixture, _ *http.Request, _ *[]byte) {
			f.verifier.Now = func() time.Time { return now.Add(trust.Window + time.Second) }
		}, "signed at"},
		"another body with its digest": {func(_ *fixture, r *http.Request, b *[]byte) {
			*b = []byte("x")
			r.Header.Set(trust.HeaderDigest, "sha-256=:LXEWQrcmsEQBYnyp+6wy9ciaaFI4e+8wQXr4rXEMYEE=:")
		}, "does not verify"},
		"another digest":              {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderDigest, "md5=:AAAA:") }, "does not verify"},
		"no digest that reads":        {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderDigest, "(") }, "does not verify"},
		"another session":             {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set("x-ptp-session-id", "t") }, "does not verify"},
		"a transport header taken":    {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Del("x-ptp-session-id") }, "does not cover"},
		"a transport header added":    {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set("x-ptp-topic", "t") }, "does not cover"},
		"a transport header repeated": {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Add("x-ptp-session-id", "s") }, "is there twice"},
		"another party's name": {func(f *fixture, r *http.Request, _ *[]byte) {
			f.verifier.Keys.(keys)["8888"] = []trust.PublicKey{stranger.Key.Public()}
			r.Header.Set(trust.HeaderParty, "8888")
		}, "does not verify"},
		"a stranger's key":     {func(_ *fixture, r *http.Request, b *[]byte) { stranger.Sign(r, "10000", *b, now) }, "does not verify"},
		"key id of another":    {rewritten(`keyid="`, `keyid="0`), "does not verify"},
		"two parties":          {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Add(trust.HeaderParty, "9999") }, "is there twice"},
		"for another party":    {func(f *fixture, r *http.Request, b *[]byte) { f.signer.Sign(r, "8888", *b, now) }, "signed for party 8888, which this is not"},
		"passed on":            {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderTo, "8888") }, "signed for party 8888"},
		"unknown party":        {func(f *fixture, _ *http.Request, _ *[]byte) { f.verifier.Keys = keys{} }, "openflow site add 9999"},
		"party without keys":   {func(f *fixture, _ *http.Request, _ *[]byte) { f.verifier.Keys = keys{"9999": nil} }, "openflow site add 9999"},
		"a party that is none": {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderParty, "../x") }, "not a valid name"},
		"too old": {func(f *fixture, r *http.Request, b *[]byte) {
			f.signer.Sign(r, "10000", *b, now.Add(-trust.Window-time.Second))
		}, "signed at 2025-01-02T03:03:04Z, here it is 2025-01-02T03:04:05Z"},
		"too early": {func(f *fixture, r *http.Request, b *[]byte) {
			f.signer.Sign(r, "10000", *b, now.Add(trust.Window+time.Second))
		}, "set the clocks"},
		"no time":                  {rewritten("created=1735787045;", ""), "needs created"},
		"no end":                   {rewritten("expires=1735787105;", ""), "needs created"},
		"a time that is text":      {rewritten("created=1735787045", `created="soon"`), "hold no signature"},
		"a time with a sign":       {rewritten("created=1735787045", "created=+1735787045"), "hold no signature"},
		"a time before 1970":       {rewritten("created=1735787045", "created=-1"), "hold no signature"},
		"the last time":            {rewritten("created=1735787045", "created=999999999999999"), "hold no signature"},
		"an end too long":          {rewritten("expires=1735787105", "expires=9223372036854775807"), "hold no signature"},
		"no nonce":                 {rewritten("nonce=", "once="), "nonce is not 16 bytes"},
		"for something else":       {rewritten(`tag="openflow-request"`, `tag="openflow-answer"`), "needs created"},
		"another algorithm":        {rewritten(`alg="ed25519"`, `alg="hmac-sha256"`), "hold no signature"},
		"less is covered":          {rewritten(`"@path" `, ""), "does not cover"},
		"more is covered":          {rewritten(`"@path" `, `"@path" "date" `), "does not cover"},
		"one is covered twice":     {rewritten(`"@path" `, `"@path" "@path" `), "does not cover"},
		"in another order":         {rewritten(`"@method" "@path"`, `"@path" "@method"`), "does not cover"},
		"of a request":             {rewritten(`"@path" `, `"@path";req `), "does not cover"},
		"no list":                  {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderInput, "openflow=1") }, "hold no signature"},
		"another's label":          {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderInput, "sig1=()") }, "hold no signature"},
		"a list that breaks off":   {rewritten(")", ""), "hold no signature"},
		"a short signature":        {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderSignature, "openflow=:AAAA:") }, "hold no signature"},
		"a signature that is text": {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderSignature, `openflow="AAAA"`) }, "hold no signature"},
		"a list for a signature":   {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Set(trust.HeaderSignature, `openflow=()`) }, "hold no signature"},
		"two signatures":           {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header.Add(trust.HeaderSignature, "openflow=:AAAA:") }, "hold no signature"},
		"no headers":               {func(_ *fixture, r *http.Request, _ *[]byte) { r.Header = http.Header{} }, "not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			r, body := f.signed(t)
			c.change(&f, r, &body)
			party, err := f.verify(t, r, body)
			requireCode(t, openflow.CodeUnauthorized, err)
			require.ErrorContains(t, err, c.say)
			require.Empty(t, party)
			claims := 0
			if strings.Contains(err.Error(), "not the one that was signed") {
				claims = 1 // the rest is genuine: its sender signs anew, and who has taken it cannot try again
			}
			require.Equal(t, claims, f.nonces.claims, "a refused request claims no nonce")
		})
	}
}

// rewritten changes the first text of that kind in what the signature says of itself.
func rewritten(from, to string) func(*fixture, *http.Request, *[]byte) {
	return func(_ *fixture, r *http.Request, _ *[]byte) {
		r.Header.Set(trust.HeaderInput, strings.Replace(r.Header.Get(trust.HeaderInput), from, to, 1))
	}
}

// A proxy may sign as well. Its signature is not looked at.
func TestAnotherSignatureBeside(t *testing.T) {
	f := newFixture(t)
	r, body := f.signed(t)
	r.Header.Add(trust.HeaderInput, `proxy=("@method");keyid="p"`)
	r.Header.Add(trust.HeaderSignature, "proxy=:AAAA:")
	_, err := f.verify(t, r, body)
	require.NoError(t, err)
}

// Of the body nothing is read before the signature is proven, and then no error but the one at its end tells that it was
// another: until there, what has been read means nothing.
func TestBodyIsReadAfterItsProof(t *testing.T) {
	f := newFixture(t)
	r, body := f.signed(t)
	read := &counted{Reader: bytes.NewReader(body)}
	r.Body = io.NopCloser(read)
	_, err := f.verifier.Verify(t.Context(), r)
	require.NoError(t, err)
	require.Zero(t, read.n)
	got, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, body, got)

	for name, wrong := range map[string]string{"cut": string(body[:len(body)-1]), "longer": string(body) + " ", "another": strings.Repeat("x", len(body)), "none": ""} {
		f := newFixture(t)
		r, _ := f.signed(t)
		_, err := f.verify(t, r, []byte(wrong))
		requireCode(t, openflow.CodeUnauthorized, err)
		_, again := r.Body.Read(make([]byte, 1))
		require.Equal(t, err, again, "%s: whoever reads on hears it again", name)
	}
}

type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

// A caller who is not proven does not learn who is known here: every such answer is the same.
func TestNobodyLearnsWhoIsKnown(t *testing.T) {
	answers := map[string]bool{}
	for _, known := range []keys{{}, {"9999": nil}, {"9999": {newKey(t).Public()}}} {
		f := newFixture(t)
		f.signer.Key = fixedKey(t)
		f.verifier.Keys = known
		r, body := f.signed(t)
		_, err := f.verify(t, r, body)
		requireCode(t, openflow.CodeUnauthorized, err)
		answers[err.Error()] = true
	}
	require.Len(t, answers, 1, "%v", answers)
}

// fixedKey is the same in every call of a test.
func fixedKey(t *testing.T) trust.Key {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "node.key"), []byte("ed25519-private:"+strings.Repeat("A", 43)), 0o600))
	k, err := trust.LoadOrCreateKey(dir)
	require.NoError(t, err)
	return k
}

func TestVerifyNeedsEveryHeader(t *testing.T) {
	for _, name := range []string{
		trust.HeaderParty, trust.HeaderTo, trust.HeaderDigest, trust.HeaderInput, trust.HeaderSignature,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			r, body := f.signed(t)
			r.Header.Del(name)
			_, err := f.verify(t, r, body)
			requireCode(t, openflow.CodeUnauthorized, err)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestVerifyAtTheEdgeOfTheWindow(t *testing.T) {
	for _, d := range []time.Duration{-trust.Window, 0, trust.Window} {
		f := newFixture(t)
		r, body := f.signed(t)
		f.signer.Sign(r, "10000", body, now.Add(d))
		_, err := f.verify(t, r, body)
		require.NoError(t, err, d)
	}
}

func TestReplayIsRefused(t *testing.T) {
	f := newFixture(t)
	r, body := f.signed(t)
	_, err := f.verify(t, r, body)
	require.NoError(t, err)
	_, err = f.verify(t, r, body)
	requireCode(t, openflow.CodeUnauthorized, err)
	require.ErrorContains(t, err, "received before")

	restarted := fixture{f.signer, f.verifier, f.nonces} // the store is what remembers
	_, err = restarted.verify(t, r, body)
	requireCode(t, openflow.CodeUnauthorized, err)

	f.signer.Sign(r, "10000", body, now)
	_, err = f.verify(t, r, body)
	require.NoError(t, err, "a repeat that is signed anew is a new request")
}

func TestBrokenStoresAreNotTheCallersFault(t *testing.T) {
	down := openflow.Errorf(openflow.CodeUnavailable, "the store is down")
	f := newFixture(t)
	r, body := f.signed(t)
	f.nonces.err = down
	_, err := f.verify(t, r, body)
	require.ErrorIs(t, err, down)

	f = newFixture(t)
	r, body = f.signed(t)
	f.verifier.Keys = brokenKeys{down}
	_, err = f.verify(t, r, body)
	require.ErrorIs(t, err, down)
}

type brokenKeys struct{ err error }

func (b brokenKeys) PublicKeys(context.Context, openflow.PartyID) ([]trust.PublicKey, error) {
	return nil, b.err
}

func TestBothKeysVerifyWhileTheyChange(t *testing.T) {
	f := newFixture(t)
	next := trust.Signer{Party: "9999", Key: newKey(t)}
	f.verifier.Keys = keys{"9999": {f.signer.Key.Public(), next.Key.Public()}}
	for _, s := range []trust.Signer{f.signer, next} {
		r, body := f.signed(t)
		s.Sign(r, "10000", body, now)
		_, err := f.verify(t, r, body)
		require.NoError(t, err)
	}
	f.verifier.Keys = keys{"9999": {next.Key.Public()}}
	r, body := f.signed(t)
	_, err := f.verify(t, r, body)
	requireCode(t, openflow.CodeUnauthorized, err)
}

func FuzzVerify(f *testing.F) {
	fix := newFixture(f)
	r, made := fix.signed(f)
	h := r.Header
	f.Add(h.Get(trust.HeaderParty), h.Get(trust.HeaderTo), h.Get(trust.HeaderDigest), h.Get(trust.HeaderInput), h.Get(trust.HeaderSignature),
		"/v2/partner/task/start%2Fx", "a=1&b=%20", made)
	f.Add("9999", "10000", "", "a=();created=1", "a=:AA==:", "", "", []byte(nil))
	fuzzing.Within(f, func(t *testing.T, party, to, digest, input, signature, path, query string, body []byte) {
		u, err := url.Parse("http://peer.example:9380" + path)
		if err != nil {
			return
		}
		u.RawQuery = query
		forged := &http.Request{Method: http.MethodPost, URL: u, Header: http.Header{}}
		forged.Header.Set("x-ptp-session-id", "s")
		for name, value := range map[string]string{
			trust.HeaderParty: party, trust.HeaderTo: to, trust.HeaderDigest: digest, trust.HeaderInput: input, trust.HeaderSignature: signature,
		} {
			forged.Header.Set(name, value)
		}
		fix.nonces.until = nil
		if _, err := fix.verify(t, forged, body); err == nil {
			for _, name := range []string{trust.HeaderParty, trust.HeaderTo} {
				require.Equal(t, h.Get(name), strings.TrimSpace(forged.Header.Get(name)), "a signature that nobody made")
			}
			require.Equal(t, made, body)
			require.Equal(t, r.URL.RequestURI(), u.RequestURI())
		} else {
			require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			body := make([]byte, size)
			r := mustRequest(b, http.MethodPost, target)
			b.SetBytes(int64(size))
			for b.Loop() {
				f.signer.Sign(r, "10000", body, now)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newFixture(b)
	r, body := f.signed(b)
	for b.Loop() {
		f.nonces.until = nil
		_, err := f.verify(b, r, body)
		require.NoError(b, err)
	}
}

func BenchmarkCheck(b *testing.B) {
	c, err := trust.LoadOrCreateCredentials(b.TempDir() + "/home")
	require.NoError(b, err)
	token := c.Issue(someTask)
	for b.Loop() {
		_, err := c.Check(token)
		require.NoError(b, err)
	}
}
