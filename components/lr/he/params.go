package he

import (
	"math"
	"math/big"
	"slices"
	"sync"

	"github.com/tuneinsight/lattigo/v6/ring"
	"github.com/tuneinsight/lattigo/v6/schemes/ckks"

	"openflow"
)

// Ring parameters: ternary secret, error 3.2, log Q = 180 at N = 8192. The Homomorphic Encryption Standard allows 218
// bits there for 128-bit security; the rest of it pays for keyBits. What fixes Q from below is the budget
//
//	1 (sign) + log₂(rows · |value|) + vectorBits + precision ≤ 179.
const (
	logN       = 13
	limbs      = 3
	logLimb    = 60
	ringDegree = 1 << logN
)

const (
	// vectorBits is the scale of encrypted vectors: a value v is the integer v·2^130. It is high so that flooding by
	// floodBits more than the noise of a product still ends below 2^−12 of a unit in the sum.
	vectorBits = 130

	// MaxPrecision is the greatest number of fractional bits of an encoded column.
	MaxPrecision = 26

	// DotPrecision is the precision of the columns that Dot encodes.
	DotPrecision = 16

	// floodBits is λ: a decrypted value is within statistical distance 2^−(λ+1) of one that does not depend on the
	// noise of its ciphertext.
	floodBits = 100

	// keyBits is what the answers under one key may tell of it, in bits, to somebody who crafts what he asks to open. An
	// answer tells log₂(Q/2·flooding) bits at most, so 2,200 bits are no more than 1,388 of the key's 8,192 ternary
	// coefficients. For the 6,804 that remain the Standard's ratio of 218 bits to 8,192 still allows 181.
	keyBits = 2200

	// tail bounds the noise of a ciphertext in standard deviations; beyond it lie 10^−15.
	tail = 8
)

// parameters is the one parameter set; making it searches primes, so it is made once.
var parameters = sync.OnceValues(func() (ckks.Parameters, error) {
	p, err := ckks.NewParametersFromLiteral(ckks.ParametersLiteral{
		LogN: logN, LogQ: slices.Repeat([]int{logLimb}, limbs), LogDefaultScale: logLimb,
		Xs: ring.Ternary{P: 2.0 / 3}, Xe: ring.DiscreteGaussian{Sigma: 3.2, Bound: 19.2},
	})
	if err != nil {
		return ckks.Parameters{}, openflow.Errorf(openflow.CodeInternal, "CKKS parameters: %w", err)
	}
	return p, nil
})

// freshNoise is the standard deviation of the noise of a public-key encryption, u·e + e0 + e1·s with ternary u and s.
var freshNoise = 3.2 * math.Sqrt(4.0/3*ringDegree+1)

// floodBound is the half-width of the uniform noise that hides the noise of a sum of products of `summed` fresh
// ciphertexts with columns of `entries` integers up to 2^precision.
func floodBound(summed, entries, precision int) *big.Int {
	noise := tail * freshNoise * (math.Sqrt(float64(summed)*float64(entries))*math.Ldexp(1, precision) + 1)
	return fixed(noise, floodBits)
}

// tells is how many bits of the key an answer tells at most that is flooded by bound.
func tells(bound *big.Int) int { return limbs*logLimb - bound.BitLen() }

// ColumnsPerKey is how many columns of each party one key may open, when that many parties ask and one of them also has a
// loss opened; at least one.
func ColumnsPerKey(parties, precision int) int {
	values := (keyBits - tells(floodBound(2, 1, DotPrecision))) / tells(floodBound(1, 1, precision))
	return max(1, values/parties)
}

// fixed returns x·2^bits, rounded to the nearest integer.
func fixed(x float64, bits int) *big.Int {
	f := new(big.Float).SetPrec(256).SetFloat64(x)
	f.SetMantExp(f, bits)
	f.Add(f, new(big.Float).SetFloat64(math.Copysign(0.5, x)))
	n, _ := f.Int(nil)
	return n
}

// float returns n/2^bits.
func float(n *big.Int, bits int) float64 {
	f := new(big.Float).SetInt(n)
	v, _ := f.SetMantExp(f, -bits).Float64()
	return v
}

// Limit is the greatest absolute value that an entry of an encrypted vector of that many rows may have, so that no inner
// product wraps around modulo Q when vectors of `summed` parties are added.
func Limit(rows, summed, precision int) float64 {
	return math.Ldexp(1, limbs*logLimb-2-vectorBits-precision) / float64(rows) / float64(summed)
}
