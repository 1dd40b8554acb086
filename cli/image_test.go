package cli_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/docker/image"
)

// static is the head of a Linux program for this machine that needs no shared libraries, which is all that is looked at.
func static(t *testing.T, more string) string {
	t.Helper()
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var text bytes.Buffer
	require.NoError(t, binary.Write(&text, binary.LittleEndian, h))
	return writeFile(t, "program", text.String()+more)
}

// An image of a static program is made without a node. The same program makes the same image, and another one another.
func TestProviderImage(t *testing.T) {
	file, program := filepath.Join(t.TempDir(), "acme.tar"), static(t, "")
	made := run(t, "provider", "image", program, file)
	require.Zero(t, made.code, made.stderr)
	a, err := image.OpenArchive(file)
	require.NoError(t, err)
	require.NoError(t, a.Verify(t.Context()))
	require.Equal(t, file+" holds image "+a.ID+"\n", made.stdout)
	require.NoError(t, a.Close())
	require.Equal(t, made.stdout, run(t, "provider", "image", program, file).stdout, "what is there is replaced")
	require.NotContains(t, run(t, "provider", "image", static(t, "more"), file).stdout, a.ID)

	for says, args := range map[string][]string{
		"it is not a Linux program":  {writeFile(t, "script", "#!/bin/sh\n"), file},
		"no such file or directory":  {filepath.Join(t.TempDir(), "nothing"), file},
		"a folder that you may writ": {program, filepath.Join(t.TempDir(), "nowhere", "x.tar")},
	} {
		r := run(t, append([]string{"provider", "image"}, args...)...)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stderr, says)
	}
}
