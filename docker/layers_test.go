package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
)

// The layers of an image that the daemon has are read out of it, unpacked, and nothing is left of that.
func TestLayersOfAnImage(t *testing.T) {
	dir := t.TempDir()
	h, err := Opener{}.Open(t.Context(), driver.Options{Home: dir, Node: uuid.NewString(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	id, err := h.Bring(t.Context(), runtimetest.Build(t))
	require.NoError(t, err)
	var names []string
	require.NoError(t, h.Layers(t.Context(), id, func(layer io.Reader) error {
		r := tar.NewReader(layer)
		for {
			entry, err := r.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			names = append(names, entry.Name)
		}
	}))
	require.Equal(t, []string{"openflow-components"}, names)
	stop := errors.New("enough")
	require.ErrorIs(t, h.Layers(t.Context(), id, func(io.Reader) error { return stop }), stop)
	err = h.Layers(t.Context(), "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", func(io.Reader) error { return nil })
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%v", err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, h.Layers(ended, id, func(io.Reader) error { return nil }))
	require.NoError(t, h.Layers(t.Context(), id, func(io.Reader) error { // nor while it is read, when the process may end
		list, err := filepath.Glob(filepath.Join(dir, "image-*"))
		require.NoError(t, err)
		require.Empty(t, list)
		return nil
	}))
}

// What the daemon writes of an image never takes more of a disk than there is room for.
func TestWritingAnImageIsBounded(t *testing.T) {
	var to bytes.Buffer
	w := within{&to, 10}
	n, err := w.Write([]byte("0123456789"))
	require.NoError(t, err)
	require.Equal(t, 10, n)
	_, err = w.Write([]byte("x"))
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.Equal(t, 10, to.Len())
	room, err := roomIn(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, room)
	require.LessOrEqual(t, room, int64(maxSaved))
}
