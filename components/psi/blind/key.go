package blind

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"filippo.io/nistec"

	"openflow"
)

// PointSize is the length of a blinded identifier in bytes: a compressed point.
const PointSize = 33

// Point is an identifier blinded once: the compressed encoding of scalar·H(identifier).
type Point [PointSize]byte

// TagSize is the length of a Tag in bytes. With 2^20 identifiers a side two different ones collide with probability
// 2^−88.
const TagSize = 16

// Tag is cut from a hash of an identifier that both parties have blinded. Equal identifiers have equal tags; a tag
// cannot be unblinded again, not even by one of the two key holders.
type Tag [TagSize]byte

// Key is one party's secret scalar. It is drawn for one run and never leaves the process.
type Key struct{ scalar [32]byte }

// order is the number of points of the curve, big-endian words.
var order = [4]uint64{0xffffffff00000000, 0xffffffffffffffff, 0xbce6faada7179e84, 0xf3b9cac2fc632551}

// NewKey draws a scalar, uniform in 1…order−1, from the operating system's generator.
func NewKey() (Key, error) { return keyFrom(rand.Reader) }

func keyFrom(random io.Reader) (Key, error) {
	var k Key
	for {
		if _, err := io.ReadFull(random, k.scalar[:]); err != nil {
			return Key{}, openflow.Errorf(openflow.CodeInternal, "no randomness for the blinding key: %w", err)
		}
		if k.scalar != [32]byte{} && belowOrder(k.scalar) {
			return k, nil
		}
	}
}

func belowOrder(b [32]byte) bool {
	for i, want := range order {
		if w := binary.BigEndian.Uint64(b[8*i:]); w != want {
			return w < want
		}
	}
	return false
}

// Blind returns scalar·H(id). The bytes of id are taken as they are: no trimming, no folding.
func (k Key) Blind(id string) (Point, error) {
	h, err := hashToCurve([]byte(id), []byte(domain))
	if err != nil {
		return Point{}, openflow.Errorf(openflow.CodeInternal, "hash to curve: %w", err)
	}
	return k.raise(h)
}

// Raise blinds a point of the other party: scalar·p. Errors: CodeInvalid when p is no point of the curve, which an honest
// party never sends.
func (k Key) Raise(p Point) (Point, error) {
	q, err := decode(p)
	if err != nil {
		return Point{}, err
	}
	return k.raise(q)
}

func (k Key) raise(q *nistec.P256Point) (Point, error) {
	if _, err := q.ScalarMult(q, k.scalar[:]); err != nil {
		return Point{}, openflow.Errorf(openflow.CodeInternal, "blind a point: %w", err)
	}
	return encode(q)
}

// Tag is what two blinded identifiers are compared by.
func (p Point) Tag() Tag {
	sum := sha256.Sum256(p[:])
	return Tag(sum[:TagSize])
}

// Count is what two blinded identifiers are counted by. Who knows it cannot tell the Tag, and the other way round.
func (p Point) Count() Tag {
	sum := sha256.Sum256(append([]byte("count"), p[:]...))
	return Tag(sum[:TagSize])
}

func decode(p Point) (*nistec.P256Point, error) {
	q, err := nistec.NewP256Point().SetBytes(p[:])
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a blinded id is not a point of P-256: %w", err)
	}
	return q, nil
}

// encode refuses the point at infinity, whose encoding is one byte: no identifier hashes to it but by a chance of
// 2^−256, and a party that sends it wants every product to be equal.
func encode(p *nistec.P256Point) (Point, error) {
	b := p.BytesCompressed()
	if len(b) != PointSize {
		return Point{}, openflow.Errorf(openflow.CodeInvalid, "a blinded id is the point at infinity")
	}
	return Point(b), nil
}
