package lr

import (
	"context"
	"fmt"
	"math"
	"slices"

	"openflow"
)

// What a party refuses on its site's behalf, whoever submitted the job. docs/algorithms.md says what each limit stops.

const (
	// leastColumns is how many columns a party counts as at least: few labels are found from few columns too, all of 40
	// rows from 4 columns in a second.
	leastColumns = 10

	// leastRows is the size of the smallest batch, whatever a policy says: fewer labels than that are found by trying.
	leastRows = 32
)

// Bounds of what another party may announce.
const (
	maxRows    = 1 << 31
	maxColumns = 1 << 20
	maxBatches = 1 << 20
)

// rowsFor is how many rows a batch must have for a party with that many columns.
func rowsFor(columns, perColumn int) int {
	return max(leastRows, max(columns, leastColumns)*min(max(perColumn, 0), maxColumns))
}

// checkArbiter refuses an arbiter that another party of the data runs: it holds the key to what this party sends that
// other. A party that runs the arbiter itself is not exposed by it.
func (s *session) checkArbiter() error {
	if s.task.Policy().CoordinatedLR.AllowCommonArbiter {
		return nil
	}
	self := s.task.Party()
	for _, p := range s.data() {
		if p.ID == s.arbiter.ID && p.ID != self.ID {
			err := openflow.Errorf(openflow.CodeRejected, "party %s is %s and arbiter of one training: it could decrypt what %s sends", p.ID, p.Role, self)
			return err.WithPublic("%s refuses an arbiter that is also %s, as in FATE's examples, which share host and arbiter: "+
				"that needs coordinated_lr.allow_common_arbiter: true in policy.yaml of party %s", self, p.Role, self.ID).
				WithHint("let a third institution be the arbiter; FATE's examples share host and arbiter, and to run one your operator sets " +
					"coordinated_lr.allow_common_arbiter: true in policy.yaml")
		}
	}
	return nil
}

// data lists the parties with data, in the order of plan.Columns.
func (s *session) data() []openflow.Party { return append([]openflow.Party{s.guest}, s.hosts...) }

// checkRows refuses batches with too few rows for any party's columns. Labels are bits, so lattice reduction finds them
// with far fewer equations than rows. Every party asks for what its own policy says; so the strictest of all counts, and
// nobody loosens it by its own columns.
func (s *session) checkRows(p plan) error {
	widest := 0
	for i := range p.Columns {
		if p.features(i) > p.features(widest) {
			widest = i
		}
	}
	rows, need := p.fewest(), rowsFor(p.features(widest), s.task.Policy().CoordinatedLR.RowsPerColumn)
	if rows >= need {
		return nil
	}
	text := "a batch of %d rows is too few for the %d columns of %s: labels or scores could be solved from its gradient; party %s asks for %d rows"
	args := []any{rows, p.features(widest), s.data()[widest], s.task.Party().ID, need}
	return openflow.Errorf(openflow.CodeRejected, text, args...).WithPublic(text, args...).
		WithHint("%s; the site's policy.yaml sets coordinated_lr.rows_per_column, and a party counts as %d columns at least", p.enough(need), leastColumns)
}

// enough says what gives every batch that many rows.
func (p plan) enough(need int) string {
	if p.Rows < need {
		return fmt.Sprintf("the parties share %d rows and %d are needed: use more rows, or fewer columns where a party has more than %d", p.Rows, need, leastColumns)
	}
	return fmt.Sprintf("set batch_size to %d or more, or leave it out for one batch of all rows", need)
}

// spendScores reserves what this host is about to tell the guest of its columns: a score of every row for each model. Columns
// that follow from others need no score of their own, so they do not count.
func (s *session) spendScores(ctx context.Context, r *rows, models int) error {
	columns := r.independent()
	if columns == 0 {
		return nil // every score is the same
	}
	if columns == 1 {
		text := "this table has one column: its scores are that column times a number, so %s learns it"
		if len(r.columns) > 1 {
			text = "the columns of this table follow from one of them, or are constant: its scores are that column times a number, so %s learns it"
		}
		if err := s.task.Warn(ctx, text, s.guest); err != nil {
			return err
		}
	}
	err := s.task.SpendScores(ctx, s.guest, columns, models)
	if openflow.CodeOf(err) == openflow.CodeRejected && columns > 1 && models >= columns {
		// Whatever was told before, that many models are too many. How columns hang together is for this party to know.
		return openflow.Errorf(openflow.CodeRejected, "%d models need more than %d columns that do not follow from each other at %s; it has %d: %w",
			models, models, s.task.Party(), columns, err).
			WithPublic("%d models need more than %d columns that do not follow from each other at %s", models, models, s.task.Party())
	}
	return err
}

const (
	// follows is the share of a column's standard deviation below which what others do not tell of it is nothing.
	follows = 1e-3
	// constantShare is the share of its greatest value below which a column's deviations are rounding.
	constantShare = 1e-12
	// mostIndependent is where counting ends; who has fewer score vectors than that is far from enough.
	mostIndependent = 256
)

// independent is the number of columns that do not follow from the others and a constant, by orthogonalization. Few rows
// tell nothing of that, so there every column counts.
func (r *rows) independent() int {
	if r.count() < max(leastRows, 2*len(r.columns)) {
		return len(r.columns)
	}
	var found [][]float64 // orthogonal, of length 1
	for _, column := range r.columns {
		largest := 0.0
		for _, v := range column {
			largest = max(largest, math.Abs(v))
		}
		if largest == 0 {
			continue
		}
		rest := make([]float64, len(column))
		for i, v := range column {
			rest[i] = v / largest
		}
		centre := spreadOf(rest)
		if centre.Deviation <= constantShare {
			continue
		}
		for i := range rest {
			rest[i] -= centre.Mean
		}
		whole := norm(rest)
		for _, f := range found {
			share := 0.0
			for i, v := range f {
				share += v * rest[i]
			}
			for i, v := range f {
				rest[i] -= share * v
			}
		}
		left := norm(rest)
		if left <= follows*whole {
			continue
		}
		for i := range rest {
			rest[i] /= left
		}
		if found = append(found, rest); len(found) == mostIndependent {
			break
		}
	}
	return len(found)
}

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// loneRows is how many rows a column must tell apart from all others in a batch, if any: below that its gradient says what
// the other side has of single rows.
const loneRows = 10

// warnOfLoneRows names this party's columns that tell less than loneRows rows of a batch from the rest. They expose the
// other side, which cannot see them; so this only helps where the owner of the columns means well. A refusal would hit
// honest rare flags. The names are this party's own, and so is the warning.
func (s *session) warnOfLoneRows(ctx context.Context, p plan, r *rows) error {
	var named []string
	for j, column := range r.columns {
		if slices.ContainsFunc(p.batches(), func(b span) bool {
			n := unusual(column[b.lo:b.hi])
			return n > 0 && n < loneRows
		}) {
			named = append(named, fmt.Sprintf("%q", cut(r.names[j])))
		}
	}
	if len(named) == 0 {
		return nil
	}
	return s.task.Warn(ctx, "columns of %s differ from their most frequent value in fewer than %d rows of a batch: %s. "+
		"Their gradients tell %s what the other parties' data say of these rows, in every epoch. Leave them out, or use greater batches",
		s.task.Party(), loneRows, listed(named), s.task.Party())
}

// unusual counts the values that are not the most frequent one. Where none has more than half of the rows, it may count
// too many, but never fewer than that half.
func unusual(values []float64) int {
	candidate, votes := 0.0, 0
	for _, v := range values {
		switch {
		case votes == 0:
			candidate, votes = v, 1
		case v == candidate:
			votes++
		default:
			votes--
		}
	}
	others := 0
	for _, v := range values {
		if v != candidate {
			others++
		}
	}
	return others
}
