package lr

import (
	"context"
	"fmt"
	"math"
	"strings"

	"openflow/sdk/component"
)

// spread is where the values of one column lie. A model keeps that of the rows that it was trained on, at the party that
// has the column and nowhere else.
type spread struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"standard_deviation"`
}

func spreadOf(values []float64) spread {
	n := float64(len(values))
	s := spread{}
	if len(values) > 0 {
		s.Mean = values[0] // what is added to it is nothing for rows of one value, and their deviation is exactly 0
	}
	for first, i := s.Mean, 0; i < len(values); i++ {
		s.Mean += (values[i] - first) / n
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - s.Mean) * (v - s.Mean) / n
	}
	s.Deviation = math.Sqrt(sum)
	return s
}

// spreads are those of all columns; nil where a number is beyond what a model can hold.
func (r *rows) spreads() []spread {
	list := make([]spread, len(r.columns))
	for j, column := range r.columns {
		list[j] = spreadOf(column)
		if math.IsInf(list[j].Mean, 0) || math.IsNaN(list[j].Deviation) || math.IsInf(list[j].Deviation, 0) {
			return nil
		}
	}
	return list
}

const (
	// farMean is how many standard deviations of the training rows the mean of new rows may lie away from theirs.
	farMean = 5
	// farSpread is how many times as far, or as near, new rows may lie from each other. Few rows may lie near by chance.
	farSpread    = 10
	nearSpread   = 100
	rowsOfSpread = 10
)

// differs reports whether rows that lie as now were not treated as the training rows were. Rows of one value tell nothing of how
// far values lie apart, neither then nor now.
func (s spread) differs(now spread, count int) bool {
	switch {
	case s.Deviation == 0:
		return false
	case math.Abs(now.Mean-s.Mean) > farMean*s.Deviation || now.Deviation > farSpread*s.Deviation:
		return true
	}
	return count >= rowsOfSpread && now.Deviation > 0 && now.Deviation < s.Deviation/nearSpread
}

// warnOfFarRows names this party's columns whose new rows lie elsewhere than those that the model was trained on, to this
// party alone. A model that does not tell where they lay warns of nothing.
func warnOfFarRows(ctx context.Context, t *component.Task, r *rows, trained []spread) error {
	const shown = 8
	if len(trained) != len(r.columns) {
		return nil
	}
	var named []string
	for j, now := range r.spreads() {
		if was := trained[j]; was.differs(now, r.count()) {
			named = append(named, fmt.Sprintf("%q (mean %.2g and standard deviation %.2g; in training %.2g and %.2g)",
				cut(r.names[j]), now.Mean, now.Deviation, was.Mean, was.Deviation))
		}
	}
	if len(named) == 0 {
		return nil
	}
	more := ""
	if len(named) > shown {
		more = fmt.Sprintf(" and %d more", len(named)-shown)
		named = named[:shown]
	}
	return t.Warn(ctx, "columns of %s are far from the rows that the model was trained on: %s%s. Scale new rows as the training rows were, with the same numbers",
		t.Party(), strings.Join(named, ", "), more)
}
