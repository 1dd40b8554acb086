package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	references "github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/runtime/driver"
)

// LoadImage gives the daemon an archive as "docker save" or package image writes it and returns the image's ID, which
// Spec.Image takes. Loading an image that is there already is quick and changes nothing. Errors: CodeInvalid (the
// daemon refuses the archive).
func (r *Runtime) LoadImage(ctx context.Context, archive io.Reader) (id string, err error) {
	body, err := r.api.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return "", r.wrap(ctx, err, "image to load")
	}
	ref, err := ParseLoaded(body)
	if err = errors.Join(err, body.Close()); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", openflow.Errorf(openflow.CodeInvalid, "image to load: %w", err)
	}
	res, err := r.api.ImageInspect(ctx, ref)
	if err != nil {
		return "", r.wrap(ctx, err, "image "+ref)
	}
	return res.ID, nil
}

// HasImage reports whether the daemon has the image that id names, an ID or a reference.
func (r *Runtime) HasImage(ctx context.Context, id string) (bool, error) {
	_, err := r.api.ImageInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, r.wrap(ctx, err, "image "+id)
}

// Image finds what an ID or a reference names. Errors: CodeNotFound, CodeInvalid.
func (r *Runtime) Image(ctx context.Context, name string) (driver.Image, error) {
	if _, err := references.ParseReference(name); err != nil ||
		len(name) > maxName || strings.ContainsFunc(name, notInNames) || slices.ContainsFunc(strings.Split(name, "/"), notAPart) {
		return driver.Image{}, notAName(name)
	}
	found, err := r.api.ImageInspect(ctx, name)
	if err != nil {
		return driver.Image{}, r.wrap(ctx, err, "image "+name)
	}
	img := driver.Image{ID: found.ID, OS: found.Os, Arch: found.Architecture, Bytes: found.Size}
	if c := found.Config; c != nil {
		img.Entrypoint, img.Command, img.Labels = c.Entrypoint, c.Cmd, c.Labels
		img.Volumes = slices.Sorted(maps.Keys(c.Volumes))
	}
	return img, nil
}

// Base is what another image of an image is made of.
type Base struct {
	Layers   []string        // what each layer is once it is unpacked, the lowest first: "sha256:…"
	Config   json.RawMessage // as OCI has it
	OS, Arch string
}

// Base finds what an image is made of. Errors: CodeNotFound.
func (r *Runtime) Base(ctx context.Context, id string) (Base, error) {
	found, err := r.api.ImageInspect(ctx, id)
	if err != nil {
		return Base{}, r.wrap(ctx, err, "image "+id)
	}
	raw, err := json.Marshal(found.Config)
	if err != nil {
		return Base{}, openflow.Errorf(openflow.CodeInvalid, "image %s: its configuration: %w", id, err)
	}
	return Base{Layers: found.RootFS.Layers, Config: raw, OS: found.Os, Arch: found.Architecture}, nil
}

func notAName(name string) error {
	return openflow.Errorf(openflow.CodeInvalid, "%q is not the name of an image", openflow.Cut(name, 80)).
		WithHint("write NAME:TAG, NAME@sha256:… or sha256:…; the letters of NAME are small")
}

// maxName is how many bytes the name of an image may have.
const maxName = 512

// notInNames recognises what would name something else in a path of the API.
func notInNames(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-/:@", r):
		return false
	}
	return true
}

// notAPart recognises parts of a path that would name another one.
func notAPart(s string) bool { return s == "" || s == "." || s == ".." }

// PullImage implements driver.Images.
func (r *Runtime) PullImage(ctx context.Context, reference string) (driver.Image, error) {
	body, err := r.api.ImagePull(ctx, reference, client.ImagePullOptions{})
	if err == nil {
		err = errors.Join(body.Wait(ctx), body.Close())
	}
	switch {
	case ctx.Err() != nil:
		return driver.Image{}, ctx.Err()
	case cerrdefs.IsNotFound(err) || cerrdefs.IsInvalidArgument(err):
		return driver.Image{}, r.wrap(ctx, err, "image "+reference)
	case err != nil:
		return driver.Image{}, openflow.Errorf(openflow.CodeUnavailable, "image %s cannot be pulled: %s", reference, openflow.Heard(err.Error()))
	}
	return r.Image(ctx, reference)
}

// SaveImage writes an image that the daemon has as "docker save" does. Errors: CodeNotFound; the writer's.
func (r *Runtime) SaveImage(ctx context.Context, id string, to io.Writer) error {
	body, err := r.api.ImageSave(ctx, []string{id})
	if err != nil {
		return r.wrap(ctx, err, "image "+id)
	}
	_, err = io.Copy(to, body)
	return errors.Join(err, body.Close())
}

// RemoveImage forgets an image; absent is nil. Errors: CodeConflict (a container uses it).
func (r *Runtime) RemoveImage(ctx context.Context, id string) error {
	_, err := r.api.ImageRemove(ctx, id, client.ImageRemoveOptions{PruneChildren: true})
	return r.wrap(ctx, ignoreNotFound(err), "image "+id)
}

// loadedPrefixes introduce the reference of a loaded image in the daemon's messages, which say it in no other way.
var loadedPrefixes = []string{"Loaded image ID: ", "Loaded image: "}

// ParseLoaded reads the daemon's answer to a load, to its end: a load whose answer is not read is canceled. It returns
// the last reference that was loaded, or the daemon's error.
func ParseLoaded(answer io.Reader) (ref string, err error) {
	dec := json.NewDecoder(answer)
	for {
		var m jsonstream.Message
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF) && ref == "":
			return "", errors.New("the daemon has loaded nothing")
		case errors.Is(err, io.EOF):
			return ref, nil
		case err != nil:
			return "", err
		case m.Error != nil:
			return "", m.Error
		}
		for _, prefix := range loadedPrefixes {
			if loaded, ok := strings.CutPrefix(strings.TrimSpace(m.Stream), prefix); ok && loaded != "" {
				ref = loaded
			}
		}
	}
}
