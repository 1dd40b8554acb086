package lr

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

// rows is one party's table as the mathematics needs it: columns of numbers, rows in the order of their sample ids,
// which is the one order that all parties share.
//
// Spec: fate-components §6.1 (item 0: sorted by sample id as string, ascending).
type rows struct {
	frame   *tables.Frame
	order   []int // sorted position → row of frame
	columns [][]float64
	names   []string
	digest  string // of the sample ids, to compare with the other parties'
}

// newRows refuses a table that cannot be computed with. Its messages name columns and rows and are for this party's own
// eyes; to the others goes notUsable.
func newRows(t *component.Task, f *tables.Frame) (*rows, error) {
	if f.Rows() == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "input of %s has no rows", t.Party()).WithPublic("its input has no rows").
			WithHint("after psi this means that the parties have no id in common")
	}
	if f.Schema.Weight != nil && t.Role() == openflow.RoleGuest {
		return nil, openflow.Errorf(openflow.CodeUnimplemented, "weight column %q: coordinated_lr does not weight rows", f.Schema.Weight.Name).
			WithPublic("coordinated_lr does not weight rows").
			WithHint("remove the column or its role as weight")
	}
	r := &rows{frame: f, order: make([]int, f.Rows())}
	for i := range r.order {
		r.order[i] = i
	}
	slices.SortStableFunc(r.order, func(a, b int) int { return strings.Compare(f.SampleID[a], f.SampleID[b]) })
	hash := sha256.New()
	for k, i := range r.order {
		if k > 0 && f.SampleID[i] == f.SampleID[r.order[k-1]] {
			return nil, openflow.Errorf(openflow.CodeInvalid, "input of %s: a sample id occurs more than once: %s, and match id %q",
				t.Party(), f.RowName(r.order[k-1]), cut(f.MatchID[i]))
		}
		hash.Write(binary.AppendUvarint(nil, uint64(len(f.SampleID[i]))))
		hash.Write([]byte(f.SampleID[i]))
	}
	r.digest = hex.EncodeToString(hash.Sum(nil))
	for j, c := range f.Schema.Features {
		column, err := r.numbers(t, c, f.Features[j])
		if err != nil {
			return nil, err
		}
		r.columns, r.names = append(r.columns, column), append(r.names, c.Name)
	}
	return r, nil
}

func (r *rows) count() int { return len(r.order) }

// seed makes a seed of a number that others know and of the columns, which they do not.
func (r *rows) seed(number int) (seed [32]byte) {
	hash := sha256.New()
	hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(number)))
	for _, column := range r.columns {
		hash.Write(encodeNumbers(column))
	}
	hash.Sum(seed[:0])
	return seed
}

// numbers returns a column in sorted order.
func (r *rows) numbers(t *component.Task, c tables.Column, v tables.Vector) ([]float64, error) {
	if c.DType.Kind() == tables.Text {
		return nil, openflow.Errorf(openflow.CodeInvalid, "input of %s: column %q is text; coordinated_lr needs numbers", t.Party(), c.Name).
			WithPublic("coordinated_lr takes columns of numbers only")
	}
	values := v.Float64s()
	sorted := make([]float64, len(r.order))
	for k, i := range r.order {
		if math.IsNaN(values[i]) || math.IsInf(values[i], 0) {
			what := "no value"
			if math.IsInf(values[i], 0) {
				what = "an infinite value"
			}
			return nil, openflow.Errorf(openflow.CodeInvalid, "input of %s: column %q has %s in %s", t.Party(), c.Name, what, r.frame.RowName(i)).
				WithHint("fill the missing values, or leave those rows or columns out, and upload the table again")
		}
		sorted[k] = values[i]
	}
	return sorted, nil
}

// score returns X·w over all columns, for sorted rows lo…hi−1, plus the intercept when w has one more entry than there
// are columns.
func (r *rows) score(w []float64, lo, hi int) []float64 {
	z := make([]float64, hi-lo)
	if len(w) > len(r.columns) {
		for i := range z {
			z[i] = w[len(r.columns)]
		}
	}
	for j, column := range r.columns {
		for i, x := range column[lo:hi] {
			z[i] += w[j] * x
		}
	}
	return z
}

// dotColumns returns X[lo:hi]ᵀ·v, with a last entry for a column of ones when intercept is set.
func (r *rows) dotColumns(v []float64, lo, hi int, intercept bool) []float64 {
	out := make([]float64, 0, len(r.columns)+1)
	for _, column := range r.columns {
		s := 0.0
		for i, x := range column[lo:hi] {
			s += x * v[i]
		}
		out = append(out, s)
	}
	if intercept {
		s := 0.0
		for _, x := range v {
			s += x
		}
		out = append(out, s)
	}
	return out
}

// part returns the columns' rows lo…hi−1, and a column of ones at the end when intercept is set.
func (r *rows) part(lo, hi int, intercept bool) [][]float64 {
	var part [][]float64
	for _, column := range r.columns {
		part = append(part, column[lo:hi])
	}
	if intercept {
		ones := make([]float64, hi-lo)
		for i := range ones {
			ones[i] = 1
		}
		part = append(part, ones)
	}
	return part
}
