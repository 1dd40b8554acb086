package blind

import (
	"crypto/sha256"

	"filippo.io/nistec"
)

// domain separates our hashes from those of every other protocol that hashes to this curve.
//
// Spec: RFC 9380 §3.1.
const domain = "OPENFLOW-PSI-V1-with-P256_XMD:SHA-256_SSWU_RO_"

// The curve is y² = x³ + ax + b; z is the suite's non-square constant −10.
//
// Spec: RFC 9380 §8.2.
var (
	curveA = minus(3)
	curveB = fromWide([]byte{
		15: 0, 16: 0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
		0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
	})
	sswuZ     = minus(10)
	rootOfTen = squareRoot(10) // √−z
)

func minus(v uint64) element {
	e := small(v)
	return negate(&e)
}

// squareRoot returns a root of the square v: v^((p+1)/4) = v·v^((p−3)/4).
func squareRoot(v uint64) element {
	e := small(v)
	r := power(&e)
	return mul(&r, &e)
}

// hashToCurve maps msg to a point that is indistinguishable from a random one.
//
// Spec: RFC 9380 §3, hash_to_curve.
func hashToCurve(msg, dst []byte) (*nistec.P256Point, error) {
	wide := expand(msg, dst)
	u0, u1 := fromWide(wide[:48]), fromWide(wide[48:])
	x0, d0, y0 := mapToCurve(&u0)
	x1, d1, y1 := mapToCurve(&u1)

	// One inversion serves both denominators, which mapToCurve never lets be zero.
	both := mul(&d0, &d1)
	inv := invert(&both)
	i0, i1 := mul(&inv, &d1), mul(&inv, &d0)
	x0, x1 = mul(&x0, &i0), mul(&x1, &i1)

	a, err := point(&x0, &y0)
	if err != nil {
		return nil, err
	}
	b, err := point(&x1, &y1)
	if err != nil {
		return nil, err
	}
	return a.Add(a, b), nil
}

func point(x, y *element) (*nistec.P256Point, error) {
	var enc [65]byte
	enc[0] = 4 // uncompressed
	putBytes(enc[1:33], x)
	putBytes(enc[33:], y)
	return nistec.NewP256Point().SetBytes(enc[:])
}

// expand stretches msg to 96 uniform bytes.
//
// Spec: RFC 9380 §5.3.1, expand_message_xmd with SHA-256.
func expand(msg, dst []byte) [96]byte {
	suffix := append(append(make([]byte, 0, len(dst)+1), dst...), byte(len(dst)))
	h := sha256.New()
	h.Write(make([]byte, sha256.BlockSize))
	h.Write(msg)
	h.Write([]byte{0, 96, 0})
	h.Write(suffix)
	b0 := h.Sum(nil)

	var out [96]byte
	block := make([]byte, sha256.Size)
	for i := range 3 {
		for j := range block {
			block[j] ^= b0[j]
		}
		h.Reset()
		h.Write(block)
		h.Write([]byte{byte(i + 1)})
		h.Write(suffix)
		block = h.Sum(block[:0])
		copy(out[32*i:], block)
	}
	return out
}

// mapToCurve maps u to the point (x/d, y) of the curve.
//
// Spec: RFC 9380 appendix F.2, whose variable names it keeps: the straight-line program is checked against that page.
func mapToCurve(u *element) (x, d, y element) {
	tv1 := square(u)
	tv1 = mul(&sswuZ, &tv1)
	tv2 := square(&tv1)
	tv2 = add(&tv2, &tv1)
	tv3 := add(&tv2, &one)
	tv3 = mul(&curveB, &tv3)
	minusTv2 := negate(&tv2)
	tv4 := choose(&sswuZ, &minusTv2, isZero(&tv2))
	tv4 = mul(&curveA, &tv4)
	tv2 = square(&tv3)
	tv6 := square(&tv4)
	tv5 := mul(&curveA, &tv6)
	tv2 = add(&tv2, &tv5)
	tv2 = mul(&tv2, &tv3)
	tv6 = mul(&tv6, &tv4)
	tv5 = mul(&curveB, &tv6)
	tv2 = add(&tv2, &tv5)
	x = mul(&tv1, &tv3)
	isSquare, y1 := rootOfRatio(&tv2, &tv6)
	y = mul(&tv1, u)
	y = mul(&y, &y1)
	x = choose(&tv3, &x, isSquare)
	y = choose(&y1, &y, isSquare)
	minusY := negate(&y)
	y = choose(&minusY, &y, parity(u)^parity(&y))
	return x, tv4, y
}

// rootOfRatio returns 1 and √(u/v) when u/v is a square, else 0 and √(z·u/v).
//
// Spec: RFC 9380 appendix F.2.1.2 (p ≡ 3 mod 4).
func rootOfRatio(u, v *element) (isSquare uint64, root element) {
	tv1 := square(v)
	tv2 := mul(u, v)
	tv1 = mul(&tv1, &tv2)
	y1 := power(&tv1)
	y1 = mul(&y1, &tv2)
	y2 := mul(&y1, &rootOfTen)
	tv3 := square(&y1)
	tv3 = mul(&tv3, v)
	isSquare = equal(&tv3, u)
	return isSquare, choose(&y1, &y2, isSquare)
}
