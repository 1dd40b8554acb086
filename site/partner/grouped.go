package partner

// grouped keeps values by the group that they belong to, so that a look at one group costs what that group has, whatever others have.
// The zero value is empty.
type grouped[G, K comparable, V any] struct {
	groups map[G]map[K]V
	many   int // values in all groups
}

func (g *grouped[G, K, V]) get(group G, key K) (value V, known bool) {
	value, known = g.groups[group][key]
	return value, known
}

func (g *grouped[G, K, V]) put(group G, key K, value V) {
	if g.groups == nil {
		g.groups = map[G]map[K]V{}
	}
	of := g.groups[group]
	if of == nil {
		of = map[K]V{}
		g.groups[group] = of
	}
	if _, known := of[key]; !known {
		g.many++
	}
	of[key] = value
}

// drop forgets a value, and with its last one the group.
func (g *grouped[G, K, V]) drop(group G, key K) {
	of := g.groups[group]
	if _, known := of[key]; !known {
		return
	}
	g.many--
	if delete(of, key); len(of) == 0 {
		delete(g.groups, group)
	}
}

// dropWhere forgets the values that are chosen.
func (g *grouped[G, K, V]) dropWhere(chosen func(K, V) bool) {
	for group, of := range g.groups {
		for key, value := range of {
			if chosen(key, value) {
				g.drop(group, key)
			}
		}
	}
}
