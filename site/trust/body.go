package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"

	"openflow"
)

// proven is the body of a request whose signature is proven already. It is hashed while it is read. Where it ends it is
// either the one that was signed, or an error: CodeUnauthorized. So nothing may be done with it before its end.
type proven struct {
	io.ReadCloser
	party openflow.PartyID
	said  []byte // the hash that the signature covers
	hash  hash.Hash
	wrong error // once it is known
}

func prove(body io.ReadCloser, party openflow.PartyID, said []byte) io.ReadCloser {
	if body == nil { // as in a request that was made and not received
		body = http.NoBody
	}
	return &proven{ReadCloser: body, party: party, said: said, hash: sha256.New()}
}

// Read implements io.Reader.
func (p *proven) Read(b []byte) (int, error) {
	if p.wrong != nil {
		return 0, p.wrong
	}
	n, err := p.ReadCloser.Read(b)
	p.hash.Write(b[:n])
	if errors.Is(err, io.EOF) && !bytes.Equal(p.hash.Sum(nil), p.said) {
		p.wrong = unauthorized("the signature of party %s does not verify: the body is not the one that was signed", p.party).
			WithHint("something on the way has changed it")
		return n, p.wrong
	}
	return n, err
}
