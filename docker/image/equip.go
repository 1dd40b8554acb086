package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"openflow"
)

// Base is an image that a daemon has.
type Base struct {
	Layers   []string        // what each layer is once it is unpacked, the lowest first: "sha256:…"
	Config   json.RawMessage // as OCI has it
	OS, Arch string
}

// equipped is where the program is in an image that has been given one. No image of a vendor has that name by chance.
const equipped = "/.openflow-launcher"

// Equip makes an image that is another one with a static program on top, which is its entry point. The archive has that layer only: the
// daemon has the others. Everything else of the image stays, so that the image is a function of both. Errors: CodeInvalid.
func Equip(of Base, binary []byte) (Image, error) {
	made, err := equip(of, binary)
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image with a launcher: %w", err)
	}
	return made, nil
}

func equip(of Base, binary []byte) (Image, error) {
	top, err := layer(equipped, binary)
	if err != nil {
		return Image{}, err
	}
	config := v1.ConfigFile{Architecture: of.Arch, OS: of.OS, Created: v1.Time{Time: epoch}, RootFS: v1.RootFS{Type: "layers"}}
	if err := json.Unmarshal(of.Config, &config.Config); err != nil {
		return Image{}, err
	}
	config.Config.Entrypoint, config.Config.Cmd = []string{equipped}, nil
	var files []string
	for _, text := range append(of.Layers, digestOf(top)) {
		hash, err := v1.NewHash(text)
		if err != nil {
			return Image{}, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, hash)
		config.History = append(config.History, v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "openflow"})
		files = append(files, hash.Hex+"/layer.tar")
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return Image{}, err
	}
	id := digestOf(raw)
	name := id[len("sha256:"):] + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": nil, "Layers": files}})
	if err != nil {
		return Image{}, err
	}
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	for _, f := range []struct {
		name string
		text []byte
	}{{name, raw}, {files[len(files)-1], top}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), ModTime: epoch}); err != nil {
			return Image{}, err
		}
		if _, err := w.Write(f.text); err != nil {
			return Image{}, err
		}
	}
	return Image{ID: id, Tar: all.Bytes()}, w.Close()
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
