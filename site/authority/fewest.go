package authority

import (
	"slices"
	"strconv"
	"strings"
)

// Bounds of the search for the fewest grants. A site's operator has to grant the same many times over before they matter.
const (
	maxChoice = 20      // grants that are as good for one thing
	maxLooks  = 100_000 // at grants, before the best that was found counts
)

// fewest finds the grants to use of those that count their uses: as few as give everything. What costs nothing is not among them.
func fewest(needs []need) map[*judged]bool {
	var open [][]*judged
	seen := map[string]bool{}
	for _, n := range needs {
		if n.from[0].worth == free {
			continue
		}
		if k := signature(n.from); !seen[k] {
			seen[k] = true
			open = append(open, n.from)
		}
	}
	s := search{needs: open, best: quick(open), left: maxLooks}
	s.from(nil)
	used := map[*judged]bool{}
	for _, g := range s.best {
		used[g] = true
	}
	return used
}

func signature(list []*judged) string {
	var b strings.Builder
	for _, g := range list {
		b.WriteString(strconv.Quote(string(g.ID)))
	}
	return b.String()
}

// quick takes whatever gives the most of what is not given yet.
func quick(needs [][]*judged) (picked []*judged) {
	for left := needs; len(left) > 0; {
		gives := map[*judged]int{}
		best := left[0][0]
		for _, from := range left {
			for _, g := range from {
				if gives[g]++; gives[g] > gives[best] {
					best = g
				}
			}
		}
		picked = append(picked, best)
		left = slices.DeleteFunc(slices.Clone(left), func(from []*judged) bool { return slices.Contains(from, best) })
	}
	return picked
}

// search looks for fewer than the best that is known.
type search struct {
	needs [][]*judged
	best  []*judged
	left  int // looks
}

func (s *search) from(picked []*judged) {
	open := slices.IndexFunc(s.needs, func(from []*judged) bool {
		s.left -= len(from)
		return !slices.ContainsFunc(from, func(g *judged) bool { return slices.Contains(picked, g) })
	})
	switch {
	case open < 0 && len(picked) < len(s.best):
		s.best = slices.Clone(picked)
		return
	case open < 0 || len(picked)+1 >= len(s.best):
		return // it cannot be fewer
	}
	for _, g := range s.needs[open] {
		if s.left <= 0 {
			return
		}
		s.from(append(slices.Clone(picked), g))
	}
}
