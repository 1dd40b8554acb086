package residence

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"time"

	"openflow"
)

// The question with which a node begins each connection: whether the other end has the secret of the container that it means. An
// address may be another container's by now. The secret itself, and what runs are told, goes over no connection before.
const (
	proofPath   = "/v1/proof"
	proofWithin = 5 * time.Second
	proofBytes  = 16 << 10 // of the whole answer
)

var nonce = regexp.MustCompile(`^[A-Za-z0-9]{16,128}$`)

// Proof is the answer to it.
type Proof struct {
	Proof string `json:"proof"` // hexadecimal: HMAC-SHA256 of the request line's method and target, with the secret
}

// question is the target of the request with a nonce.
func question(nonce string) string { return proofPath + "?nonce=" + nonce }

// prove is the proof for a nonce.
func prove(key, nonce string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(http.MethodGet + " " + question(nonce))) // a hash takes everything
	return mac.Sum(nil)
}

// proof answers who does not know the secret yet to whom he speaks. It says nothing of the secret.
func (s *Server) proof(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query().Get("nonce")
	if r.Method != http.MethodGet || !nonce.MatchString(asked) {
		refuse(w, http.StatusBadRequest, "nonce has 16 to 128 letters and digits")
		return
	}
	answer(w, http.StatusOK, Proof{hex.EncodeToString(prove(s.key, asked))})
}

// Meet asks the other end of a new connection to prove that it has the secret of the container that is meant. The connection is ready
// for requests then. Errors: CodeUnavailable (it does not prove it); the context's.
func Meet(ctx context.Context, conn net.Conn, key string) error {
	err := meet(ctx, conn, key)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "it does not prove that it is the container that was started: %w", err)
	}
	return nil
}

func meet(ctx context.Context, conn net.Conn, key string) error {
	if err := conn.SetDeadline(time.Now().Add(proofWithin)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // a connection that is closed needs none
	defer stop()
	fresh := rand.Text()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+conn.RemoteAddr().String()+question(fresh), nil)
	if err != nil {
		return err
	}
	if err := r.Write(conn); err != nil {
		return err
	}
	heard := bufio.NewReader(io.LimitReader(conn, proofBytes))
	said, err := http.ReadResponse(heard, r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(said.Body)
	if err = errors.Join(err, said.Body.Close()); err != nil {
		return err
	}
	switch {
	case said.StatusCode != http.StatusOK:
		return openflow.Errorf(openflow.CodeUnavailable, "GET %s is answered with %d", proofPath, said.StatusCode)
	case said.Close:
		return openflow.Errorf(openflow.CodeUnavailable, "it closes the connection on which it has proven it")
	case heard.Buffered() > 0:
		return openflow.Errorf(openflow.CodeUnavailable, "it answers what it was not asked")
	}
	var given Proof
	if err = openflow.BoundedJSON(text, maxValues); err == nil {
		err = json.Unmarshal(text, &given)
	}
	if err != nil {
		return err
	}
	shown, err := hex.DecodeString(given.Proof)
	if err != nil || !hmac.Equal(shown, prove(key, fresh)) {
		return openflow.Errorf(openflow.CodeUnavailable, "its proof is wrong")
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return conn.SetDeadline(time.Time{})
}
