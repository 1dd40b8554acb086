package admission_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/site/admission"
)

var (
	now   = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	rules = admission.Rules{Patience: time.Minute}
)

// claim of cores by a job that was refused a second ago.
func claim(id string, cores int, more ...func(*admission.Claim)) admission.Claim {
	c := admission.Claim{
		Job: openflow.JobKey{Job: openflow.JobID(id)}, Need: openflow.Resources{Cores: cores}, Age: age(id),
		Since: now.Add(-time.Second), Asked: now.Add(-time.Second),
	}
	for _, m := range more {
		m(&c)
	}
	return c
}

// age is in the order of the names.
func age(id string) (n int64) {
	for _, b := range []byte(fmt.Sprintf("%-7.7s", id)) {
		n = n<<8 | int64(b)
	}
	return n
}

// seen is when the site has first seen the job, whatever its name.
func seen(n int64) func(*admission.Claim) { return func(c *admission.Claim) { c.Age = n } }

func of(peer string) func(*admission.Claim) {
	return func(c *admission.Claim) { c.Peer = openflow.PartyID(peer) }
}

func priority(n int) func(*admission.Claim) { return func(c *admission.Claim) { c.Priority = n } }

func told(c *admission.Claim) { c.Woken = now.Add(-time.Second) }

func toldLongAgo(c *admission.Claim) { c.Woken = now.Add(-10 * time.Second) }

// toldInVain was told by a process that died before the call.
func toldInVain(c *admission.Claim) {
	c.Since, c.Woken = now.Add(-40*time.Second), now.Add(-30*time.Second)
}

// toldLate had waited for longer, when it was told, than it has since.
func toldLate(c *admission.Claim) {
	c.Since, c.Woken = now.Add(-9*time.Minute), now.Add(-4*time.Minute)
}

func overdue(c *admission.Claim) { c.Since = now.Add(-2 * time.Minute) }

// lapsed was told, and has not come for longer than anything is kept.
func lapsed(c *admission.Claim) { c.Since, c.Woken = now.Add(-20*time.Minute), now.Add(-time.Minute) }

func gone(c *admission.Claim) { c.Since, c.Asked = now.Add(-2*time.Hour), now.Add(-time.Hour) }

func memory(n int64) func(*admission.Claim) { return func(c *admission.Claim) { c.Need.Memory = n } }

func bound(peer openflow.PartyID, cores int) map[openflow.PartyID]openflow.Resources {
	return map[openflow.PartyID]openflow.Resources{peer: {Cores: cores}}
}

func TestNext(t *testing.T) {
	for name, tc := range map[string]struct {
		free    int
		waiting []admission.Claim
		want    string
		quota   map[openflow.PartyID]openflow.Resources
	}{
		"nobody waits":                               {8, nil, "", nil},
		"nothing is free":                            {0, []admission.Claim{claim("a", 1)}, "", nil},
		"as many as fit, the oldest first":           {8, []admission.Claim{claim("c", 4), claim("a", 4), claim("b", 4)}, "a b", nil},
		"priority comes before age":                  {4, []admission.Claim{claim("a", 4), claim("b", 4, priority(1))}, "b", nil},
		"a small one passes":                         {4, []admission.Claim{claim("a", 8, priority(9)), claim("b", 3)}, "b", nil},
		"not one that is overdue":                    {4, []admission.Claim{claim("a", 8, overdue), claim("b", 3)}, "", nil},
		"what it does not need is for all":           {4, []admission.Claim{claim("a", 0, overdue, memory(9)), claim("b", 3)}, "b", nil},
		"what is left beside it is, too":             {8, []admission.Claim{claim("a", 5, overdue), claim("b", 3), claim("c", 1)}, "a b", nil},
		"age alone once they are overdue":            {4, []admission.Claim{claim("b", 4, overdue, priority(9)), claim("a", 4, overdue)}, "a", nil},
		"overdue comes before priority":              {4, []admission.Claim{claim("a", 4, priority(9)), claim("b", 4, overdue)}, "b", nil},
		"overdue ones hold up to the first":          {8, []admission.Claim{claim("a", 2, overdue), claim("b", 7, overdue), claim("c", 7, overdue), claim("d", 1)}, "a", nil},
		"who has been told is not told":              {8, []admission.Claim{claim("a", 4, told), claim("b", 4), claim("c", 4)}, "b", nil},
		"who does not come waits elsewhere":          {4, []admission.Claim{claim("a", 4, toldLongAgo), claim("b", 4)}, "b", nil},
		"or was not told after all":                  {4, []admission.Claim{claim("a", 4, toldInVain), claim("b", 4)}, "a", nil},
		"it is told again ever more rarely":          {4, []admission.Claim{claim("a", 4, toldLate), claim("b", 4)}, "b", nil},
		"and is not passed once overdue":             {4, []admission.Claim{claim("a", 3, overdue, toldLongAgo), claim("b", 4), claim("c", 1)}, "c", nil},
		"a scheduler that is gone holds not":         {4, []admission.Claim{claim("a", 8, gone), claim("b", 4)}, "b", nil},
		"a need of nothing always fits":              {0, []admission.Claim{claim("a", 0)}, "a", nil},
		"a name makes nobody older":                  {4, []admission.Claim{claim("0000", 4, seen(2)), claim("a", 4, seen(1))}, "a", nil},
		"not for one that does not come":             {4, []admission.Claim{claim("a", 3, lapsed), claim("b", 4)}, "b", nil},
		"a quota bounds what its peer gets":          {8, []admission.Claim{claim("a", 2, of("x")), claim("b", 2, of("x")), claim("c", 2, of("y"))}, "a c", bound("x", 2)},
		"who waits for its own peer holds up nobody": {4, []admission.Claim{claim("a", 3, of("x"), overdue), claim("b", 4, of("y"))}, "b", bound("x", 2)},
		"what its peer was told of counts":           {8, []admission.Claim{claim("a", 2, of("x"), told), claim("b", 2, of("x"))}, "", bound("x", 3)},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			for _, c := range rules.Next(openflow.Resources{Cores: tc.free}, tc.quota, tc.waiting, now) {
				ids = append(ids, string(c.Job.Job))
			}
			require.Equal(t, tc.want, strings.Join(ids, " "))
		})
	}
}

func TestLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		free    int
		claim   admission.Claim
		waiting []admission.Claim
		want    int
	}{
		"nobody waits":                        {8, claim("n", 4), nil, 8},
		"younger ones only wait":              {8, claim("n", 4), []admission.Claim{claim("z", 8)}, 8},
		"one before it does not fit":          {8, claim("n", 4), []admission.Claim{claim("a", 9)}, 8},
		"one before it is about to be told":   {8, claim("n", 4), []admission.Claim{claim("a", 5)}, 3},
		"one before it has not come":          {8, claim("n", 4), []admission.Claim{claim("a", 5, toldLongAgo)}, 8},
		"priority passes one that waits":      {8, claim("n", 4, priority(1)), []admission.Claim{claim("a", 8)}, 8},
		"one before it has been told":         {8, claim("n", 4), []admission.Claim{claim("a", 5, told)}, 3},
		"one after it has been told":          {8, claim("n", 4, priority(1)), []admission.Claim{claim("a", 5, told)}, 8},
		"one is overdue":                      {4, claim("n", 4), []admission.Claim{claim("a", 8, overdue)}, 0},
		"a younger one is overdue too":        {4, claim("a", 4, overdue), []admission.Claim{claim("b", 8, overdue)}, 4},
		"overdue is not outranked":            {4, claim("n", 4, priority(9)), []admission.Claim{claim("z", 8, overdue)}, 0},
		"itself is no obstacle":               {4, claim("a", 4, overdue), []admission.Claim{claim("a", 4, overdue, told)}, 4},
		"overdue and told, and does not come": {4, claim("n", 4), []admission.Claim{claim("a", 3, lapsed)}, 4},
		"overdue and told is kept for once":   {8, claim("n", 4), []admission.Claim{claim("a", 3, overdue, told)}, 5},
		"two overdue ones":                    {8, claim("n", 4), []admission.Claim{claim("a", 3, overdue), claim("b", 3, overdue)}, 2},
		"the second overdue one does not fit": {8, claim("n", 4), []admission.Claim{claim("a", 3, overdue), claim("b", 6, overdue), claim("c", 2, overdue)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, rules.Left(openflow.Resources{Cores: tc.free}, tc.claim, tc.waiting, now).Cores)
		})
	}
}

func TestDevices(t *testing.T) {
	ids, ok := admission.Devices(4, []string{"1"}, 2)
	require.True(t, ok)
	require.Equal(t, []string{"0", "2"}, ids)
	_, ok = admission.Devices(2, []string{"1"}, 2)
	require.False(t, ok)
	ids, ok = admission.Devices(0, nil, 0)
	require.True(t, ok)
	require.Empty(t, ids)
}

// strict loses its patience soon.
var strict = admission.Rules{Patience: 20 * time.Second}

// site is one site's capacity under a load: jobs come, run for a while and end.
type site struct {
	size    openflow.Resources
	used    openflow.Resources
	waiting map[string]admission.Claim
	seen    map[string]int64 // jobs, in the order in which they were first asked for here
	ends    map[string]time.Time
	needs   map[string]openflow.Resources
	now     time.Time
}

// ask is a job's application; whoever is refused waits.
func (s *site) ask(c admission.Claim, runs time.Duration) bool {
	others := make([]admission.Claim, 0, len(s.waiting))
	for _, w := range s.waiting {
		others = append(others, w)
	}
	id := string(c.Job.Job)
	if s.seen == nil {
		s.seen = map[string]int64{}
	}
	if s.seen[id] == 0 {
		s.seen[id] = int64(len(s.seen) + 1)
	}
	c.Age = s.seen[id]
	if !c.Need.Within(strict.Left(s.size.Minus(s.used), c, others, s.now)) {
		c.Asked, c.Woken = s.now, time.Time{}
		if c.Since.IsZero() {
			c.Since = s.now
		}
		s.waiting[id] = c
		return false
	}
	delete(s.waiting, id)
	s.used, s.ends[id], s.needs[id] = plus(s.used, c.Need), s.now.Add(runs), c.Need
	return true
}

func plus(a, b openflow.Resources) openflow.Resources {
	return openflow.Resources{Cores: a.Cores + b.Cores, Memory: a.Memory + b.Memory, GPUs: a.GPUs + b.GPUs}
}

// Jobs of any sizes and priorities come without end, always enough to fill the capacity. Every job gets its turn in bounded
// time, and the capacity is never over-committed. Nothing that fits waits beside free resources, unless they are kept for a
// job that is overdue.
func TestEveryJobGetsItsTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &site{
			size: openflow.Resources{Cores: 8, Memory: 8, GPUs: 2}, now: now, waiting: map[string]admission.Claim{},
			ends: map[string]time.Time{}, needs: map[string]openflow.Resources{},
		}
		const longest, first = 8, 3 // seconds that a job runs; when the victim comes
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		runs := map[string]time.Duration{}
		victim := claim("victim", 8, priority(-5), memory(8))
		victim.Need.GPUs, victim.Since = 2, time.Time{}
		for step := range 110 {
			s.now = s.now.Add(time.Second)
			for id, end := range s.ends {
				if !s.now.Before(end) {
					s.used = s.used.Minus(s.needs[id])
					delete(s.ends, id)
				}
			}
			for i := range 1 + dice.IntN(2) {
				id := fmt.Sprintf("a%04d-%d", step, i) // before the victim by name
				if step > first {
					id = fmt.Sprintf("z%04d-%d", step, i)
				}
				c := claim(id, 1+dice.IntN(4), priority(dice.IntN(10)), memory(1))
				c.Since = time.Time{}
				runs[id] = time.Duration(1+dice.IntN(longest)) * time.Second
				s.ask(c, runs[id])
			}
			if step == first {
				runs["victim"] = time.Second
				s.ask(victim, time.Second)
			}
			var queue []admission.Claim
			for _, w := range s.waiting {
				queue = append(queue, w)
			}
			for _, c := range strict.Next(s.size.Minus(s.used), nil, queue, s.now) {
				require.True(t, s.ask(c, runs[string(c.Job.Job)]), "who is told to come is served")
			}
			require.True(t, s.used.Within(s.size), "%v of %v are used", s.used, s.size)
			late := slices.ContainsFunc(queue, func(c admission.Claim) bool { return s.now.Sub(c.Since) >= strict.Patience })
			for id, w := range s.waiting {
				require.False(t, !late && w.Need.Within(s.size.Minus(s.used)), "%s waits although it fits", id)
			}
		}
		_, waits := s.waiting["victim"]
		require.False(t, waits, "the largest job of the lowest priority has had its turn")
	})
}

func TestFollows(t *testing.T) {
	waiting, running, success, failed := openflow.TaskWaiting, openflow.TaskRunning, openflow.TaskSuccess, openflow.TaskFailed
	for name, tc := range map[string]struct {
		version int
		others  []admission.Version
		want    openflow.Code
	}{
		"the first":                      {0, nil, ""},
		"after a failure here":           {1, []admission.Version{{0, running, failed, false}}, ""},
		"after a failure elsewhere":      {1, []admission.Version{{0, failed, success, false}}, ""},
		"after one that never began":     {2, []admission.Version{{1, waiting, waiting, false}, {0, failed, failed, false}}, ""},
		"after a success":                {1, []admission.Version{{0, success, success, false}}, openflow.CodeConflict},
		"after one that nobody said of":  {1, []admission.Version{{0, running, success, false}}, openflow.CodeConflict},
		"after one told to be a success": {1, []admission.Version{{0, success, failed, false}}, openflow.CodeConflict},
		"after a success before others":  {2, []admission.Version{{1, failed, failed, false}, {0, success, success, false}}, openflow.CodeConflict},
		"before a later one":             {0, []admission.Version{{1, waiting, waiting, false}}, openflow.CodeConflict},
		"beside another":                 {1, []admission.Version{{0, running, running, true}}, openflow.CodeExhausted},
		"beside one that is stopped":     {1, []admission.Version{{0, failed, running, true}}, openflow.CodeExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			k := openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Version: tc.version, Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}
			require.Equal(t, tc.want, openflow.CodeOf(admission.Follows(k, tc.others)))
		})
	}
}
