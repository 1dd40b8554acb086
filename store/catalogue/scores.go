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
	var others []counted
	err = t.each(ctx, `select run_id, vectors, time from score where partner = $1 and object = $2 and time > $3 order by time`,
		func(r row) error {
			var o counted
			err := r.Scan(&o.run, &o.vectors, &o.at)
			if o.run != run {
				others, a.Vectors = append(others, o), a.Vectors+o.vectors
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
	_, err = t.exec(ctx, `insert into score (partner, object, run_id, columns, vectors, time) values ($1, $2, $3, $4, $5, $6)
		on conflict (partner, object, run_id) do update set columns = excluded.columns, vectors = excluded.vectors,
		time = excluded.time`, string(s.To), table, run, s.Columns, s.Vectors, now.UnixMilli())
	return err
}

// counted is what one run has told.
type counted struct {
	run     string
	vectors int
	at      int64
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
func refusedScores(s openflow.ScoreSpend, a openflow.ScoreAccount, name string, others []counted, memory time.Duration) error {
	limit := openflow.ScoreLimit(s.Columns, a.Raised)
	when := "This run is above the limit by itself"
	for left, i := a.Vectors, 0; i < len(others); i++ {
		left -= others[i].vectors
		if openflow.ScoresAllowed(s.Columns, a.Raised, left, s.Vectors) {
			when = "There is room again after " + timeOf(others[i].at).Add(memory).Format(time.RFC3339)
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
		_, err := t.exec(ctx, `insert into score_raise (partner, object, vectors) values ($1, $2, $3)
			on conflict (partner, object) do update set vectors = excluded.vectors`, string(partner), table, to)
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
	account := func(partner openflow.PartyID, table string) *openflow.ScoreAccount {
		k := key{string(partner), table}
		if accounts[k] == nil {
			accounts[k] = &openflow.ScoreAccount{Partner: partner, Table: table}
		}
		return accounts[k]
	}
	w := &where{}
	w.equal("partner", string(partner))
	since := c.now().Add(-memory).UnixMilli()
	err := c.each(ctx, `select partner, object, columns, vectors, time from score`+w.String()+` order by time`, w.args, func(r row) error {
		var s openflow.ScoreAccount
		var at int64
		if err := r.Scan(&s.Partner, &s.Table, &s.Columns, &s.Vectors, &at); err != nil {
			return err
		}
		a := account(s.Partner, s.Table)
		a.Columns = s.Columns
		if at <= since {
			return nil
		}
		a.Vectors, a.Latest = a.Vectors+s.Vectors, timeOf(at)
		if a.Frees.IsZero() {
			a.Frees = a.Latest.Add(memory)
		}
		return nil
	})
	if err == nil {
		err = c.each(ctx, `select partner, object, vectors from score_raise`+w.String(), w.args, func(r row) error {
			var s openflow.ScoreAccount
			err := r.Scan(&s.Partner, &s.Table, &s.Raised)
			account(s.Partner, s.Table).Raised = s.Raised
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
	err := c.each(ctx, `select namespace, name from data_table where object = $1 and not intermediate order by namespace, name`,
		[]any{object}, func(r row) error {
			var n openflow.TableName
			err := r.Scan(&n.Namespace, &n.Name)
			names = append(names, n)
			return err
		})
	return names, classify("find tables by content", err)
}
