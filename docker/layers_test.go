package docker

import (
	"archive/tar"
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
	list, err := filepath.Glob(filepath.Join(dir, "image-*"))
	require.NoError(t, err)
	require.Empty(t, list)
}
