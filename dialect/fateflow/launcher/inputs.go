package launcher

import (
	"archive/tar"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
)

// inputs puts what the task reads where the component finds it.
//
// Spec: fate-flow-api §3.5.
func (w *wrapper) inputs(ctx context.Context, t *component.Task, c conf) (map[string]any, error) {
	all := map[string]any{}
	for _, a := range w.types.Inputs.Data {
		if !t.HasInput(a.Name) {
			continue
		}
		list, err := w.tables(ctx, t, c, a)
		if err != nil {
			return nil, err
		}
		all[a.Name] = oneOrAll(a, list)
	}
	for _, a := range w.types.Inputs.Model {
		if !t.HasInput(a.Name) {
			continue
		}
		list, err := w.models(ctx, t, a)
		if err != nil {
			return nil, err
		}
		all[a.Name] = oneOrAll(a, list)
	}
	return all, nil
}

// oneOrAll is a list for a multi input, and else the one artifact.
func oneOrAll(a artifact, list []input) any {
	if !a.IsMulti && len(list) == 1 {
		return list[0]
	}
	return list
}

// tables puts the tables of a data input into the component's own engine.
func (w *wrapper) tables(ctx context.Context, t *component.Task, c conf, a artifact) ([]input, error) {
	if a.kind() != component.Dataframe {
		return nil, openflow.Errorf(openflow.CodeUnimplemented, "input %q of component %q is a %s, and only a dataframe can be given", a.Name, w.told.Component, a.kind()).
			WithPublic("input %q of component %q is of a kind that its node does not give", a.Name, w.told.Component)
	}
	bound, err := t.Tables(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	list := make([]input, len(bound))
	for i, table := range bound {
		file := filepath.Join(inputsFolder, fmt.Sprintf("%s-%d.csv", a.Name, i))
		schema, err := w.spread(ctx, table, file)
		if err != nil {
			return nil, err
		}
		uri := fmt.Sprintf("standalone:///%s/input_%s_%d", w.told.PartyTaskID, a.Name, i)
		meta, err := w.give(ctx, c, schema, file, uri)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeOf(err), "input %q could not be put into the engine of the component: %w", a.Name, err)
		}
		list[i] = input{URI: uri, TypeName: string(component.Dataframe), Metadata: inputMetadata{
			Metadata:      map[string]any{"options": map[string]any{"partitions": max(w.told.Partitions, 1)}, "schema": meta},
			ModelOverview: map[string]any{}, Source: sourceOf(table),
		}}
	}
	return list, nil
}

// sourceOf is where a table came from; nil: no task has made it.
func sourceOf(table component.Table) *source {
	if table.Source.TaskName == "" {
		return nil
	}
	of := table.Source
	return &source{of.TaskID, of.PartyTaskID, of.TaskName, of.Component, of.OutputArtifactKey, of.OutputIndex}
}

// spread writes the rows of a table as a file of CSV without a header, which the engine's script reads.
func (w *wrapper) spread(ctx context.Context, table component.Table, name string) (_ tables.Schema, err error) {
	r, err := table.Open(ctx)
	if err != nil {
		return tables.Schema{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := os.OpenFile(filepath.Join(w.work, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return tables.Schema{}, openflow.Errorf(openflow.CodeInternal, "a file for an input: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := csv.NewWriter(f)
	for {
		frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return tables.Schema{}, err
		}
		columns := frame.Columns()
		row := make([]string, 2+len(columns))
		for i := range frame.Rows() {
			row[0], row[1] = frame.SampleID[i], frame.MatchID[i]
			for j, c := range columns {
				row[2+j] = text(c, i)
			}
			if err := out.Write(row); err != nil {
				return tables.Schema{}, openflow.Errorf(openflow.CodeExhausted, "a file for an input: %w", err)
			}
		}
	}
	out.Flush()
	return r.Schema(), out.Error()
}

// text is a value as Python reads it. A missing number is nan.
func text(c tables.Vector, i int) string {
	switch v := c.At(i).(type) {
	case float64:
		if math.IsNaN(v) {
			return "nan"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case float32:
		if math.IsNaN(float64(v)) {
			return "nan"
		}
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	default:
		return fmt.Sprint(v)
	}
}

// models unpacks the models of a model input.
//
// Spec: fate-flow-api §3.5, §3.10.
func (w *wrapper) models(ctx context.Context, t *component.Task, a artifact) ([]input, error) {
	archives, err := t.OpenModels(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	var list []input
	for i, archive := range archives {
		found, wrong := w.unpack(archive, filepath.Join(inputsFolder, fmt.Sprintf("%s-%d", a.Name, i)))
		err = errors.Join(err, wrong, archive.Close())
		list = append(list, found...)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeOf(err), "model %q: %w", a.Name, err).WithPublic("its node does not give it input %q", a.Name)
	}
	if len(list) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the archive of model %q has no model", a.Name)
	}
	return list, nil
}

// What the archive of a model may have, whoever has made it.
const (
	maxMembers   = 10_000
	maxModel     = 4 << 30 // bytes of all members
	maxModelMeta = 1 << 20 // bytes of one description
)

// metaSuffix ends the name of a description.
const metaSuffix = ".meta.yaml"

// unpack unpacks an archive into a folder of the run, and lists its models. No member leaves the folder.
func (w *wrapper) unpack(archive io.Reader, folder string) ([]input, error) {
	if err := os.Mkdir(filepath.Join(w.work, folder), 0o700); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "a folder for a model: %w", err)
	}
	left, descriptions, plainFiles := int64(maxModel), []modelMeta(nil), []string(nil)
	for n, members := 0, tar.NewReader(archive); ; n++ {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return nil, openflow.Errorf(openflow.CodeInvalid, "its archive is not readable: %w", err)
		case n == maxMembers:
			return nil, openflow.Errorf(openflow.CodeInvalid, "its archive has more than %d members", maxMembers)
		}
		name := path.Clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg || !filepath.IsLocal(name):
			return nil, openflow.Errorf(openflow.CodeInvalid, "its archive has a member %q that is not a file in it", openflow.Cut(h.Name, 80))
		case h.Size > left:
			return nil, openflow.Errorf(openflow.CodeInvalid, "its archive has more than %d bytes", int64(maxModel))
		}
		left -= h.Size
		if strings.HasSuffix(name, metaSuffix) && !strings.Contains(name, "/") {
			m, err := readModelMeta(io.LimitReader(members, maxModelMeta))
			if err != nil {
				return nil, err
			}
			if m.ModelKey == "" {
				m.ModelKey = strings.TrimSuffix(name, metaSuffix)
			}
			descriptions = append(descriptions, m)
			continue
		}
		if err := w.unpackFile(members, path.Join(folder, name)); err != nil {
			return nil, err
		}
		plainFiles = append(plainFiles, name)
	}
	if len(descriptions) == 0 { // as the kit reads such an archive
		for _, name := range plainFiles {
			descriptions = append(descriptions, modelMeta{ModelKey: name, TypeName: string(component.JSONModel)})
		}
	}
	list := make([]input, len(descriptions))
	for i, m := range descriptions {
		at := filepath.Join(w.work, folder)
		if m.TypeName != string(component.ModelDirectory) {
			if !filepath.IsLocal(m.ModelKey) {
				return nil, openflow.Errorf(openflow.CodeInvalid, "its archive describes a member %q that is not in it", openflow.Cut(m.ModelKey, 80))
			}
			at = filepath.Join(at, m.ModelKey)
		}
		list[i] = input{URI: "file://" + at, TypeName: m.TypeName, Metadata: m.input()}
	}
	return list, nil
}

func (w *wrapper) unpackFile(from io.Reader, name string) error {
	if err := w.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "a folder for a model: %w", err)
	}
	f, err := w.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "its archive cannot be unpacked: %w", err)
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "its archive cannot be unpacked: %w", err)
	}
	return nil
}

// modelMeta is the description beside a model in its archive.
//
// Spec: fate-flow-api §3.10.
type modelMeta struct {
	Metadata      any     `yaml:"metadata"`
	Name          *string `yaml:"name"`
	Namespace     *string `yaml:"namespace"`
	ModelOverview any     `yaml:"model_overview"`
	Source        *source `yaml:"source"`
	ModelKey      string  `yaml:"model_key"`
	TypeName      string  `yaml:"type_name"`
	Index         *int    `yaml:"index"`
}

func readModelMeta(r io.Reader) (modelMeta, error) {
	raw, err := io.ReadAll(r)
	var m modelMeta
	if err == nil {
		err = wire.BoundedYAML(raw)
	}
	if err == nil {
		err = yaml.Unmarshal(raw, &m)
	}
	if err == nil {
		_, err = json.Marshal(m.input()) // YAML may have what JSON has not
	}
	if err != nil {
		return modelMeta{}, openflow.Errorf(openflow.CodeInvalid, "the description of a model is not readable: %w", err)
	}
	return m, nil
}

func (m modelMeta) input() inputMetadata {
	i := inputMetadata{Metadata: m.Metadata, Name: m.Name, Namespace: m.Namespace, Source: m.Source, ModelOverview: m.ModelOverview, Index: m.Index,
		ModelKey: &m.ModelKey, TypeName: &m.TypeName}
	if i.Metadata == nil {
		i.Metadata = map[string]any{}
	}
	return i
}
