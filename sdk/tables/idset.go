package tables

import "hash/maphash"

// maxIDs is how many sample ids are remembered: 64 MiB of hashes.
const maxIDs = 4 << 20

// idSet notices repeats among texts by their hashes. The seed is new in every process, so nobody can prepare a
// collision. When it is full it still recognises what it has.
type idSet struct {
	seed  maphash.Seed
	slots []uint64 // open addressing; 0 is free
	count int
	limit int
}

func newIDSet(limit int) *idSet {
	return &idSet{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<12), limit: limit}
}

func (s *idSet) len() int { return s.count }

// add reports whether id is new as far as the set can tell.
func (s *idSet) add(id string) bool {
	h := max(maphash.String(s.seed, id), 1)
	slot := s.find(h)
	if s.slots[slot] == h {
		return false
	}
	if s.count == s.limit {
		return true
	}
	s.slots[slot] = h
	s.count++
	if 2*s.count > len(s.slots) && s.count < s.limit {
		s.grow()
	}
	return true
}

// has reports whether id has been added, as far as the set can tell.
func (s *idSet) has(id string) bool {
	h := max(maphash.String(s.seed, id), 1)
	return s.slots[s.find(h)] == h
}

func (s *idSet) find(h uint64) int {
	mask := len(s.slots) - 1
	i := int(h) & mask
	for s.slots[i] != 0 && s.slots[i] != h {
		i = (i + 1) & mask
	}
	return i
}

func (s *idSet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			s.slots[s.find(h)] = h
		}
	}
}
