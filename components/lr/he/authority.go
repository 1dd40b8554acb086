package he

import (
	"crypto/rand"
	"math/big"
	"sync"

	"github.com/tuneinsight/lattigo/v6/core/rlwe"
	"github.com/tuneinsight/lattigo/v6/schemes/ckks"

	"openflow"
)

// Parallel runs f for 0…n−1, several at once, and returns the first error. Nil runs them one after another.
type Parallel func(n int, f func(i int) error) error

func (p Parallel) run(n int, f func(i int) error) error {
	if p != nil {
		return p(n, f)
	}
	for i := range n {
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// Authority holds one secret key, which never leaves the process. It cannot tell an honest ciphertext from one that is
// crafted to have its answer speak of the key, so it bounds what all its answers together may say: keyBits. A caller
// draws a new Authority before that is used up. Safe for concurrent use.
type Authority struct {
	params    ckks.Parameters
	decryptor *rlwe.Decryptor
	public    *rlwe.PublicKey
	parallel  Parallel

	mu   sync.Mutex
	told int // bits of the key that the answers so far may have told
}

// NewAuthority draws a key pair.
func NewAuthority(parallel Parallel) (*Authority, error) {
	params, err := parameters()
	if err != nil {
		return nil, err
	}
	secret, public := rlwe.NewKeyGenerator(params).GenKeyPairNew()
	return &Authority{
		params: params, decryptor: rlwe.NewDecryptor(params, secret), public: public, parallel: parallel,
	}, nil
}

// PublicKey renders the public key for NewParty. There are no evaluation keys.
func (a *Authority) PublicKey() []byte {
	return appendPoly(appendPoly(make([]byte, 0, pairBytes), a.public.Value[0].Q), a.public.Value[1].Q)
}

// Query says what a Sealed may hold at most, as everybody knows it from the plan: the authority floods by it.
type Query struct {
	Layout    Layout
	Rows      int // of the batch
	Columns   int
	Summed    int // fresh ciphertexts that were added up in the vector
	Precision int
}

// Decrypt opens s and floods every number with fresh noise, so that an answer says nothing about the noise of the
// ciphertext it came from. In CKKS that noise would give the secret key away (Li and Micciancio, Eurocrypt 2021).
//
// Errors: CodeRejected when this key has opened what it may.
func (a *Authority) Decrypt(s Sealed, q Query) (Answer, error) {
	bound := floodBound(q.Summed, q.Layout.entries(q.Rows, q.Columns), q.Precision)
	values := 0
	for _, p := range s.parts {
		values += len(p.first)
	}
	if err := a.tell(values, bound); err != nil {
		return nil, err
	}
	opened := make([][]*big.Int, len(s.parts))
	err := a.parallel.run(len(s.parts), func(i int) (err error) {
		opened[i], err = a.open(s.parts[i], q.Layout, bound)
		return err
	})
	if err != nil {
		return nil, err
	}
	var answer Answer
	for _, part := range opened {
		answer = append(answer, part...)
	}
	return answer, nil
}

// tell counts answers that are about to be given.
func (a *Authority) tell(values int, bound *big.Int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	bits := values * tells(bound)
	if bits > keyBits-a.told {
		return openflow.Errorf(openflow.CodeRejected, "%d more values would tell more of the key than it may: %d bits of %d are used", values, a.told, keyBits)
	}
	a.told += bits
	return nil
}

// DecryptDot opens the sum that Party.Dot has sealed over that many rows. Errors: as of Decrypt.
func (a *Authority) DecryptDot(s Sealed, rows int) (float64, error) {
	if len(s.parts) != 1 || len(s.parts[0].first) != 1 {
		return 0, openflow.Errorf(openflow.CodeInvalid, "a sum is one number, not %d ciphertexts", len(s.parts))
	}
	bound := floodBound(2, rows, DotPrecision)
	if err := a.tell(1, bound); err != nil {
		return 0, err
	}
	values, err := a.open(s.parts[0], Layout{ringDegree}, bound)
	if err != nil {
		return 0, err
	}
	return float(centre(values[0], a.params.QBigInt()), vectorBits+DotPrecision), nil
}

// open decrypts the coefficients of p, modulo Q, plus noise from −bound…bound.
func (a *Authority) open(p part, l Layout, bound *big.Int) ([]*big.Int, error) {
	r, modulus := a.params.RingQ(), a.params.QBigInt()
	ct := newCiphertext(a.params)
	ct.Value[1] = p.second
	// The coefficients that were not sent stay zero: what they decrypt to is never looked at.
	for j, c := range p.first {
		setCoefficient(r.ModuliChain(), ct.Value[0], j*l.Block, c)
	}
	r.NTT(ct.Value[0], ct.Value[0])
	pt := a.decryptor.ShallowCopy().DecryptNew(ct)
	r.INTT(pt.Value, pt.Value)

	values := make([]*big.Int, len(p.first))
	for j := range values {
		noise, err := symmetric(bound)
		if err != nil {
			return nil, err
		}
		v := coefficient(r.ModuliChain(), modulus, pt.Value, j*l.Block)
		values[j] = v.Mod(v.Add(v, noise), modulus)
	}
	return values, nil
}

// symmetric draws an integer from −bound…bound, every one equally likely.
func symmetric(bound *big.Int) (*big.Int, error) {
	width := new(big.Int).Lsh(bound, 1)
	n, err := randomBelow(width.Add(width, big.NewInt(1)))
	if err != nil {
		return nil, err
	}
	return n.Sub(n, bound), nil
}

// randomBelow draws an integer from 0…limit−1, every one equally likely.
func randomBelow(limit *big.Int) (*big.Int, error) {
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "no randomness: %w", err)
	}
	return n, nil
}
