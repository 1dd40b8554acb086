package he

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// attacker asks the authority to open what no honest party sends: a second element that is a sum of chosen powers of X.
// So every answer is a number whose digits, to base 3, are coefficients of the secret key.
type attacker struct {
	t      *testing.T
	p      *Party
	query  Query
	weight *big.Int // of a digit, above the flooding
	digits int      // in one answer
	key    []int64
}

func newAttacker(t *testing.T, a *Authority, columns int) *attacker {
	p, err := NewParty(a.PublicKey(), nil)
	require.NoError(t, err)
	q := Query{Layout: Layout{64}, Rows: 640, Columns: columns, Summed: 1, Precision: 23}
	bound := floodBound(q.Summed, q.Layout.entries(q.Rows, q.Columns), q.Precision)
	c := &attacker{t: t, p: p, query: q, weight: new(big.Int).Lsh(new(big.Int).Add(bound, big.NewInt(1)), 1), key: make([]int64, ringDegree)}
	c.digits = int(float64(new(big.Int).Div(p.params.QBigInt(), c.weight).BitLen()-1) / math.Log2(3))
	return c
}

// ask has the digits of the key read that lie `from` behind each block's first. It returns how many became known.
func (c *attacker) ask(a *Authority, from int) (int, error) {
	r := c.p.params.RingQ()
	second := r.NewPoly()
	digit := new(big.Int).Set(c.weight)
	for i := range c.digits {
		// X^−e is −X^(N−e): it brings coefficient k+e of the key to place k.
		e := from + i
		if e == 0 {
			setCoefficient(r.ModuliChain(), second, 0, digit)
		} else {
			setCoefficient(r.ModuliChain(), second, ringDegree-e, new(big.Int).Sub(c.p.params.QBigInt(), digit))
		}
		digit = new(big.Int).Mul(digit, big.NewInt(3))
	}
	r.NTT(second, second)
	first := make([]*big.Int, c.query.Columns)
	for j := range first {
		first[j] = new(big.Int)
	}
	sealed, err := ParseSealed(Sealed{parts: []part{{second: second, first: first}}}.Encode(), c.query.Layout, c.query.Columns)
	require.NoError(c.t, err)
	answer, err := a.Decrypt(sealed, c.query)
	if err != nil {
		return 0, err
	}
	known := 0
	for j, v := range answer {
		n := centre(v, c.p.params.QBigInt())
		for i := range c.digits {
			// The digits −1, 0, 1 of what is left, from the greatest weight down.
			w := new(big.Int).Mul(c.weight, new(big.Int).Exp(big.NewInt(3), big.NewInt(int64(c.digits-1-i)), nil))
			twice := new(big.Int).Lsh(n, 1)
			s := int64(0)
			if twice.CmpAbs(w) > 0 {
				s = int64(n.Sign())
			}
			n.Sub(n, new(big.Int).Mul(w, big.NewInt(s)))
			if place := j*c.query.Layout.Block + from + c.digits - 1 - i; place < ringDegree {
				c.key[place] = s
				known++
			}
		}
	}
	return known, nil
}

// opens decrypts the first coefficient of v with the key that the attacker has read.
func (c *attacker) opens(v Vector) float64 {
	r := c.p.params.RingQ()
	s := r.NewPoly()
	for k, x := range c.key {
		addCoefficient(r.ModuliChain(), s, k, new(big.Int).Mod(big.NewInt(x), c.p.params.QBigInt()))
	}
	r.NTT(s, s)
	r.MForm(s, s)
	sum := *v.blocks[0].Value[0].CopyNew()
	r.MulCoeffsMontgomeryThenAdd(v.blocks[0].Value[1], s, sum)
	r.INTT(sum, sum)
	return float(centre(coefficient(r.ModuliChain(), c.p.params.QBigInt(), sum, 0), c.p.params.QBigInt()), vectorBits)
}

// An authority that opens whatever it is asked gives its key away in three messages. One that counts does not.
func TestCraftedMessagesDoNotGiveTheKey(t *testing.T) {
	secretOf := func(a *Authority) Vector {
		p, err := NewParty(a.PublicKey(), nil)
		require.NoError(t, err)
		v, err := p.Encrypt([]float64{42.5}, Layout{64})
		require.NoError(t, err)
		return v
	}

	lax, err := NewAuthority(nil)
	require.NoError(t, err)
	Unbounded(lax)
	c := newAttacker(t, lax, ringDegree/64)
	messages := 0
	for from := 0; from < 64; from += c.digits {
		_, err := c.ask(lax, from)
		require.NoError(t, err)
		messages++
	}
	require.Equal(t, 3, messages)
	require.InDelta(t, 42.5, c.opens(secretOf(lax)), 1e-9, "without the count the attack reads what others encrypt")

	strict, err := NewAuthority(nil)
	require.NoError(t, err)
	_, err = newAttacker(t, strict, ringDegree/64).ask(strict, 0)
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err), "128 values under one key: %v", err)

	// Asked for little at a time, it stops while what is known of the key is within the bound.
	c = newAttacker(t, strict, 1)
	learned := 0
	for from := 0; ; from += c.digits {
		known, err := c.ask(strict, from)
		if err != nil {
			require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err))
			break
		}
		learned += known
	}
	require.Positive(t, learned)
	require.LessOrEqual(t, float64(learned)*math.Log2(3), float64(keyBits))
	require.Less(t, math.Abs(c.opens(secretOf(strict))), math.Inf(1))
	require.Greater(t, math.Abs(c.opens(secretOf(strict))-42.5), 1e6, "a key that is known in part opens nothing")
}

// What honest parties ask in one round fits, whatever the precision and however many they are.
func TestARoundFitsTheKey(t *testing.T) {
	for _, parties := range []int{2, 3, 5, 10, 20} {
		for precision := 1; precision <= MaxPrecision; precision++ {
			a, err := NewAuthority(nil)
			require.NoError(t, err)
			columns := ColumnsPerKey(parties, precision)
			require.NoError(t, a.tell(1, floodBound(2, 1, DotPrecision)))
			for range parties {
				require.NoError(t, a.tell(columns, floodBound(1, Layout{64}.entries(1, columns), precision)))
			}
			if parties == 20 {
				break // one precision of the least columns is enough
			}
		}
	}
	require.GreaterOrEqual(t, ColumnsPerKey(2, 23), 21, "20 columns and an intercept take one key")
}
