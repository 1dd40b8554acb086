package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"openflow"
	"openflow/dialect/peer"
	"openflow/node/fleet"
	"openflow/runtime/process"
	"openflow/sdk/httpclient"
	"openflow/site/trust"
	"openflow/store/messages/sqlite"
)

// secured is what TLS and signatures cost. A node has no switch for signatures. So jobs are measured with and without TLS,
// and calls with both, with signatures alone, and bare.
type secured struct {
	Plain chains `json:"plain"`
	TLS   chains `json:"tls"`
	Calls struct {
		Bare   float64 `json:"bare"`
		Signed float64 `json:"signed"`
		TLS    float64 `json:"signed_tls"`
	} `json:"call_ms"`
}

// measureSecured runs the same work in turns, so that what the machine does meanwhile hits all alike.
func measureSecured(ctx context.Context, o options, dir string) (_ *secured, err error) {
	var s secured
	if err := s.calls(ctx, dir+"-calls"); err != nil {
		return nil, err
	}
	subjects := map[bool]nodeSubject{}
	for _, plain := range []bool{true, false} {
		o.plain = plain
		var f *fleet.Fleet
		if f, err = startPair(ctx, o, filepath.Join(dir, fmt.Sprint("plain-", plain)), process.Opener{}); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Stop()) }()
		subjects[plain] = nodeSubject{f.Nodes[0].Client()}
		if err := warmUp(ctx, subjects[plain]); err != nil {
			return nil, err
		}
	}
	for tasks, into := range map[int]func(*chains) *float64{
		1: func(c *chains) *float64 { return &c.Chain1 }, 10: func(c *chains) *float64 { return &c.Chain10 },
	} {
		times := map[bool][]time.Duration{}
		for i := range 2 * o.runs {
			plain := i%2 == 0
			d, err := chain(ctx, subjects[plain], fmt.Sprint("secured", i), tasks, pollChain)
			if err != nil {
				return nil, err
			}
			times[plain] = append(times[plain], d)
		}
		*into(&s.Plain), *into(&s.TLS) = middle(times[true]).Seconds(), middle(times[false]).Seconds()
	}
	for plain, c := range map[bool]*chains{true: &s.Plain, false: &s.TLS} {
		if c.Burst100, err = burst(ctx, subjects[plain], 100); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// callsEach is how many calls of each kind are made; the median counts.
const callsEach = 500

// unsigned proves nothing.
type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// signing proves by the key of one node.
type signing struct{ trust.Signer }

func (s signing) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	s.Signer.Sign(r, to, body, time.Now())
	return nil
}

// oneKey is every party's.
type oneKey struct{ key trust.PublicKey }

func (k oneKey) PublicKeys(context.Context, openflow.PartyID) ([]trust.PublicKey, error) {
	return []trust.PublicKey{k.key}, nil
}

func (k oneKey) Holder(context.Context, trust.PublicKey) (openflow.PartyID, error) {
	return "9999", nil
}

func (k oneKey) Named(context.Context, string) (bool, error) { return false, nil }

func (k oneKey) VerifyAnswer(from openflow.PartyID, request, answer http.Header, status int, body []byte) error {
	return trust.VerifyAnswer([]trust.PublicKey{k.key}, from, request, answer, status, body)
}

// calls sends 1 KiB and gets 1 KiB back, in turns: to a bare handler, with signatures both ways, and in TLS besides.
func (s *secured) calls(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := trust.LoadOrCreateKey(dir)
	if err != nil {
		return err
	}
	own, err := key.Certificate("10000")
	if err != nil {
		return err
	}
	nonces, err := sqlite.Open(ctx, filepath.Join(dir, "nonces"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nonces.Close()) }()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	keys := oneKey{key.Public()}
	signed := proving(trust.Verifier{Self: "10000", Keys: keys, Nonces: nonces}, trust.Signer{Party: "10000", Key: key})
	bare, behind, sealed := httptest.NewServer(echo), httptest.NewServer(signed), httptest.NewUnstartedServer(signed)
	sealed.Listener = tls.NewListener(sealed.Listener, trust.Accepting(trust.Constant(own), keys, nil)) // the server's own would show another certificate
	sealed.Start()
	for _, server := range []*httptest.Server{bare, behind, sealed} {
		defer server.Close()
	}
	link := func(url string, by peer.Signer, o httpclient.Options) *peer.Link {
		l := &peer.Link{Self: "9999", Peer: "10000", URL: url, Signer: by, HTTP: httpclient.New(o)}
		if by != (unsigned{}) {
			l.Verifier = keys
		}
		return l
	}
	by := signing{trust.Signer{Party: "9999", Key: key}}
	links := []*peer.Link{
		link(bare.URL, unsigned{}, httpclient.Options{}), link(behind.URL, by, httpclient.Options{}),
		link("https"+strings.TrimPrefix(sealed.URL, "http"), by, httpclient.Options{TLS: trust.Calling(trust.Constant(own), "10000", "127.0.0.1", []trust.PublicKey{key.Public()}, nil)}),
	}
	body := bytes.Repeat([]byte("x"), 1<<10)
	times := make([][]time.Duration, len(links))
	for range callsEach {
		for i, l := range links {
			begun := time.Now()
			a, err := l.Do(ctx, "/", "application/json", body, nil)
			if err == nil {
				err = l.Prove(a)
			}
			if err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(begun))
		}
	}
	for i, into := range []*float64{&s.Calls.Bare, &s.Calls.Signed, &s.Calls.TLS} {
		*into = middle(times[i]).Seconds() * 1000
	}
	return nil
}

// proving takes what is proven, as a node does, and proves its answers.
func proving(v trust.Verifier, s trust.Signer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := v.Verify(r.Context(), r); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		s.SignAnswer(w.Header(), r.Header, http.StatusOK, body)
		_, _ = w.Write(body) // a caller that is gone measures nothing
	})
}
