package blind

import "filippo.io/nistec"

// HashToCurve opens the hash with a domain of the test's choice, because RFC 9380 prints vectors for its own.
func HashToCurve(msg, dst string) (*nistec.P256Point, error) {
	return hashToCurve([]byte(msg), []byte(dst))
}

// Product multiplies two big-endian numbers modulo p the way the package does.
func Product(a, b [48]byte) (out [32]byte) {
	x, y := fromWide(a[:]), fromWide(b[:])
	z := mul(&x, &y)
	putBytes(out[:], &z)
	return out
}

// Inverse returns 1/a modulo p.
func Inverse(a [48]byte) (out [32]byte) {
	x := fromWide(a[:])
	z := invert(&x)
	putBytes(out[:], &z)
	return out
}
