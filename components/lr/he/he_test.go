package he_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/components/lr/he"
	"openflow/tests/fuzzing"
)

func newParties(t testing.TB) (*he.Authority, *he.Party) {
	t.Helper()
	a, err := he.NewAuthority(nil)
	require.NoError(t, err)
	p, err := he.NewParty(a.PublicKey(), nil)
	require.NoError(t, err)
	return a, p
}

func normal(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// multiply plays one gradient: encrypt, travel, multiply, travel, decrypt, travel, open.
func multiply(t testing.TB, a *he.Authority, p *he.Party, columns [][]float64, v []float64, l he.Layout) []float64 {
	t.Helper()
	rows := len(v)
	enc, err := p.Encrypt(v, l)
	require.NoError(t, err)
	enc, err = he.ParseVector(enc.Encode(), l.Blocks(rows))
	require.NoError(t, err)
	cols, err := p.Encode(columns, l, 23)
	require.NoError(t, err)
	sealed, mask, err := p.Multiply(cols, enc)
	require.NoError(t, err)
	sealed, err = he.ParseSealed(sealed.Encode(), l, len(columns))
	require.NoError(t, err)
	answer, err := a.Decrypt(sealed, he.Query{Layout: l, Rows: rows, Columns: len(columns), Summed: 1, Precision: 23})
	require.NoError(t, err)
	answer, err = he.ParseAnswer(answer.Encode(), len(columns))
	require.NoError(t, err)
	got, err := mask.Open(answer)
	require.NoError(t, err)
	return got
}

func TestInnerProducts(t *testing.T) {
	tests := map[string]struct {
		rows, columns int
		block         int // 0: chosen
	}{
		"one row":                {rows: 1, columns: 3},
		"fewer rows than block":  {rows: 50, columns: 2, block: 64},
		"a full block":           {rows: 8192, columns: 2, block: 8192},
		"one row over":           {rows: 8193, columns: 1, block: 8192},
		"several products":       {rows: 569, columns: 20},
		"more columns than room": {rows: 70, columns: 30, block: 2048},
		"the demo's size":        {rows: 7900, columns: 11},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a, p := newParties(t)
			r := rand.New(rand.NewPCG(1, 2))
			columns := make([][]float64, tc.columns)
			for j := range columns {
				columns[j] = normal(r, tc.rows)
			}
			v := normal(r, tc.rows)
			l := he.Layout{Block: tc.block}
			if tc.block == 0 {
				l = he.NewLayout(tc.rows, []int{tc.columns})
			}
			require.True(t, l.Valid())
			got := multiply(t, a, p, columns, v, l)
			// The flooding is uniform, at most 2.5e-6·√entries wide for columns in −1…1 (floodBound); normal columns of
			// these sizes are below 8.
			flood := 8 * 2.5e-6 * math.Sqrt(float64(tc.rows*tc.columns))
			for j := range columns {
				require.InDelta(t, dot(columns[j], v), got[j], 1e-6*float64(tc.rows)+flood+1e-4, "column %d", j)
			}
		})
	}
}

func TestScaleOfAColumnDoesNotMatter(t *testing.T) {
	a, p := newParties(t)
	v := []float64{1, -2, 3, 4}
	got := multiply(t, a, p, [][]float64{{5e7, 1e7, 0, 2}, {0, 0, 0, 0}, {1e-7, 0, 0, 0}}, v, he.Layout{Block: 64})
	require.InEpsilon(t, 3e7, got[0], 1e-4)
	require.Zero(t, math.Round(got[1]))
	require.InEpsilon(t, 1e-7, got[2], 1e-3)
}

func TestAddedVectors(t *testing.T) {
	a, p := newParties(t)
	l := he.Layout{Block: 64}
	x, err := p.Encrypt([]float64{1, 2, 3}, l)
	require.NoError(t, err)
	y, err := p.Encrypt([]float64{10, 20, 30}, l)
	require.NoError(t, err)
	sum, err := p.Add(x, y)
	require.NoError(t, err)
	cols, err := p.Encode([][]float64{{1, 1, 1}, {0, 1, 0}}, l, 23)
	require.NoError(t, err)
	sealed, mask, err := p.Multiply(cols, sum)
	require.NoError(t, err)
	answer, err := a.Decrypt(sealed, he.Query{Layout: l, Rows: 3, Columns: 2, Summed: 2, Precision: 23})
	require.NoError(t, err)
	got, err := mask.Open(answer)
	require.NoError(t, err)
	require.InDelta(t, 66, got[0], 1e-3)
	require.InDelta(t, 22, got[1], 1e-3)

	long, err := p.Encrypt(make([]float64, 65), l)
	require.NoError(t, err)
	_, err = p.Add(x, long)
	require.Error(t, err)
	_, _, err = p.Multiply(cols, long)
	require.Error(t, err)
}

func TestDot(t *testing.T) {
	a, p := newParties(t)
	r := rand.New(rand.NewPCG(3, 4))
	const rows = 5000
	v, w := normal(r, rows), normal(r, rows)
	l := he.NewLayout(rows, []int{10, 10})
	enc, err := p.Encrypt(v, l)
	require.NoError(t, err)
	sum, err := p.EncryptSum(-17.5)
	require.NoError(t, err)
	sealed, err := p.Dot(w, enc, sum, 1234.25, l)
	require.NoError(t, err)
	sealed, err = he.ParseDot(sealed.Encode())
	require.NoError(t, err)
	got, err := a.DecryptDot(sealed, rows)
	require.NoError(t, err)
	require.InDelta(t, dot(v, w)-17.5+1234.25, got, 0.01, "0.01 of a sum over %d rows", rows)
}

// The arbiter's view of one and the same product must be unrelated from run to run, and uniform modulo Q in size.
func TestTheAuthoritySeesMaskedProducts(t *testing.T) {
	a, p := newParties(t)
	l := he.Layout{Block: 64}
	v, err := p.Encrypt([]float64{1, 2, 3}, l)
	require.NoError(t, err)
	cols, err := p.Encode([][]float64{{1, 1, 1}}, l, 23)
	require.NoError(t, err)
	query := he.Query{Layout: l, Rows: 3, Columns: 1, Summed: 1, Precision: 23}
	see := func() (he.Answer, []byte, float64) {
		sealed, mask, err := p.Multiply(cols, v)
		require.NoError(t, err)
		answer, err := a.Decrypt(sealed, query)
		require.NoError(t, err)
		value, err := mask.Open(answer)
		require.NoError(t, err)
		return answer, sealed.Encode(), value[0]
	}
	const runs = 16
	large := 0
	var before []byte
	for range runs {
		answer, wire, value := see()
		require.InDelta(t, 6, value, 1e-3)
		require.NotEqual(t, before, wire)
		before = wire
		// The unmasked product is 6·2^153; a uniform number below 2^180 is smaller than 2^170 once in a thousand times.
		if answer[0].BitLen() > 170 {
			large++
		}
	}
	require.GreaterOrEqual(t, large, runs-3)
}

// The same sealed product decrypts to another number every time: the noise of the authority.
func TestTheAuthorityFloodsWhatItDecrypts(t *testing.T) {
	a, p := newParties(t)
	l := he.Layout{Block: 64}
	v, err := p.Encrypt([]float64{1, 2, 3}, l)
	require.NoError(t, err)
	cols, err := p.Encode([][]float64{{1, 1, 1}}, l, 23)
	require.NoError(t, err)
	sealed, _, err := p.Multiply(cols, v)
	require.NoError(t, err)
	query := he.Query{Layout: l, Rows: 3, Columns: 1, Summed: 1, Precision: 23}
	widest := 0
	first, err := a.Decrypt(sealed, query)
	require.NoError(t, err)
	for range 8 {
		again, err := a.Decrypt(sealed, query)
		require.NoError(t, err)
		again[0].Sub(again[0], first[0])
		widest = max(widest, again[0].BitLen())
	}
	// The noise of this product is about 2^(8+23+1); the flood must lie 100 bits above it.
	require.Greater(t, widest, 32+100)
	require.Less(t, widest, 153, "and below the value's own scale")
}

func TestLayoutNeverWastesMoreThanTheFullBlock(t *testing.T) {
	for _, rows := range []int{1, 63, 64, 300, 569, 8000, 8192, 8193, 100_000} {
		l := he.NewLayout(rows, []int{11, 10})
		require.True(t, l.Valid(), "%d rows", rows)
		require.LessOrEqual(t, l.Blocks(rows)*l.Block, rows+l.Block)
	}
}

func FuzzParseSealed(f *testing.F) {
	a, p := newParties(f)
	he.Unbounded(a)
	l := he.Layout{Block: 4096}
	v, err := p.Encrypt([]float64{1}, l)
	require.NoError(f, err)
	cols, err := p.Encode([][]float64{{1}, {2}, {3}}, l, 23)
	require.NoError(f, err)
	sealed, _, err := p.Multiply(cols, v)
	require.NoError(f, err)
	f.Add(sealed.Encode(), 3)
	f.Add([]byte{}, 0)
	fuzzing.Within(f, func(t *testing.T, data []byte, columns int) {
		if columns < 0 || columns > 64 {
			return
		}
		s, err := he.ParseSealed(data, l, columns)
		if err != nil {
			return
		}
		_, err = a.Decrypt(s, he.Query{Layout: l, Rows: 1, Columns: columns, Summed: 1, Precision: 23})
		require.NoError(t, err)
		require.Equal(t, data, append([]byte{}, s.Encode()...))
	})
}

func FuzzParseVector(f *testing.F) {
	_, p := newParties(f)
	v, err := p.Encrypt([]float64{1}, he.Layout{Block: 64})
	require.NoError(f, err)
	f.Add(v.Encode(), 1)
	f.Add([]byte{1}, 1)
	fuzzing.Within(f, func(t *testing.T, data []byte, blocks int) {
		if blocks < 0 || blocks > 8 {
			return
		}
		if v, err := he.ParseVector(data, blocks); err == nil {
			require.Equal(t, data, append([]byte{}, v.Encode()...))
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(make([]byte, 24), 1)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1)
	fuzzing.Within(f, func(t *testing.T, data []byte, columns int) {
		if columns < 0 || columns > 64 {
			return
		}
		if a, err := he.ParseAnswer(data, columns); err == nil {
			require.Equal(t, data, append([]byte{}, a.Encode()...))
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 2*3*8192*8))
	e, err := he.NewEncoder(nil) // its tables take a tenth of a second, whatever the key is
	require.NoError(f, err)
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		if p, err := e.Party(data); err == nil {
			_, err = p.EncryptSum(1)
			require.NoError(t, err)
		}
	})
}

func BenchmarkEncrypt8000(b *testing.B) {
	_, p := newParties(b)
	v := normal(rand.New(rand.NewPCG(1, 2)), 8000)
	for b.Loop() {
		_, err := p.Encrypt(v, he.Layout{Block: 4096})
		require.NoError(b, err)
	}
}

func BenchmarkMultiply8000x10(b *testing.B) {
	a, p := newParties(b)
	he.Unbounded(a)
	r := rand.New(rand.NewPCG(1, 2))
	l := he.NewLayout(8000, []int{11, 10})
	b.Logf("layout %+v", l)
	columns := make([][]float64, 10)
	for j := range columns {
		columns[j] = normal(r, 8000)
	}
	v, err := p.Encrypt(normal(r, 8000), l)
	require.NoError(b, err)
	cols, err := p.Encode(columns, l, 23)
	require.NoError(b, err)
	var sealed he.Sealed
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			sealed, _, err = p.Multiply(cols, v)
			require.NoError(b, err)
		}
	})
	b.Run("decrypt", func(b *testing.B) {
		for b.Loop() {
			_, err = a.Decrypt(sealed, he.Query{Layout: l, Rows: 8000, Columns: 10, Summed: 1, Precision: 23})
			require.NoError(b, err)
		}
	})
}
