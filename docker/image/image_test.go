package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/image"
)

func options() image.Options {
	return image.Options{Tag: "openflow/components:1", Labels: map[string]string{"b": "2", "a": "1", "c": "3"}, Arch: "amd64"}
}

// TestIDIsAFunctionOfTheBytes holds the ID itself: a site's policy may have it written down.
func TestIDIsAFunctionOfTheBytes(t *testing.T) {
	first, err := image.Build([]byte("program"), options())
	require.NoError(t, err)
	for range 10 {
		again, err := image.Build([]byte("program"), options())
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	require.Equal(t, wantID, first.ID)
	for name, change := range map[string]func(*[]byte, *image.Options){
		"binary":       func(b *[]byte, _ *image.Options) { *b = []byte("programm") },
		"label":        func(_ *[]byte, o *image.Options) { o.Labels["a"] = "2" },
		"user":         func(_ *[]byte, o *image.Options) { o.User = "0:0" },
		"path":         func(_ *[]byte, o *image.Options) { o.Path = "/usr/bin/x" },
		"architecture": func(_ *[]byte, o *image.Options) { o.Arch = "arm64" },
	} {
		binary, o := []byte("program"), options()
		change(&binary, &o)
		other, err := image.Build(binary, o)
		require.NoError(t, err)
		require.NotEqual(t, first.ID, other.ID, name)
	}
	o := options()
	o.Tag = ""
	untagged, err := image.Build([]byte("program"), o)
	require.NoError(t, err)
	require.Equal(t, first.ID, untagged.ID, "a tag is not part of an image")
}

func TestArchive(t *testing.T) {
	img, err := image.Build([]byte("program"), image.Options{Path: "/opt/bin/x"})
	require.NoError(t, err)
	outer := files(t, img.Tar)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	require.NoError(t, json.Unmarshal(outer["manifest.json"], &manifest))
	require.Len(t, manifest, 1)
	require.Empty(t, manifest[0].RepoTags)
	require.Len(t, manifest[0].Layers, 1)

	raw := outer[manifest[0].Config]
	require.Equal(t, img.ID, hash(raw))
	var config struct {
		OS     string
		Config struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	require.NoError(t, json.Unmarshal(raw, &config))
	require.Equal(t, "linux", config.OS)
	require.Equal(t, image.DefaultUser, config.Config.User)
	require.Equal(t, []string{"/opt/bin/x"}, config.Config.Entrypoint)

	layer := outer[manifest[0].Layers[0]]
	require.Equal(t, []string{hash(layer)}, config.RootFS.DiffIDs)
	require.Equal(t, map[string][]byte{"opt/": {}, "opt/bin/": {}, "opt/bin/x": []byte("program")}, files(t, layer))
}

func TestBuildRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		binary string
		path   string
		tag    string
	}{
		"nothing":       {"", "/x", ""},
		"relative path": {"x", "x", ""},
		"root":          {"x", "/", ""},
		"unclean path":  {"x", "/../x", ""},
		"no name":       {"x", "/x", "a name:with a space"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.Build([]byte(tc.binary), image.Options{Path: tc.path, Tag: tc.tag})
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		})
	}
}

func files(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		require.Zero(t, h.ModTime.Unix())
		out[h.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

const wantID = "sha256:15dc0ddf040bf8d148205aa153599a91e1f7bef3fd21c3fab8bdbf1eaad13d2c"
