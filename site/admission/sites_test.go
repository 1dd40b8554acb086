package admission_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/site/admission"
)

// federated is a job of several sites as its scheduler drives it. It asks all of them the first time, and later one
// after the other in their order, up to the first refusal. When one refuses, it gives back what it was granted. It
// never asks by itself: only when a site has told it.
type federated struct {
	claim   admission.Claim
	sites   []int // in order
	runs    time.Duration
	asking  bool
	first   bool // its first application, at all sites at once
	next    int
	granted []int
	refused bool
	told    bool
	until   time.Time // running; zero: not
	done    bool
}

func (f *federated) step(sites []*site, at time.Time) {
	switch {
	case f.done:
	case !f.until.IsZero():
		if !at.Before(f.until) {
			f.giveBack(sites)
			f.done = true
		}
	case f.asking:
		f.ask(sites, at)
	case f.told:
		f.asking, f.told, f.next, f.refused = true, false, 0, false
	}
}

func (f *federated) ask(sites []*site, at time.Time) {
	s := f.sites[f.next]
	c := f.claim
	c.Since = time.Time{}
	if w, ok := sites[s].waiting[string(c.Job.Job)]; ok {
		c.Since = w.Since
	}
	if sites[s].ask(c, 24*time.Hour) {
		f.granted = append(f.granted, s)
	} else {
		f.refused = true
	}
	f.next++
	switch {
	case f.refused && (!f.first || f.next == len(f.sites)):
		f.giveBack(sites)
		f.asking, f.first = false, false
	case f.next == len(f.sites):
		f.asking, f.until = false, at.Add(f.runs)
	}
}

func (f *federated) giveBack(sites []*site) {
	for _, s := range f.granted {
		sites[s].used = sites[s].used.Minus(f.claim.Need)
	}
	f.granted = nil
}

// Jobs of several schedulers that want the same sites all have their turn, and soon, whatever they need and in whatever
// order things happen. They keep each other waiting neither for ever nor by trying again and again. No site ever gives
// more than it has.
func TestJobsOfSeveralSitesAllRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		sites := make([]*site, 3)
		for i := range sites {
			sites[i] = &site{
				size: openflow.Resources{Cores: 4}, waiting: map[string]admission.Claim{},
				ends: map[string]time.Time{}, needs: map[string]openflow.Resources{},
			}
		}
		jobs := map[string]*federated{}
		var order []string
		const count = 20
		for i := range count {
			id := fmt.Sprintf("%02d", i)
			f := &federated{
				claim: claim(id, 1+dice.IntN(4), priority(dice.IntN(3))), runs: time.Duration(1+dice.IntN(5)) * time.Second,
				asking: true, first: true,
			}
			for s := range sites {
				if dice.IntN(3) > 0 {
					f.sites = append(f.sites, s)
				}
			}
			if f.sites == nil {
				f.sites = []int{dice.IntN(len(sites))}
			}
			jobs[id], order = f, append(order, id)
		}
		asked := 0
		const bound = count * 20 // seconds: far more than if they ran one after the other
		for second := 0; ; second++ {
			at := now.Add(time.Duration(second) * time.Second)
			left := 0
			for _, s := range sites {
				s.now = at
			}
			dice.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, id := range order {
				if jobs[id].asking {
					asked++
				}
				if jobs[id].step(sites, at); !jobs[id].done {
					left++
				}
			}
			if left == 0 {
				break
			}
			require.Less(t, second, bound, "%d of %d jobs have not had their turn", left, count)
			for _, s := range sites {
				require.True(t, s.used.Within(s.size))
				s.tell(jobs)
			}
		}
		require.Less(t, asked, count*len(sites)*10, "few applications were in vain")
	})
}

// tell calls the jobs whose turn it is.
func (s *site) tell(jobs map[string]*federated) {
	var queue []admission.Claim
	for _, w := range s.waiting {
		queue = append(queue, w)
	}
	for _, c := range strict.Next(s.size.Minus(s.used), nil, queue, s.now) {
		c.Woken = s.now
		id := string(c.Job.Job)
		s.waiting[id] = c
		jobs[id].told = true
	}
}
