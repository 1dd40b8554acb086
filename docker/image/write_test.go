package image_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
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
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, append(text.Bytes(), more...), 0o700))
	return path
}

// A file of an image is made of a static program. The same program makes the same image, and another one another.
func TestWrite(t *testing.T) {
	file, program := filepath.Join(t.TempDir(), "acme.tar"), static(t, "")
	id, err := image.Write(program, file)
	require.NoError(t, err)
	a, err := image.OpenArchive(file)
	require.NoError(t, err)
	require.NoError(t, a.Verify(t.Context()))
	require.Equal(t, id, a.ID)
	require.NoError(t, a.Close())
	again, err := image.Write(program, file)
	require.NoError(t, err, "what is there is replaced")
	require.Equal(t, id, again)
	other, err := image.Write(static(t, "more"), file)
	require.NoError(t, err)
	require.NotEqual(t, id, other)
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1)

	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700))
	for says, args := range map[string][2]string{
		"it is not a Linux program":   {script, file},
		"no such file or directory":   {filepath.Join(t.TempDir(), "nothing"), file},
		"a folder that you may write": {program, filepath.Join(t.TempDir(), "nowhere", "x.tar")},
	} {
		_, err := image.Write(args[0], args[1])
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, says)
	}
}
