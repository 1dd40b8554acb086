package he

import (
	"math"
	"math/big"
	"sync"

	"github.com/tuneinsight/lattigo/v6/core/rlwe"
	"github.com/tuneinsight/lattigo/v6/ring"
	"github.com/tuneinsight/lattigo/v6/schemes/ckks"

	"openflow"
)

// Encoder turns columns into polynomials, which serve under every key. Safe for concurrent use.
type Encoder struct {
	params   ckks.Parameters
	encoder  *ckks.Encoder
	parallel Parallel
}

// NewEncoder makes an encoder.
func NewEncoder(parallel Parallel) (*Encoder, error) {
	params, err := parameters()
	if err != nil {
		return nil, err
	}
	return &Encoder{params: params, encoder: ckks.NewEncoder(params), parallel: parallel}, nil
}

// Party computes on vectors that it cannot decrypt. Safe for concurrent use.
type Party struct {
	*Encoder
	encryptors sync.Pool // of *rlwe.Encryptor, which have buffers of their own
}

// NewParty takes the authority's public key. Errors: CodeInvalid.
func NewParty(publicKey []byte, parallel Parallel) (*Party, error) {
	e, err := NewEncoder(parallel)
	if err != nil {
		return nil, err
	}
	return e.Party(publicKey)
}

// Party computes under the authority's public key. Errors: CodeInvalid.
func (e *Encoder) Party(publicKey []byte) (*Party, error) {
	pk, err := readPublicKey(e.params, publicKey)
	if err != nil {
		return nil, err
	}
	p := &Party{Encoder: e}
	p.encryptors.New = func() any { return rlwe.NewEncryptor(e.params, pk) }
	return p, nil
}

// Encrypt encrypts values; none may exceed Limit.
func (p *Party) Encrypt(values []float64, l Layout) (Vector, error) {
	v := Vector{blocks: make([]*rlwe.Ciphertext, l.Blocks(len(values)))}
	err := p.parallel.run(len(v.blocks), func(b int) error {
		rows := values[b*l.Block : min((b+1)*l.Block, len(values))]
		pt, err := p.encode(rows, vectorBits)
		if err != nil {
			return err
		}
		v.blocks[b], err = p.encrypt(pt)
		return err
	})
	return v, err
}

// EncryptSum encrypts one number for Dot.
func (p *Party) EncryptSum(x float64) (Vector, error) {
	pt := p.plaintext()
	setCoefficient(p.params.RingQ().ModuliChain(), pt.Value, 0, p.modQ(fixed(x, vectorBits+DotPrecision)))
	p.params.RingQ().NTT(pt.Value, pt.Value)
	ct, err := p.encrypt(pt)
	return Vector{blocks: []*rlwe.Ciphertext{ct}}, err
}

// Add returns the sum of two vectors of the same length.
func (p *Party) Add(v, w Vector) (Vector, error) {
	if len(v.blocks) != len(w.blocks) {
		return Vector{}, openflow.Errorf(openflow.CodeInvalid, "vectors of %d and %d blocks cannot be added", len(v.blocks), len(w.blocks))
	}
	sum := Vector{blocks: make([]*rlwe.Ciphertext, len(v.blocks))}
	for b := range sum.blocks {
		sum.blocks[b] = newCiphertext(p.params)
		for i := range sum.blocks[b].Value {
			p.params.RingQ().Add(v.blocks[b].Value[i], w.blocks[b].Value[i], sum.blocks[b].Value[i])
		}
	}
	return sum, nil
}

// Columns is plaintext columns of a batch, encoded once and multiplied with a vector in every epoch. It takes 24 bytes a
// value when the layout fits the batch.
type Columns struct {
	layout    Layout
	precision int
	count     int
	scales    []float64     // what a column was divided by, so that its entries are at most 1; 0 for a column of zeros
	products  [][]ring.Poly // [product][block], ready for Montgomery multiplication
}

// Encode prepares columns, all of the same length, as fixed-point numbers with `precision` fractional bits relative to
// the greatest entry of each column.
func (e *Encoder) Encode(columns [][]float64, l Layout, precision int) (*Columns, error) {
	c := &Columns{layout: l, precision: precision, count: len(columns), scales: make([]float64, len(columns))}
	for j, column := range columns {
		c.scales[j] = greatest(column)
	}
	c.products = make([][]ring.Poly, l.Products(len(columns)))
	rows := 0
	if len(columns) > 0 {
		rows = len(columns[0])
	}
	blocks := l.Blocks(rows)
	for g := range c.products {
		c.products[g] = make([]ring.Poly, blocks)
	}
	err := e.parallel.run(len(c.products)*blocks, func(i int) (err error) {
		g, b := i/blocks, i%blocks
		lo, hi := g*l.PerProduct(), g*l.PerProduct()+l.columnsIn(g, len(columns))
		c.products[g][b], err = e.encodeProduct(columns[lo:hi], c.scales[lo:hi], b, l, precision)
		return err
	})
	return c, err
}

// greatest returns the greatest absolute value of column.
func greatest(column []float64) float64 {
	m := 0.0
	for _, x := range column {
		m = max(m, math.Abs(x))
	}
	return m
}

// encodeProduct places block b of column j, mirrored, so that the product with a vector has the inner product in
// coefficient j·Block. Entry i goes to j·Block − i, and X^N = −1 turns the sign of what falls below zero. Columns lie a
// whole block apart, so no other pair of entries meets there.
func (e *Encoder) encodeProduct(columns [][]float64, scales []float64, b int, l Layout, precision int) (ring.Poly, error) {
	coefficients := make([]float64, ringDegree)
	for j, column := range columns {
		if scales[j] == 0 {
			continue // nothing to divide: its inner products are 0
		}
		rows := column[b*l.Block : min((b+1)*l.Block, len(column))]
		for i, x := range rows {
			if k := j*l.Block - i; k >= 0 {
				coefficients[k] = x / scales[j]
			} else {
				coefficients[ringDegree+k] = -x / scales[j]
			}
		}
	}
	pt, err := e.encode(coefficients, precision)
	if err != nil {
		return ring.Poly{}, err
	}
	e.params.RingQ().MForm(pt.Value, pt.Value)
	return pt.Value, nil
}

// Multiply seals the inner products of c's columns with v for the authority, under a mask that only the caller holds.
func (p *Party) Multiply(c *Columns, v Vector) (Sealed, Mask, error) {
	s := Sealed{parts: make([]part, len(c.products))}
	pads := make([][]*big.Int, len(c.products))
	err := p.parallel.run(len(c.products), func(g int) error {
		ct, err := p.product(c.products[g], v)
		if err != nil {
			return err
		}
		moduli := p.params.RingQ().ModuliChain()
		for j := range c.layout.columnsIn(g, c.count) {
			// A pad uniform modulo Q hides result and noise perfectly, whatever their size.
			pad, err := randomBelow(p.params.QBigInt())
			if err != nil {
				return err
			}
			k := j * c.layout.Block
			addCoefficient(moduli, ct.Value[0], k, pad)
			pads[g] = append(pads[g], pad)
			s.parts[g].first = append(s.parts[g].first, coefficient(moduli, p.params.QBigInt(), ct.Value[0], k))
		}
		s.parts[g].second = ct.Value[1]
		return nil
	})
	m := Mask{params: p.params, scales: c.scales, bits: vectorBits + c.precision}
	for _, g := range pads {
		m.pads = append(m.pads, g...)
	}
	return s, m, err
}

// product returns Σ_b factors[b]·v[b] plus a fresh encryption of zero, its first element in coefficients. Without the
// fresh part the second elements of two columns would stand in the ratio of their plaintexts. The arbiter, who gets
// both, would then face an NTRU problem with a wide modulus instead of ring-LWE.
func (p *Party) product(factors []ring.Poly, v Vector) (*rlwe.Ciphertext, error) {
	if len(factors) != len(v.blocks) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a vector of %d blocks meets columns of %d", len(v.blocks), len(factors))
	}
	sum, err := p.encrypt(nil)
	if err != nil {
		return nil, err
	}
	r := p.params.RingQ()
	for b, f := range factors {
		for i := range sum.Value {
			r.MulCoeffsMontgomeryThenAdd(f, v.blocks[b].Value[i], sum.Value[i])
		}
	}
	r.INTT(sum.Value[0], sum.Value[0])
	return sum, nil
}

// Dot seals ⟨values, v⟩ + sum + plain for the authority, which learns the number but not the noise of the ciphertexts.
// sum is an EncryptSum of another party.
func (p *Party) Dot(values []float64, v, sum Vector, plain float64, l Layout) (Sealed, error) {
	if len(sum.blocks) != 1 {
		return Sealed{}, openflow.Errorf(openflow.CodeInvalid, "an encrypted sum is one ciphertext, not %d", len(sum.blocks))
	}
	// The entries keep their scale here, because sum and plain have the fixed one.
	factors := make([]ring.Poly, l.Blocks(len(values)))
	err := p.parallel.run(len(factors), func(b int) (err error) {
		factors[b], err = p.encodeProduct([][]float64{values}, []float64{1}, b, l, DotPrecision)
		return err
	})
	if err != nil {
		return Sealed{}, err
	}
	ct, err := p.product(factors, v)
	if err != nil {
		return Sealed{}, err
	}
	r := p.params.RingQ()
	r.Add(ct.Value[1], sum.blocks[0].Value[1], ct.Value[1])
	first := sum.blocks[0].Value[0].CopyNew()
	r.INTT(*first, *first)
	r.Add(ct.Value[0], *first, ct.Value[0])

	size := int(math.Ceil(math.Log2(greatest(values))))
	noise, err := symmetric(floodBound(2, len(values), DotPrecision+max(size, 0)))
	if err != nil {
		return Sealed{}, err
	}
	addCoefficient(r.ModuliChain(), ct.Value[0], 0, noise.Add(noise, fixed(plain, vectorBits+DotPrecision)))
	value := coefficient(r.ModuliChain(), p.params.QBigInt(), ct.Value[0], 0)
	return Sealed{parts: []part{{second: ct.Value[1], first: []*big.Int{value}}}}, nil
}

// Mask is what a party must keep to read an Answer.
type Mask struct {
	params ckks.Parameters
	pads   []*big.Int
	scales []float64
	bits   int
}

// Columns is the number of columns that the answer will have.
func (m Mask) Columns() int { return len(m.pads) }

// Open takes the mask off: the inner products, in the order of the columns. Those of a column of zeros are exactly 0: an
// optimizer that divides by the size of a gradient would make coefficients of noise. Errors: CodeInvalid when the answer
// has another number of columns.
func (m Mask) Open(a Answer) ([]float64, error) {
	if len(a) != len(m.pads) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "an answer for %d columns meets a mask for %d", len(a), len(m.pads))
	}
	modulus := m.params.QBigInt()
	values := make([]float64, len(a))
	for j := range values {
		d := new(big.Int).Sub(a[j], m.pads[j])
		values[j] = float(centre(d.Mod(d, modulus), modulus), m.bits) * m.scales[j]
	}
	return values, nil
}

func (e *Encoder) plaintext() *rlwe.Plaintext {
	pt := ckks.NewPlaintext(e.params, e.params.MaxLevel())
	pt.IsBatched = false // coefficients, not slots
	return pt
}

// encode puts values·2^bits into the coefficients of a plaintext, in the number-theoretic domain.
func (e *Encoder) encode(values []float64, bits int) (*rlwe.Plaintext, error) {
	pt := e.plaintext()
	pt.Scale = rlwe.NewScale(math.Ldexp(1, bits))
	if err := e.encoder.Encode(values, pt); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "encode a vector: %w", err)
	}
	return pt, nil
}

// encrypt encrypts pt, or zero when pt is nil.
func (p *Party) encrypt(pt *rlwe.Plaintext) (*rlwe.Ciphertext, error) {
	enc := p.encryptors.Get().(*rlwe.Encryptor)
	defer p.encryptors.Put(enc)
	ct := newCiphertext(p.params)
	if err := enc.Encrypt(pt, ct); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "encrypt: %w", err)
	}
	return ct, nil
}

func (e *Encoder) modQ(v *big.Int) *big.Int { return v.Mod(v, e.params.QBigInt()) }
