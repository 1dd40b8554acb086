package blind

import (
	"encoding/binary"
	"math/bits"
)

// element is a number modulo p = 2^256 − 2^224 + 2^192 + 2^96 − 1 in Montgomery form (x·2^256 mod p), little-endian
// limbs, always reduced. All operations take the same time whatever the values are.
type element [4]uint64

// The limbs of p. p ≡ −1 modulo 2^64, so Montgomery's factor −1/p mod 2^64 is 1.
const (
	p0 = 0xffffffffffffffff
	p1 = 0x00000000ffffffff
	p2 = 0x0000000000000000
	p3 = 0xffffffff00000001
)

// montgomeryR2 and montgomeryR3 are 2^512 and 2^768 modulo p: they carry plain numbers into Montgomery form.
var (
	montgomeryR2 = element{0x0000000000000003, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x00000004fffffffd}
	montgomeryR3 = mul(&montgomeryR2, &montgomeryR2)
	one          = small(1)
)

// small returns v in Montgomery form.
func small(v uint64) element { return mul(&element{v}, &montgomeryR2) }

// reduceOnce subtracts p from the 257-bit number carry·2^256 + t when that is not negative.
func reduceOnce(t *element, carry uint64) element {
	var r element
	var b uint64
	r[0], b = bits.Sub64(t[0], p0, 0)
	r[1], b = bits.Sub64(t[1], p1, b)
	r[2], b = bits.Sub64(t[2], p2, b)
	r[3], b = bits.Sub64(t[3], p3, b)
	_, b = bits.Sub64(carry, 0, b)
	return choose(t, &r, b)
}

// choose returns a when bit is 1 and b when it is 0.
func choose(a, b *element, bit uint64) element {
	m := -bit
	return element{
		b[0] ^ m&(a[0]^b[0]), b[1] ^ m&(a[1]^b[1]), b[2] ^ m&(a[2]^b[2]), b[3] ^ m&(a[3]^b[3]),
	}
}

func add(a, b *element) element {
	var r element
	var c uint64
	r[0], c = bits.Add64(a[0], b[0], 0)
	r[1], c = bits.Add64(a[1], b[1], c)
	r[2], c = bits.Add64(a[2], b[2], c)
	r[3], c = bits.Add64(a[3], b[3], c)
	return reduceOnce(&r, c)
}

func negate(a *element) element {
	var r element
	var b uint64
	r[0], b = bits.Sub64(p0, a[0], 0)
	r[1], b = bits.Sub64(p1, a[1], b)
	r[2], b = bits.Sub64(p2, a[2], b)
	r[3], _ = bits.Sub64(p3, a[3], b)
	return reduceOnce(&r, 0)
}

// mul returns a·b/2^256 mod p. One factor may be any 256-bit number as long as the other is below p.
func mul(a, b *element) element {
	t0, t1, t2, t3, top := row(0, 0, 0, 0, 0, a[0], b)
	t0, t1, t2, t3, top = row(t0, t1, t2, t3, top, a[1], b)
	t0, t1, t2, t3, top = row(t0, t1, t2, t3, top, a[2], b)
	t0, t1, t2, t3, top = row(t0, t1, t2, t3, top, a[3], b)
	return reduceOnce(&element{t0, t1, t2, t3}, top)
}

// row returns (t + top·2^256 + a·b + m·p)/2^64 with the m that makes the division exact. Its numbers stay in registers,
// which an array would not.
func row(t0, t1, t2, t3, top, a uint64, b *element) (r0, r1, r2, r3, over uint64) {
	h0, l0 := bits.Mul64(a, b[0])
	h1, l1 := bits.Mul64(a, b[1])
	h2, l2 := bits.Mul64(a, b[2])
	h3, l3 := bits.Mul64(a, b[3])
	var c uint64
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	l0, c = bits.Add64(l0, t0, 0)
	l1, c = bits.Add64(l1, t1, c)
	l2, c = bits.Add64(l2, t2, c)
	l3, c = bits.Add64(l3, t3, c)
	h3, over = bits.Add64(h3, top, c)

	// With m = l0, the two low limbs of m·p and l0 make l0 + m·p0 + m·p1·2^64 = m·2^96 exactly.
	m3hi, m3lo := bits.Mul64(l0, p3)
	r0, c = bits.Add64(l1, l0<<32, 0)
	r1, c = bits.Add64(l2, l0>>32, c)
	r2, c = bits.Add64(l3, m3lo, c)
	r3, c = bits.Add64(h3, m3hi, c)
	return r0, r1, r2, r3, over + c
}

func square(a *element) element { return mul(a, a) }

// squareTimes returns a^(2^n).
func squareTimes(a element, n int) element {
	for range n {
		a = square(&a)
	}
	return a
}

// power returns a^((p−3)/4), from which square roots and inverses follow. The exponent is, from the top bit, 32 ones,
// 31 zeros, a one, 96 zeros, 94 ones.
func power(a *element) element {
	// runN is a^(2^N − 1): N ones.
	step := func(run element, n int, low *element) element {
		s := squareTimes(run, n)
		return mul(&s, low)
	}
	run2 := step(*a, 1, a)
	run4 := step(run2, 2, &run2)
	run8 := step(run4, 4, &run4)
	run16 := step(run8, 8, &run8)
	run24 := step(run16, 8, &run8)
	run28 := step(run24, 4, &run4)
	run30 := step(run28, 2, &run2)
	run32 := step(run16, 16, &run16)

	x := step(run32, 32, a)
	x = step(x, 96+32, &run32)
	x = step(x, 32, &run32)
	return step(x, 30, &run30)
}

// invert returns 1/a, and 0 for 0: p−2 = 4·(p−3)/4 + 1.
func invert(a *element) element {
	x := squareTimes(power(a), 2)
	return mul(&x, a)
}

// isZero returns 1 when a is 0, else 0.
func isZero(a *element) uint64 {
	v := a[0] | a[1] | a[2] | a[3]
	return 1 ^ ((v | -v) >> 63)
}

// equal returns 1 when a and b are the same number, else 0.
func equal(a, b *element) uint64 {
	d := element{a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2], a[3] ^ b[3]}
	return isZero(&d)
}

// plain returns a out of Montgomery form.
func plain(a *element) element { return mul(a, &element{1}) }

// parity returns the lowest bit of the number a, the sign of RFC 9380 §4.1.
func parity(a *element) uint64 {
	n := plain(a)
	return n[0] & 1
}

// putBytes writes a as 32 big-endian bytes.
func putBytes(dst []byte, a *element) {
	n := plain(a)
	for i := range 4 {
		binary.BigEndian.PutUint64(dst[8*i:], n[3-i])
	}
}

// fromWide reduces 48 big-endian bytes modulo p.
func fromWide(b []byte) element {
	var hi, lo element
	hi[1], hi[0] = binary.BigEndian.Uint64(b[0:]), binary.BigEndian.Uint64(b[8:])
	for i := range 4 {
		lo[3-i] = binary.BigEndian.Uint64(b[16+8*i:])
	}
	hi, lo = mul(&hi, &montgomeryR3), mul(&lo, &montgomeryR2)
	return add(&hi, &lo)
}
