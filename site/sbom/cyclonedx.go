package sbom

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"openflow"
)

// What a list may have that somebody else made.
const (
	MaxBytes  = 16 << 20 // of its text
	maxParts  = 100_000
	maxValues = 500_000 // members and items of its JSON
)

// Read reads a list of parts in CycloneDX's JSON. Parts of ecosystems that are not compared with vulnerabilities, and those
// without a package URL, are passed over; total counts them too. Errors: CodeInvalid.
func Read(text []byte) (parts []Part, total int, err error) {
	refuse := func(format string, args ...any) ([]Part, int, error) {
		e := openflow.Errorf(openflow.CodeInvalid, format, args...)
		e.Message = "the SBOM cannot be read: " + e.Message
		return nil, 0, e.WithHint("give a list in CycloneDX's JSON, as syft or cyclonedx-gomod write it")
	}
	if len(text) > MaxBytes {
		return refuse("it has %d bytes, more than %d", len(text), MaxBytes)
	}
	var head struct {
		Format  string `json:"bomFormat"`
		Version string `json:"specVersion"`
	}
	if err := openflow.BoundedJSON(text, maxValues); err != nil {
		return refuse("%w", err)
	}
	if !utf8.Valid(text) {
		return refuse("it is not UTF-8 text")
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return refuse("%w", err)
	}
	if head.Format != "CycloneDX" {
		return refuse("it does not say that it is of CycloneDX (bomFormat)")
	}
	var bom cdx.BOM
	if err := json.Unmarshal(text, &bom); err != nil {
		return refuse("%w", err)
	}
	w := walk{}
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		w.visit([]cdx.Component{*bom.Metadata.Component})
	}
	if bom.Components != nil {
		w.visit(*bom.Components)
	}
	if w.total > maxParts {
		return refuse("it lists %d parts, more than %d", w.total, maxParts)
	}
	if w.total == 0 {
		return refuse("it lists nothing")
	}
	parts = sorted(w.parts)
	if err := fewVersions(parts); err != nil {
		return refuse("%w", err)
	}
	return parts, w.total, nil
}

// walk goes through the components of a document, which may have components of their own.
type walk struct {
	parts []Part
	total int
}

func (w *walk) visit(list []cdx.Component) {
	for _, c := range list {
		w.total++
		if p, ok := partOf(c.PackageURL); ok {
			w.parts = append(w.parts, p)
		}
		if c.Components != nil {
			w.visit(*c.Components)
		}
	}
}

// Write writes a list in CycloneDX's JSON, version 1.6. The same parts make the same text.
func Write(subject string, parts []Part) ([]byte, error) {
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{Type: cdx.ComponentTypeContainer, Name: subject}}
	list := components(sorted(parts))
	bom.Components = &list
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "SBOM: %w", err)
	}
	if !json.Valid(b.Bytes()) {
		return nil, openflow.Errorf(openflow.CodeInternal, "SBOM: what was written is no JSON")
	}
	return b.Bytes(), nil
}

// add adds parts to a list that somebody else made, which has been read. All that it says stays as it is.
func add(text []byte, parts []Part) ([]byte, error) {
	refuse := func(err error) ([]byte, error) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "what was found cannot be added to the SBOM: %w", err)
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		return refuse(err)
	}
	at := "components"
	for key := range document { // as Read takes it
		if strings.EqualFold(key, at) {
			at = key
		}
	}
	var list []json.RawMessage
	if said := document[at]; said != nil {
		if err := json.Unmarshal(said, &list); err != nil {
			return refuse(err)
		}
	}
	for _, c := range components(parts) {
		said, err := json.Marshal(c)
		if err != nil {
			return refuse(err)
		}
		list = append(list, said)
	}
	var err error
	if document[at], err = json.Marshal(list); err != nil {
		return refuse(err)
	}
	if text, err = json.Marshal(document); err != nil {
		return refuse(err)
	}
	return text, nil
}

func components(parts []Part) []cdx.Component {
	list := make([]cdx.Component, 0, len(parts))
	for _, p := range parts {
		c := cdx.Component{Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: p.purl()}
		c.BOMRef = c.PackageURL
		list = append(list, c)
	}
	return list
}
