package refusals_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"openflow"
	"openflow/sdk/tables"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	second  = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10002"}

	everybody = []openflow.Party{guest, host, second, arbiter}
)

// marked is a table of one party in which every id, column name and cell is one that occurs nowhere else. Sample ids are
// shared, as they are after psi.
func marked(p openflow.Party, rows, columns int, label bool) *tables.Frame {
	own := 2 + 0.1*float64(len(p.Role)) + 0.01*float64(p.ID[len(p.ID)-1]) // so that no two parties have a cell alike
	tag := "marked-" + string(p.Role) + "-" + string(p.ID)
	f := &tables.Frame{Schema: tables.Schema{SampleID: tag + "-sid", MatchID: tag + "-id"}}
	for i := range rows {
		f.SampleID = append(f.SampleID, fmt.Sprintf("%03d", i))
		f.MatchID = append(f.MatchID, fmt.Sprintf("%s-id-%d", tag, i))
	}
	for j := range columns {
		f.Schema.Features = append(f.Schema.Features, tables.Column{Name: fmt.Sprintf("%s-column-%d", tag, j), DType: tables.Float64})
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Sin(float64(1+i*columns+j)) * own
		}
		f.Features = append(f.Features, tables.NewFloats(tables.Float64, values))
	}
	if label {
		f.Schema.Label = &tables.Column{Name: tag + "-label", DType: tables.Int32}
		values := make([]int64, rows)
		for i := range values {
			values[i] = int64(i % 2)
		}
		f.Label = tables.NewInts(tables.Int32, values)
	}
	return f
}

// predictions is a marked table that evaluation takes.
func predictions(p openflow.Party, rows int) *tables.Frame {
	f := marked(p, rows, 2, true)
	f.Schema.Label.Name, f.Schema.Features[0].Name = "label", "predict_score"
	kinds := make([]string, rows)
	for i := range kinds {
		kinds[i] = "marked-type-of-" + string(p.ID)
	}
	f.Schema.Features = append(f.Schema.Features, tables.Column{Name: "type", DType: tables.Object})
	f.Features = append(f.Features, tables.NewStrings(kinds))
	return f
}

// marks lists what of a table nobody else may see, as text and, of cells, as a message would carry them.
func marks(f *tables.Frame) [][]byte {
	var list [][]byte
	note := func(s string) {
		if len(s) > 3 { // not the sample ids, which all have, nor small whole numbers
			list = append(list, []byte(s))
		}
	}
	names := []string{f.Schema.SampleID, f.Schema.MatchID}
	cells := func(v tables.Vector) {
		for _, s := range v.Strings {
			note(s)
		}
		for _, n := range v.Ints {
			note(strconv.FormatInt(n, 10))
		}
		for _, x := range v.Floats {
			note(strconv.FormatFloat(x, 'g', -1, 64))
			if x != math.Trunc(x) {
				list = append(list, binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))
			}
		}
	}
	for j, c := range f.Schema.Features {
		if c.Name != "predict_score" && c.Name != "type" {
			names = append(names, c.Name)
		}
		cells(f.Features[j])
	}
	cells(f.Label)
	if l := f.Schema.Label; l != nil && l.Name != "label" {
		names = append(names, l.Name)
	}
	for _, s := range append(names, f.MatchID...) {
		note(s)
	}
	for _, s := range f.SampleID {
		note(s)
	}
	return list
}

func found(in []byte, marks [][]byte) (string, bool) {
	for _, m := range marks {
		if bytes.Contains(in, m) {
			return fmt.Sprintf("%q", m), true
		}
	}
	return "", false
}
