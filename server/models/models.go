// Package models reads the packages in which models are kept: a tar with the model and, beside each member, a yaml that
// describes it.
//
// Whoever has written a package is not trusted: what is read of it is bounded.
package models

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/sdk/wire"
)

// What is read of the yaml members of a package.
const (
	maxYAML    = 64 << 10 // bytes of one; a larger one is passed over
	maxMetas   = 16       // of them
	maxMembers = 10_000   // of the package, which are looked at
)

// Meta collects the yaml members of a package as one JSON object, by member name. Errors: CodeInvalid.
//
// Spec: fate-flow-api §3.10.
func Meta(body io.Reader) (json.RawMessage, error) {
	meta := map[string]json.RawMessage{}
	members := tar.NewReader(body)
	for n := 0; ; n++ {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if n == maxMembers || len(meta) > maxMetas {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model has more than %d members, or %d of them are yaml", maxMembers, len(meta))
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model is not a tar: %w", err)
		}
		if path.Ext(h.Name) != ".yaml" || h.Size > maxYAML {
			continue
		}
		text, err := io.ReadAll(members)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is unreadable: %w", h.Name, err)
		}
		if err := wire.BoundedYAML(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s: %w", openflow.Cut(h.Name, 100), err)
		}
		if meta[h.Name], err = yaml.YAMLToJSON(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model's %s is not YAML: %w", h.Name, err)
		}
		meta[h.Name] = json.RawMessage(strings.TrimSpace(string(meta[h.Name])))
	}
	return json.Marshal(meta)
}

// Member is what the yaml of a member says of it.
type Member struct {
	Key      string `json:"model_key"` // its name in the package
	TypeName string `json:"type_name"`
	Index    *int   `json:"index"` // its place among several; nil: it is the only one
}

// Members are those that describe themselves in what Meta has collected, by index and name.
func Members(meta json.RawMessage) []Member {
	var said map[string]json.RawMessage
	if json.Unmarshal(meta, &said) != nil {
		return nil // of an older release, or none
	}
	var list []Member
	for _, text := range said {
		var m Member
		if json.Unmarshal(text, &m) == nil && m.Key != "" {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Member) int {
		if a.Index != nil && b.Index != nil && *a.Index != *b.Index {
			return *a.Index - *b.Index
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list
}

// JSON reads the JSON members of a package, as FATE-Flow shows them: one object, or a list where members have an index. Without a
// word of yaml it is the first member that is no yaml. A package without one gives an empty list. most bounds the bytes of all
// members together. Errors: CodeInvalid (it has more), CodeInternal (the package is damaged).
//
// Spec: fate-flow-api §1.3 #17, §3.10.
func JSON(body io.Reader, meta json.RawMessage, most int64) (json.RawMessage, error) {
	wanted, found := Members(meta), map[string]json.RawMessage{}
	first, members := "", tar.NewReader(body)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInternal, "the model is damaged: %w", err)
		}
		if h.Typeflag != tar.TypeReg || path.Ext(h.Name) == ".yaml" || len(wanted) > 0 && !slices.ContainsFunc(wanted, func(m Member) bool { return m.Key == h.Name }) {
			continue
		}
		if most -= h.Size; most < 0 {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the model has more bytes than are shown").WithHint("download it")
		}
		b, err := io.ReadAll(members)
		if b = wire.Finite(b); err != nil || !json.Valid(b) { // a component in Python writes NaN
			return nil, openflow.Errorf(openflow.CodeInternal, "the model is damaged: %s is no JSON", openflow.Cut(h.Name, 100))
		}
		found[h.Name] = b
		if first = h.Name; len(wanted) == 0 {
			break
		}
	}
	if len(wanted) == 0 && first != "" {
		return found[first], nil
	}
	list := []json.RawMessage{}
	for _, m := range wanted {
		b, ok := found[m.Key]
		switch {
		case ok && m.Index == nil:
			return b, nil
		case ok:
			list = append(list, b)
		}
	}
	return json.Marshal(list)
}
