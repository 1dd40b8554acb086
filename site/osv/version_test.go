package osv

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/site/sbom"
	"openflow/tests/fuzzing"
)

// Each list is in order; what stands in one entry is equal.
var ordered = map[string][][]string{
	// semver.org, item 11, and what Go has besides.
	sbom.Go: {
		{"0.0.0-20190101000000-aaaaaaaaaaaa"}, {"0.0.0-20200101000000-aaaaaaaaaaaa"}, {"0.9.9"}, {"1.0.0-alpha"}, {"1.0.0-alpha.1"}, {"1.0.0-alpha.beta"}, {"1.0.0-beta"},
		{"1.0.0-beta.2"}, {"1.0.0-beta.11"}, {"1.0.0-rc.1"}, {"1.0.0", "v1.0.0", "1.0.0+incompatible", "1.0", "1"}, {"1.0.1-0.20200101000000-aaaaaaaaaaaa"}, {"1.0.1"}, {"1.9.0"},
		{"1.10.0"}, {"1.21.0-rc.2"}, {"1.21.0", "1.21"}, {"1.21.11"}, {"2.0.0"}, {"99999999999999999999.0.0"},
	},
	// deb-version(7), and what dpkg's own tests have.
	sbom.Debian: {
		{"0~~"}, {"0~"}, {"0", "0-0", "00"}, {"0a"}, {"0+"}, {"1.0~beta1~svn1245"}, {"1.0~beta1"}, {"1.0", "1.0-0", "0:1.0", "1.00"}, {"1.0-1~bpo12+1"}, {"1.0-1~deb12u2"}, {"1.0-1"}, {"1.0-1+b1"}, {"1.0-1+deb12u1"},
		{"1.0-1.1"}, {"1.0-2"}, {"1.0-10"}, {"1.0a-1"}, {"1.0+dfsg-1"}, {"1.0.1-1"}, {"1.2"}, {"1.10"}, {"2.0-1-1"}, {"20230101120000123456789"}, {"20230101120000123456790"}, {"1:0.1"}, {"1:2.36-9+deb12u3"}, {"2:0"},
	},
	// PEP 440, "Summary of permitted suffixes and relative ordering", and its normal forms.
	sbom.PyPI: {
		{"0.9"}, {"1.dev0", "1.0.DEV0", "1.0dev"}, {"1.0.dev456"}, {"1.0a1.dev1"}, {"1.0a1", "1.0.alpha-1", "v1.0_A1"}, {"1.0a2.dev456"}, {"1.0a12.dev456"}, {"1.0a12"}, {"1.0b1.dev456"}, {"1.0b2"}, {"1.0b2.post345.dev456"}, {"1.0b2.post345"},
		{"1.0rc1.dev456"}, {"1.0rc1", "1.0c1", "1.0-preview1", "1.0pre1"}, {"1.0", "1", "1.0.0", " v1.0 "}, {"1.0+abc.5"}, {"1.0+abc.7", "1.0+ABC_7", "1.0+abc-7"}, {"1.0+5"}, {"1.0+5.1"},
		{"1.0.post456.dev34"}, {"1.0.post456", "1.0-456", "1.0rev456", "1.0.r456"}, {"1.0.15"}, {"1.1.dev1"}, {"1.1"}, {"1.10"}, {"2023.1"}, {"99999999999999999999999"}, {"1!0.1"},
	},
}

// order compares two versions; ok is false when one of them is none.
func order(ecosystem, a, b string) (n int, ok bool) {
	s := scales[ecosystem]
	x, ok1 := s.read(a)
	y, ok2 := s.read(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	return s.compare(x, y), true
}

func TestOrders(t *testing.T) {
	for ecosystem, list := range ordered {
		for i, as := range list {
			for j, bs := range list {
				for _, a := range as {
					for _, b := range bs {
						got, ok := order(ecosystem, a, b)
						require.True(t, ok, "%s %q %q", ecosystem, a, b)
						require.Equal(t, sign(i-j), sign(got), "%s: %q and %q", ecosystem, a, b)
					}
				}
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestWhatIsNoVersion(t *testing.T) {
	for ecosystem, list := range map[string][]string{
		sbom.Go:     {"", "(devel)", "1.x", "1.0.0.0", "latest", "1.0.0-"},
		sbom.Debian: {"", "-1", "1 0", ":1", "a:1", "1/2", "é"},
		sbom.PyPI:   {"", "latest", "1..0", "1.0+", "1.0 beta", "1.0-abc", "2004d"},
	} {
		for _, v := range list {
			_, ok := order(ecosystem, v, "1.0")
			require.False(t, ok, "%s %q", ecosystem, v)
			_, ok = order(ecosystem, "1.0", v)
			require.False(t, ok, "%s %q", ecosystem, v)
		}
	}
}

// dpkg itself orders versions as this package does.
func TestOrderOfDpkg(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		return // TestOrders has what its manual says
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := []byte{'0' + byte(random.IntN(10))}
		for range random.IntN(6) {
			const letters = "0019aZ.+~-"
			b = append(b, letters[random.IntN(len(letters))])
		}
		return string(b) + "1"
	}
	for range 150 {
		a, b := text(), text()
		got, ok := order(sbom.Debian, a, b)
		require.True(t, ok)
		relation := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[sign(got)]
		out, err := exec.CommandContext(t.Context(), dpkg, "--compare-versions", a, relation, b).CombinedOutput()
		require.NoError(t, err, "%q %s %q: %s", a, relation, b, out)
	}
}

func FuzzOrders(f *testing.F) {
	for ecosystem, list := range ordered {
		for i := 1; i < len(list); i++ {
			f.Add(ecosystem, list[i-1][0], list[i][0])
		}
	}
	fuzzing.Within(f, func(t *testing.T, ecosystem, a, b string) {
		if _, ok := scales[ecosystem]; !ok {
			return
		}
		n, ok := order(ecosystem, a, b)
		m, okToo := order(ecosystem, b, a)
		require.Equal(t, ok, okToo)
		require.Equal(t, sign(n), -sign(m), fmt.Sprintf("%q %q", a, b))
		if n, ok := order(ecosystem, a, a); ok {
			require.Zero(t, n)
		}
	})
}
