package openflow

import "time"

// ScoreSpend is what a run is about to tell a partner: vectors of plaintext scores, each a linear combination of the same
// feature columns of this site.
type ScoreSpend struct {
	Run     TaskKey
	To      PartyID
	Tables  []string             // content of the tables from outside that the columns come from, by digest
	Names   map[string]TableName // what the job calls them, by digest
	Columns int                  // that each vector combines
	Vectors int                  // all that this run tells
}

// Check refuses a spend that cannot be counted.
func (s ScoreSpend) Check() error {
	switch {
	case s.To == "" || len(s.Tables) == 0:
		return Errorf(CodeInvalid, "scores of %s: no receiver or no table named", s.Run)
	case s.Columns < 1 || s.Columns > maxScores || s.Vectors < 1 || s.Vectors > maxScores:
		return Errorf(CodeInvalid, "scores of %s: %d vectors over %d columns, both must be 1 to %d", s.Run, s.Vectors, s.Columns, maxScores)
	}
	return nil
}

// maxScores bounds what a container counts by, so that no sum overflows.
const maxScores = 1 << 30

// ScoreLimit is how many score vectors over columns a partner may have at a time. It is one less than the columns,
// because as many equations as unknowns are solved, or what the operator has raised it to.
func ScoreLimit(columns, raised int) int { return max(columns-1, raised) }

// ScoresAllowed reports whether a partner that has had so many vectors over columns may have that many more. A single
// column is given away by whatever is told of it, so its first run is let through, and the component must say so.
// Further runs may be about another column of the same table, so they need a raised limit.
func ScoresAllowed(columns, raised, had, more int) bool {
	return columns == 1 && had == 0 || had+more <= ScoreLimit(columns, raised)
}

// ScoreAccount is what a partner has been told about the content of one table.
type ScoreAccount struct {
	Partner PartyID
	Table   string      // content, by digest
	Names   []TableName // tables that have this content now
	Columns int         // of the latest run
	Vectors int         // that count now
	Raised  int         // the operator's limit; 0: not raised
	Limit   int         // for as many columns as the latest run had
	Latest  time.Time   // when the latest of the vectors were counted; zero: none counts
	Frees   time.Time   // when the oldest of them stops to count; zero: none counts
}
