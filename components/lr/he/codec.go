package he

import (
	"encoding/binary"
	"math/big"

	"github.com/tuneinsight/lattigo/v6/core/rlwe"
	"github.com/tuneinsight/lattigo/v6/ring"
	"github.com/tuneinsight/lattigo/v6/schemes/ckks"

	"openflow"
)

// On the wire a polynomial is its residues, little-endian, limb after limb, in the number-theoretic domain; a number
// modulo Q is 24 big-endian bytes. There are no headers: both sides know the counts from the job's plan.
const (
	polyBytes  = limbs * ringDegree * 8
	pairBytes  = 2 * polyBytes
	valueBytes = 24
)

func appendPoly(dst []byte, p ring.Poly) []byte {
	for _, limb := range p.Coeffs {
		for _, c := range limb {
			dst = binary.LittleEndian.AppendUint64(dst, c)
		}
	}
	return dst
}

// readPoly fills p from the first polyBytes of data and refuses a residue that is not reduced.
func readPoly(r *ring.Ring, data []byte, p ring.Poly) error {
	for i, q := range r.ModuliChain() {
		for j := range p.Coeffs[i] {
			c := binary.LittleEndian.Uint64(data[8*(i*ringDegree+j):])
			if c >= q {
				return openflow.Errorf(openflow.CodeInvalid, "a ciphertext holds a residue that is not below its modulus")
			}
			p.Coeffs[i][j] = c
		}
	}
	return nil
}

func checkSize(what string, data []byte, want int) error {
	if len(data) != want {
		return openflow.Errorf(openflow.CodeInvalid, "%s has %d bytes, not %d", what, len(data), want).
			WithPublic("%s has another length than it should", what).
			WithHint("all parties of a task must run the same implementation of the component")
	}
	return nil
}

func readPublicKey(params ckks.Parameters, data []byte) (*rlwe.PublicKey, error) {
	if err := checkSize("public key", data, pairBytes); err != nil {
		return nil, err
	}
	pk := rlwe.NewPublicKey(params)
	for i := range pk.Value {
		if err := readPoly(params.RingQ(), data[i*polyBytes:], pk.Value[i].Q); err != nil {
			return nil, err
		}
	}
	return pk, nil
}

// Vector is an encrypted vector: one ciphertext for each block of rows.
type Vector struct{ blocks []*rlwe.Ciphertext }

// Encode renders v for ParseVector.
func (v Vector) Encode() []byte {
	out := make([]byte, 0, len(v.blocks)*pairBytes)
	for _, ct := range v.blocks {
		out = appendPoly(appendPoly(out, ct.Value[0]), ct.Value[1])
	}
	return out
}

// ParseVector reads a vector of that many blocks. Errors: CodeInvalid.
func ParseVector(data []byte, blocks int) (Vector, error) {
	params, err := parameters()
	if err != nil {
		return Vector{}, err
	}
	if err := checkSize("encrypted vector", data, blocks*pairBytes); err != nil {
		return Vector{}, err
	}
	v := Vector{blocks: make([]*rlwe.Ciphertext, blocks)}
	for b := range v.blocks {
		ct := newCiphertext(params)
		for i := range ct.Value {
			if err := readPoly(params.RingQ(), data[b*pairBytes+i*polyBytes:], ct.Value[i]); err != nil {
				return Vector{}, err
			}
		}
		v.blocks[b] = ct
	}
	return v, nil
}

func newCiphertext(params ckks.Parameters) *rlwe.Ciphertext {
	ct := ckks.NewCiphertext(params, 1, params.MaxLevel())
	ct.IsBatched = false // coefficients, not slots
	return ct
}

// Sealed is what a party lets the arbiter decrypt: of each ciphertext the second element, and of the first only the
// coefficients that hold results.
type Sealed struct{ parts []part }

type part struct {
	second ring.Poly  // in the number-theoretic domain
	first  []*big.Int // coefficients 0, Block, 2·Block, … modulo Q
}

// Encode renders s for ParseSealed.
func (s Sealed) Encode() []byte {
	var out []byte
	for _, p := range s.parts {
		out = appendPoly(out, p.second)
		out = appendValues(out, p.first)
	}
	return out
}

// SealedSize is the length in bytes of the inner products with that many columns.
func SealedSize(l Layout, columns int) int { return l.Products(columns)*polyBytes + columns*valueBytes }

// ParseDot reads what Party.Dot sealed. Errors: CodeInvalid.
func ParseDot(data []byte) (Sealed, error) { return ParseSealed(data, Layout{ringDegree}, 1) }

// VectorSize is the length in bytes of a vector of that many blocks.
func VectorSize(blocks int) int { return blocks * pairBytes }

// ParseSealed reads the inner products with that many columns. Errors: CodeInvalid.
func ParseSealed(data []byte, l Layout, columns int) (Sealed, error) {
	params, err := parameters()
	if err != nil {
		return Sealed{}, err
	}
	products := l.Products(columns)
	if err := checkSize("sealed products", data, SealedSize(l, columns)); err != nil {
		return Sealed{}, err
	}
	s := Sealed{parts: make([]part, products)}
	for i := range s.parts {
		s.parts[i].second = params.RingQ().NewPoly()
		if err := readPoly(params.RingQ(), data, s.parts[i].second); err != nil {
			return Sealed{}, err
		}
		data = data[polyBytes:]
		n := l.columnsIn(i, columns)
		if s.parts[i].first, err = readValues(params.QBigInt(), data[:n*valueBytes]); err != nil {
			return Sealed{}, err
		}
		data = data[n*valueBytes:]
	}
	return s, nil
}

// Answer is the arbiter's decryption of a Sealed: one number modulo Q for each column.
type Answer []*big.Int

// Encode renders a for ParseAnswer.
func (a Answer) Encode() []byte { return appendValues(nil, a) }

// ParseAnswer reads an answer for that many columns. Errors: CodeInvalid.
func ParseAnswer(data []byte, columns int) (Answer, error) {
	params, err := parameters()
	if err != nil {
		return nil, err
	}
	if err := checkSize("answer", data, columns*valueBytes); err != nil {
		return nil, err
	}
	return readValues(params.QBigInt(), data)
}

func appendValues(dst []byte, values []*big.Int) []byte {
	for _, v := range values {
		var b [valueBytes]byte
		dst = append(dst, v.FillBytes(b[:])...)
	}
	return dst
}

func readValues(q *big.Int, data []byte) ([]*big.Int, error) {
	values := make([]*big.Int, len(data)/valueBytes)
	for i := range values {
		values[i] = new(big.Int).SetBytes(data[i*valueBytes : (i+1)*valueBytes])
		if values[i].Cmp(q) >= 0 {
			return nil, openflow.Errorf(openflow.CodeInvalid, "a number is not below the modulus of the scheme")
		}
	}
	return values, nil
}
