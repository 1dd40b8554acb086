package sbom_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/sbom"
	"openflow/tests/fuzzing"
)

// zeros are a file of any size: what it begins with, and zeros.
type zeros struct {
	begin []byte
	size  int64
}

func (z zeros) ReadAt(p []byte, at int64) (int, error) {
	if at >= z.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.size-at))
	clear(p[:n])
	if at < int64(len(z.begin)) {
		copy(p[:n], z.begin[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// claiming is a program of Go whose list of modules is said to have so many bytes. Before it come so many bytes of data, where
// nothing is said.
func claiming(size int64, behind int) zeros {
	const at = 0x100
	h := make([]byte, 0x1000+behind)
	copy(h, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(h[16:], 2)  // an executable
	le.PutUint16(h[18:], 62) // x86-64
	le.PutUint32(h[20:], 1)
	le.PutUint64(h[32:], 64) // its program headers
	le.PutUint16(h[52:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 1)
	le.PutUint32(h[64:], 1) // loaded
	le.PutUint32(h[68:], 6) // and written
	le.PutUint64(h[72:], at)
	le.PutUint64(h[80:], 0x10000)
	le.PutUint64(h[96:], uint64(size-at))
	le.PutUint64(h[104:], uint64(size-at))
	b := h[at+behind:]
	copy(b, "\xff Go buildinf:")
	b[14], b[15] = 8, 2
	n := 32 + binary.PutUvarint(b[32:], 6)
	n += copy(b[n:], "go1.22")
	binary.PutUvarint(b[n:], uint64(size-0x1000-int64(behind)))
	return zeros{h, size}
}

// What a program says of its size takes no memory, whoever wrote it.
func TestProgramsThatClaimMuch(t *testing.T) {
	for name, program := range map[string]zeros{
		"10 GB of modules":              claiming(10<<30, 0),
		"100 MB of modules":             claiming(100<<20, 0),
		"behind data that says nothing": claiming(10<<30, 20<<20),
	} {
		t.Run(name, func(t *testing.T) {
			var ok bool
			used, _ := fuzzing.Cost(func() { _, ok = sbom.Of(program) })
			require.False(t, ok)
			require.Less(t, used, uint64(100<<20))
		})
	}
}

// A program that is larger than any that is looked at is passed over, and not copied.
func TestLargeProgramsArePassedOver(t *testing.T) {
	const size = 1<<30 + 1
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "app/run", Mode: 0o755, Size: size, Typeflag: tar.TypeReg}))
	c := sbom.Collector{Temp: filepath.Join(t.TempDir(), "there is no folder to copy to")}
	require.NoError(t, c.Layer(io.MultiReader(&head, io.NewSectionReader(claiming(size, 0), 0, size))))
}

// Nothing that a layer names or repeats is kept without end.
func TestLayersThatAreRefused(t *testing.T) {
	var many []file
	for i := range 4 {
		many = append(many, file{name: fmt.Sprintf("var/lib/dpkg/status.d/%d", i), text: strings.Repeat("Package: a\nVersion: 1\n\n", 100_000)})
	}
	holes := layer(t, file{name: "PaxHeaders/x", text: "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n29 GNU.sparse.realsize=99999\n"},
		file{name: "app/run", text: "1\n0\n512\n" + strings.Repeat("\x00", 504) + strings.Repeat("x", 512), mode: 0o755})
	holes[156] = tar.TypeXHeader
	copy(holes[148:156], "        ")
	sum := 0
	for _, b := range holes[:512] {
		sum += int(b)
	}
	copy(holes[148:156], fmt.Sprintf("%06o\x00 ", sum))
	for name, tc := range map[string]struct {
		layer []byte
		says  string
	}{
		"a long name":     {layer(t, file{name: strings.Repeat("a/", 2500) + "x.dist-info/METADATA", text: "Name: a\nVersion: 1\n"}), "has a name of"},
		"parts of all":    {layer(t, many...), "speak of more than 300000 parts"},
		"a file of holes": {holes, "app/run in the image is a sparse file"},
	} {
		t.Run(name, func(t *testing.T) {
			var c sbom.Collector
			err := c.Layer(bytes.NewReader(tc.layer))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
