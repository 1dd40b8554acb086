package blind_test

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/tests/fuzzing"
)

// RFC 9380 appendix J.1.1.
func TestHashToCurveVectors(t *testing.T) {
	const dst = "QUUX-V01-CS02-with-P256_XMD:SHA-256_SSWU_RO_"
	tests := map[string]struct{ msg, x, y string }{
		"empty": {"", "2c15230b26dbc6fc9a37051158c95b79656e17a1a920b11394ca91c44247d3e4",
			"8a7a74985cc5c776cdfe4b1f19884970453912e9d31528c060be9ab5c43e8415"},
		"abc": {"abc", "0bb8b87485551aa43ed54f009230450b492fead5f1cc91658775dac4a3388a0f",
			"5c41b3d0731a27a7b14bc0bf0ccded2d8751f83493404c84a88e71ffd424212e"},
		"letters and digits": {"abcdef0123456789", "65038ac8f2b1def042a5df0b33b1f4eca6bff7cb0f9c6c1526811864e544ed80",
			"cad44d40a656e7aff4002a8de287abc8ae0482b5ae825822bb870d6df9b56ca3"},
		"128 q": {"q128_" + strings.Repeat("q", 128), "4be61ee205094282ba8a2042bcb48d88dfbb609301c49aa8b078533dc65a0b5d",
			"98f8df449a072c4721d241a3b1236d3caccba603f916ca680f4539d2bfb3c29e"},
		"512 a": {"a512_" + strings.Repeat("a", 512), "457ae2981f70ca85d8e24c308b14db22f3e3862c5ea0f652ca38b5e49cd64bc5",
			"ecb9f0eadc9aeed232dabc53235368c1394c78de05dd96893eefa62b0f4757dc"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := blind.HashToCurve(tc.msg, dst)
			require.NoError(t, err)
			require.Equal(t, "04"+tc.x+tc.y, hex.EncodeToString(p.Bytes()))
		})
	}
}

func TestFieldAgreesWithBigIntegers(t *testing.T) {
	p, _ := new(big.Int).SetString("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16)
	edge := []*big.Int{
		big.NewInt(0), big.NewInt(1), big.NewInt(2), new(big.Int).Sub(p, big.NewInt(1)), p, new(big.Int).Add(p, big.NewInt(1)),
		new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)),
		new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 384), big.NewInt(1)),
	}
	for _, a := range edge {
		var wa [48]byte
		a.FillBytes(wa[:])
		inv := new(big.Int).ModInverse(a, p)
		if inv == nil {
			inv = new(big.Int)
		}
		got := blind.Inverse(wa)
		require.Equal(t, inv.String(), new(big.Int).SetBytes(got[:]).String(), "1/%v", a)
		for _, b := range edge {
			var wb [48]byte
			b.FillBytes(wb[:])
			want := new(big.Int).Mod(new(big.Int).Mul(a, b), p)
			got := blind.Product(wa, wb)
			require.Equal(t, want.String(), new(big.Int).SetBytes(got[:]).String(), "%v times %v", a, b)
		}
	}
}

func FuzzProduct(f *testing.F) {
	p, _ := new(big.Int).SetString("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", 16)
	f.Add(make([]byte, 96))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		var w [96]byte
		copy(w[:], raw)
		a, b := new(big.Int).SetBytes(w[:48]), new(big.Int).SetBytes(w[48:])
		got := blind.Product([48]byte(w[:48]), [48]byte(w[48:]))
		require.Equal(t, a.Mod(a.Mul(a, b), p).String(), new(big.Int).SetBytes(got[:]).String())
	})
}

func TestBlindingsCommute(t *testing.T) {
	g, err := blind.NewKey()
	require.NoError(t, err)
	h, err := blind.NewKey()
	require.NoError(t, err)
	tag := func(first, second blind.Key, id string) blind.Tag {
		p, err := first.Blind(id)
		require.NoError(t, err)
		both, err := second.Raise(p)
		require.NoError(t, err)
		require.NotEqual(t, both.Tag(), both.Count())
		return both.Tag()
	}
	for _, id := range []string{"", "133", "Ü ", "a\x00b"} {
		require.Equal(t, tag(g, h, id), tag(h, g, id), "id %q", id)
	}
	require.NotEqual(t, tag(g, h, "133"), tag(h, g, "133 "), "ids are compared byte by byte")
}

func TestFreshKeysAreUnlinkable(t *testing.T) {
	a, err := blind.NewKey()
	require.NoError(t, err)
	b, err := blind.NewKey()
	require.NoError(t, err)
	pa, err := a.Blind("133")
	require.NoError(t, err)
	pb, err := b.Blind("133")
	require.NoError(t, err)
	require.NotEqual(t, pa, pb)
}

func FuzzRaise(f *testing.F) {
	k, err := blind.NewKey()
	require.NoError(f, err)
	good, err := k.Blind("133")
	require.NoError(f, err)
	f.Add(good[:])
	f.Add(make([]byte, blind.PointSize)) // begins like the point at infinity
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		var p blind.Point
		copy(p[:], raw)
		both, err := k.Raise(p)
		if err == nil {
			require.NotZero(t, both.Tag())
			require.Contains(t, []byte{2, 3}, p[0], "only compressed points are accepted")
		}
	})
}

func TestRaiseRefusesWhatIsNoPoint(t *testing.T) {
	k, err := blind.NewKey()
	require.NoError(t, err)
	for name, p := range map[string]blind.Point{
		"zeros":          {},
		"not on curve":   {0: 2, 32: 1},
		"x beyond p":     blind.Point([]byte("\x02" + strings.Repeat("\xff", 32))),
		"unknown prefix": {0: 5, 32: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := k.Raise(p)
			require.Error(t, err)
		})
	}
}

func BenchmarkBlind(b *testing.B) {
	k, err := blind.NewKey()
	require.NoError(b, err)
	for b.Loop() {
		if _, err := k.Blind("customer-0000001"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRaise(b *testing.B) {
	k, err := blind.NewKey()
	require.NoError(b, err)
	p, err := k.Blind("customer-0000001")
	require.NoError(b, err)
	for b.Loop() {
		if _, err := k.Raise(p); err != nil {
			b.Fatal(err)
		}
	}
}

// pairs are n points and their multiples by one scalar.
func pairs(t testing.TB, n int) (k blind.Key, mine, theirs []blind.Point) {
	t.Helper()
	k, err := blind.NewKey()
	require.NoError(t, err)
	own, err := blind.NewKey()
	require.NoError(t, err)
	for i := range n {
		p, err := own.Blind(strconv.Itoa(i))
		require.NoError(t, err)
		q, err := k.Raise(p)
		require.NoError(t, err)
		mine, theirs = append(mine, p), append(theirs, q)
	}
	return k, mine, theirs
}

// ask sums up all pairs, the odd ones apart, and lets answer have the question.
func ask(t testing.TB, mine, theirs []blind.Point, answer func(blind.Point) blind.Point) error {
	t.Helper()
	var even, odd blind.Pairs
	for i := range mine {
		into := &even
		if i%2 == 1 {
			into = &odd
		}
		require.NoError(t, into.Add(mine[i], theirs[i]))
	}
	even.Join(&odd)
	question, want, err := even.Question()
	require.NoError(t, err)
	return want.Check(answer(question))
}

func TestPairsOfOneScalar(t *testing.T) {
	const n = 40
	honest := func(k blind.Key) func(blind.Point) blind.Point {
		return func(p blind.Point) blind.Point {
			q, err := k.Raise(p)
			require.NoError(t, err)
			return q
		}
	}
	for _, n := range []int{1, 2, n} {
		k, mine, theirs := pairs(t, n)
		require.NoError(t, ask(t, mine, theirs, honest(k)), "%d pairs", n)
	}
	for name, lie := range map[string]func(theirs []blind.Point, other blind.Key){
		"two are exchanged":        func(theirs []blind.Point, _ blind.Key) { theirs[3], theirs[4] = theirs[4], theirs[3] },
		"all are moved by one":     func(theirs []blind.Point, _ blind.Key) { copy(theirs, append(theirs[1:], theirs[0])) },
		"one is there twice":       func(theirs []blind.Point, _ blind.Key) { theirs[0] = theirs[1] },
		"one is of another scalar": func(theirs []blind.Point, other blind.Key) { theirs[7], _ = other.Raise(theirs[7]) },
	} {
		t.Run(name, func(t *testing.T) {
			k, mine, theirs := pairs(t, n)
			other, err := blind.NewKey()
			require.NoError(t, err)
			lie(theirs, other)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(ask(t, mine, theirs, honest(k))))
		})
	}
	k, mine, theirs := pairs(t, n)
	require.Error(t, ask(t, mine, theirs, func(blind.Point) blind.Point { return theirs[0] }), "an answer that is none")
	require.Error(t, ask(t, mine, theirs, func(p blind.Point) blind.Point { return p }))
	question := func() blind.Point {
		var p blind.Pairs
		require.NoError(t, p.Add(mine[0], theirs[0]))
		q, _, err := p.Question()
		require.NoError(t, err)
		return q
	}
	require.NotEqual(t, question(), question(), "a question says nothing of the points that it combines")
	_ = k
	var empty, wrong blind.Pairs
	_, _, err := empty.Question()
	require.Error(t, err)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(wrong.Add(mine[0], blind.Point{})))
}

func BenchmarkPairs(b *testing.B) {
	_, mine, theirs := pairs(b, 8)
	var sum blind.Pairs
	for i := 0; b.Loop(); i++ {
		if err := sum.Add(mine[i%8], theirs[i%8]); err != nil {
			b.Fatal(err)
		}
	}
}
