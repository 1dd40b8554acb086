package wire

import (
	"bytes"
	"encoding/json"
)

// Uploaded is the answer to an upload: upstream's fields, and how the file was read.
type Uploaded struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Count     int64    `json:"count"` // rows
	Columns   []string `json:"columns"`
	Read      Reading  `json:"read"`
}

// Reading tells how a file was read, so that a wrong guess is seen at once.
type Reading struct {
	Compression string       `json:"compression,omitempty"` // gzip
	Encoding    string       `json:"encoding"`
	Delimiter   string       `json:"delimiter"`
	Format      string       `json:"input_format"`
	Header      bool         `json:"header"`     // the first line named the columns
	Columns     []ReadColumn `json:"columns"`    // in the order of the table
	FirstRows   Rows         `json:"first_rows"` // up to five, as they were read; null for a missing value
	Notes       []string     `json:"notes"`      // what was guessed or changed, in words
}

// ReadColumn is a column as it was read.
type ReadColumn struct {
	Name    string `json:"name"`
	Role    string `json:"role"`              // sample id, match id, label, weight or feature
	DType   string `json:"dtype"`             // int32, int64, float32, float64, bool or text
	Missing int    `json:"missing,omitempty"` // cells without a value
}

// Rows are rows of a table, to be shown: text, numbers, true or false, nil for a missing value. Numbers that were received
// are json.Number, so that a long one keeps its digits.
type Rows [][]any

// UnmarshalJSON implements json.Unmarshaler.
func (r *Rows) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*[][]any)(r))
}
