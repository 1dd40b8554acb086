package wire

import (
	"encoding/json"

	"openflow"
)

// TableUses is the data of /openflow/v1/user/table/uses, ours: who may read a table here, and which jobs have read it or do.
type TableUses struct {
	Parties []Text        `json:"parties"` // whose jobs a grant lets read it
	Jobs    []TableReader `json:"jobs"`    // the newest first
}

// TableReader is a job that reads a table.
type TableReader struct {
	JobID      string `json:"job_id"`
	Role       string `json:"role"`
	Status     string `json:"status"`
	CreateTime *int64 `json:"create_time"`
}

// TableColumn is a column of a table as its meta tells.
type TableColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`     // int32, int64, float32, float64, bool or text
	Property string `json:"property"` // sample_id, match_id, label, weight or column
}

// Columns reads the columns out of a table's meta, in their order. A table that has no such meta, such as one of an
// algorithm's own type, has none.
func (t TableInfo) Columns() ([]TableColumn, error) {
	var meta struct {
		Schema struct {
			Fields []struct {
				Name     string `json:"name"`
				Property string `json:"property"`
				DType    string `json:"dtype"`
			} `json:"fields"`
		} `json:"schema_meta"`
	}
	if err := json.Unmarshal(t.Meta, &meta); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "table %s/%s: its meta cannot be read: %w", t.Namespace, t.Name, err)
	}
	columns := make([]TableColumn, len(meta.Schema.Fields))
	for i, f := range meta.Schema.Fields {
		columns[i] = TableColumn{Name: f.Name, Type: typeWord(f.DType), Property: f.Property}
	}
	return columns, nil
}

// typeWord names a type for people: FATE has two words for text, one of them for ids.
func typeWord(dtype string) string {
	if dtype == "np_object" || dtype == "index" {
		return "text"
	}
	return dtype
}
