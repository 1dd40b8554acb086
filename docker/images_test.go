package docker

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
	"openflow/tests/images"
)

// opened is the runtime of a node of the test's own.
func opened(t *testing.T) driver.Host {
	t.Helper()
	node := uuid.NewString()
	o := driver.Options{
		Home: t.TempDir(), Node: node, Log: slog.New(slog.DiscardHandler), Identity: runtimetest.Unseen,
	}
	h, err := Opener{}.Open(t.Context(), o)
	require.NoError(t, err, "no Docker daemon: run tests/services/docker.sh")
	t.Cleanup(func() {
		require.NoError(t, h.Close())
		_, err := Opener{}.Vacate(context.WithoutCancel(t.Context()), o)
		require.NoError(t, err)
	})
	return h
}

// Images of any maker are given to the daemon, describe themselves there, and are found by their ID, whatever is tagged.
func TestImagesInTheDaemon(t *testing.T) {
	h := opened(t)
	rt := h.(*host).Runtime
	for what, archive := range map[string]string{"of one program": images.Of(t, runtimetest.Build(t)), "in Python": images.Python(t)} {
		t.Run(what, func(t *testing.T) {
			img, err := h.LoadArchive(t.Context(), archive)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, rt.RemoveImage(context.WithoutCancel(t.Context()), img.ID)) })
			require.NotEmpty(t, img.Entrypoint)
			require.Equal(t, "1", img.Labels["openflow.contract"])
			again, err := h.LoadArchive(t.Context(), archive)
			require.NoError(t, err)
			require.Equal(t, img, again)
			found, err := h.Image(t.Context(), img.ID)
			require.NoError(t, err)
			require.Equal(t, img, found)
			_, err = h.Image(t.Context(), "pythonic/shout:3.1")
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "no tag of an archive is taken over")

			said, err := h.Ask(t.Context(), driver.Question{Image: img.ID, Command: []string{"nonsense"}, Most: 1 << 10})
			require.NoError(t, err)
			require.NotZero(t, said.ExitCode)

			text, err := os.ReadFile(archive)
			require.NoError(t, err)
			text[len(text)/2] ^= 1
			require.NoError(t, os.WriteFile(archive, text, 0o600))
			_, err = h.LoadArchive(t.Context(), archive)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "also when the daemon has the image")
		})
	}
	python, err := h.LoadArchive(t.Context(), images.Python(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.RemoveImage(context.WithoutCancel(t.Context()), python.ID)) })
	said, err := h.Ask(t.Context(), driver.Question{Image: python.ID, Command: []string{"list"}, Most: 1 << 10})
	require.NoError(t, err)
	require.Zero(t, said.ExitCode, "%s", said.Complaint)
	require.True(t, json.Valid(said.Text))
	for name, code := range map[string]openflow.Code{
		"acme/gone:1": openflow.CodeNotFound, "sha256:" + uuid.NewString(): openflow.CodeNotFound, "": openflow.CodeInvalid,
		"../containers/x": openflow.CodeInvalid, "a b": openflow.CodeInvalid, "a?b": openflow.CodeInvalid, "a%2f..": openflow.CodeInvalid,
	} {
		_, err := h.Image(t.Context(), name)
		require.Equal(t, code, openflow.CodeOf(err), "%q: %v", name, err)
	}
	_, err = h.PullImage(t.Context(), "127.0.0.1:1/acme/psi:1")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
}

// What this process has brought to the daemon it removes again, and nothing else.
func TestDiscardedImages(t *testing.T) {
	h, others := opened(t), opened(t)
	rt := h.(*host).Runtime
	archive := images.Of(t, runtimetest.Build(t))
	id, err := h.ArchiveID(t.Context(), archive)
	require.NoError(t, err)
	require.NoError(t, rt.RemoveImage(t.Context(), id))
	img, err := h.LoadArchive(t.Context(), archive)
	require.NoError(t, err)
	require.Equal(t, id, img.ID)
	_, err = others.LoadArchive(t.Context(), archive)
	require.NoError(t, err)
	require.NoError(t, others.Discard(t.Context(), id))
	_, err = h.Image(t.Context(), id)
	require.NoError(t, err, "it was there before")
	for range 2 {
		require.NoError(t, h.Discard(t.Context(), id))
		_, err = h.Image(t.Context(), id)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
}

// What the daemon does not run because of what an image says is the image's fault: neither the node's, nor a repeat's.
func TestImagesThatCannotBeRun(t *testing.T) {
	h := opened(t)
	rt := h.(*host).Runtime
	for what, config := range map[string]v1.Config{
		"an entry point that is not there": {Entrypoint: []string{"/usr/bin/pyton3"}},
		"a shell that is not there":        {Entrypoint: []string{"/bin/sh", "-c", "true"}},
		"a port that there is not":         {Entrypoint: []string{"/x"}, ExposedPorts: map[string]struct{}{"99999/tcp": {}}},
		"a folder that is none":            {Entrypoint: []string{"/x"}, WorkingDir: "relative"},
	} {
		t.Run(what, func(t *testing.T) {
			img, err := h.LoadArchive(t.Context(), images.Configured(t, config))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, rt.RemoveImage(context.WithoutCancel(t.Context()), img.ID)) })
			_, err = h.Ask(t.Context(), driver.Question{Image: img.ID, Command: []string{"list"}, Most: 1 << 10})
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "it cannot be run: ")
			require.NotContains(t, err.Error(), "-asked-", "no name of ours")
		})
	}
}

// An image gets a program on top without its layers being moved. The same two make the same image, and nothing else of it changes.
func TestEquippedImages(t *testing.T) {
	h := opened(t)
	rt := h.(*host).Runtime
	img, err := h.LoadArchive(t.Context(), images.FATE(t))
	require.NoError(t, err)
	require.Empty(t, img.Entrypoint)
	program := runtimetest.Build(t)
	id, err := h.Equip(t.Context(), img.ID, program)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, id := range []string{id, img.ID} {
			require.NoError(t, rt.RemoveImage(context.WithoutCancel(t.Context()), id))
		}
	})
	again, err := h.Equip(t.Context(), img.ID, program)
	require.NoError(t, err)
	require.Equal(t, id, again)
	made, err := h.Image(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, img.Labels, made.Labels)
	require.Len(t, made.Entrypoint, 1)
	said, err := h.Ask(t.Context(), driver.Question{Image: id, Command: []string{"nonsense"}, Most: 1 << 10})
	require.NoError(t, err)
	require.NotZero(t, said.ExitCode, "the program on top answers")
	_, err = h.Equip(t.Context(), "sha256:"+strings.Repeat("0", 64), program)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}
