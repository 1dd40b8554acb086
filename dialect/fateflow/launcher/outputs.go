package launcher

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/wire"
)

// The types of artifacts that the kit does not name.
const (
	aTable  component.ArtifactType = "table"
	metric                         = "metric"
	aMetric component.ArtifactType = "json_metric"
)

// outputs says where the component writes what it makes.
//
// Spec: fate-flow-api §3.6.
func (w *wrapper) outputs() map[string]output {
	all := map[string]output{metric: {w.metrics.uri, aMetric}}
	for _, a := range slices.Concat(w.types.Outputs.Data, w.types.Outputs.Model) {
		o := output{TypeName: a.kind()}
		switch o.TypeName {
		case component.Dataframe, aTable:
			o.URI = "standalone:///" + w.told.TaskID + "/" + random()
		default:
			o.URI = "file://" + filepath.Join(w.work, outputsFolder, a.Name, string(o.TypeName))
		}
		if a.IsMulti {
			o.URI += "_{index}"
		}
		all[a.Name] = o
	}
	return all
}

// random is 32 hexadecimal digits.
func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return hex.EncodeToString(b[:])
}

// take gives the node all that the component says it has written. What it has written and cannot be taken in fails the task.
//
// Spec: fate-flow-api §3.7.
func (w *wrapper) take(ctx context.Context, t *component.Task, c conf, said finalMeta) error {
	outputs := said.IOMeta.Outputs
	for _, of := range []struct {
		declared []artifact
		written  map[string]written
		take     func(context.Context, *component.Task, conf, string, written) error
	}{{w.types.Outputs.Data, outputs.Data, w.takeData}, {w.types.Outputs.Model, outputs.Model, w.takeModels}} {
		for _, key := range slices.Sorted(maps.Keys(of.written)) {
			list := slices.DeleteFunc(slices.Clone(of.written[key]), func(a writtenArtifact) bool { return !a.made() })
			if len(list) == 0 {
				fmt.Fprintf(w.log, "output %q was not written\n", openflow.Cut(key, 80))
				continue
			}
			i := slices.IndexFunc(of.declared, func(a artifact) bool { return a.Name == key })
			var err error
			switch {
			case i < 0:
				err = openflow.Errorf(openflow.CodeInvalid, "the component has no such output as %s in stage %s", w.told.Role, w.told.Stage)
			case len(list) > 1 && !of.declared[i].IsMulti:
				err = openflow.Errorf(openflow.CodeInvalid, "the component has written %d, and the output is one", len(list))
			default:
				err = of.take(ctx, t, c, key, list)
			}
			if err != nil {
				return openflow.Errorf(openflow.CodeOf(err), "output %q was not taken in: %w", openflow.Cut(key, 80), err)
			}
		}
	}
	for _, a := range outputs.Metric[metric] {
		if err := w.takeMetrics(ctx, a); err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "the metrics were not taken in: %w", err)
		}
	}
	return nil
}

// takeData takes in the tables of an output.
func (w *wrapper) takeData(ctx context.Context, t *component.Task, c conf, key string, list written) error {
	for i, a := range list {
		name, namespace := a.Metadata.Name, a.Metadata.Namespace
		var err error
		switch {
		case a.TypeName == component.Unresolved && name != nil && namespace != nil:
			err = t.PassTable(ctx, key, *namespace, *name)
		case a.TypeName == component.Unresolved:
			err = openflow.Errorf(openflow.CodeInvalid, "its final meta names no table")
		case a.TypeName != component.Dataframe:
			err = openflow.Errorf(openflow.CodeUnimplemented, "it is a %s, and only a dataframe can be taken in", openflow.Cut(string(a.TypeName), 80))
		case !strings.HasPrefix(a.URI, standalone+"://"):
			err = openflow.Errorf(openflow.CodeUnimplemented, "it was written to %s, and only the standalone engine can be read", openflow.Cut(a.URI, 200))
		default:
			err = w.takeTable(ctx, t, c, key, i, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeModels takes in the models of an output, as one archive.
//
// Spec: fate-flow-api §3.10.
func (w *wrapper) takeModels(ctx context.Context, t *component.Task, _ conf, key string, list written) (err error) {
	name := filepath.Join(w.work, outputsFolder, key+".tar")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "a file for a model: %w", err)
	}
	p := pack{tar.NewWriter(f), maxModel, 0}
	for i, a := range list {
		if err = w.packModel(&p, a, i, len(list) > 1 || strings.HasSuffix(a.URI, "_0")); err != nil {
			break
		}
	}
	if err = errors.Join(err, p.to.Close(), f.Close()); err != nil {
		return err
	}
	return t.SaveArchive(ctx, key, list[0].TypeName, name)
}

// pack is the archive of a model that is written.
type pack struct {
	to    *tar.Writer
	left  int64
	files int
}

// packModel writes a model, and its description beside it.
func (w *wrapper) packModel(p *pack, a writtenArtifact, index int, multi bool) error {
	at, ok := strings.CutPrefix(a.URI, "file://")
	name, err := filepath.Rel(w.work, at)
	if !ok || err != nil || !filepath.IsLocal(name) {
		return openflow.Errorf(openflow.CodeInvalid, "it was written to %s, and not where it was asked for", openflow.Cut(a.URI, 200))
	}
	key := path.Base(name)
	described := key
	switch a.TypeName {
	case component.JSONModel:
		err = p.file(w.root, name, key)
	case component.ModelDirectory:
		described, err = string(component.ModelDirectory), p.folder(w.root, name)
	default:
		err = openflow.Errorf(openflow.CodeUnimplemented, "it is a %s, which is no model that can be taken in", openflow.Cut(string(a.TypeName), 80))
	}
	if err != nil {
		return err
	}
	meta := map[string]any{
		"metadata": a.Metadata.Metadata, "name": a.Metadata.Name, "namespace": a.Metadata.Namespace, "model_overview": a.Metadata.ModelOverview,
		"data_overview": nil, "source": a.Metadata.Source, "model_key": key, "type_name": a.TypeName, "index": nil,
	}
	if a.Metadata.Metadata == nil {
		meta["metadata"] = map[string]any{}
	}
	if multi {
		meta["index"] = index
	}
	raw, err := json.MarshalIndent(meta, "", "  ") // JSON is YAML
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "its description: %w", err)
	}
	return p.text(described+metaSuffix, raw)
}

func (p *pack) room(name string, size int64) error {
	if p.files++; p.files > maxMembers {
		return openflow.Errorf(openflow.CodeInvalid, "it has more than %d files", maxMembers)
	}
	if p.left -= size; p.left < 0 {
		return openflow.Errorf(openflow.CodeInvalid, "it has more than %d bytes", int64(maxModel))
	}
	return p.to.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
}

func (p *pack) text(name string, raw []byte) error {
	if err := p.room(name, int64(len(raw))); err != nil {
		return err
	}
	_, err := p.to.Write(raw)
	return err
}

func (p *pack) file(in *os.Root, name, as string) error {
	f, err := openFile(in, name, maxModel)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := p.room(as, info.Size()); err != nil {
		return err
	}
	if n, err := io.Copy(p.to, io.LimitReader(f, info.Size())); err != nil || n != info.Size() {
		return openflow.Errorf(openflow.CodeInvalid, "%s changed while it was read: %w", as, errors.Join(err))
	}
	return nil
}

// folder packs the files of a model that is a folder. Whatever is neither a file nor a folder is refused, such as a link.
func (p *pack) folder(in *os.Root, name string) error {
	return fs.WalkDir(in.FS(), filepath.ToSlash(name), func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		as := strings.TrimPrefix(at, name+"/")
		switch {
		case !entry.Type().IsRegular():
			return openflow.Errorf(openflow.CodeInvalid, "%s is not a regular file", as)
		case strings.HasSuffix(as, metaSuffix) && !strings.Contains(as, "/"):
			return openflow.Errorf(openflow.CodeInvalid, "%s has a name that is kept for descriptions", as)
		}
		return p.file(in, at, as)
	})
}

// takeMetrics passes on metrics that the component has written to a file. Those of its requests are there already.
func (w *wrapper) takeMetrics(ctx context.Context, a writtenArtifact) error {
	at, ok := strings.CutPrefix(a.URI, "file://")
	if !ok || !a.made() {
		return nil
	}
	name, err := filepath.Rel(w.work, at)
	if err != nil || !filepath.IsLocal(name) {
		return openflow.Errorf(openflow.CodeInvalid, "they were written to %s, and not where they were asked for", openflow.Cut(a.URI, 200))
	}
	raw, err := readFile(w.root, name, maxMetrics)
	var records []json.RawMessage
	if err == nil {
		err = wire.Unmarshal(wire.Finite(raw), &records)
	}
	if err != nil || len(records) == 0 {
		return err
	}
	return w.metrics.send(ctx, records)
}
