package fake

import (
	"bytes"
	"context"
	"io"
	"maps"

	"openflow"
	"openflow/runtime/driver"
)

// images are what the runtime has, and what it could get. They are guarded by machine.mu.
type images struct {
	have map[string]driver.Image // by ID
	tags map[string]string       // IDs, by reference
	away map[string]driver.Image // in archives, by path, and in registries, by reference
	got  map[string]string       // IDs of what came from there, by ID and reference
}

// Tag lets the runtime have an image under a reference, as "docker tag" does. An empty reference names it by its ID alone.
func (r *Runtime) Tag(reference string, img driver.Image) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.images.keep(img)
	if reference != "" {
		if r.m.images.tags == nil {
			r.m.images.tags = map[string]string{}
		}
		r.m.images.tags[reference] = img.ID
	}
}

func (i *images) keep(img driver.Image) {
	if i.have == nil {
		i.have = map[string]driver.Image{}
	}
	i.have[img.ID] = img
}

// Publish lets an image be had from an archive at that path, or from a registry by that reference.
func (r *Runtime) Publish(where string, img driver.Image) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.images.away == nil {
		r.m.images.away = map[string]driver.Image{}
	}
	r.m.images.away[where] = img
}

// Prune lets the runtime lose an image, as an operator of its machine can.
func (r *Runtime) Prune(id string) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	delete(r.m.images.have, id)
	maps.DeleteFunc(r.m.images.tags, func(_, of string) bool { return of == id })
}

// Image implements driver.Images.
func (r *Runtime) Image(_ context.Context, name string) (driver.Image, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if id, ok := r.m.images.tags[name]; ok {
		name = id
	}
	if img, ok := r.m.images.have[name]; ok {
		return img, nil
	}
	return driver.Image{}, openflow.Errorf(openflow.CodeNotFound, "no image %q", name)
}

// Layers implements driver.Images. Images in memory have no files: each has one empty layer.
func (r *Runtime) Layers(ctx context.Context, id string, each func(io.Reader) error) error {
	if _, err := r.Image(ctx, id); err != nil {
		return err
	}
	return each(bytes.NewReader(make([]byte, 1024)))
}

// LoadArchive implements driver.Images.
func (r *Runtime) LoadArchive(_ context.Context, archive string) (driver.Image, error) {
	return r.fetch(archive, openflow.CodeInvalid)
}

// PullImage implements driver.Images.
func (r *Runtime) PullImage(_ context.Context, reference string) (driver.Image, error) {
	return r.fetch(reference, openflow.CodeUnavailable)
}

// Equip implements driver.Images. Images in memory have no files: the other one is named by both.
func (r *Runtime) Equip(ctx context.Context, image, program string) (string, error) {
	img, err := r.Image(ctx, image)
	if err != nil {
		return "", err
	}
	img.ID, img.Entrypoint, img.Command = img.ID+"+"+program, []string{program}, nil
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.images.keep(img)
	return img.ID, nil
}

// ArchiveID implements driver.Images.
func (r *Runtime) ArchiveID(_ context.Context, archive string) (string, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	img, ok := r.m.images.away[archive]
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "no image at %q", archive)
	}
	return img.ID, nil
}

// Discard implements driver.Images.
func (r *Runtime) Discard(_ context.Context, name string) error {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if id, ok := r.m.images.got[name]; ok {
		delete(r.m.images.have, id)
		maps.DeleteFunc(r.m.images.got, func(_, of string) bool { return of == id })
	}
	return nil
}

func (r *Runtime) fetch(where string, missing openflow.Code) (driver.Image, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	img, ok := r.m.images.away[where]
	if !ok {
		return img, openflow.Errorf(missing, "no image at %q", where)
	}
	if _, there := r.m.images.have[img.ID]; !there {
		if r.m.images.got == nil {
			r.m.images.got = map[string]string{}
		}
		r.m.images.got[img.ID], r.m.images.got[where] = img.ID, img.ID
	}
	r.m.images.keep(img)
	return img, nil
}
