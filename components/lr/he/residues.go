package he

import (
	"math/big"

	"github.com/tuneinsight/lattigo/v6/ring"
)

// setCoefficient puts v, from 0…Q−1, into coefficient k of p.
func setCoefficient(moduli []uint64, p ring.Poly, k int, v *big.Int) {
	var q, rest big.Int
	for i, m := range moduli {
		p.Coeffs[i][k] = rest.Mod(v, q.SetUint64(m)).Uint64()
	}
}

// addCoefficient adds v, of either sign, to coefficient k of p.
func addCoefficient(moduli []uint64, p ring.Poly, k int, v *big.Int) {
	var q, rest big.Int
	for i, m := range moduli {
		c := rest.Mod(v, q.SetUint64(m)).Uint64() + p.Coeffs[i][k] // both below 2^60
		if c >= m {
			c -= m
		}
		p.Coeffs[i][k] = c
	}
}

// coefficient puts the residues of coefficient k together to a number from 0…Q−1.
func coefficient(moduli []uint64, modulus *big.Int, p ring.Poly, k int) *big.Int {
	sum := new(big.Int)
	var m, rest, weight big.Int
	for i, q := range moduli {
		m.SetUint64(q)
		rest.Div(modulus, &m)
		weight.ModInverse(&rest, &m)
		weight.Mul(&weight, new(big.Int).SetUint64(p.Coeffs[i][k]))
		weight.Mod(&weight, &m)
		sum.Add(sum, weight.Mul(&weight, &rest))
	}
	return sum.Mod(sum, modulus)
}

// centre returns the number of smallest absolute value that is v modulo Q.
func centre(v, modulus *big.Int) *big.Int {
	c := new(big.Int).Set(v)
	if new(big.Int).Lsh(v, 1).Cmp(modulus) > 0 {
		c.Sub(c, modulus)
	}
	return c
}
