package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
)

// scoresKept is how long spent scores are kept at least, so that a longer memory finds them.
const scoresKept = 365 * 24 * time.Hour

// scoreRow is a row of the table score: what one run has told a partner about a content.
type scoreRow struct {
	Partner string `db:"partner"`
	Object  string `db:"object"`
	Run     string `db:"run_id"`
	Columns int    `db:"columns"`
	Vectors int    `db:"vectors"`
	Time    int64  `db:"time"`
}

// raiseRow is a row of the table score_raise.
type raiseRow struct {
	Partner string `db:"partner"`
	Object  string `db:"object"`
	Vectors int    `db:"vectors"`
}

var (
	scoreColumns = columnsOf[scoreRow]()
	saveScore    = scoreColumns.save("score", "partner", "object", "run_id")
	raiseColumns = columnsOf[raiseRow]()
	saveRaise    = raiseColumns.save("score_raise", "partner", "object")
)

// SpendScores counts what a run tells a partner, for every table that it comes from, or for none. A repeat of the same
// run counts nothing more, unless it tells more than before. CodeRejected: for one of the tables that would be more
// than the partner may have; the error is for this site's operator. Of two runs that want the last at once, one gets
// it.
func (c *Catalogue) SpendScores(ctx context.Context, s openflow.ScoreSpend, memory time.Duration) error {
	if err := s.Check(); err != nil {
		return err
	}
	tables := slices.Compact(slices.Sorted(slices.Values(s.Tables)))
	err := c.write(ctx, func(t *tx) error {
		for _, table := range tables {
			if err := c.spendOn(ctx, t, s, table, memory); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, `delete from score where time < $1`, c.now().Add(-max(memory, scoresKept)).UnixMilli())
		return err
	})
	return classify("count scores of "+s.Run.String(), err)
}

func (c *Catalogue) spendOn(ctx context.Context, t *tx, s openflow.ScoreSpend, table string, memory time.Duration) error {
	run, now := string(s.Run.RunID()), c.now()
	var own int
	err := t.one(ctx, `select vectors from score where partner = $1 and object = $2 and run_id = $3`,
		string(s.To), table, run).Scan(&own)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if own >= s.Vectors {
		return nil
	}
	a := openflow.ScoreAccount{Partner: s.To, Table: table, Columns: s.Columns}
	var others []scoreRow
	err = t.each(ctx, `select `+scoreColumns.names+` from score where partner = $1 and object = $2 and time > $3 order by time`,
		func(r row) error {
			o, err := scoreColumns.scan(r)
			if o.Run != run {
				others, a.Vectors = append(others, o), a.Vectors+o.Vectors
			}
			return err
		}, string(s.To), table, now.Add(-memory).UnixMilli())
	if err != nil {
		return err
	}
	err = t.one(ctx, `select vectors from score_raise where partner = $1 and object = $2`, string(s.To), table).Scan(&a.Raised)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if !openflow.ScoresAllowed(s.Columns, a.Raised, a.Vectors, s.Vectors) {
		name, err := t.nameOf(ctx, table, s.Names[table])
		if err != nil {
			return err
		}
		return refusedScores(s, a, name, others, memory)
	}
	_, err = t.exec(ctx, saveScore, scoreColumns.values(scoreRow{
		Partner: string(s.To), Object: table, Run: run, Columns: s.Columns, Vectors: s.Vectors, Time: now.UnixMilli(),
	})...)
	return err
}

// nameOf is what people call a table of that content here, where several have it the job's name for it.
func (t *tx) nameOf(ctx context.Context, object string, job openflow.TableName) (string, error) {
	names, err := t.strings(ctx, `select namespace || '/' || name from data_table where object = $1 and not intermediate
		order by case when namespace = $2 and name = $3 then 0 else 1 end, namespace, name limit 1`, object, job.Namespace, job.Name)
	if err != nil || len(names) == 0 {
		return object, err
	}
	return names[0], nil
}

// refusedScores tells this site's operator what the partner has had, when there will be room again, and what allows it.
func refusedScores(s openflow.ScoreSpend, a openflow.ScoreAccount, name string, others []scoreRow, memory time.Duration) error {
	limit := openflow.ScoreLimit(s.Columns, a.Raised)
	when := "This run is above the limit by itself"
	for left, i := a.Vectors, 0; i < len(others); i++ {
		left -= others[i].Vectors
		if openflow.ScoresAllowed(s.Columns, a.Raised, left, s.Vectors) {
			when = "There is room again after " + timeOf(others[i].Time).Add(memory).Format(time.RFC3339)
			break
		}
	}
	return openflow.Errorf(openflow.CodeRejected,
		"party %s has had %d score vectors over the %d columns of table %s within %s and may have %d. This run would tell %d more. "+
			"As many as there are columns give the columns away. %s", s.To, a.Vectors, s.Columns, name, days(memory), limit, s.Vectors, when).
		WithHint("to allow it, the operator of this site runs: openflow scores raise %[1]s %[2]s --to %[3]d; "+
			"to forget what was counted: openflow scores reset %[1]s %[2]s", s.To, name, a.Vectors+s.Vectors)
}

// days renders a whole number of days as people say it.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + " days"
	}
	return d.String()
}

// RaiseScores sets how many score vectors a partner may have about a content, whatever its columns; 0 takes that back.
func (c *Catalogue) RaiseScores(ctx context.Context, partner openflow.PartyID, table string, to int) error {
	if to < 0 || to > 1<<30 {
		return openflow.Errorf(openflow.CodeInvalid, "the limit of score vectors must be 0 to %d, not %d", 1<<30, to)
	}
	err := c.write(ctx, func(t *tx) error {
		if to == 0 {
			_, err := t.exec(ctx, `delete from score_raise where partner = $1 and object = $2`, string(partner), table)
			return err
		}
		_, err := t.exec(ctx, saveRaise, raiseColumns.values(raiseRow{string(partner), table, to})...)
		return err
	})
	return classify("raise the limit of score vectors", err)
}

// ResetScores forgets what a partner was told about a content, and a raised limit. CodeNotFound: there is neither.
func (c *Catalogue) ResetScores(ctx context.Context, partner openflow.PartyID, table string) error {
	err := c.write(ctx, func(t *tx) error {
		spent, err := t.exec(ctx, `delete from score where partner = $1 and object = $2`, string(partner), table)
		if err != nil {
			return err
		}
		raised, err := t.exec(ctx, `delete from score_raise where partner = $1 and object = $2`, string(partner), table)
		if err == nil && spent+raised == 0 {
			return notFound("no score vectors were told to party %s about table %s", partner, table)
		}
		return err
	})
	return classify("reset scores", err)
}

// Scores lists what partners were told, by partner and content: of one partner, or of all with an empty one.
func (c *Catalogue) Scores(ctx context.Context, partner openflow.PartyID, memory time.Duration) ([]openflow.ScoreAccount, error) {
	type key struct{ partner, table string }
	accounts := map[key]*openflow.ScoreAccount{}
	account := func(partner, table string) *openflow.ScoreAccount {
		k := key{partner, table}
		if accounts[k] == nil {
			accounts[k] = &openflow.ScoreAccount{Partner: openflow.PartyID(partner), Table: table}
		}
		return accounts[k]
	}
	w := &where{}
	w.equal("partner", string(partner))
	since := c.now().Add(-memory).UnixMilli()
	err := c.each(ctx, `select `+scoreColumns.names+` from score`+w.String()+` order by time`, w.args, func(from row) error {
		r, err := scoreColumns.scan(from)
		if err != nil {
			return err
		}
		a := account(r.Partner, r.Object)
		a.Columns = r.Columns
		if r.Time <= since {
			return nil
		}
		a.Vectors, a.Latest = a.Vectors+r.Vectors, timeOf(r.Time)
		if a.Frees.IsZero() {
			a.Frees = a.Latest.Add(memory)
		}
		return nil
	})
	if err == nil {
		err = c.each(ctx, `select `+raiseColumns.names+` from score_raise`+w.String(), w.args, func(from row) error {
			r, err := raiseColumns.scan(from)
			account(r.Partner, r.Object).Raised = r.Vectors
			return err
		})
	}
	if err != nil {
		return nil, classify("list scores", err)
	}
	list := make([]openflow.ScoreAccount, 0, len(accounts))
	for _, a := range accounts {
		a.Limit = openflow.ScoreLimit(a.Columns, a.Raised)
		if a.Names, err = c.namesOf(ctx, a.Table); err != nil {
			return nil, err
		}
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b openflow.ScoreAccount) int {
		if d := strings.Compare(string(a.Partner), string(b.Partner)); d != 0 {
			return d
		}
		return strings.Compare(a.Table, b.Table)
	})
	return list, nil
}

// namesOf lists the tables from outside that have this content now.
func (c *Catalogue) namesOf(ctx context.Context, object string) ([]openflow.TableName, error) {
	var names []openflow.TableName
	err := c.each(ctx, `select `+nameColumns.names+` from data_table where object = $1 and not intermediate order by namespace, name`,
		[]any{object}, func(from row) error {
			r, err := nameColumns.scan(from)
			names = append(names, openflow.TableName(r))
			return err
		})
	return names, classify("find tables by content", err)
}
