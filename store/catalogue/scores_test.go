package catalogue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

const memory = 30 * 24 * time.Hour

func spend(job string, columns, vectors int, tables ...string) openflow.ScoreSpend {
	return openflow.ScoreSpend{
		Run: openflow.TaskKey{Scheduler: "9999", Job: openflow.JobID(job), Task: "lr_0", Party: host}, To: "9999", Tables: tables, Columns: columns, Vectors: vectors,
	}
}

// A scheduler chooses the IDs of its jobs. One that was forgotten here can come again, and what its runs tell is told anew.
func TestScoresOfAJobThatComesAgain(t *testing.T) { atEngines(t, testScoresOfAJobThatComesAgain) }

func testScoresOfAJobThatComesAgain(t *testing.T, place catalogue.Options) {
	clock := &day{at: epoch}
	place.Now = clock.now
	c, ctx := mustOpen(t, place), t.Context()
	again := func(times int) {
		for range times {
			clock.at = clock.at.Add(time.Hour)
			s := spend("j", 10, 4, "content")
			j := openflow.JobRecord{ID: "j", Party: host, Scheduler: "9999", DAG: &openflow.DAG{}}
			require.NoError(t, c.CreateJob(ctx, j, []openflow.TaskRecord{{Key: s.Run}}))
			require.NoError(t, c.SpendScores(ctx, s, memory))
			require.NoError(t, c.SpendScores(ctx, s, memory), "a repeat")
			_, err := c.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
			require.NoError(t, err)
			_, err = c.DeleteJob(ctx, j.Key())
			require.NoError(t, err)
		}
	}
	again(2)
	requireCode(t, openflow.CodeRejected, c.SpendScores(ctx, spend("j", 10, 4, "content"), memory))
	list, err := c.Scores(ctx, "9999", memory)
	require.NoError(t, err)
	require.Equal(t, 8, list[0].Vectors)
	require.NoError(t, c.ResetScores(ctx, "9999", "content"))
	again(1)
}

// day is a clock that is moved by hand.
type day struct{ at time.Time }

func (d *day) now() time.Time { return d.at }

func TestScores(t *testing.T) { atEngines(t, testScores) }

func testScores(t *testing.T, place catalogue.Options) {
	clock := &day{at: epoch}
	place.Now = clock.now
	c, ctx := mustOpen(t, place), t.Context()
	require.NoError(t, c.SaveTable(ctx, openflow.TableRecord{Name: openflow.TableName{Namespace: "ns", Name: "t"}, Object: "content", DataType: "table"}))
	try := func(s openflow.ScoreSpend) error { return c.SpendScores(ctx, s, memory) }

	require.NoError(t, try(spend("j1", 10, 4, "content")))
	require.NoError(t, try(spend("j1", 10, 4, "content")), "a repeat of a run counts once")
	require.NoError(t, try(spend("j1", 10, 3, "content")))
	clock.at = epoch.Add(24 * time.Hour)
	require.NoError(t, try(spend("j2", 10, 5, "content")), "one less than there are columns")
	err := try(spend("j3", 10, 1, "content"))
	requireCode(t, openflow.CodeRejected, err)
	for _, part := range []string{
		"party 9999", "table ns/t", "has had 9 score vectors", "within 30 days", "may have 9", "1 more",
		"room again after " + epoch.Add(memory).Format(time.RFC3339),
		"openflow scores raise 9999 ns/t --to 10", "openflow scores reset 9999 ns/t",
	} {
		require.ErrorContains(t, err, part)
	}
	require.Empty(t, openflow.PublicText(err))
	require.NoError(t, c.SaveTable(ctx, openflow.TableRecord{Name: openflow.TableName{Namespace: "ns", Name: "u"}, Object: "content", DataType: "table"}))
	named := spend("j3", 10, 1, "content")
	named.Names = map[string]openflow.TableName{"content": {Namespace: "ns", Name: "u"}}
	require.ErrorContains(t, try(named), "table ns/u", "as the job names it")
	named.Names["content"] = openflow.TableName{Namespace: "ns", Name: "other"}
	require.ErrorContains(t, try(named), "table ns/t", "a name that stands for something else by now")
	require.NoError(t, c.DeleteTable(ctx, openflow.TableName{Namespace: "ns", Name: "u"}))
	requireCode(t, openflow.CodeRejected, try(spend("j1", 10, 5, "content")))
	rerun := spend("j1", 10, 4, "content")
	rerun.Run.Version = 1
	requireCode(t, openflow.CodeRejected, try(rerun))

	other := spend("j3", 10, 1, "content")
	other.To = "8888"
	require.NoError(t, try(other), "each partner has an account of its own")
	require.NoError(t, try(spend("j3", 10, 1, "other content")))
	requireCode(t, openflow.CodeRejected, try(spend("j4", 10, 1, "fresh", "content")))
	require.NoError(t, try(spend("j5", 10, 9, "fresh")), "what one table refuses is counted for none")
	require.ErrorContains(t, try(spend("j6", 10, 11, "never told")), "above the limit by itself")

	clock.at = epoch.Add(memory)
	require.NoError(t, try(spend("j7", 10, 4, "content")), "the first run's vectors have stopped to count")
	requireCode(t, openflow.CodeRejected, try(spend("j8", 10, 1, "content")))

	list, err := c.Scores(ctx, "9999", memory)
	require.NoError(t, err)
	require.Equal(t, openflow.ScoreAccount{
		Partner: "9999", Table: "content", Names: []openflow.TableName{{Namespace: "ns", Name: "t"}}, Columns: 10, Vectors: 9, Limit: 9,
		Latest: clock.at.UTC(), Frees: epoch.Add(24*time.Hour + memory),
	}, list[0])
	require.Len(t, list, 3)

	require.NoError(t, c.RaiseScores(ctx, "9999", "content", 12))
	require.NoError(t, try(spend("j8", 10, 3, "content")))
	requireCode(t, openflow.CodeRejected, try(spend("j9", 10, 1, "content")))
	require.NoError(t, try(spend("j9", 14, 1, "content")), "more columns allow more than what the limit was raised to")
	require.NoError(t, c.RaiseScores(ctx, "9999", "content", 0))
	requireCode(t, openflow.CodeInvalid, c.RaiseScores(ctx, "9999", "content", -1))
	require.NoError(t, c.ResetScores(ctx, "9999", "content"))
	requireCode(t, openflow.CodeNotFound, c.ResetScores(ctx, "9999", "content"))
	require.NoError(t, try(spend("j10", 10, 9, "content")))

	require.NoError(t, c.RaiseScores(ctx, "7777", "content", 5))
	list, err = c.Scores(ctx, "7777", memory)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 5, list[0].Limit)

	for name, s := range map[string]openflow.ScoreSpend{
		"no columns": spend("j", 0, 1, "x"), "no vectors": spend("j", 3, 0, "x"), "overflow": spend("j", 3, 1<<31, "x"),
		"no table": spend("j", 3, 1), "negative": spend("j", 3, -1, "x"),
	} {
		t.Run(name, func(t *testing.T) { requireCode(t, openflow.CodeInvalid, try(s)) })
	}
}

// A single column is given away by the first run, whatever it tells; what a second one tells may be another column.
func TestScoresOfOneColumn(t *testing.T) {
	c, ctx := mustOpen(t, catalogue.Options{File: t.TempDir() + "/catalogue.db"}), t.Context()
	require.NoError(t, c.SpendScores(ctx, spend("j1", 1, 8, "content"), memory))
	requireCode(t, openflow.CodeRejected, c.SpendScores(ctx, spend("j2", 1, 1, "content"), memory))
	require.NoError(t, c.RaiseScores(ctx, "9999", "content", 9))
	require.NoError(t, c.SpendScores(ctx, spend("j2", 1, 1, "content"), memory))
}

// Runs that end at the same time, at several replicas, cannot together tell what each of them alone may.
func TestReplicasShareTheScores(t *testing.T) { atEngines(t, testReplicasShareTheScores) }

func testReplicasShareTheScores(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 3)
	allowed := make([]bool, 18)
	require.NoError(t, parallel(len(allowed), func(i int) error {
		err := opened[i%3].SpendScores(t.Context(), spend(fmt.Sprint("j", i), 10, 2, "content", "second"), memory)
		allowed[i] = err == nil
		return allow(err, openflow.CodeRejected)
	}))
	count := 0
	for _, yes := range allowed {
		if yes {
			count++
		}
	}
	require.Equal(t, 4, count, "9 vectors are allowed, in pairs")
}
