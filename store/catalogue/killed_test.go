package catalogue_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// What a process of the test below is told by: the catalogue, the grant, and the order in which it creates the jobs.
const (
	takerPlace = "OPENFLOW_TEST_TAKER"
	takerGrant = "OPENFLOW_TEST_TAKER_GRANT"
	takerOrder = "OPENFLOW_TEST_TAKER_ORDER"
)

// Of the test below: more jobs than a grant has uses, half of them as their scheduler and half as a participant.
const (
	grantUses  = 12
	usingJobs  = 30
	usersTaken = 4 // that create jobs at once
)

// takeUses is a process that creates all jobs on one grant, each of which may be there already. It says what came of each. It is
// killed, or ends when it has gone through all.
func takeUses(place string) int {
	at := catalogue.Options{File: place}
	if strings.HasPrefix(place, "postgres://") {
		at = catalogue.Options{URL: place}
	}
	var order []int
	if err := json.Unmarshal([]byte(os.Getenv(takerOrder)), &order); err != nil {
		return failed(err)
	}
	c, err := catalogue.Open(context.Background(), at)
	if err != nil {
		return failed(err)
	}
	jobs := make(chan int)
	var users sync.WaitGroup
	for range usersTaken {
		users.Go(func() {
			for i := range jobs {
				switch err := takeUse(c, i, openflow.GrantID(os.Getenv(takerGrant))); openflow.CodeOf(err) {
				case "":
					fmt.Println("taken", i)
				case openflow.CodePermission:
					fmt.Println("refused", i)
				default:
					fmt.Println("failed", i, err)
				}
			}
		})
	}
	for _, i := range order {
		jobs <- i
	}
	close(jobs)
	users.Wait()
	if err := c.Close(); err != nil {
		return failed(err)
	}
	return 0
}

func failed(err error) int {
	fmt.Println("failed", err)
	return 1
}

// takeUse creates a job on a grant, as its participant or its scheduler.
func takeUse(c *catalogue.Catalogue, i int, grant openflow.GrantID) error {
	id := openflow.JobID(fmt.Sprint(i))
	if i%2 == 0 {
		j, tasks := on(id, guest, grant)
		return c.CreateJob(context.Background(), j, tasks)
	}
	_, err := c.AdmitScheduledJob(context.Background(), openflow.Quota{}, openflow.ScheduledJob{
		ID: id, Initiator: "10000", DAG: sampleDAG(), SubmitHash: "h", IdempotencyKey: "key " + string(id), Grants: []openflow.GrantID{grant},
	})
	return err
}

// Uses of a grant are counted durably: processes that take them, several at once, are killed at random moments and started
// again. No more jobs than there are uses ever hold one, all uses are some job's in the end, and a job whose answer was lost
// takes no second one.
func TestUsesOutliveKills(t *testing.T) { atEngines(t, testUsesOutliveKills) }

func testUsesOutliveKills(t *testing.T, place catalogue.Options) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := mustOpen(t, place)
	counted := use("10000", "psi")
	counted.Uses = grantUses
	grant := add(t, c, counted).ID

	answered := map[string]bool{} // what a job was told, at any time
	for range 8 {                 // each after some answers, which is in the middle of other calls
		answers := runTaker(t, place, grant, random, 1+random.IntN(6))
		holdNoMore(t, c, grant, answered, answers)
	}
	holdNoMore(t, c, grant, answered, runTaker(t, place, grant, random, 0))
	holders, _ := usersOf(t, c, grant)
	require.Len(t, holders, grantUses, "no use is lost")
	for i := range usingJobs {
		require.True(t, answered[fmt.Sprint("taken ", i)] != answered[fmt.Sprint("refused ", i)], "job %d is told the same each time, and something", i)
		require.Equal(t, holders[openflow.JobID(fmt.Sprint(i))], answered[fmt.Sprint("taken ", i)], "job %d", i)
	}
}

// runTaker runs such a process, and kills it once it has given so many answers; 0: it goes through all jobs. It returns the
// answers.
func runTaker(t *testing.T, place catalogue.Options, grant openflow.GrantID, random *rand.Rand, kill int) (answers []string) {
	t.Helper()
	order, err := json.Marshal(random.Perm(usingJobs))
	require.NoError(t, err)
	p := exec.CommandContext(t.Context(), os.Args[0])
	p.Env = append(os.Environ(), takerPlace+"="+cmp.Or(place.URL, place.File), takerGrant+"="+string(grant), takerOrder+"="+string(order))
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		require.False(t, strings.HasPrefix(lines.Text(), "failed"), lines.Text())
		if answers = append(answers, lines.Text()); len(answers) == kill {
			require.NoError(t, p.Process.Kill()) // SIGKILL
		}
	}
	require.NoError(t, lines.Err())
	if err := p.Wait(); kill == 0 || len(answers) < kill {
		require.NoError(t, err)
	}
	return answers
}

// holdNoMore checks what must hold whenever a process has died, and remembers the answers.
func holdNoMore(t *testing.T, c *catalogue.Catalogue, grant openflow.GrantID, answered map[string]bool, answers []string) {
	t.Helper()
	holders, used := usersOf(t, c, grant)
	require.LessOrEqual(t, len(holders), grantUses)
	require.Len(t, holders, used, "each job that is there has taken one use, and nobody else has")
	for _, a := range answers {
		answered[a] = true
		if id, taken := strings.CutPrefix(a, "taken "); taken {
			require.True(t, holders[openflow.JobID(id)], "what was answered is kept: job %s", id)
		}
	}
}

// usersOf are the jobs that are there, each of which holds a use of the grant, and how many uses the grant says. A server may
// commit what a process has sent just before it died, so it looks until the number stays.
func usersOf(t *testing.T, c *catalogue.Catalogue, grant openflow.GrantID) (holders map[openflow.JobID]bool, used int) {
	t.Helper()
	for used = -1; ; {
		g, err := c.Grant(t.Context(), grant)
		require.NoError(t, err)
		if g.Used == used {
			return holders, used
		}
		holders, used = holdersOf(t, c), g.Used
	}
}

func holdersOf(t *testing.T, c *catalogue.Catalogue) map[openflow.JobID]bool {
	t.Helper()
	holders := map[openflow.JobID]bool{}
	hold := func(scheduler openflow.PartyID, id openflow.JobID) {
		grants, _, err := c.GrantsOfJob(t.Context(), scheduler, id)
		require.NoError(t, err)
		require.Len(t, grants, 1, "job %s", id)
		holders[id] = true
	}
	jobs, _, err := c.JobsWhere(t.Context(), catalogue.JobFilter{})
	require.NoError(t, err)
	for _, j := range jobs {
		hold(j.Scheduler, j.ID)
	}
	scheduled, _, err := c.ScheduledJobsWhere(t.Context(), catalogue.ScheduledFilter{})
	require.NoError(t, err)
	for _, j := range scheduled {
		hold(j.DAG.Conf.Scheduler, j.ID)
	}
	return holders
}
