package launcher

import (
	"bytes"
	"encoding/json"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/wire"
)

// finalMeta is what a component writes at its end.
//
// Spec: fate-flow-api §3.7.
type finalMeta struct {
	Status struct {
		Code       int    `json:"code"`
		Exceptions string `json:"exceptions"`
	} `json:"status"`
	IOMeta struct {
		Outputs struct {
			Data   map[string]written `json:"data"`
			Model  map[string]written `json:"model"`
			Metric map[string]written `json:"metric"`
		} `json:"outputs"`
	} `json:"io_meta"`
}

// written is one artifact of an output, or the list of those of a multi output.
type written []writtenArtifact

// UnmarshalJSON accepts an object, a list of objects, or null.
func (w *written) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("[")) {
		return json.Unmarshal(raw, (*[]writtenArtifact)(w))
	}
	var one *writtenArtifact
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*w = nil
	if one != nil {
		*w = written{*one}
	}
	return nil
}

// writtenArtifact is an artifact as its component has left it. One that was not consumed was never written.
type writtenArtifact struct {
	URI      string                 `json:"uri"`
	TypeName component.ArtifactType `json:"type_name"`
	Consumed *bool                  `json:"consumed"`
	Metadata struct {
		Metadata      map[string]json.RawMessage `json:"metadata"`
		Name          *string                    `json:"name"`
		Namespace     *string                    `json:"namespace"`
		Source        json.RawMessage            `json:"source"`
		ModelOverview json.RawMessage            `json:"model_overview"`
		DataOverview  *struct {
			Count *int64 `json:"count"`
		} `json:"data_overview"`
	} `json:"metadata"`
}

// made reports whether the component has written it.
func (a writtenArtifact) made() bool { return a.Consumed == nil || *a.Consumed }

// What a final meta may have: artifacts of outputs, and values: the description of a table has some for each column.
const (
	maxWritten    = 10_000
	maxMetaValues = 5_000_000
)

// readFinalMeta reads a final meta. Numbers that JSON does not have, such as NaN, are null.
func readFinalMeta(raw []byte) (finalMeta, error) {
	var m finalMeta
	raw = wire.Finite(raw)
	err := openflow.BoundedJSON(raw, maxMetaValues)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return finalMeta{}, openflow.Errorf(openflow.CodeInvalid, "it is not readable: %w", err)
	}
	n := 0
	for _, of := range []map[string]written{m.IOMeta.Outputs.Data, m.IOMeta.Outputs.Model, m.IOMeta.Outputs.Metric} {
		for _, list := range of {
			if n += len(list); n > maxWritten {
				return finalMeta{}, openflow.Errorf(openflow.CodeInvalid, "it names more than %d artifacts", maxWritten)
			}
		}
	}
	return m, nil
}
