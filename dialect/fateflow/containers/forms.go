package containers

import (
	"encoding/json"

	"openflow/sdk/wire"
)

// trackingSave is the body of POST /v2/worker/data/tracking/save.
type trackingSave struct {
	RunID      wire.Text        `json:"execution_id" check:"required"`
	URI        string           `json:"uri"`
	OutputKey  string           `json:"output_key" check:"required"`
	Namespace  string           `json:"namespace"`
	Name       string           `json:"name"`
	DataType   string           `json:"data_type" check:"required"`
	MetaData   json.RawMessage  `json:"meta_data"`
	Overview   overview         `json:"overview"`
	Source     wire.TableSource `json:"source"`
	Index      int              `json:"index"`
	Partitions int              `json:"partitions,omitempty"`
}

// overview is what a writer of a table knows about its rows.
type overview struct {
	Count   *int64          `json:"count,omitempty"`
	Samples json.RawMessage `json:"samples,omitempty"`
}

// metricSave is the body of POST /v2/worker/metric/save[/<execution_id>].
type metricSave struct {
	RunID wire.Text     `json:"execution_id,omitempty"`
	Data  []wire.Metric `json:"data"`
}
